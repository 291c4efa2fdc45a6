"""A bill of materials names all that made a bundle, keeps its schema, and tells nothing else."""

from __future__ import annotations

import getpass
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from cspine.bundle import PIPELINE, Bundle, emission_path, fp32_path, table_path, write_bundle
from cspine.cli import cspine
from cspine.device import tools
from cspine.errors import BundleError
from cspine_export.sbom import sbom

TARGET = "ort-x64-avx2"
FP32, TABLE, INT8 = fp32_path("screen"), table_path("screen"), emission_path("screen", TARGET)


def remade(bundle: Bundle, **provenance: dict[str, Any]) -> Bundle:
    """Return the bundle with the provenance of the screen's files and nothing else."""
    names = {"fp32": FP32, "table": TABLE, "int8": INT8, "pipeline": PIPELINE}
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    facts = {names[key]: value for key, value in provenance.items()}
    return write_bundle(bundle.path, files, facts)


@pytest.fixture
def made(bundle: Bundle) -> Bundle:
    """Return a bundle whose provenance is as the verbs write it."""
    return remade(
        bundle,
        fp32={
            "checkpoint": {
                "beside": ["/home/zebedee/ema"],
                "form": "torch",
                "taken": "zebedee.model",
            },
            "checkpoint_sha256": "ab" * 32,
            "opset": 17,
            "tools": {"cspine": "0.1.0", "torch": "2.8.0+cpu"},
        },
        table={"studies": ["0" * 64], "tools": {"cspine": "0.1.0", "numpy": "2.3.4"}},
        int8={"estimator": "mse", "tools": {"cspine": "0.2.0", "onnx": "1.19.0"}},
    )


def document(bundle: Bundle) -> dict[str, Any]:
    data = sbom(bundle)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
    found: dict[str, Any] = json.loads(data)
    return found


def components(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["bom-ref"]: each for each in found["components"]}


def parents(found: dict[str, Any], ref: str) -> set[str]:
    (entry,) = (each for each in found["dependencies"] if each["ref"] == ref)
    return set(entry.get("dependsOn", ()))


def facts(component: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in component.get("properties", ())}


def test_the_validator_can_fail(made: Bundle) -> None:
    broken = sbom(made).replace(b'"machine-learning-model"', b'"oracle"')
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(broken.decode()) is not None


def test_every_file_stands_in_it_by_digest(made: Bundle) -> None:
    found = document(made)
    listed = {
        each["name"]: each["hashes"][0]["content"]
        for each in found["components"]
        if each["bom-ref"].startswith("file:")
    }
    assert listed == {name: file.sha256 for name, file in made.manifest.files.items()}
    about = found["metadata"]["component"]
    assert about["hashes"] == [{"alg": "SHA-256", "content": made.digest}]
    assert parents(found, f"bundle:{made.digest}") == {f"file:{name}" for name in listed}


def test_what_came_from_what(made: Bundle) -> None:
    found = document(made)
    checkpoint = f"checkpoint:{'ab' * 32}"
    assert parents(found, f"file:{FP32}") == {
        f"file:{PIPELINE}",
        checkpoint,
        "pkg:pypi/cspine@0.1.0",
        "pkg:pypi/torch@2.8.0%2Bcpu",
    }
    assert parents(found, f"file:{TABLE}") == {
        f"file:{PIPELINE}",
        f"file:{FP32}",
        "pkg:pypi/cspine@0.1.0",
        "pkg:pypi/numpy@2.3.4",
    }
    assert parents(found, f"file:{INT8}") == {
        f"file:{FP32}",
        f"file:{TABLE}",
        "pkg:pypi/cspine@0.2.0",
        "pkg:pypi/onnx@1.19.0",
    }
    by_ref = components(found)
    assert {each["type"] for each in by_ref.values()} == {
        "data",
        "file",
        "library",
        "machine-learning-model",
    }
    assert facts(by_ref[checkpoint]) == {"cspine:form": "torch"}
    assert facts(by_ref[f"file:{FP32}"]) == {"cspine:precision": "fp32", "cspine:stage": "screen"}
    assert facts(by_ref[f"file:{INT8}"]) == {
        "cspine:estimator": "mse",
        "cspine:precision": "int8",
        "cspine:stage": "screen",
        "cspine:target": TARGET,
    }
    assert by_ref["pkg:pypi/torch@2.8.0%2Bcpu"]["version"] == "2.8.0+cpu"


