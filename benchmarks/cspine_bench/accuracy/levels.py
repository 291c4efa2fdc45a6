"""How well one pipeline answers labelled levels, and what the other changes of that.

A labelled level without an answer counts as decided wrongly. It has no rank, so an AUC is told
twice: over what was answered, and over all levels, where a pair with one that was not answered
counts one half, as chance would rank it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from cspine_bench.accuracy.agreement import UNKNOWN, ClassAgreement, class_agreement
from cspine_bench.accuracy.answers import Arm, CaseAnswers
from cspine_bench.accuracy.figure import (
    NOTHING,
    ArmName,
    Figure,
    Floats,
    Patients,
    figure,
    mean,
    mean_figure,
    number,
    share,
)
from cspine_bench.accuracy.noninferiority import LEVEL
from cspine_bench.accuracy.pairs import ArmLevels, PairedLevels
from cspine_bench.metrics.auc import auc, auc_interval
from cspine_bench.metrics.binary import Confusion
from cspine_bench.metrics.correlation import spearman, spearman_interval


class LevelPerformance(msgspec.Struct, frozen=True, kw_only=True):
    """How one pipeline does on the labelled levels of a set, and on their masks.

    ``auc`` is over the answered levels, ``auc_of_all`` over all of them, by chance where there is
    no answer. ``severity`` is Spearman's correlation of the score with the severity, over the
    answered levels of which the set states one; ``numbering`` the share of the answered studies
    with a mask on which every vertebra found covers most of the true one of its name. ``second`` is
    the agreement with a second reader, ``None`` of nothing that both decided.
    """

    labelled: int
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
    second: ClassAgreement | None = None


class Flip(msgspec.Struct, frozen=True):
    """A decision that differs; the case is named by its line in ``cases.csv``."""

    line: int
    level: str
    truth: bool
    reference: float
    candidate: float


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Candidate's AUC less the reference's over the levels that both answered.

    Paired DeLong, clustered by patient, 95 %.
    """

    value: float
    low: float
    high: float
    degenerate: bool


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How the scores of the levels that both answered differ.

    ``mean_change`` of the probability keeps its sign, ``largest_shift`` is of a logit, ``spearman``
    is ``None`` if all scores of an arm are equal.
    """

    mean_change: float
    largest_shift: float
    spearman: float | None


class LevelChange(msgspec.Struct, frozen=True, kw_only=True):
    """What the candidate answers of the levels otherwise than the reference.

    ``difference`` and ``agreement`` are ``None`` if too few levels were answered by both.
    ``dice_difference`` is the candidate's Dice less the reference's, the mean over studies that
    both answered; ``flip_rate`` the share of the levels that both answered whose decision differs.
    """

    difference: Difference | None
    agreement: Agreement | None
    dice_difference: Figure
    flip_rate: Figure
    flips: tuple[Flip, ...]


def level_performance(
    cases: Sequence[CaseAnswers], levels: PairedLevels, *, arm: ArmName
) -> LevelPerformance:
    """Score one of the two pipelines on the labelled levels of some cases."""
    found: ArmLevels = getattr(levels, arm)
    truth, patients = levels.truth, levels.patient
    right = levels.right(found)
    decided = Confusion.of(truth, truth == right)
    arms: list[tuple[CaseAnswers, Arm]] = [(case, getattr(case, arm)) for case in cases]
    masked = [(case, each) for case, each in arms if not case.unfit and each.dice]
    names = dict.fromkeys(name for _, each in masked for name in each.dice)
    known = [
        value
        for name in names
        if (value := mean([each.dice[name] for _, each in masked])) is not None
    ]
    scored = found.answered
    every = auc_interval(truth, found.logits, answered=scored, clusters=patients)
    return LevelPerformance(
        labelled=truth.size,
        unanswered=int((~scored).sum()),
        auc=_auc(levels.chosen(scored), arm=arm),
        auc_of_all=figure(auc(truth, found.logits, answered=scored), every),
        accuracy=share(right, patients),
        sensitivity=share(right[truth], patients[truth]),
        specificity=share(right[~truth], patients[~truth]),
        f1=number(decided.f1),
        kappa=number(decided.kappa),
        severity=_severity(found, levels),
        numbering=share(
            np.array([each.numbered for _, each in masked], bool),
            np.array([case.patient for case, _ in masked], np.int64),
        ),
        dice=mean(known),
        worst_vertebra=min(known, default=None),
        second=class_agreement(
            levels.second, np.where(scored, found.positive, UNKNOWN), patients, classes=2
        ),
    )


def level_change(cases: Sequence[CaseAnswers], levels: PairedLevels) -> LevelChange:
    """Compare the two pipelines on the labelled levels of some cases."""
    common = levels.answered_by_both()
    flipped = common.reference.positive != common.candidate.positive
    return LevelChange(
        difference=_difference(common) if common.rankable else None,
        agreement=_agreement(common) if common.rankable else None,
        dice_difference=mean_figure(*dice_changes(cases)),
        flip_rate=share(flipped, common.patient),
        flips=_flips(common.chosen(flipped)),
    )


def dice_changes(cases: Sequence[CaseAnswers]) -> tuple[Floats, Patients]:
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


def _auc(answered: PairedLevels, *, arm: ArmName) -> Figure:
    """Return the AUC over levels that the arm answered."""
    if not answered.rankable:
        return NOTHING
    logits = getattr(answered, arm).logits
    return figure(
        auc(answered.truth, logits),
        auc_interval(answered.truth, logits, clusters=answered.patient),
    )


def _severity(found: ArmLevels, levels: PairedLevels) -> Figure:
    stated = found.answered & ~np.isnan(levels.severity)
    pair = found.logits[stated], levels.severity[stated]
    interval = spearman_interval(*pair, clusters=levels.patient[stated])
    return figure(number(spearman(*pair)), interval)


def _difference(levels: PairedLevels) -> Difference:
    found = levels.compared_auc()(LEVEL)
    return Difference(
        value=found.difference,
        low=found.interval.low,
        high=found.interval.high,
        degenerate=found.degenerate,
    )


def _agreement(levels: PairedLevels) -> Agreement:
    before, after = levels.reference, levels.candidate
    return Agreement(
        mean_change=float((after.probability() - before.probability()).mean()),
        largest_shift=float(np.abs(after.logits - before.logits).max()),
        spearman=number(spearman(before.logits, after.logits)),
    )


def _flips(levels: PairedLevels) -> tuple[Flip, ...]:
    before, after = (arm.probability().round(4) for arm in (levels.reference, levels.candidate))
    return tuple(
        Flip(
            line=int(levels.line[index]),
            level=str(levels.level[index]),
            truth=bool(levels.truth[index]),
            reference=float(before[index]),
            candidate=float(after[index]),
        )
        for index in range(levels.line.size)
    )
