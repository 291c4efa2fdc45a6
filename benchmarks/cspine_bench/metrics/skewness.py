"""The skewness of a sum over patients, and what it does to the ends of a normal interval.

Where many patients change a little and few change much, the mean and its standard error go
together: a sample without one of the few has a mean too near to zero and a standard error too
small, and the normal interval ends too early on the side of the long tail.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cspine_bench.metrics.interval import Interval


def skewness_of_sum(deviations: NDArray[np.float64]) -> float:
    """Return the skewness of the sum of independent parts.

    Parameters
    ----------
    deviations
        What each patient adds beyond the mean, shape (patients,).

    Returns
    -------
    float
        Third central moment of the sum over its standard deviation cubed, six times the
        jackknife's acceleration; 0 if no patient deviates, or by so little that it vanishes.
    """
    cubed = float((deviations**2).sum()) ** 1.5
    return float((deviations**3).sum()) / cubed if cubed > 0.0 else 0.0


def skewed_interval(
    value: float, error: float, skewness: float, *, quantile: float, level: float
) -> Interval:
    """Return the interval of an estimate, further out on the side of its long tail.

    Parameters
    ----------
    value, error
        The estimate and its standard error.
    skewness
        Of the estimate: what :func:`skewness_of_sum` returns.
    quantile
        How many standard errors either end lies away without skewness.
    level
        What the quantile is of.

    Notes
    -----
    Hall, J R Stat Soc B 1992;54:221: ``T + g T**2 / 3 + g**2 T**3 / 27 + g / 6`` of the
    standardised estimate ``T`` of skewness ``g`` is normal to the second order, rises with ``T``
    and is solved in closed form. The end on the side of the short tail would move in by as much; it
    stays, as the skewness is estimated, too.
    """
    out = error * max(quantile, _untransformed(quantile, -abs(skewness)))
    plain = error * quantile
    if skewness < 0.0:
        return Interval(value - out, value + plain, level)
    return Interval(value - plain, value + out, level)


def _untransformed(normal: float, skewness: float) -> float:
    """Return the ``T`` of which Hall's transformation is ``normal``."""
    if abs(skewness) < 1e-6:  # where rounding would outweigh it
        return normal
    inner = 1.0 + skewness * (normal - skewness / 6.0)
    return 3.0 / skewness * (math.copysign(abs(inner) ** (1.0 / 3.0), inner) - 1.0)
