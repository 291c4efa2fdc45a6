"""A device loads what it uses and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    *("torch", "onnx", "scipy", "matplotlib", "monai", "sklearn", "safetensors", "cyclonedx"),
    "cryptography",  # only where something is signed
)
RUNTIMES = ("onnxruntime", "openvino", "tensorrt", "tensorrt_rtx_bindings", "pycuda")


def loaded(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after running some code."""
    script = f"{code}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(result.stdout.splitlines()[-1].split())


def test_import_cspine_loads_nothing_heavy() -> None:
    assert not loaded("import cspine") & {*HEAVY, *RUNTIMES}


@pytest.mark.parametrize(
    "module",
    ["cspine.pipeline", "cspine.bundle", "cspine.commands.run", "cspine.commands.doctor"],
)
def test_the_runtime_loads_no_training_and_no_vendor(module: str) -> None:
    assert not loaded(f"import {module}") & {*HEAVY, *RUNTIMES}


def test_help_imports_no_verb() -> None:
    code = (
        "from click.testing import CliRunner; from cspine.cli import cspine;"
        "assert CliRunner().invoke(cspine, ['--help']).exit_code == 0"
    )
    assert not loaded(code) & {*HEAVY, *RUNTIMES, "numpy", "cv2", "pydicom"}


@pytest.mark.parametrize(
    "verb",
    [
        *("export", "calibrate", "emit", "build", "verify", "demo", "inspect", "sbom"),
        *("sign", "keys", "diff"),
    ],
)
def test_help_of_a_verb_needs_none_of_its_extras(verb: str) -> None:
    code = (
        "from click.testing import CliRunner; from cspine.cli import cspine;"
        f"assert CliRunner().invoke(cspine, ['{verb}', '--help']).exit_code == 0"
    )
    assert not loaded(code) & {*HEAVY, *RUNTIMES}


@pytest.mark.parametrize(
    ("absent", "code", "remedy"),
    [
        ("torch", "import cspine_export.export", "pip install 'cspine[export]'"),
        ("cyclonedx", "import cspine_export.sbom", "pip install 'cspine[export]'"),
        ("openvino", "import cspine.backends.openvino", "pip install 'cspine[openvino]'"),
    ],
)
def test_a_missing_extra_says_how_to_get_it(
    absent: str, code: str, remedy: str, tmp_path: Path
) -> None:
    script = f"import sys; sys.modules[{absent!r}] = None\n{code}"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert f"{remedy}" in result.stderr.splitlines()[-1]
