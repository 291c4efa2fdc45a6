"""The difference of two proportions of the same cases, and its interval.

Of ``n`` cases one model succeeds where the other fails in ``gained``, and fails where it succeeds
in ``lost``; the difference is ``(gained - lost) / n``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from cspine.errors import ModelError
from cspine_bench.metrics.interval import Interval, normal_quantile
from cspine_bench.metrics.proportion import wilson


def tango_interval(gained: float, lost: float, total: float, *, level: float = 0.95) -> Interval:
    """Return Tango's score interval of the difference.

    It is what his test of non-inferiority does not reject, and it has a positive width even where
    no case is gained or lost: then it ends at ``z**2 / (total + z**2)`` on either side, near the
    exact bound of 0 of ``total``.

    Parameters
    ----------
    gained, lost, total
        Counts of independent cases, whole or not, so that clustered cases can be given as the
        number of independent ones that they are worth.
    level
        Nominal coverage.

    Raises
    ------
    ModelError
        If not ``0 <= gained + lost <= total``, or the total is zero.
    ValueError
        If ``level`` is not strictly between 0 and 1.

    Notes
    -----
    Tango, Stat Med 1998;17:891. Fagerland, Lydersen & Laake, Stat Med 2014;33:2850 compare it
    with others.

    Examples
    --------
    >>> interval = tango_interval(1, 7, 21)
    >>> round(interval.low, 4), round(interval.high, 4)
    (-0.5172, -0.026)
    """
    if not (min(gained, lost) >= 0.0 and 0.0 < total >= gained + lost):
        raise ModelError(
            f"paired decisions: got {gained} gained and {lost} lost of {total}, expected no less "
            "than zero of each and no more than all, and a case"
        )
    square = normal_quantile(level) ** 2
    difference = (gained - lost) / total

    def excess(delta: float) -> float:
        """Return how far a difference is rejected, in squared cases; above 0 if it is."""
        a, c = 2.0 * total, -lost * delta * (1.0 - delta)
        b = (2.0 * total - gained + lost) * delta - gained - lost
        root = math.sqrt(max(0.0, b * b - 4.0 * a * c))
        # The likeliest share of lost cases, by the form of the root that does not cancel.
        share = -2.0 * c / (b + root) if b > 0.0 else (root - b) / (2.0 * a)
        variance = total * (2.0 * share + delta * (1.0 - delta))
        return (gained - lost - total * delta) ** 2 - square * variance

    return Interval(
        _last_outside(excess, -1.0, difference), _last_outside(excess, 1.0, difference), level
    )


def newcombe_interval(
    both: int, gained: int, lost: int, neither: int, *, level: float = 0.95
) -> Interval:
    """Return the interval of the difference by Newcombe's method 10.

    Parameters
    ----------
    both, gained, lost, neither
        Counts of independent cases: in which both models succeed, the candidate alone, the
        reference alone, and neither.
    level
        Nominal coverage.

    Raises
    ------
    ModelError
        If a count is negative, or there is no case.
    ValueError
        If ``level`` is not strictly between 0 and 1.

    Notes
    -----
    Newcombe, Stat Med 1998;17:2635: the Wilson intervals of both proportions are combined, with
    their correlation, which is taken down by the equivalent of half a case. Where no case is gained
    or lost, and as many succeed as fail, it is half as wide as the exact bound of 0 of ``n``:
    judge a margin by :func:`tango_interval`.

    Examples
    --------
    >>> interval = newcombe_interval(1, 1, 7, 12)
    >>> round(interval.low, 4), round(interval.high, 4)
    (-0.5069, -0.0256)
    """
    total = both + gained + lost + neither
    if min(both, gained, lost, neither) < 0 or not total:
        raise ModelError(
            f"paired decisions: got counts {both}, {gained}, {lost}, {neither}, expected none "
            "below zero, and a case"
        )
    candidate, reference = both + gained, both + lost
    of_candidate = wilson(candidate, total, level=level)
    of_reference = wilson(reference, total, level=level)
    product = both * neither - gained * lost
    scale = candidate * (total - candidate) * reference * (total - reference)
    corrected = product if product < 0 else max(product - total / 2.0, 0.0)
    correlation = corrected / math.sqrt(scale) if scale else 0.0
    p, q = candidate / total, reference / total
    difference = (gained - lost) / total

    def combined(a: float, b: float) -> float:
        return math.sqrt(max(0.0, a * a + b * b - 2.0 * correlation * a * b))

    low = difference - combined(p - of_candidate.low, of_reference.high - q)
    high = difference + combined(of_candidate.high - p, q - of_reference.low)
    return Interval(max(-1.0, low), min(1.0, high), level)


def _last_outside(excess: Callable[[float], float], outside: float, inside: float) -> float:
    """Return where, between a difference that is rejected and one that is not, that changes."""
    while outside != (middle := (outside + inside) / 2.0) != inside:
        if excess(middle) > 0.0:
            outside = middle
        else:
            inside = middle
    return outside
