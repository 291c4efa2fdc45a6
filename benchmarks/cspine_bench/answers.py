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
from cspine.pipeline import Pipeline
from cspine.spec import Levels, Segment
from cspine.transform import sample_labels
from cspine_bench.auc import auc, auc_interval
from cspine_bench.binary import Confusion
from cspine_bench.cases import FILE, Case
from cspine_bench.overlap import dice
from cspine_bench.proportion import clustered_wilson

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
        Vertebra to Dice per case, on the localiser's grid, where there is a mask.
    """

    logits: Mapping[Key, float]
    levels: Mapping[Key, Level]
    refusals: Mapping[int, str]
    dice: Mapping[str, list[float]]


class Figure(msgspec.Struct, frozen=True):
    """An estimate with its 95 % interval; ``None`` where nothing is to be estimated."""

    value: float | None
    low: float | None
    high: float | None


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """How one pipeline does on a case set. All intervals are clustered by patient."""

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
    dice: float | None
    worst_vertebra: float | None


def answer(pipeline: Pipeline, cases: Iterable[Case]) -> Answers:
    """Send every case through a pipeline."""
    segment: Segment = pipeline.spec.only(Segment)
    levels: Levels = pipeline.spec.only(Levels)
    logits: dict[Key, float] = {}
    found: dict[Key, Level] = {}
    refusals: dict[int, str] = {}
    overlap: dict[str, list[float]] = {name: [] for name in levels.vertebrae}
    for case in cases:
        outcome = pipeline.run(case.read())
        if outcome.findings.refusal is not None:
            refusals[case.row] = outcome.findings.refusal.code
        for level in outcome.findings.levels:
            logits[case.row, level.label] = outcome.logits[level.label]
            found[case.row, level.label] = level
        mask = case.read_mask()
        if outcome.view is not None and mask is not None:
            if mask.shape != outcome.view.image.shape:
                raise ModelError(
                    f"{FILE}, line {case.row}: the mask is {mask.shape}, the image "
                    f"{outcome.view.image.shape}; a mask has the pixel grid of its image"
                )
            truth = sample_labels(mask, outcome.view.labels_to_image, size_px=segment.size_px)
            numbers = {segment.labels.index(name): name for name in levels.vertebrae}
            for number, value in dice(truth, outcome.view.labels, labels=numbers).items():
                overlap[numbers[number]].append(value)
    return Answers(logits, found, refusals, overlap)


def performance(answers: Answers, cases: Sequence[Case], keys: Sequence[Key]) -> Performance:
    """Score answers on the levels ``keys``, which both pipelines of a pair have answered."""
    by_row = {case.row: case for case in cases}
    truth = np.array([by_row[row].labels[level] for row, level in keys], bool)
    scores = np.array([answers.logits[key] for key in keys])
    called = np.array([answers.levels[key].positive for key in keys], bool)
    patients = np.array([by_row[row].patient for row, _ in keys])
    found = Confusion.of(truth, called)
    labelled = sum(len(case.labels) for case in cases)
    means = {name: _mean(values) for name, values in answers.dice.items()}
    known = [value for value in means.values() if value is not None]
    both = 0 < truth.sum() < len(truth)
    area = auc_interval(truth, scores, clusters=patients) if both else None
    return Performance(
        cases=len(cases),
        refused=len(answers.refusals),
        levels=len(keys),
        unanswered=labelled - len(keys),
        auc=Figure(auc(truth, scores), area.low, area.high) if area else Figure(None, None, None),
        accuracy=_proportion(called == truth, patients),
        sensitivity=_proportion(called[truth], patients[truth]),
        specificity=_proportion(~called[~truth], patients[~truth]),
        f1=_number(found.f1),
        kappa=_number(found.kappa),
        dice=_mean(known),
        worst_vertebra=min(known, default=None),
    )


def _proportion(right: npt.NDArray[np.bool_], patients: npt.NDArray[np.str_]) -> Figure:
    if right.size == 0:
        return Figure(None, None, None)
    interval = clustered_wilson(right, patients)
    return Figure(float(right.mean()), interval.low, interval.high)


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
