"""Quantiles by order statistic, with exact intervals; no sample is ever removed."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError
from cspine_bench.metrics.interval import tail

_SUFFICIENT_CONFIDENCE = 0.99


@dataclass(frozen=True)
class Quantile:
    """A quantile and its interval, in the unit of the samples.

    Attributes
    ----------
    value
        The order statistic of rank ``ceil(n * q)``: a time that was measured.
    low, high
        Ends of the interval, order statistics too. An end is infinite if the sample is too small
        for any of its order statistics to reach the level on that side.
    level
        Nominal coverage; the real one is at least that.
    sufficient
        Whether there are :func:`minimum_count` samples. If not, ``value``, ``low`` and ``high``
        are ``nan``: a tail that was hardly seen is not to be quoted.
    """

    value: float
    low: float
    high: float
    level: float
    sufficient: bool


def minimum_count(q: float) -> int:
    """Return how many samples a quantile takes to be reported.

    The fewest of which a single one over some limit still shows, with 99 % confidence, that the
    quantile keeps the limit: 64 for p90, 130 for p95, 662 for p99 and 6636 for p99.9. Quantiles
    below the median mirror those above it; the median itself is always reported.

    Raises
    ------
    ValueError
        If ``q`` is not strictly between 0 and 1.

    Notes
    -----
    MLPerf Inference, early stopping with one query over the latency.
    """
    if not 0.0 < q < 1.0:
        raise ValueError(f"quantile: got {q}, expected a fraction between 0 and 1, such as 0.99")
    if q == 0.5:
        return 1
    within = max(q, 1.0 - q)

    def enough(count: int) -> bool:
        at_most_one = within**count + count * (1.0 - within) * within ** (count - 1)
        return at_most_one <= 1.0 - _SUFFICIENT_CONFIDENCE

    return bisect_left(range(math.ceil(8.0 / (1.0 - within))), True, lo=1, key=enough)


def quantile_interval(samples: ArrayLike, q: float, *, level: float = 0.95) -> Quantile:
    """Return a quantile by order statistic, with its exact binomial interval.

    Parameters
    ----------
    samples
        Independent, finite, in any order and unit, shape (samples,). Latencies that drift or come
        in bursts are not independent, and their interval is too narrow.
    q
        Which quantile, a fraction: 0.99 for p99.
    level
        Nominal coverage. Whatever the distribution, each tail misses with probability
        ``(1 - level) / 2`` at most.

    Raises
    ------
    ModelError
        If there is no sample, or one is not finite.
    ValueError
        If ``q`` or ``level`` is not strictly between 0 and 1.

    Notes
    -----
    David & Nagaraja, Order Statistics, 3rd ed., 7.1: the number of samples below the quantile is
    binomial.

    Examples
    --------
    >>> quantile_interval(range(1, 101), 0.5)
    Quantile(value=50.0, low=40.0, high=61.0, level=0.95, sufficient=True)
    """
    needed = minimum_count(q)
    each = tail(level)
    ordered = np.sort(as_times(samples, name="samples", axes=("samples",)))
    count = ordered.size
    if count < needed:
        return Quantile(math.nan, math.nan, math.nan, level, sufficient=False)
    below = _binomial_cdf(count, q)
    # Zero-based: samples[i] lies above the quantile if at most i samples fall below it.
    low = int(np.searchsorted(below, each, side="right")) - 1
    high = int(np.searchsorted(below, 1.0 - each, side="left"))
    return Quantile(
        value=float(ordered[math.ceil(round(count * q, 9)) - 1]),
        low=float(ordered[low]) if low >= 0 else -math.inf,
        high=float(ordered[high]) if high < count else math.inf,
        level=level,
        sufficient=True,
    )


def as_times(values: ArrayLike, *, name: str, axes: tuple[str, ...]) -> NDArray[np.float64]:
    """Check times and return them as float64.

    Parameters
    ----------
    name, axes
        What a message calls the array and its axes, as many as it must have.

    Raises
    ------
    ModelError
        If the axes are others, there is no time, or one is not finite.
    """
    times = np.asarray(values, dtype=np.float64)
    if times.ndim != len(axes) or not times.size:
        expected = ", ".join(axes)
        raise ModelError(f"{name}: got shape {times.shape}, expected ({expected}) and not empty")
    if not np.isfinite(times).all():
        raise ModelError(f"{name}: got a time that is not finite, expected finite times")
    return times


def _binomial_cdf(trials: int, p: float) -> NDArray[np.float64]:
    """Return P(X <= k) for k from 0 to ``trials``."""
    k = np.arange(trials)
    steps = np.log((trials - k) / (k + 1)) + math.log(p / (1.0 - p))
    log_pmf = trials * math.log1p(-p) + np.concatenate(([0.0], np.cumsum(steps)))
    return np.asarray(np.minimum(np.cumsum(np.exp(log_pmf)), 1.0))
