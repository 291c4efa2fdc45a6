"""The shipped checkpoints as a bundle, made once; every test here runs the real thing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cspine.bundle import Bundle
from cspine.cli import cspine
from cspine.dicom.media import dicom_files
from cspine.dicom.select import Study, read_studies
from cspine.pipeline_file import shipped_spec
from cspine_bench.accuracy.verdict import answered_levels
from cspine_bench.cases import read_cases
from cspine_calibration.calibrate import calibrate, emit_targets
from cspine_calibration.estimate import DEFAULT
from cspine_calibration.targets import DEFAULT_TARGETS
from cspine_export.export import export
from cspine_phantom.cases import write_cases

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "assets" / "xray-compression"
STAGES = ("screen", "localise", "classify")
CHECKPOINTS = {stage: ASSETS / f"{stage}.safetensors" for stage in STAGES}


@pytest.fixture(scope="session")
def checkpoints() -> dict[str, Path]:
    """The shipped checkpoints by stage."""
    return CHECKPOINTS


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Case sets of patients that nothing was trained on."""
    folder = tmp_path_factory.mktemp("sets")
    write_cases(folder / "calibration", patients=16, seed=501, split="calibration")
    write_cases(folder / "test", patients=60, seed=502, split="test")
    write_cases(folder / "faults", patients=2, seed=503, split="test", faults=["ap", "ap"])
    return folder


@pytest.fixture(scope="session")
def pipeline_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped pipeline with margins at the operating point that 60 patients can decide."""
    text = shipped_spec("xray-compression").read_text()
    for name in ("sensitivity_margin", "specificity_margin"):
        assert f"{name} = 0.02" in text
        text = text.replace(f"{name} = 0.02", f"{name} = 0.1")
    text = re.sub(r"^refusal_margin.*\n", "", text, flags=re.M)  # no film here must be refused
    path = tmp_path_factory.mktemp("pipeline") / "xray-compression.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def studies(sets: Path) -> list[Study]:
    """Two lateral studies and two frontal ones."""
    found, unreadable = read_studies(dicom_files(sets / "faults" / "studies"))
    assert not unreadable
    return found


@pytest.fixture(scope="session")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    sets: Path,
    pipeline_file: Path,
    studies: list[Study],
) -> Bundle:
    """A complete bundle; not to be written to."""
    path = tmp_path_factory.mktemp("bundle") / "xray.cspine"
    bundle = export(pipeline_file, CHECKPOINTS, studies=studies[:2], to=path)
    cases = read_cases(sets / "calibration", split="calibration", levels=answered_levels(bundle))
    bundle = calibrate(bundle, cases, threads=None, progress=lambda done, total: None)
    return emit_targets(bundle, (*DEFAULT_TARGETS, "trt-rtx"), estimator=DEFAULT)


@pytest.fixture
def bundle(made: Bundle, tmp_path: Path) -> Bundle:
    """A copy of the bundle that a test may change."""
    shutil.copytree(made.path, tmp_path / "xray.cspine")
    return Bundle.open(tmp_path / "xray.cspine")


@pytest.fixture
def invoke() -> Callable[[Sequence[object]], Result]:
    """Run a command line in this process; exceptions reach the test."""

    def run(arguments: Sequence[object]) -> Result:
        words = [str(word) for word in arguments]
        return CliRunner().invoke(cspine, words, catch_exceptions=False)

    return run
