"""A confidence interval, and the normal quantile behind most of them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Interval:
    """A two-sided, equal-tailed confidence interval.

    Each tail holds ``(1 - level) / 2``, so either end alone is a one-sided bound: at level 0.95,
    ``low`` is the lower 97.5 % bound that a non-inferiority test compares with its margin.

    Attributes
    ----------
    low, high
        The ends, in the unit of the estimate.
    level
        Nominal coverage, a fraction.
    """

    low: float
    high: float
    level: float


def tail(level: float) -> float:
    """Return what each tail of a two-sided interval holds, ``(1 - level) / 2``.

    Raises
    ------
    ValueError
        If ``level`` is not strictly between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level: got {level}, expected a fraction between 0 and 1, such as 0.95")
    return (1.0 - level) / 2.0


def normal_quantile(level: float) -> float:
    """Return the half-width, in standard errors, of a two-sided normal interval.

    Raises
    ------
    ValueError
        If ``level`` is not strictly between 0 and 1.

    Examples
    --------
    >>> round(normal_quantile(0.95), 6)
    1.959964
    """
    return -NormalDist().inv_cdf(tail(level))
