"""What one pipeline answers on a case set, and how good that is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from cspine.errors import ModelError
from cspine.findings import Level
from cspine.outcome import View
from cspine.pipeline import Pipeline
from cspine.spec import Levels, PipelineSpec, Segment
from cspine.transform import sample_labels
from cspine_bench.auc import auc, auc_interval
from cspine_bench.binary import Confusion
from cspine_bench.cases import FILE, Case
from cspine_bench.correlation import spearman, spearman_interval
from cspine_bench.mean import clustered_mean
from cspine_bench.overlap import dice, overlaps_most
from cspine_bench.proportion import clustered_wilson

Labels = npt.NDArray[np.uint8]
Key = tuple[int, str]  # line of cases.csv, level


@dataclass(frozen=True)
class Answers:
    """Scores by case and level, and the overlap of the label maps.

    Attributes
    ----------
    logits
        Raw scores, which keep what a rounded probability loses; a level that was withheld or
        refused is not in them.
    levels
        What the findings say of the same levels.
    refusals
        Line of the case to the code of its refusal.
    dice
        Line of the case to the Dice of each vertebra, on the localiser's grid, where the case was
        answered and has a mask.
    numbering
        Line of the same cases to whether each vertebra found lies on the true one of its name.
    """

    logits: Mapping[Key, float]
    levels: Mapping[Key, Level]
    refusals: Mapping[int, str]
    dice: Mapping[int, Mapping[str, float]]
    numbering: Mapping[int, bool]


class Figure(msgspec.Struct, frozen=True):
    """An estimate with its 95 % interval; ``None`` where nothing is to be estimated."""

    value: float | None
    low: float | None
    high: float | None


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """How one pipeline does on a case set. All intervals are clustered by patient.

    ``numbering`` is the share of the answered studies with a mask on which every vertebra found
    covers most of the true one of its name; ``severity`` is Spearman's correlation of the score
    with the severity, where the set states one.
    """

    cases: int
    refused: int
    levels: int
    unanswered: int
    auc: Figure
    accuracy: Figure
    sensitivity: Figure
    specificity: Figure
    f1: float | None
    kappa: float | None
    severity: Figure
    numbering: Figure
    dice: float | None
    worst_vertebra: float | None


def answer(pipeline: Pipeline, cases: Iterable[Case]) -> Answers:
    """Send every case through a pipeline."""
    logits: dict[Key, float] = {}
    found: dict[Key, Level] = {}
    refusals: dict[int, str] = {}
    overlap: dict[int, dict[str, float]] = {}
    numbering: dict[int, bool] = {}
    for case in cases:
        outcome = pipeline.run(case.read())
        if outcome.findings.refusal is not None:
            refusals[case.row] = outcome.findings.refusal.code
        for level in outcome.findings.levels:
            logits[case.row, level.label] = outcome.logits[level.label]
            found[case.row, level.label] = level
        mask = case.read_mask()
        if outcome.view is not None and mask is not None:
            bodies = [vertebra.label for vertebra in outcome.findings.vertebrae]
            overlap[case.row], numbering[case.row] = _compare(
                outcome.view, bodies, _truth(mask, outcome.view, case), pipeline.spec
            )
    return Answers(logits, found, refusals, overlap, numbering)


def _truth(mask: Labels, view: View, case: Case) -> Labels:
    """Return the true label map on the localiser's grid."""
    if mask.shape != view.image.shape:
        raise ModelError(
            f"{FILE}, line {case.row}: the mask is {mask.shape}, the image {view.image.shape}; a "
            "mask has the pixel grid of its image"
        )
    rows, columns = view.labels.shape
    return sample_labels(mask, view.labels_to_image, size_px=(rows, columns))


