"""How well one pipeline answers a set: every figure with its interval, clustered by patient.

A labelled level without an answer counts as decided wrongly. It has no rank, so an AUC is told
twice: over what was answered, and over all levels, where a pair with one that was not answered
counts one half, as chance would rank it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from cspine_bench.accuracy.answers import Arm, CaseAnswers
from cspine_bench.accuracy.pairs import ArmLevels, Flags, Floats, PairedLevels
from cspine_bench.metrics.auc import auc, auc_interval
from cspine_bench.metrics.binary import Confusion
from cspine_bench.metrics.correlation import spearman, spearman_interval
from cspine_bench.metrics.mean import clustered_mean
from cspine_bench.metrics.proportion import clustered_wilson

ArmName = Literal["reference", "candidate"]


class Figure(msgspec.Struct, frozen=True):
    """An estimate with its 95 % interval; ``None`` where nothing is to be estimated."""

    value: float | None
    low: float | None
    high: float | None


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """How one pipeline does on a case set. All intervals are clustered by patient.

    ``cases`` are those that it should answer, ``refused`` those of them that it did not; ``unfit``
    are those that it must refuse, and ``unfit_refused`` is the share that it did.

    ``auc`` is over the answered levels, ``auc_of_all`` over all of them, by chance where there is
    no answer. ``severity`` is Spearman's correlation of the score with the severity, over the
    answered levels of which the set states one; ``numbering`` the share of the answered studies
    with a mask on which every vertebra found covers most of the true one of its name.
    """

    cases: int
    refused: int
    unfit: int
    unfit_refused: Figure
    levels: int
    unanswered: int
    auc: Figure
    auc_of_all: Figure
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
    fit = [case for case in cases if not case.unfit]
    arms: list[Arm] = [getattr(case, arm) for case in fit]
    found: ArmLevels = getattr(levels, arm)
    truth, patients = levels.truth, levels.patient
    right = levels.right(found)
    decided = Confusion.of(truth, truth == right)
    masked = [(case, each) for case, each in zip(fit, arms, strict=True) if each.dice]
    names = dict.fromkeys(name for _, each in masked for name in each.dice)
    means = [mean([each.dice[name] for _, each in masked]) for name in names]
    known = [value for value in means if value is not None]
    scored = found.answered
    every = auc_interval(truth, found.logits, answered=scored, clusters=patients)
    return Performance(
        cases=len(fit),
        refused=sum(each.refusal is not None for each in arms),
        unfit=len(cases) - len(fit),
        unfit_refused=share(*refusals(cases, arm=arm)),
        levels=truth.size,
        unanswered=int((~found.answered).sum()),
        auc=_auc(levels.chosen(scored), arm=arm),
        auc_of_all=Figure(auc(truth, found.logits, answered=scored), every.low, every.high),
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


def dice_changes(cases: Sequence[CaseAnswers]) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return the changes of a study's Dice, over masked studies that both answered, and patients.

    Both have shape (studies,).
    """
    changes, patients = [], []
    for case in cases:
        before, after = (mean(list(arm.dice.values())) for arm in (case.reference, case.candidate))
        if before is not None and after is not None:
            changes.append(after - before)
            patients.append(case.patient)
    return np.array(changes, float), np.array(patients, np.int64)


def dice_change(cases: Sequence[CaseAnswers]) -> Figure:
    """Return the mean change of a study's Dice, over masked studies that both answered."""
    changes, patients = dice_changes(cases)
    value = mean(changes.tolist())
    if np.unique(patients).size < 2:
        return Figure(value, None, None)
    interval = clustered_mean(changes, patients)
    return Figure(value, interval.low, interval.high)


def refusals(cases: Sequence[CaseAnswers], *, arm: ArmName) -> tuple[Flags, npt.NDArray[np.int64]]:
    """Return whether an arm refused each case that it must refuse, and the cases' patients."""
    unfit = [case for case in cases if case.unfit]
    refused = [getattr(case, arm).refusal is not None for case in unfit]
    return np.array(refused, bool), np.array([case.patient for case in unfit], np.int64)


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


def _auc(answered: PairedLevels, *, arm: ArmName) -> Figure:
    """Return the AUC over levels that the arm answered."""
    if not answered.rankable:
        return Figure(None, None, None)
    logits = getattr(answered, arm).logits
    interval = auc_interval(answered.truth, logits, clusters=answered.patient)
    return Figure(auc(answered.truth, logits), interval.low, interval.high)


def _severity(found: ArmLevels, levels: PairedLevels) -> Figure:
    stated = found.answered & ~np.isnan(levels.severity)
    pair = found.logits[stated], levels.severity[stated]
    interval = spearman_interval(*pair, clusters=levels.patient[stated])
    value = _number(spearman(*pair))
    return Figure(value, interval.low, interval.high) if interval else Figure(value, None, None)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
