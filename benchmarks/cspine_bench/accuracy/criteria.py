"""The differences that a candidate is judged by: AUC, operating point, scores, Dice, refusals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cspine.spec import Gate
from cspine_bench.accuracy.answers import CaseAnswers
from cspine_bench.accuracy.noninferiority import DEVIATIONS, LEVEL, Criterion, judged
from cspine_bench.accuracy.pairs import Flags, Floats, PairedLevels
from cspine_bench.accuracy.performance import dice_changes, refusals
from cspine_bench.metrics.clustering import ClusteredCases, cluster_codes
from cspine_bench.metrics.interval import Interval, normal_quantile, tail
from cspine_bench.metrics.mcnemar import paired_decisions
from cspine_bench.metrics.mean import clustered_mean
from cspine_bench.metrics.proportion import clopper_pearson_upper


def auc_criterion(levels: PairedLevels, *, margin: float) -> Criterion:
    """Judge the AUC over levels that both answered: paired DeLong, clustered by patient.

    The interval is no narrower than the exact bound. An answer that was lost has no rank; it counts
    at the operating point, as a decision that is not right.
    ``patients_needed`` follows from how far patients differ here: so many that the standard error
    is small enough for the margin, and so many that what none of them showed is.

    Raises
    ------
    ModelError
        If a class has levels of fewer than two patients.
    """
    levels = levels.answered_by_both()
    at = levels.compared_auc()
    found = at(LEVEL)
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
        lambda level: at(level).interval,
        margin=margin,
        patients_needed=math.ceil(max(unseen, spread) * cases.count),
    )


def sensitivity_criterion(levels: PairedLevels, *, margin: float) -> Criterion:
    """Judge the sensitivity at the pipeline's threshold; a lost answer is a lost success."""
    return _rightly_decided("sensitivity", levels, levels.truth, margin=margin)


def specificity_criterion(levels: PairedLevels, *, margin: float) -> Criterion:
    """Judge the specificity at the pipeline's threshold; a lost answer is a lost success."""
    return _rightly_decided("specificity", levels, ~levels.truth, margin=margin)


def agreement_criterion(levels: PairedLevels, *, margin: float) -> Criterion:
    """Judge the score agreement, 1 less the mean change of a level's probability.

    The reference agrees with itself at 1, so the difference is minus that mean, over the levels
    that both answered. It sees what turns no rank and no decision, such as a crop one pixel aside.
    """
    return _mean("score agreement", *_agreement(levels), margin=margin)


def agreement_interval(levels: PairedLevels, *, margin: float) -> Interval:
    """Return the interval that :func:`agreement_criterion` judges by."""
    return _mean_interval(*_agreement(levels), margin=margin, level=LEVEL)


def refusal_criterion(cases: Sequence[CaseAnswers], *, margin: float) -> Criterion:
    """Judge the refusals: the share of the studies that must be refused and are.

    Raises
    ------
    ModelError
        If those are of fewer than two patients.
    """
    reference, patients = refusals(cases, arm="reference")
    candidate, _ = refusals(cases, arm="candidate")
    return _successes("refusals", reference, candidate, patients, share=1.0, margin=margin)


def dice_criterion(cases: Sequence[CaseAnswers], *, margin: float) -> Criterion:
    """Judge the Dice of the vertebrae: its mean change, over masked studies that both answered.

    Raises
    ------
    ModelError
        If those are of fewer than two patients.
    """
    changes, patients = dice_changes(cases)
    return _mean("Dice", changes, patients, margin=margin)


def judged_criteria(
    cases: Sequence[CaseAnswers], levels: PairedLevels, *, gate: Gate
) -> tuple[Criterion, ...]:
    """Judge what the gate has a margin for, but for what too few cases can be compared by.

    Parameters
    ----------
    levels
        Of the cases, with two patients or more of either class.
    """
    comparable = set(gate.margins)
    if not levels.answered_by_both().rankable:
        comparable -= {"AUC", "score agreement"}
    if np.unique(dice_changes(cases)[1]).size < 2:
        comparable.discard("Dice")
    if np.unique(refusals(cases, arm="reference")[1]).size < 2:
        comparable.discard("refusals")
    return tuple(
        CASE_CRITERIA[name](cases, margin=margin)
        if name in CASE_CRITERIA
        else LEVEL_CRITERIA[name](levels, margin=margin)
        for name, margin in gate.margins.items()
        if name in comparable
    )


