"""Quantiles of latency and ratios of two arms, with intervals; no sample is ever removed."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError
from cspine_bench.interval import tail

Arm = TypeVar("Arm")

_SUFFICIENT_CONFIDENCE = 0.99
_RESAMPLES = 2000


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


@dataclass(frozen=True)
class RatioInterval:
    """The ratio of two medians, candidate over reference, and its interval.

    Attributes
    ----------
    ratio
        Below 1 if the candidate is faster.
    low, high
        Ends of the interval.
    level
        Nominal coverage.
    """

    ratio: float
    low: float
    high: float
    level: float


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
    ordered = np.sort(_times(samples, name="samples", axes=("samples",)))
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


def blocks(
    rng: np.random.Generator, arms: Sequence[Arm], *, repeats: int
) -> tuple[tuple[Arm, ...], ...]:
    """Return a randomised order in which every block runs every arm once.

    What drifts slowly (heat, clocks, other work on the machine) then meets all arms alike, and
    the pairing by block cancels it.

    Parameters
    ----------
    rng
        Source of the order; seed it to repeat a run.
    arms
        What is compared.
    repeats
        How many blocks.

    Returns
    -------
    tuple of tuple
        Shape (repeats, arms), in the order to run them.
    """
    return tuple(tuple(arms[i] for i in rng.permutation(len(arms))) for _ in range(repeats))


def ratio_interval(
    reference: ArrayLike, candidate: ArrayLike, *, seed: int, level: float = 0.95
) -> RatioInterval:
    """Return the ratio of the arms' medians, bootstrapped over blocks.

    Whole blocks are drawn, the same for both arms, so that what the samples of a block share,
    within an arm and between the two, stays together.

    Parameters
    ----------
    reference, candidate
        Times in one unit, finite and above zero, shape (blocks, samples); row ``i`` of both was
        measured in block ``i``. The arms may differ in samples a block.
    seed
        Of the resampling: the same seed and times give the same interval.
    level
        Nominal coverage.

    Returns
    -------
    RatioInterval
        Percentile interval of 2000 resamples.

    Raises
    ------
    ModelError
        If the blocks do not pair, a time is not finite or not above zero, or the blocks are too
        few: even the extreme blocks enclose a median at the level only if
        ``2**(1 - blocks) <= 1 - level``, which takes six for 0.95.
    ValueError
        If ``level`` is not strictly between 0 and 1.
    """
    each = tail(level)
    a = _times(reference, name="reference", axes=("blocks", "samples"))
    b = _times(candidate, name="candidate", axes=("blocks", "samples"))
    for name, times in (("reference", a), ("candidate", b)):
        if times.min() <= 0.0:
            raise ModelError(f"{name}: got a time of {times.min()}, expected times above zero")
    if len(a) != len(b):
        raise ModelError(f"candidate: got {len(b)} blocks, expected {len(a)} as in reference")
    needed = math.ceil(-math.log2(each))
    if len(a) < needed:
        raise ModelError(
            f"blocks: got {len(a)}, expected at least {needed} for level {level}: "
            "measure more blocks"
        )
    rng = np.random.default_rng(seed)
    # A resample at a time: all at once would hold 2000 copies of the samples.
    ratios = np.empty(_RESAMPLES)
    for i in range(_RESAMPLES):
        drawn = rng.integers(len(a), size=len(a))
        ratios[i] = np.median(b[drawn]) / np.median(a[drawn])
    low, high = np.quantile(ratios, (each, 1.0 - each))
    return RatioInterval(float(np.median(b) / np.median(a)), float(low), float(high), level)


def _times(values: ArrayLike, *, name: str, axes: tuple[str, ...]) -> NDArray[np.float64]:
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
