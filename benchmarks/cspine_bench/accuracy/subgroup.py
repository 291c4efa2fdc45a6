"""The candidate in every subgroup, by one figure, with Holm's adjustment over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from cspine.evidence import Verdict
from cspine_bench.accuracy.answers import CaseAnswers
from cspine_bench.accuracy.changes import mean_interval
from cspine_bench.accuracy.measured import point_changes
from cspine_bench.accuracy.noninferiority import LEVEL, Intervals, p_above, p_below
from cspine_bench.accuracy.pairs import paired_levels
from cspine_bench.metrics.holm import holm_adjusted
from cspine_bench.metrics.interval import Interval, tail


class Subgroup(msgspec.Struct, frozen=True, kw_only=True):
    """Patients who share a value of a column, and the difference of a figure over their answers.

    ``by`` names the figure as the criteria do. ``compared`` are what both answered: levels, of
    which ``positive`` are, or studies, of which that is ``None``.

    ``low`` and ``high`` are its own 95 % interval; ``p`` is of non-inferiority by the pipeline's
    margin, and ``adjusted`` is what Holm makes of it over all subgroups, which is what the verdict
    goes by. All are ``None`` where fewer than two patients have a level of either class, or points.
    """

    factor: str
    value: str
    by: str
    patients: int
    compared: int
    positive: int | None
    verdict: Verdict
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    adjusted: float | None


class _Member(NamedTuple):
    """What both answered of a subgroup; ``at`` is ``None`` where that is too little."""

    patients: int
    compared: int
    positive: int | None
    difference: float | None
    at: Intervals | None


def subgroups(cases: Sequence[CaseAnswers], *, by: str, margin: float) -> tuple[Subgroup, ...]:
    """Judge a figure in every subgroup; a factor of one value gives none.

    A subgroup passes if it is shown to be no worse than the margin allows, and fails if it is shown
    to be worse, each at 2.5 % for any error among all subgroups.

    Parameters
    ----------
    by
        ``"AUC"`` or ``"landmarks"``.
    """
    names = sorted({(factor, value) for case in cases for factor, value in case.groups.items()})
    several = [
        (factor, value) for factor, value in names if sum(factor == other for other, _ in names) > 1
    ]
    members = [
        _COMPARED[by]([case for case in cases if case.groups.get(factor) == value], margin)
        for factor, value in several
    ]
    tests = [member.at for member in members if member.at]
    above = [p_above(at, -margin) for at in tests]
    held = iter(zip(above, holm_adjusted(above), strict=True))
    lost = iter(holm_adjusted([p_below(at, -margin) for at in tests]))
    found = []
    for (factor, value), member in zip(several, members, strict=True):
        verdict: Verdict = "inconclusive"
        interval = p = adjusted = None
        if member.at:
            p, adjusted = (float(each) for each in next(held))
            interval = member.at(LEVEL)
            if float(next(lost)) <= tail(LEVEL):
                verdict = "fail"
            elif adjusted <= tail(LEVEL):
                verdict = "pass"
        found.append(
            Subgroup(
                factor=factor,
                value=value,
                by=by,
                patients=member.patients,
                compared=member.compared,
                positive=member.positive,
                verdict=verdict,
                difference=member.difference,
                low=interval.low if interval else None,
                high=interval.high if interval else None,
                p=p,
                adjusted=adjusted,
            )
        )
    return tuple(found)


def _by_auc(cases: Sequence[CaseAnswers], _: float) -> _Member:
    levels = paired_levels(cases).answered_by_both()
    difference = at = None
    if levels.rankable:
        auc = levels.compared_auc()
        difference = auc(LEVEL).difference

        def at(level: float) -> Interval:
            return auc(level).interval

    return _Member(
        np.unique(levels.patient).size,
        levels.truth.size,
        int(levels.truth.sum()),
        difference,
        at,
    )


def _by_points(cases: Sequence[CaseAnswers], margin: float) -> _Member:
    changes, patients = point_changes(cases)
    count = np.unique(patients).size
    difference = at = None
    if count > 1:
        difference = float(changes.mean())

        def at(level: float) -> Interval:
            return mean_interval(changes, patients, margin=margin, level=level)

    return _Member(count, changes.size, None, difference, at)


_COMPARED = {"AUC": _by_auc, "landmarks": _by_points}
