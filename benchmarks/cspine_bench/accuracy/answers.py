"""What two pipelines answer on the cases of a set: the raw answers that a verdict follows from.

A patient is a number, the line of their first case, and nothing else names them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np

from cspine.findings import Box, ClassScore, Findings, Refused
from cspine.outcome import Outcome
from cspine.pipeline import Pipeline
from cspine.spec import Detect, PipelineSpec, Ratio
from cspine_bench.accuracy.decoded import Decoded
from cspine_bench.accuracy.masks import Labels, on_grid_of, overlap, true_mask
from cspine_bench.accuracy.slices import Place, place_of, slice_numbers
from cspine_bench.accuracy.truth import (
    UNITS,
    measured_lines,
    true_grades,
    true_points,
    true_values,
)
from cspine_bench.cases import Case
from cspine_bench.marks import Edges, Position


class Score(msgspec.Struct, frozen=True, array_like=True):
    """The classifier's logit, which keeps what a rounded probability loses, and the decision."""

    logit: float
    positive: bool


class Graded(msgspec.Struct, frozen=True, array_like=True):
    """The class that was answered, and the probability of each as findings round it."""

    grade: str
    probabilities: tuple[float, ...]


class Arm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one pipeline answers on a case.

    ``refusal`` is the code of one; ``scores`` are of the labelled levels that were answered.
    ``dice`` is of each vertebra on the localiser's grid, ``None`` if it is neither there nor found,
    and ``numbered`` says whether each vertebra found lies on the true one of its name; of a case
    that was refused or has no mask they are empty and ``None``. ``points`` are the landmarks that
    were placed, (x, y) in pixels of the image, and ``values`` the parameters that were given, in
    their units. ``grades`` are of the levels with a true class, ``ratios`` the compression ratios
    by level, and ``boxes`` the regions that were found, (left, top, right, bottom) in pixels of the
    slice by its number from the feet. What is empty or ``None`` is not written.
    """

    refusal: str | None
    scores: dict[str, Score] = {}
    dice: dict[str, float | None] = {}
    numbered: bool | None = None
    points: dict[str, Position] = {}
    values: dict[str, float] = {}
    grades: dict[str, Graded] = {}
    ratios: dict[str, float] = {}
    boxes: dict[int, Edges] = {}


class CaseAnswers(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A case, named by its line in ``cases.csv``, and how both pipelines answer it.

    ``study`` is the digest of its pixels; ``unfit`` says why it must be refused, ``None`` that it
    need not be. ``truth`` is of the levels. ``true_points`` are (x, y) in pixels of the image,
    ``spacing_mm`` (row, column) is what the findings state, ``None`` where both refused, and
    ``true_values`` is what those points measure at that spacing: see
    :func:`~cspine_bench.accuracy.truth.true_values`. ``true_grades`` and ``true_ratios`` are by
    level, ``true_boxes`` of the slices that were judged, ``second`` and ``second_grades`` what a
    second reader says, and ``symptom`` is a score of the patient's.
    """

    line: int
    study: str
    patient: int
    unfit: str | None
    groups: dict[str, str]
    truth: dict[str, bool] = {}
    severity: dict[str, float] = {}
    true_points: dict[str, Position] = {}
    spacing_mm: tuple[float, float] | None = None
    true_values: dict[str, float] = {}
    true_grades: dict[str, str] = {}
    true_ratios: dict[str, float] = {}
    true_boxes: dict[int, Edges] = {}
    second: dict[str, bool] = {}
    second_grades: dict[str, str] = {}
    symptom: float | None = None
    reference: Arm
    candidate: Arm


