"""The main job from checkpoints to findings, each step the function behind its verb."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cspine.accept import Film, Stack, Stacks
from cspine.choose import choose
from cspine.commands.run import findings_table, write_outcome
from cspine.device import this_device
from cspine.dicom.select import read_all
from cspine.errors import ModelError
from cspine.pipeline import Pipeline
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.precision import fp32, lower
from cspine.spec import Detect
from cspine_bench.accuracy.layout import report_summary, report_text
from cspine_bench.accuracy.verdict import answered_levels, verify
from cspine_bench.cases import read_cases
from cspine_bench.latency.bench import bench, sides
from cspine_bench.latency.layout import record_text
from cspine_bench.latency.scenario import NETWORKS, TOTAL
from cspine_calibration.calibrate import calibrate, emit_targets
from cspine_calibration.estimate import DEFAULT
from cspine_calibration.targets import TARGETS
from cspine_export.export import export
from cspine_phantom.cases import write_cases
from cspine_phantom.ct.cases import write_cases as write_ct
from cspine_phantom.ct.faults import TOLD as CT_TOLD
from cspine_phantom.faults.film import FAULTS, UNFIT
from cspine_phantom.mr.cases import write_cases as write_mr
from cspine_phantom.mr.faults import TOLD as MR_TOLD

# Seeds of the shipped checkpoints' training are 20261121 and 20261122: none of these patients.
STUDY_SEED, CALIBRATION_SEED, TEST_SEED = 11, 12, 14
CALIBRATION_PATIENTS = 24


@dataclass(frozen=True)
class Simulated:
    """What a pipeline that accepts a kind of study is shown.

    Attributes
    ----------
    name
        Of the bundle.
    what, unit
        For the reader: what is simulated, and what they are called.
    write, write_test
        Write a case set of one split, and after its patients one study with each fault; those of
        the locked test may have headers that lie.
    shown, calibrated
        Faults of the few studies that are run, and of those that ranges are taken from, for what a
        screen refuses, it must have ranges for.
    patients
        Of the locked test. A margin of 0.02 on sensitivity takes 190 positive patients if INT8
        changes no decision, and 280 if it changes two or three.
    unfit
        Faults in the locked test. A margin of 0.05 on refusals takes 120 studies that must be
        refused.
    """

    name: str
    what: str
    unit: str
    write: Callable[..., Path]
    write_test: Callable[..., Path]
    shown: Sequence[str]
    calibrated: Sequence[str]
    patients: int
    unfit: Sequence[str]


SIMULATED: dict[tuple[type, str], Simulated] = {
    (Film, "DX"): Simulated(
        name="xray",
        what="lateral cervical radiographs",
        unit="films",
        write=write_cases,
        write_test=partial(write_cases, header="lying"),
        shown=("ap",),
        calibrated=tuple(fault for fault in FAULTS if fault != "unseen part"),
        patients=400,
        unfit=UNFIT * 8,
    ),
    (Stack, "MR"): Simulated(
        name="mr",
        what="MR of the neck, sagittal and other series,",
        unit="studies",
        write=write_mr,
        write_test=write_mr,
        shown=("brain",),
        calibrated=(),
        patients=400,
        unfit=MR_TOLD * 40,
    ),
    (Stack, "CT"): Simulated(
        name="ct",
        what="CT of the neck, axial and other series,",
        unit="studies",
        write=write_ct,
        write_test=write_ct,
        shown=("brain",),
        calibrated=(),
        patients=400,
        unfit=CT_TOLD * 40,
    ),
    (Stacks, "MR"): Simulated(
        name="mr",
        what="MR of worn necks, sagittal, axial and other series,",
        unit="studies",
        write=partial(write_mr, kind="stenosis"),
        write_test=partial(write_mr, kind="stenosis"),
        shown=("brain",),
        calibrated=(),
        patients=260,
        unfit=MR_TOLD * 40,
    ),
}
"""By what a pipeline accepts, and of which modality."""


def run_demo(
    pipeline: str, assets: Path, folder: Path, *, say: Callable[[str], None]
) -> dict[str, Any]:
    """Run the demo of a shipped pipeline in a folder of its own and return what it found.

    Raises
    ------
    ModelError
        If the shipped checkpoints are not in ``assets``, or the folder holds something else.
    """
    started = time.monotonic()
    path = shipped_spec(pipeline)
    checkpoints = _checkpoints(path, assets)
    _empty(folder)

    accept = load_spec(path).accept
    shown = SIMULATED[type(accept), accept.modality[0]]
    say(f"1 simulate: {shown.what} as DICOM, with truth; nothing here is clinical")
    shown.write(folder / "studies", patients=4, seed=STUDY_SEED, split="test", faults=shown.shown)
    shown.write(
        folder / "calibration",
        patients=CALIBRATION_PATIENTS,
        seed=CALIBRATION_SEED,
        split="calibration",
        faults=shown.calibrated,
    )
    shown.write_test(
        folder / "test", patients=shown.patients, seed=TEST_SEED, split="test", faults=shown.unfit
    )
    studies = read_all([folder / "studies" / "studies"])

    say("2 export: PyTorch checkpoints to FP32 ONNX, each graph held against its network")
    bundle = export(path, checkpoints, studies=studies[:2], to=folder / f"{shown.name}.cspine")

    say("3 calibrate and emit: one table per model, one INT8 graph per target")
    levels = answered_levels(bundle)
    cases = read_cases(folder / "calibration", split="calibration", levels=levels)
    bundle = calibrate(bundle, cases, threads=None, progress=_silent)
    bundle = emit_targets(bundle, tuple(TARGETS), estimator=DEFAULT)

    tested = f"{shown.patients} sound {shown.unit} and {len(shown.unfit)} that must be refused"
    say(f"4 verify: INT8 against FP32 on {tested}, which nothing was fitted to\n")
    device = this_device()
    regions = bundle.spec.has(Detect)
    locked = read_cases(folder / "test", split="test", levels=levels, regions=regions)
    report = verify(bundle, lower("onnxruntime", device, "int8"), locked, threads=None)
    say(report_text(report))

    chosen = choose(bundle, device, backend="onnxruntime", precision=None)
    say(f"\n5 run: five studies, {chosen.precision} ({chosen.reason})\n")
    runner = Pipeline.open(bundle, chosen)
    outcomes = list(runner.stream(studies))
    runner.close()
    findings = [outcome.findings for outcome in outcomes]
    say(findings_table(findings))
    places = [write_outcome(outcome, folder / "results") for outcome in outcomes]

    say("\n6 bench: both precisions, interleaved in random order\n")
    answered = [
        study
        for study, outcome in zip(studies, outcomes, strict=True)
        if outcome.findings.refusal is None
    ]
    choices = (fp32("onnxruntime"), lower("onnxruntime", device, "int8"))
    record = bench(sides(bundle, choices), answered, repeats=12, threads=None, progress=_silent)
    say(record_text(record))

    overlays = [str(place / "overlay.png") for place in places if (place / "overlay.png").exists()]
    speed = record.speed[NETWORKS]
    say(
        f"\nINT8 runs the networks {speed.value:.2f} times as fast as FP32 "
        f"[{speed.low:.2f}, {speed.high:.2f}] and {report_summary(report)}; "
        f"verdict: {report.verdict}.\nOverlays:"
    )
    say("\n".join(f"  {overlay}" for overlay in overlays))
    say(f"\ndone in {time.monotonic() - started:.0f} s; bundle {bundle.digest[:16]}")
    return {
        "bundle": bundle.digest,
        "findings": findings,
        "verdict": report.verdict,
        "levels": report.levels,
        "points": report.points,
        "values": report.values,
        "speed": {part: record.speed[part] for part in (NETWORKS, TOTAL)},
        "overlays": overlays,
    }


def _checkpoints(pipeline: Path, assets: Path) -> dict[str, Path]:
    spec = load_spec(pipeline)
    folder = assets / spec.name
    found = {stage.id: folder / f"{stage.id}.safetensors" for stage in spec.trainings}
    for path in found.values():
        if not path.is_file():
            raise ModelError(
                f"{path}: the shipped checkpoint is not there; run from the repository, or give "
                "its folder with --assets"
            )
    return found


def _empty(folder: Path) -> None:
    """Make the folder anew, but only if an earlier demo made it."""
    marker = folder / ".cspine-demo"
    if folder.exists() and any(folder.iterdir()) and not marker.is_file():
        raise ModelError(f"{folder}: is not empty and no earlier demo's; choose another with -o")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    marker.touch()


def _silent(done: int, total: int) -> None:
    """Show nothing: a step of the demo takes seconds."""