CASE_CRITERIA = {"Dice": dice_criterion, "refusals": refusal_criterion}
LEVEL_CRITERIA = {
    "AUC": auc_criterion,
    "sensitivity": sensitivity_criterion,
    "specificity": specificity_criterion,
    "score agreement": agreement_criterion,
}


def _mean(
    name: str, changes: Floats, patients: npt.NDArray[np.int64], *, margin: float
) -> Criterion:
    """Judge a mean change, clustered by patient."""
    value = float(changes.mean())
    room = margin + value
    needed = None
    if room > 0.0:
        count = np.unique(patients).size
        half = value - clustered_mean(changes, patients).low
        spread = (half / normal_quantile(LEVEL) * DEVIATIONS / room) ** 2 * count
        most = _furthest(changes, patients, margin=margin)
        unseen = math.log(tail(LEVEL)) / math.log1p(-room / most)
        needed = max(2, math.ceil(max(spread, unseen)))

    def at(level: float) -> Interval:
        return _mean_interval(changes, patients, margin=margin, level=level)

    return judged(name, value, at, margin=margin, patients_needed=needed)


def _mean_interval(
    changes: Floats, patients: npt.NDArray[np.int64], *, margin: float, level: float
) -> Interval:
    """Return the interval of a mean change, clustered by patient.

    Its lower end lies no nearer than what the set cannot exclude, as that of the AUC does: that a
    share of patients that none of these is of would change by twice as much as any did, and by ten
    margins at least.
    """
    found = clustered_mean(changes, patients, level=level)
    unseen = clopper_pearson_upper(0, np.unique(patients).size, level=level)
    bound = float(changes.mean()) - _furthest(changes, patients, margin=margin) * unseen
    return Interval(min(found.low, bound), found.high, level)


def _furthest(changes: Floats, patients: npt.NDArray[np.int64], *, margin: float) -> float:
    """Return twice the mean change were all patients like the one that changes most.

    Not less than ten margins: that few patients change by little is no proof that none would.
    """
    names, codes = cluster_codes(patients, changes.shape)
    most = float(np.abs(np.bincount(codes, weights=changes)).max())
    return max(2.0 * most * names.size / changes.size, 10.0 * margin)


def _agreement(levels: PairedLevels) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return minus the change of probability of each level that both answered, and its patient."""
    levels = levels.answered_by_both()
    change = np.abs(levels.candidate.probability() - levels.reference.probability())
    return -change, levels.patient


def _rightly_decided(name: str, levels: PairedLevels, of: Flags, *, margin: float) -> Criterion:
    """Judge the share of some levels that is decided rightly; a lost answer is not."""
    reference, candidate = (levels.right(arm)[of] for arm in (levels.reference, levels.candidate))
    patients = levels.patient[of]
    # Not every patient has such a level, so that more than these are needed for more of them.
    share = np.unique(patients).size / np.unique(levels.patient).size
    return _successes(name, reference, candidate, patients, share=share, margin=margin)


def _successes(
    name: str,
    reference: Flags,
    candidate: Flags,
    patients: npt.NDArray[np.int64],
    *,
    share: float,
    margin: float,
) -> Criterion:
    """Judge successes on the same cases; ``share`` of the patients give one or more of these."""

    def at(level: float) -> Interval:
        return paired_decisions(reference, candidate, clusters=patients, level=level).interval

    change = candidate.astype(np.float64) - reference
    between = clustered_mean(change, patients)
    half = (between.high - between.low) / 2.0
    spread = (half / normal_quantile(LEVEL) * DEVIATIONS / margin) ** 2 * np.unique(patients).size
    # The interval of n patients without a change is square / (n + square) wide to either side.
    unseen = normal_quantile(LEVEL) ** 2 * (1.0 - margin) / margin
    return judged(
        name,
        float(change.mean()),
        at,
        margin=margin,
        patients_needed=math.ceil(max(spread, unseen) / share),
    )
