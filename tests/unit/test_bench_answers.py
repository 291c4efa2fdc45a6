"""What is kept of an answer, and what is true of a case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cspine.bundle import PIPELINE, Bundle, fp32_path, write_bundle
from cspine.errors import ModelError
from cspine.findings import (
    ClassScore,
    Decision,
    Findings,
    Identity,
    Landmark,
    Level,
    Measurement,
    Refusal,
    SliceScore,
    Source,
    Withheld,
)
from cspine.geometry import Lines
from cspine.outcome import Outcome
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.spec import PipelineSpec
from cspine_bench.accuracy.answers import Arm, Graded, Score, arm_of
from cspine_bench.accuracy.truth import graded_classes, measured_lines, true_grades, true_points
from cspine_bench.accuracy.verdict import answered_levels
from cspine_bench.cases import Case, read_cases
from necks import neck

NOTHING: dict[str, Any] = {
    "refusal": None, "source": None, "spacing": None, "facing": "left", "vertebrae": (),
    "levels": (), "landmarks": (), "measurements": (), "decisions": (), "withheld": (), "notes": (),
}  # fmt: skip
IDENTITY = Identity(
    pipeline="any", bundle="ab" * 32, backend="onnxruntime", precision="fp32", target=None
)


@pytest.fixture(scope="session")
def sagittal() -> PipelineSpec:
    return load_spec(shipped_spec("xray-sagittal"))


@pytest.fixture(scope="session")
def stack() -> PipelineSpec:
    """A pipeline that finds a region on slices and grades it."""
    return load_spec(Path(__file__).parents[1] / "data" / "pipelines" / "graded-stack.toml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two studies, the second of a neck that must be refused."""
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "image.dcm").write_bytes(name.encode())
    rows = [f"{name},{x:g},{y:g}" for name, (x, y) in neck().items()]
    (tmp_path / "a.csv").write_text("\n".join(["name,column,row", *rows, "EAR,1,2"]))
    write(tmp_path, "a,P1,test,a.csv,", "b,P2,test,,ap")
    return tmp_path


def write(folder: Path, *rows: str) -> None:
    (folder / "cases.csv").write_text("\n".join(["study,patient,split,points,fault", *rows]) + "\n")


def first(folder: Path) -> Case:
    return read_cases(folder, split="test", levels=()).cases[0]


def test_a_set_without_levels_is_read(folder: Path) -> None:
    sound, spoilt = read_cases(folder, split="test", levels=()).cases
    assert (sound.labels, sound.severity, sound.unfit, spoilt.unfit) == ({}, {}, None, "ap")
    # A film that hides a body has the points of the others, and need not be refused.
    write(folder, "a,P1,test,a.csv,c7 hidden", "b,P2,test,,")
    hidden, bare = read_cases(folder, split="test", levels=()).cases
    assert (hidden.unfit, bare.unfit) == (None, None)


def test_points_that_the_pipeline_looks_for_are_true(
    folder: Path, sagittal: PipelineSpec, spec: PipelineSpec
) -> None:
    case = first(folder)
    assert true_points(case, sagittal) == neck()
    assert list(true_points(case, sagittal))[:2] == ["HP", "OC"]
    assert true_points(case, spec) == {}  # which looks for none
    assert (measured_lines(sagittal), measured_lines(spec)) == (Lines(), None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("EAR,1,2", "none of the points is one of stage 'landmarks', expected names such as HP"),
        ("HP,1,nan", "point 'HP' lies at (1.0, nan), expected finite numbers; leave out what"),
        ("HP,inf,2", "point 'HP' lies at (inf, 2.0), expected finite"),
    ],
)
def test_points_that_say_nothing_are_refused(
    folder: Path, sagittal: PipelineSpec, text: str, said: str
) -> None:
    (folder / "a.csv").write_text(f"name,column,row\n{text}\n")
    with pytest.raises(ModelError) as caught:
        true_points(first(folder), sagittal)
    assert str(caught.value).startswith(f"cases.csv, line 2: {said}")


def test_what_is_kept_of_a_measurement(folder: Path, sagittal: PipelineSpec) -> None:
    findings = Findings(
        **NOTHING
        | {
            "status": "partial",
            "identity": IDENTITY,
            "threshold": None,
            "landmarks": (Landmark(name="HP", position_px=(330.25, 310.5), confidence=0.9),),
            "measurements": (
                Measurement(
                    name="CCL",
                    value=20.81,
                    unit="deg",
                    definition="",
                    lines_px=(),
                    calibration=None,
                ),
            ),
            "decisions": (),
            "withheld": (Withheld(label="Borden", code="NOT_VISIBLE", reason=""),),
        }
    )
    kept = arm_of(Outcome(findings, None, {}, {}), first(folder), None, sagittal, {})
    assert kept == Arm(refusal=None, points={"HP": (330.25, 310.5)}, values={"CCL": 20.81})


def test_what_is_kept_of_a_level_and_of_a_refusal(folder: Path, spec: PipelineSpec) -> None:
    box = ((0.0, 0.0),) * 4
    findings = Findings(
        **NOTHING
        | {
            "status": "answered",
            "identity": IDENTITY,
            "threshold": 0.5,
            "levels": tuple(
                Level(label=name, probability=0.5, positive=True, decision="yes", box_px=box)
                for name in ("C2/3", "C3/4")
            ),
        }
    )
    header = "study,patient,split,C2/3\na,P1,test,1\n"
    (folder / "cases.csv").write_text(header)
    (case,) = read_cases(folder, split="test", levels=("C2/3",)).cases
    logits = {"C2/3": 0.10000000149011612, "C3/4": 1.0}  # a float32, as it is said shortest
    kept = arm_of(Outcome(findings, None, logits, {}), case, None, spec, {})
    assert kept == Arm(refusal=None, scores={"C2/3": Score(0.1, True)})
    refusal = Refusal(code="WRONG_VIEW", reason="", remedy="")
    refused = Findings(
        **NOTHING
        | {
            "status": "refused",
            "identity": IDENTITY,
            "refusal": refusal,
            "threshold": 0.5,
        }
    )
    assert arm_of(Outcome(refused, None, {}, {}), case, None, spec, {}) == Arm(refusal="WRONG_VIEW")