def test_every_reference_is_to_something(made: Bundle) -> None:
    found = document(made)
    known = {*components(found), f"bundle:{made.digest}"}
    assert len(found["components"]) == len(known) - 1
    assert {each["ref"] for each in found["dependencies"]} == known
    assert set().union(*(parents(found, ref) for ref in known)) <= known


def test_the_same_bundle_gives_the_same_bytes(made: Bundle) -> None:
    code = "import sys; from pathlib import Path; from cspine.bundle import Bundle;"
    code += "from cspine_export.sbom import sbom;"
    code += "sys.stdout.buffer.write(sbom(Bundle.whole(Path(sys.argv[1]))))"
    told = [
        subprocess.run(
            [sys.executable, "-c", code, made.path],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told == [sbom(made)] * 2
    text = told[0].decode()
    assert "timestamp" not in text
    assert json.loads(text)["serialNumber"] != document(remade(made))["serialNumber"]


def test_nothing_of_the_machine_is_in_it(made: Bundle) -> None:
    text = sbom(made).decode()
    for word in (str(made.path), made.path.name, "/home", "zebedee", socket.gethostname()):
        assert word not in text, word
    if getpass.getuser() != "root":
        assert getpass.getuser() not in text


def test_bundles_from_before_tools_were_written_down(bundle: Bundle) -> None:
    older = remade(
        bundle,
        fp32={"checkpoint_sha256": "cd" * 32, "torch": "2.7.1"},
        int8={"onnx": "1.18.0", "from": "0" * 64},
    )
    found = document(older)
    assert "pkg:pypi/torch@2.7.1" in parents(found, f"file:{FP32}")
    assert "pkg:pypi/onnx@1.18.0" in parents(found, f"file:{INT8}")
    assert facts(components(found)[f"checkpoint:{'cd' * 32}"]) == {"cspine:form": "unknown"}
    bare = document(remade(bundle))
    assert len(bare["components"]) == len(bundle.manifest.files)


@pytest.mark.parametrize(
    "provenance",
    [
        {"tools": {"/home/zebedee/bin/tool": "1"}},
        {"tools": {"tool": "1 at /home/zebedee"}},
        {"tools": {"tool": "1\n"}},
        {"tools": ["torch"]},
        {"checkpoint_sha256": "c0ffee"},
        {"checkpoint": "best.pt"},
        {"estimator": "a\nb"},
    ],
)
def test_provenance_that_says_what_it_may_not_is_refused(
    bundle: Bundle, provenance: dict[str, Any]
) -> None:
    with pytest.raises(BundleError, match=f"the provenance of {FP32} cannot be read"):
        sbom(remade(bundle, fp32=provenance))


def test_the_command_writes_it(made: Bundle, tmp_path: Path) -> None:
    def run(*words: object) -> str:
        result = CliRunner().invoke(cspine, ["sbom", str(made.path), *map(str, words)])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert run().encode() == run("--json").encode() == sbom(made)
    place = tmp_path / "x.cdx.json"
    assert run("-o", place) == (
        f"{place}: {len(document(made)['components'])} components of bundle {made.digest[:16]}\n"
    )
    assert place.read_bytes() == sbom(made)
    assert json.loads(run("-o", place, "--json"))["bundle"] == made.digest


def test_it_is_not_written_into_the_bundle(made: Bundle) -> None:
    for place in (made.path / "sbom.json", made.path / "models" / ".." / "x", made.path):
        result = CliRunner().invoke(cspine, ["sbom", str(made.path), "-o", str(place)])
        assert isinstance(result.exception, BundleError)
        assert "lies in the bundle" in str(result.exception)
    assert Bundle.whole(made.path).digest == made.digest


def test_tools_that_are_not_installed_are_left_out() -> None:
    found = tools("numpy", "cspine", "no-such-distribution")
    assert list(found) == ["cspine", "numpy"]
