"""The AUC of the candidate in every subgroup, with Holm's adjustment over all of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from cspine.precision import Verdict
from cspine_bench.answers import CaseAnswers
from cspine_bench.auc import PairedAuc, paired_auc
from cspine_bench.holm import holm_adjusted
from cspine_bench.interval import tail
from cspine_bench.noninferiority import LEVEL, Intervals, p_above, p_below
from cspine_bench.pairs import PairedLevels, paired_levels


class Subgroup(msgspec.Struct, frozen=True, kw_only=True):
    """Patients who share a value of a column, and the AUC's difference among them.

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
        paired_levels([case for case in cases if case.groups.get(factor) == value])
        for factor, value in several
    ]
    tests = [_intervals(levels) if _enough(levels) else None for levels in members]
    above = [p_above(at, -margin) for at in tests if at]
    held = iter(zip(above, holm_adjusted(above), strict=True))
    lost = iter(holm_adjusted([p_below(at, -margin) for at in tests if at]))
    found = []
    for (factor, value), levels, at in zip(several, members, tests, strict=True):
        verdict: Verdict = "inconclusive"
        interval = p = adjusted = None
        if at:
            p, adjusted = (float(each) for each in next(held))
            interval = at(LEVEL)
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
                difference=_paired(levels, LEVEL).difference if at else None,
                low=interval.low if interval else None,
                high=interval.high if interval else None,
                p=p,
                adjusted=adjusted,
            )
        )
    return tuple(found)


def _enough(levels: PairedLevels) -> bool:
    return all(np.unique(levels.patient[of]).size >= 2 for of in (levels.truth, ~levels.truth))


def _paired(levels: PairedLevels, level: float) -> PairedAuc:
    scores = levels.ranked(levels.reference), levels.ranked(levels.candidate)
    return paired_auc(levels.truth, *scores, clusters=levels.patient, level=level)


def _intervals(levels: PairedLevels) -> Intervals:
    return lambda level: _paired(levels, level).interval
