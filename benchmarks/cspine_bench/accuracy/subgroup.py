"""The AUC of the candidate in every subgroup, with Holm's adjustment over all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from cspine.precision import Verdict
from cspine_bench.accuracy.answers import CaseAnswers
from cspine_bench.accuracy.noninferiority import LEVEL, Intervals, p_above, p_below
from cspine_bench.accuracy.pairs import paired_levels
from cspine_bench.metrics.auc import PairedAuc
from cspine_bench.metrics.holm import holm_adjusted
from cspine_bench.metrics.interval import tail


class Subgroup(msgspec.Struct, frozen=True, kw_only=True):
    """Patients who share a value of a column, and the AUC's difference over their levels.

    The levels are those that both answered.

    ``low`` and ``high`` are its own 95 % interval; ``p`` is of non-inferiority by the pipeline's
    margin, and ``adjusted`` is what Holm makes of it over all subgroups, which is what the verdict
    goes by. All are ``None`` where fewer than two patients have a level of either class.
    """

    factor: str
    value: str
    patients: int
    levels: int
    positive: int
    verdict: Verdict
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    adjusted: float | None


def subgroups(cases: Sequence[CaseAnswers], *, margin: float) -> tuple[Subgroup, ...]:
    """Judge the AUC in every subgroup; a factor of one value gives none.

    A subgroup passes if it is shown to be no worse than the margin allows, and fails if it is shown
    to be worse, each at 2.5 % for any error among all subgroups.
    """
    names = sorted({(factor, value) for case in cases for factor, value in case.groups.items()})
    several = [
        (factor, value) for factor, value in names if sum(factor == other for other, _ in names) > 1
    ]
    members = [
        paired_levels(
            [case for case in cases if case.groups.get(factor) == value]
        ).answered_by_both()
        for factor, value in several
    ]
    tests = [levels.compared_auc() if levels.rankable else None for levels in members]
    above = [p_above(_intervals(at), -margin) for at in tests if at]
    held = iter(zip(above, holm_adjusted(above), strict=True))
    lost = iter(holm_adjusted([p_below(_intervals(at), -margin) for at in tests if at]))
    found = []
    for (factor, value), levels, at in zip(several, members, tests, strict=True):
        verdict: Verdict = "inconclusive"
        interval = p = adjusted = None
        if at:
            p, adjusted = (float(each) for each in next(held))
            interval = at(LEVEL).interval
            if float(next(lost)) <= tail(LEVEL):
                verdict = "fail"
            elif adjusted <= tail(LEVEL):
                verdict = "pass"
        found.append(
            Subgroup(
                factor=factor,
                value=value,
                patients=np.unique(levels.patient).size,
                levels=levels.truth.size,
                positive=int(levels.truth.sum()),
                verdict=verdict,
                difference=at(LEVEL).difference if at else None,
                low=interval.low if interval else None,
                high=interval.high if interval else None,
                p=p,
                adjusted=adjusted,
            )
        )
    return tuple(found)


def _intervals(at: Callable[[float], PairedAuc]) -> Intervals:
    return lambda level: at(level).interval