def _compare(
    view: View, bodies: Sequence[str], truth: Labels, spec: PipelineSpec
) -> tuple[dict[str, float], bool]:
    """Return the Dice of each vertebra, and whether the bodies found are numbered right."""
    segment: Segment = spec.only(Segment)
    levels: Levels = spec.only(Levels)
    numbers = {name: segment.labels.index(name) for name in levels.vertebrae}
    found = dice(truth, view.labels, labels=numbers.values())
    every = tuple(numbers.values())
    right = all(
        overlaps_most(view.labels, truth, label=numbers[name], labels=every) == numbers[name]
        for name in bodies
    )
    return {name: found[number] for name, number in numbers.items()}, right


def performance(answers: Answers, cases: Sequence[Case], keys: Sequence[Key]) -> Performance:
    """Score answers on the levels ``keys``, which both pipelines of a pair have answered."""
    by_row = {case.row: case for case in cases}
    truth = np.array([by_row[row].labels[level] for row, level in keys], bool)
    scores = np.array([answers.logits[key] for key in keys])
    called = np.array([answers.levels[key].positive for key in keys], bool)
    patients = np.array([by_row[row].patient for row, _ in keys])
    found = Confusion.of(truth, called)
    labelled = sum(len(case.labels) for case in cases)
    names = dict.fromkeys(name for each in answers.dice.values() for name in each)
    means = [_mean([each[name] for each in answers.dice.values()]) for name in names]
    known = [value for value in means if value is not None]
    numbered = np.array(list(answers.numbering.values()), bool)
    patients_numbered = np.array([by_row[row].patient for row in answers.numbering])
    both = 0 < truth.sum() < len(truth)
    area = auc_interval(truth, scores, clusters=patients) if both else None
    return Performance(
        cases=len(cases),
        refused=len(answers.refusals),
        levels=len(keys),
        unanswered=labelled - len(keys),
        auc=Figure(auc(truth, scores), area.low, area.high) if area else Figure(None, None, None),
        accuracy=proportion(called == truth, patients),
        sensitivity=proportion(called[truth], patients[truth]),
        specificity=proportion(~called[~truth], patients[~truth]),
        f1=_number(found.f1),
        kappa=_number(found.kappa),
        severity=_severity(answers, by_row, keys),
        numbering=proportion(numbered, patients_numbered),
        dice=_mean(known),
        worst_vertebra=min(known, default=None),
    )


def dice_change(reference: Answers, candidate: Answers, cases: Sequence[Case]) -> Figure:
    """Return the mean change of a study's Dice, over the studies that both have answered."""
    patients = {case.row: case.patient for case in cases}
    changes = {
        row: _study_dice(candidate.dice[row]) - _study_dice(values)
        for row, values in reference.dice.items()
        if row in candidate.dice
    }
    known = {row: change for row, change in changes.items() if not math.isnan(change)}
    value = _mean(list(known.values()))
    if len({patients[row] for row in known}) < 2:
        return Figure(value, None, None)
    interval = clustered_mean(list(known.values()), [patients[row] for row in known])
    return Figure(value, interval.low, interval.high)


def proportion(right: npt.NDArray[np.bool_], patients: npt.NDArray[np.str_]) -> Figure:
    """Return a share with its interval, clustered by patient."""
    if right.size == 0:
        return Figure(None, None, None)
    interval = clustered_wilson(right, patients)
    return Figure(float(right.mean()), interval.low, interval.high)


def _severity(answers: Answers, cases: Mapping[int, Case], keys: Sequence[Key]) -> Figure:
    stated = [key for key in keys if key[1] in cases[key[0]].severity]
    scores = np.array([answers.logits[key] for key in stated])
    severity = np.array([cases[row].severity[level] for row, level in stated])
    patients = np.array([cases[row].patient for row, _ in stated])
    interval = spearman_interval(scores, severity, clusters=patients)
    value = _number(spearman(scores, severity))
    return Figure(value, interval.low, interval.high) if interval else Figure(value, None, None)


def _study_dice(values: Mapping[str, float]) -> float:
    found = _mean(list(values.values()))
    return math.nan if found is None else found


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