def test_a_set_has_the_level_columns_of_the_pipeline(bundle: Bundle, tmp_path: Path) -> None:
    assert answered_levels(bundle) == ("C2/3", "C3/4", "C4/5", "C5/6", "C6/7", "C7/T1")
    files = {PIPELINE: shipped_spec("xray-sagittal").read_bytes()}
    files |= {fp32_path(stage): b"a network" for stage in ("screen", "landmarks")}
    measuring = write_bundle(tmp_path / "sagittal.cspine", files, {})
    assert answered_levels(measuring) == ()


def graded_case(folder: Path, cells: str) -> Case:
    header = "study,patient,split,stenosis,grade stenosis,second stenosis,second grade stenosis"
    (folder / "cases.csv").write_text(f"{header}\na,P1,test,{cells}\n")
    return read_cases(folder, split="test", levels=("stenosis",)).cases[0]


def test_grades_are_of_classes_that_the_pipeline_knows(folder: Path, stack: PipelineSpec) -> None:
    assert graded_classes(stack) == ("none", "mild", "severe")
    both = true_grades(graded_case(folder, "1,mild,0,none"), stack)
    assert both == ({"stenosis": "mild"}, {"stenosis": "none"})
    assert true_grades(graded_case(folder, ",mild,,"), stack) == ({"stenosis": "mild"}, {})
    assert true_grades(graded_case(folder, "1,,,none"), stack) == ({}, {})
    for cells, said in (
        ("1,grave,,", "grade stenosis: got 'grave', expected a class of stage 'grade': none, mild"),
        ("0,mild,,", "grade stenosis: 'mild' counts as 1 by stage 'grade', but the level is"),
        ("1,mild,1,none", "second grade stenosis: 'none' counts as 0 by stage 'grade', but the"),
    ):
        with pytest.raises(ModelError) as caught:
            true_grades(graded_case(folder, cells), stack)
        assert str(caught.value).startswith(f"cases.csv, line 2, {said}")


def test_what_does_not_grade_has_no_true_grades(folder: Path, spec: PipelineSpec) -> None:
    assert graded_classes(spec) == ()
    assert true_grades(graded_case(folder, "1,grave,,"), spec) == ({}, {})


def test_what_is_kept_of_graded_slices_and_their_regions(folder: Path, stack: PipelineSpec) -> None:
    classes = tuple(
        ClassScore(label=label, probability=share)
        for label, share in zip(("none", "mild", "severe"), (0.2, 0.7, 0.1), strict=True)
    )

    def judged(instance: str, left: float) -> SliceScore:
        source = Source(study_uid="1", series_uid="1.2", instance_uid=instance, pixels="")
        box = ((left, 1.0), (left + 8.0, 1.0), (left + 8.0, 7.5), (left, 7.5))
        return SliceScore(source=source, probability=0.8, box_px=box, grade="mild", classes=classes)

    findings = Findings(
        **NOTHING
        | {
            "status": "answered",
            "identity": IDENTITY,
            "threshold": 0.6,
            "decisions": (
                Decision(
                    question="stenosis",
                    probability=0.8,
                    positive=True,
                    decision="stenosis",
                    slices=(judged("1.2.5", 4.0), judged("1.2.6", 5.0)),
                    grade="mild",
                    classes=classes,
                ),
            ),
        }
    )
    numbers = {("1.2.5", None): 11, ("1.2.6", None): 12, ("1.2.7", None): 13}
    outcome = Outcome(findings, None, {"stenosis": 1.5}, {})
    kept = arm_of(outcome, graded_case(folder, "1,mild,,"), None, stack, numbers)
    assert kept == Arm(
        refusal=None,
        scores={"stenosis": Score(1.5, True)},
        grades={"stenosis": Graded("mild", (0.2, 0.7, 0.1))},
        boxes={11: (4.0, 1.0, 12.0, 7.5), 12: (5.0, 1.0, 13.0, 7.5)},
    )
    unasked = arm_of(outcome, graded_case(folder, ",,,"), None, stack, {})
    assert unasked == Arm(refusal=None)


def test_ratios_are_kept_by_level_and_are_no_sagittal_parameter(
    folder: Path, sagittal: PipelineSpec
) -> None:
    def ratio(name: str, level: str, value: float) -> Measurement:
        return Measurement(
            name=name, value=value, unit="1", definition="", lines_px=(), calibration=None,
            level=level,
        )  # fmt: skip

    measured = (
        ratio("compression ratio C4/5", "C4/5", 0.52),
        ratio("compression ratio C5/6", "C5/6", 0.41),
        ratio("smallest compression ratio", "C5/6", 0.41),
    )
    findings = Findings(
        **NOTHING
        | {
            "status": "answered",
            "identity": IDENTITY,
            "threshold": None,
            "measurements": measured,
        }
    )
    kept = arm_of(Outcome(findings, None, {}, {}), first(folder), None, sagittal, {})
    assert kept == Arm(refusal=None, ratios={"C4/5": 0.52, "C5/6": 0.41})
