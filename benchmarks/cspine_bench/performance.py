"""How well one pipeline answers a set: every figure with its interval, clustered by patient.

A labelled level without an answer is in every denominator: it is decided wrongly, and ranked
wrongest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from cspine_bench.answers import Arm, CaseAnswers
from cspine_bench.auc import auc, auc_interval
from cspine_bench.binary import Confusion
from cspine_bench.correlation import spearman, spearman_interval
from cspine_bench.mean import clustered_mean
from cspine_bench.pairs import ArmLevels, Flags, PairedLevels
from cspine_bench.proportion import clustered_wilson

ArmName = Literal["reference", "candidate"]


class Figure(msgspec.Struct, frozen=True):
    """An estimate with its 95 % interval; ``None`` where nothing is to be estimated."""

    value: float | None
    low: float | None
    high: float | None


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """How one pipeline does on a case set. All intervals are clustered by patient.

    ``numbering`` is the share of the answered studies with a mask on which every vertebra found
    covers most of the true one of its name; ``severity`` is Spearman's correlation of the score
    with the severity, over the answered levels of which the set states one.
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


def performance(cases: Sequence[CaseAnswers], levels: PairedLevels, *, arm: ArmName) -> Performance:
    """Score one of the two pipelines on cases and on their labelled levels."""
    arms: list[Arm] = [getattr(case, arm) for case in cases]
    found: ArmLevels = getattr(levels, arm)
    truth, patients = levels.truth, levels.patient
    right = levels.right(found)
    decided = Confusion.of(truth, truth == right)
    masked = [(case, each) for case, each in zip(cases, arms, strict=True) if each.dice]
    names = dict.fromkeys(name for _, each in masked for name in each.dice)
    means = [mean([each.dice[name] for _, each in masked]) for name in names]
    known = [value for value in means if value is not None]
    scores = levels.ranked(found)
    area = auc_interval(truth, scores, clusters=patients)
    return Performance(
        cases=len(cases),
        refused=sum(each.refusal is not None for each in arms),
        levels=truth.size,
        unanswered=int((~found.answered).sum()),
        auc=Figure(auc(truth, scores), area.low, area.high),
        accuracy=share(right, patients),
        sensitivity=share(right[truth], patients[truth]),
        specificity=share(right[~truth], patients[~truth]),
        f1=_number(decided.f1),
        kappa=_number(decided.kappa),
        severity=_severity(found, levels),
        numbering=share(
            np.array([each.numbered for _, each in masked], bool),
            np.array([case.patient for case, _ in masked], np.int64),
        ),
        dice=mean(known),
        worst_vertebra=min(known, default=None),
    )


def dice_change(cases: Sequence[CaseAnswers]) -> Figure:
    """Return the mean change of a study's Dice, over the studies that both have answered."""
    changes, patients = [], []
    for case in cases:
        before, after = (mean(list(arm.dice.values())) for arm in (case.reference, case.candidate))
        if before is not None and after is not None:
            changes.append(after - before)
            patients.append(case.patient)
    value = mean(changes)
    if len(set(patients)) < 2:
        return Figure(value, None, None)
    interval = clustered_mean(changes, patients)
    return Figure(value, interval.low, interval.high)


def share(right: Flags, patients: npt.NDArray[np.int64]) -> Figure:
    """Return a share with its interval, clustered by patient."""
    if right.size == 0:
        return Figure(None, None, None)
    interval = clustered_wilson(right, patients)
    return Figure(float(right.mean()), interval.low, interval.high)


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of what is known, ``None`` if nothing is."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _severity(found: ArmLevels, levels: PairedLevels) -> Figure:
    stated = found.answered & ~np.isnan(levels.severity)
    pair = found.logits[stated], levels.severity[stated]
    interval = spearman_interval(*pair, clusters=levels.patient[stated])
    value = _number(spearman(*pair))
    return Figure(value, interval.low, interval.high) if interval else Figure(value, None, None)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
