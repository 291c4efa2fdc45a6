"""The ratio of two arms as pass, fail or inconclusive, and how many blocks would decide.

The interval is two-sided at 95 %, so each end is a one-sided bound at 97.5 %: stricter than the
95 % bound that is usual for latency, because what the blocks of one run share is not seen in it.
"""

from __future__ import annotations

import math

from cspine.evidence import Verdict
from cspine_bench.latency.ratio import RatioInterval
from cspine_bench.metrics.interval import normal_quantile

MEDIAN_MARGIN = 0.03
MEMORY_MARGIN = 0.05

_POWER = 0.90


def non_inferior(low: float, high: float, *, margin: float) -> Verdict:
    """Judge whether the candidate takes at most ``1 + margin`` times as much as the reference.

    Parameters
    ----------
    low, high
        Ends of the interval of candidate over reference.
    margin
        The increase that is still allowed, a fraction.

    Returns
    -------
    Verdict
        ``pass`` if the interval lies below the limit, ``fail`` if it lies above, else
        ``inconclusive``.
    """
    if high < 1.0 + margin:
        return "pass"
    return "fail" if low > 1.0 + margin else "inconclusive"


def equivalent(low: float, high: float, *, margin: float) -> Verdict:
    """Judge whether the two take the same but for ``margin``, by two one-sided tests.

    Returns
    -------
    Verdict
        ``pass`` if the interval lies within ``1 - margin`` and ``1 + margin``, ``fail`` if it
        lies outside of them, else ``inconclusive``.
    """
    if 1.0 - margin < low and high < 1.0 + margin:
        return "pass"
    outside = low > 1.0 + margin or high < 1.0 - margin
    return "fail" if outside else "inconclusive"


def blocks_needed(found: RatioInterval, *, margin: float) -> int | None:
    """Return how many blocks it takes to judge a margin, by how much the blocks differ.

    With so many, a candidate that is unchanged passes and one slowed by twice the margin fails,
    each with 90 % probability. The ratio that was found has no part in it: to measure on until
    there are as many, and only then to look at the verdict, leaves its error rates as they are.

    Returns
    -------
    int or None
        ``None`` if the baseline alone is too uncertain for the margin, whatever is measured now.
    """
    # Of the two, the slowed one is the nearer to the limit.
    return _blocks(found, math.log((1.0 + 2.0 * margin) / (1.0 + margin)))


def blocks_at_ratio(found: RatioInterval, *, margin: float) -> int | None:
    """Return how many blocks would show, with 90 % probability, on which side of a limit it lies.

    That is if the true ratio were the one that was found: what may be told of an inconclusive
    verdict, and no reason to measure on until it has changed.

    Returns
    -------
    int or None
        As :func:`blocks_needed`; ``None`` too if it lies on the limit itself.
    """
    return _blocks(found, abs(math.log(found.ratio / (1.0 + margin))))


def _blocks(found: RatioInterval, gap: float) -> int | None:
    deviations = normal_quantile(found.level) + normal_quantile(2.0 * _POWER - 1.0)
    allowed = (gap / deviations) ** 2 - found.baseline_error**2
    if allowed <= 0.0:
        return None
    return math.ceil(found.blocks * found.error**2 / allowed)
