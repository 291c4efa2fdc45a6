"""A figure of the candidate less that of the reference, judged by a margin.

``pass`` means that the whole 95 % interval of the difference lies above minus the margin, ``fail``
that it lies wholly below, and all else is ``inconclusive``. The interval is two-sided, so either is
a test at 2.5 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from cspine.evidence import Verdict
from cspine_bench.metrics.interval import Interval, normal_quantile

LEVEL = 0.95
POWER = 0.90
# What stands between the middle of an interval and the margin for the power above.
DEVIATIONS = normal_quantile(LEVEL) + normal_quantile(2.0 * POWER - 1.0)

Intervals = Callable[[float], Interval]


class Criterion(msgspec.Struct, frozen=True, kw_only=True):
    """A difference, candidate less reference, that the verdict rests on.

    Of an error it is minus that, so that below zero is always worse. ``unit`` is empty for what has
    none. ``p`` is of the test that it lies below minus the margin. With ``patients_needed`` a
    candidate that is no worse passes with 90 % probability; ``None`` where more patients would not
    help.
    """

    name: str
    verdict: Verdict
    value: float
    low: float
    high: float
    margin: float
    unit: str
    p: float
    patients_needed: int | None
    reason: str


def judged(
    name: str,
    value: float,
    intervals: Intervals,
    *,
    margin: float,
    patients_needed: int | None,
    unit: str = "",
) -> Criterion:
    """Judge one difference.

    Parameters
    ----------
    name
        Of what the difference is.
    value
        The estimate, candidate less reference.
    intervals
        Gives the interval at any level.
    margin
        How much worse the candidate may be, above zero.
    patients_needed
        How many would decide.
    unit
        Of the estimate and the margin.
    """
    found = intervals(LEVEL)
    verdict = verdict_by(found, margin=margin)
    of = f" {unit}" if unit else ""
    ends = f"{found.low:+.4f} to {found.high:+.4f}{of}"
    said = f"{name}: the 95 % interval of the difference is {ends}"
    below = f"the margin of {-margin:+.4f}{of}"
    enough = (
        "more patients would not help"
        if patients_needed is None
        else f"about {patients_needed} patients would decide, if it is no worse"
    )
    reason = {
        "pass": f"{said}, above {below}",
        "fail": f"{said}, wholly below {below}",
        "inconclusive": f"{said} and holds {below}: {enough}",
    }[verdict]
    return Criterion(
        name=name,
        verdict=verdict,
        value=value,
        low=found.low,
        high=found.high,
        margin=margin,
        unit=unit,
        p=p_above(intervals, -margin),
        patients_needed=patients_needed,
        reason=reason,
    )


def verdict_by(interval: Interval, *, margin: float) -> Verdict:
    """Return what an interval of the difference says of a margin."""
    if interval.high < -margin:
        return "fail"
    return "pass" if interval.low > -margin else "inconclusive"


def p_above(intervals: Intervals, bound: float) -> float:
    """Return the one-sided p of the test that a difference lies at or below a bound.

    It is the least tail at which the interval's lower end lies above the bound, so that it is below
    2.5 % exactly if that of 95 % does; 1 if even the narrowest interval holds the bound.
    """
    return _least_tail(lambda level: intervals(level).low > bound)


def p_below(intervals: Intervals, bound: float) -> float:
    """Return the one-sided p of the test that a difference lies at or above a bound."""
    return _least_tail(lambda level: intervals(level).high < bound)


def _least_tail(excludes: Callable[[float], bool]) -> float:
    # Tails are halved in logarithms, where small ones matter as much as large ones.
    low, high = math.log(1e-9), math.log(0.5 - 1e-9)
    if not excludes(1.0 - 2.0 * math.exp(high)):
        return 1.0
    for _ in range(40):
        middle = (low + high) / 2.0
        if excludes(1.0 - 2.0 * math.exp(middle)):
            high = middle
        else:
            low = middle
    return math.exp(high)
