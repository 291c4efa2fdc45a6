"""Quantiles of Student's t and of F, by the incomplete beta function.

A device has no SciPy, and the few quantiles that a report takes need no speed: the function is
summed as a continued fraction and inverted by bisection, to the last digits of a float. What was
found is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from cspine_bench.metrics.interval import tail

# Terms that the fraction may take: it needs some multiple of sqrt(max(a, b)), and the counts of
# cases behind a and b are far below the square of this.
_TERMS = 100_000


@lru_cache(maxsize=256)
def t_quantile(level: float, freedom: float) -> float:
    """Return the half-width, in standard errors, of a two-sided interval by Student's t.

    Parameters
    ----------
    level
        Nominal coverage, strictly between 0 and 1.
    freedom
        Degrees of freedom, above zero.

    Raises
    ------
    ValueError
        If ``level`` or ``freedom`` is out of range.

    Notes
    -----
    The square of t is F with one degree of freedom in the numerator.

    Examples
    --------
    >>> round(t_quantile(0.95, 4), 6)
    2.776445
    """
    return math.sqrt(f_quantile(1.0 - 2.0 * tail(level), 1.0, freedom))


@lru_cache(maxsize=256)
def f_quantile(probability: float, numerator: float, denominator: float) -> float:
    """Return the value that F stays below with a probability.

    Parameters
    ----------
    probability
        From 0 to below 1.
    numerator, denominator
        Degrees of freedom, above zero, whole or not.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    ``x = numerator F / (numerator F + denominator)`` is beta distributed (DLMF 8.17, Abramowitz &
    Stegun 26.6.2).
    """
    if not 0.0 <= probability < 1.0:
        raise ValueError(f"probability: got {probability}, expected from 0 to below 1")
    if not (0.0 < numerator < math.inf and 0.0 < denominator < math.inf):
        raise ValueError(
            f"degrees of freedom: got {numerator} and {denominator}, expected finite and above 0"
        )
    a, b = numerator / 2.0, denominator / 2.0
    # Of x and 1 - x the smaller is solved for, so that neither is a difference of near equals.
    if incomplete_beta(0.5, a, b) >= probability:
        x = _bisect(lambda x: incomplete_beta(x, a, b), probability)
        return denominator * x / (numerator * (1.0 - x))
    rest = _bisect(lambda x: incomplete_beta(x, b, a), 1.0 - probability)
    return denominator * (1.0 - rest) / (numerator * rest)


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), a probability.

    Parameters
    ----------
    x
        From 0 to 1.
    a, b
        Above zero.

    Notes
    -----
    DLMF 8.17.22, and 8.17.4 where the fraction is slow.
    """
    if x in (0.0, 1.0):
        return x
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(logarithm + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1.0) / (a + b + 2.0):
        return front / (a * _fraction(x, a, b))
    return 1.0 - front / (b * _fraction(1.0 - x, b, a))


def _fraction(x: float, a: float, b: float) -> float:
    """Return ``1 + d1 / (1 + d2 / (1 + ...))``, by Lentz's method (Appl Opt 1976;15:668)."""
    value = ahead = 1.0
    behind = 0.0
    for term in range(1, _TERMS):
        m = term // 2
        if term % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        behind = 1.0 / (1.0 + d * behind)
        ahead = 1.0 + d / ahead
        value *= ahead * behind
        if abs(ahead * behind - 1.0) < 1e-16:
            break
    return value


def _bisect(rising: Callable[[float], float], target: float) -> float:
    """Return the least x from 0 to 0.5 at which a rising function reaches a target."""
    low, high = 0.0, 0.5
    while low < (middle := (low + high) / 2.0) < high:
        if rising(middle) < target:
            low = middle
        else:
            high = middle
    return high