def answer(
    case: Case, decoded: Decoded, pipelines: tuple[Pipeline, Pipeline], *, patient: int
) -> CaseAnswers:
    """Send a case through the reference and the candidate."""
    spec = pipelines[0].spec
    mask, points = true_mask(case, spec), true_points(case, spec)
    grades, second_grades = true_grades(case, spec)
    numbers = _judged_slices(decoded, spec)
    outcomes = [pipeline.run(decoded) for pipeline in pipelines]
    stated = next((each.findings.spacing for each in outcomes if each.findings.spacing), None)
    spacing_mm = (stated.row_mm, stated.column_mm) if stated else None
    reference, candidate = (arm_of(outcome, case, mask, spec, numbers) for outcome in outcomes)
    return CaseAnswers(
        line=case.row,
        study=decoded.digest,
        patient=patient,
        unfit=case.unfit,
        groups=dict(case.groups),
        truth=dict(case.labels),
        severity=dict(case.severity),
        true_points=points,
        spacing_mm=spacing_mm,
        true_values=true_values(points, spacing_mm, measured_lines(spec)),
        true_grades=grades,
        true_ratios=dict(case.ratios) if spec.has(Ratio) else {},
        true_boxes={
            number: edges
            for number, edges in case.read_boxes().items()
            if number in numbers.values()
        },
        second=dict(case.second),
        second_grades=second_grades,
        symptom=case.symptom,
        reference=reference,
        candidate=candidate,
    )


def patient_numbers(cases: Sequence[Case]) -> list[int]:
    """Return for each case the line of its patient's first."""
    first: dict[str, int] = {}
    return [first.setdefault(case.patient, case.row) for case in cases]


def arm_of(
    outcome: Outcome,
    case: Case,
    mask: Labels | None,
    spec: PipelineSpec,
    numbers: Mapping[Place, int],
) -> Arm:
    """Return what is kept of an answer.

    Parameters
    ----------
    mask
        The true label map; ``None`` if there is none to compare with.
    numbers
        Of the slices on which a region is looked for; none if none is.
    """
    findings, view = outcome.findings, outcome.view
    dice: dict[str, float | None] = {}
    numbered = None
    if mask is not None and view is not None and view.labelled is not None:
        bodies = [vertebra.label for vertebra in findings.vertebrae]
        truth = on_grid_of(mask, view.labelled, view.image, case)
        dice, numbered = overlap(truth, view.labelled, bodies, spec)
    return Arm(
        refusal=findings.refusal.code if findings.refusal else None,
        scores={
            name: Score(_shortest(outcome.logits[name]), positive)
            for name, positive in _decided(findings)
            if name in case.labels
        },
        dice=dice,
        numbered=numbered,
        points={mark.name: mark.position_px for mark in findings.landmarks},
        values={each.name: each.value for each in findings.measurements if each.name in UNITS},
        grades={
            name: Graded(grade, tuple(each.probability for each in classes))
            for name, grade, classes in _graded(findings)
            if name in case.grades
        },
        # Of the smallest of a study, which is said once more, the level is the same.
        ratios={each.level: each.value for each in findings.measurements if each.level},
        boxes={
            numbers[place_of(one.source)]: _edges(one.box_px)
            for decision in findings.decisions
            for one in decision.slices
            if one.source and place_of(one.source) in numbers
        },
    )


def _judged_slices(decoded: Decoded, spec: PipelineSpec) -> dict[Place, int]:
    """Return the number of each slice that a pipeline looks for a region on; none if on none."""
    if not spec.has(Detect):
        return {}
    try:
        images = decoded.images(spec.accept)
    except Refused:
        return {}
    return slice_numbers(decoded.study, images)


def _decided(findings: Findings) -> Iterator[tuple[str, bool]]:
    """Yield the name and the decision of every level, or question about the study."""
    yield from ((level.label, level.positive) for level in findings.levels)
    yield from ((each.question, each.positive) for each in findings.decisions)


def _graded(findings: Findings) -> Iterator[tuple[str, str, tuple[ClassScore, ...]]]:
    """Yield the name, the class and the scores of every graded level, or question."""
    said = (
        *((level.label, level.grade, level.classes) for level in findings.levels),
        *((each.question, each.grade, each.classes) for each in findings.decisions),
    )
    yield from ((name, grade, classes) for name, grade, classes in said if grade is not None)


def _edges(box: Box) -> Edges:
    """Return the upright box about four corners."""
    across, down = zip(*box, strict=True)
    return min(across), min(down), max(across), max(down)


def _shortest(logit: float) -> float:
    """Return the number of fewest digits that is the same float32."""
    return float(str(np.float32(logit)))
