"""The differences that a candidate is judged by, by the name that the gate gives their margins.

Of each, more is better: of what is an error, minus its change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from cspine.gate import Gate
from cspine_bench.accuracy.answers import CaseAnswers
from cspine_bench.accuracy.boxes import kept_boxes
from cspine_bench.accuracy.changes import mean_criterion, mean_interval, success_criterion
from cspine_bench.accuracy.compared import Compared
from cspine_bench.accuracy.figure import Flags, Floats, Patients
from cspine_bench.accuracy.grades import quadratic_changes
from cspine_bench.accuracy.levels import dice_changes
from cspine_bench.accuracy.measured import given, point_changes, value_changes
from cspine_bench.accuracy.noninferiority import DEVIATIONS, LEVEL, Criterion, judged
from cspine_bench.accuracy.pairs import PairedLevels
from cspine_bench.accuracy.performance import refusals
from cspine_bench.accuracy.truth import RATIO, UNITS
from cspine_bench.metrics.clustering import ClusteredCases
from cspine_bench.metrics.interval import Interval, tail

Changes = Callable[[Sequence[CaseAnswers], Compared], tuple[Floats, Patients]]
Successes = Callable[[Sequence[CaseAnswers], Compared], tuple[Flags, Flags, Patients]]


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
    return mean_criterion("score agreement", *_agreement(levels), margin=margin)


def agreement_interval(levels: PairedLevels, *, margin: float) -> Interval:
    """Return the interval that :func:`agreement_criterion` judges by."""
    return mean_interval(*_agreement(levels), margin=margin, level=LEVEL)


LEVEL_CRITERIA = {
    "AUC": auc_criterion,
    "sensitivity": sensitivity_criterion,
    "specificity": specificity_criterion,
    "score agreement": agreement_criterion,
}


def judged_criteria(
    cases: Sequence[CaseAnswers], of: Compared, *, gate: Gate
) -> tuple[Criterion, ...]:
    """Judge what the gate has a margin for, but for what too few cases can be compared by.

    Parameters
    ----------
    of
        What the cases hold; of levels, two patients or more of either class.
    """
    levels, found = of.levels, []
    for name, margin in gate.margins.items():
        if name in LEVEL_CRITERIA:
            if levels and (name in _OF_ALL_LEVELS or levels.answered_by_both().rankable):
                found.append(LEVEL_CRITERIA[name](levels, margin=margin))
        elif name in _CHANGES:
            changes, patients = _CHANGES[name](cases, of)
            if _several(patients):
                unit = _UNITS.get(name, "")
                found.append(mean_criterion(name, changes, patients, margin=margin, unit=unit))
        else:
            before, after, patients = _SUCCESSES[name](cases, of)
            if _several(patients):
                found.append(
                    success_criterion(name, before, after, patients, share=1.0, margin=margin)
                )
    return tuple(found)


def _measured(cases: Sequence[CaseAnswers], _: Compared, *, name: str) -> tuple[Floats, Patients]:
    return value_changes(cases, name)


def _refused(cases: Sequence[CaseAnswers], _: Compared) -> tuple[Flags, Flags, Patients]:
    """Return whether the two refused each study that must be refused, and the patients."""
    before, patients = refusals(cases, arm="reference")
    return before, refusals(cases, arm="candidate")[0], patients


def _regraded(_: Sequence[CaseAnswers], of: Compared) -> tuple[Floats, Patients]:
    return quadratic_changes(of.grades) if of.grades else (np.empty(0), np.empty(0, np.int64))


def _kept(_: Sequence[CaseAnswers], of: Compared) -> tuple[Flags, Flags, Patients]:
    nothing = np.empty(0, bool)
    return kept_boxes(of.boxes) if of.boxes else (nothing, nothing, np.empty(0, np.int64))


# Of a lost answer both are charged, so that there need not be two to compare.
_OF_ALL_LEVELS = ("sensitivity", "specificity")
# The mean change of a study, a level or a value, over those that both answered.
_CHANGES: dict[str, Changes] = {
    "Dice": lambda cases, _: dice_changes(cases),
    "landmarks": lambda cases, _: point_changes(cases),
    **{name: partial(_measured, name=name) for name in (*UNITS, RATIO)},
    "quadratic kappa": _regraded,
}
_UNITS = {"landmarks": "mm", **UNITS}
_SUCCESSES: dict[str, Successes] = {
    "refusals": _refused,
    "answers": lambda cases, _: given(cases),
    "boxes": _kept,
}


def _several(patients: Patients) -> bool:
    return np.unique(patients).size >= 2


def _agreement(levels: PairedLevels) -> tuple[Floats, Patients]:
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
    return success_criterion(name, reference, candidate, patients, share=share, margin=margin)
