"""The differences that a candidate is judged by: the AUC, the operating point, the agreement."""

from __future__ import annotations

import math

import numpy as np

from cspine_bench.auc import paired_auc
from cspine_bench.clustering import ClusteredCases
from cspine_bench.interval import Interval, normal_quantile, tail
from cspine_bench.mcnemar import paired_decisions
from cspine_bench.mean import clustered_mean
from cspine_bench.noninferiority import DEVIATIONS, LEVEL, Criterion, judged
from cspine_bench.pairs import Flags, PairedLevels


def auc_criterion(levels: PairedLevels, *, margin: float) -> Criterion:
    """Judge the AUC: paired DeLong, clustered by patient, no narrower than the exact bound.

    ``patients_needed`` follows from how far patients differ here: so many that the standard error
    is small enough for the margin, and so many that what none of them showed is.

    Raises
    ------
    ModelError
        If a class has levels of fewer than two patients.
    """
    scores = levels.ranked(levels.reference), levels.ranked(levels.candidate)

    def at(level: float) -> Interval:
        return paired_auc(levels.truth, *scores, clusters=levels.patient, level=level).interval

    found = paired_auc(levels.truth, *scores, clusters=levels.patient)
    cases = ClusteredCases(levels.truth, levels.patient)
    rarest = min(cases.occupied)
    # Of the bound, which is the shift times that of 0 of the rarer class's patients.
    shift = found.exact_bound / -math.expm1(math.log(tail(LEVEL)) / rarest)
    unseen = 1.0
    if shift > margin:
        unseen = math.log(tail(LEVEL)) / math.log1p(-margin / shift) / rarest
    spread = (DEVIATIONS * found.standard_error / margin) ** 2
    return judged(
        "AUC",
        found.difference,
        at,
        margin=margin,
        patients_needed=math.ceil(max(unseen, spread) * cases.count),
    )


def sensitivity_criterion(levels: PairedLevels, *, margin: float) -> Criterion:
    """Judge the sensitivity at the pipeline's threshold; a lost answer is a lost success."""
    return _decisions("sensitivity", levels, levels.truth, margin=margin)


def specificity_criterion(levels: PairedLevels, *, margin: float) -> Criterion:
    """Judge the specificity at the pipeline's threshold; a lost answer is a lost success."""
    return _decisions("specificity", levels, ~levels.truth, margin=margin)


def agreement_criterion(levels: PairedLevels, *, margin: float) -> Criterion:
    """Judge the score agreement, 1 less the mean change of a level's probability.

    The reference agrees with itself at 1, so the difference is minus that mean. It is over the
    levels that either answered, and one that the other did not answer has changed by 1. It sees
    what turns no rank and no decision, such as a crop one pixel aside.
    """
    either = levels.reference.answered | levels.candidate.answered
    both = levels.reference.answered & levels.candidate.answered
    change = np.abs(levels.candidate.probability() - levels.reference.probability())
    agreement = -np.where(both, change, 1.0)[either]
    patients = levels.patient[either]
    value = float(agreement.mean())

    def at(level: float) -> Interval:
        return clustered_mean(agreement, patients, level=level)

    half = value - at(LEVEL).low
    room = margin + value
    needed = None
    if room > 0.0:
        scale = half / normal_quantile(LEVEL) * DEVIATIONS / room
        needed = max(2, math.ceil(np.unique(patients).size * scale**2))
    return judged("score agreement", value, at, margin=margin, patients_needed=needed)


CRITERIA = {
    "AUC": auc_criterion,
    "sensitivity": sensitivity_criterion,
    "specificity": specificity_criterion,
    "score agreement": agreement_criterion,
}


def _decisions(name: str, levels: PairedLevels, of: Flags, *, margin: float) -> Criterion:
    arms = levels.right(levels.reference)[of], levels.right(levels.candidate)[of]
    patients = levels.patient[of]

    def at(level: float) -> Interval:
        return paired_decisions(*arms, clusters=patients, level=level).interval

    found = paired_decisions(*arms, clusters=patients)
    quantile = normal_quantile(LEVEL)
    half = (found.interval.high - found.interval.low) / 2.0
    if found.gained + found.lost:
        factor = (half / quantile * DEVIATIONS / margin) ** 2
    else:  # the interval of n cases without a change is square / (n + square) wide to either side
        factor = half / (1.0 - half) * (1.0 - margin) / margin
    needed = math.ceil(factor * np.unique(levels.patient).size)
    return judged(name, found.difference, at, margin=margin, patients_needed=needed)
