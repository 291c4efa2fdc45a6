"""Ratios of two arms that were measured in turn, with intervals; no sample is ever removed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError
from cspine_bench.latency.quantile import as_times
from cspine_bench.metrics.distributions import t_quantile
from cspine_bench.metrics.interval import tail

Arm = TypeVar("Arm")
Times = NDArray[np.float64]
# From the numbers of the blocks that were drawn, shape (resamples, blocks), to the logarithm of
# the ratio that they show, shape (resamples,); and how one comes from reference and candidate.
LogRatio = Callable[[NDArray[np.intp]], Times]
Statistic = Callable[[Times, Times], LogRatio]

_RESAMPLES = 2000
_AT_ONCE = 100  # resamples; all of them at once would hold 2000 copies of the samples


@dataclass(frozen=True)
class RatioInterval:
    """What the candidate takes over what the reference takes, and its interval.

    Attributes
    ----------
    ratio
        Below 1 if the candidate is faster.
    low, high
        Ends of the interval.
    level
        Nominal coverage.
    blocks
        How many were measured.
    error
        Standard error of the logarithm of the ratio, as far as these blocks cause it.
    baseline_error
        The part of the baseline, which no further block reduces; 0 without one.
    """

    ratio: float
    low: float
    high: float
    level: float
    blocks: int
    error: float
    baseline_error: float


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


def run_length(count: int) -> int:
    """Return how many neighbouring blocks are drawn together, of so many."""
    return round(math.pow(count, 1 / 3))


def ratio_interval(
    reference: ArrayLike,
    candidate: ArrayLike,
    *,
    seed: int,
    level: float = 0.95,
    baseline: tuple[ArrayLike, ArrayLike] | None = None,
) -> RatioInterval:
    """Return how long a study takes, candidate over reference, bootstrapped over runs of blocks.

    It estimates, for each study, the median over blocks of candidate over reference within a
    block; and of those the geometric mean over the studies. So a time is only ever held against
    that of the same study in the same block: how long the studies are does not matter, nor what
    slows a whole block. Interruptions, which lengthen a time now and then, do not move a median.
    And a slowdown that meets one study of several counts for its share: one median over all pairs
    would jump from the one study's ratio to the other's by chance, as the ratio of the medians of
    all times would from the length of one to that of the other.

    Parameters
    ----------
    reference, candidate
        Times in one unit, finite and above zero, shape (blocks, studies); element ``(i, j)`` of
        both is of study ``j`` in block ``i``. Of studies that arrive at a rate, ``j`` is the
        arrival, and of a stream that is timed as a whole, there is one column.
    seed
        Of the resampling: the same seed and times give the same interval.
    level
        Nominal coverage.
    baseline
        Reference and candidate of an earlier run: the result is then the ratio now over the ratio
        then. The two runs are independent and need not have the same number of blocks.

    Raises
    ------
    ModelError
        If the studies or blocks do not pair, a time is not finite or not above zero, or the blocks
        are too few: even the extreme blocks enclose a median at the level only if
        ``2**(1 - blocks) <= 1 - level``, which takes six for 0.95.
    ValueError
        If ``level`` is not strictly between 0 and 1.

    Notes
    -----
    Whole blocks are drawn, so that what the samples of a block share stays together; and
    neighbouring blocks are drawn together, because what disturbs one often lasts into the next:
    the circular block bootstrap (Politis & Romano 1992) of 2000 resamples, with runs of
    ``round(blocks ** (1/3))`` of them. Its percentiles are those that make up for the few runs that
    there are: the expanded percentile interval of Hesterberg, Am Stat 2015;69:371.
    """
    return _bootstrapped(_paired, (reference, candidate), baseline, seed=seed, level=level)


def quantile_ratio_interval(
    reference: ArrayLike,
    candidate: ArrayLike,
    *,
    q: float,
    seed: int,
    level: float = 0.95,
    baseline: tuple[ArrayLike, ArrayLike] | None = None,
) -> RatioInterval:
    """Return the ratio of a quantile of all times of the two arms, bootstrapped alike.

    For the tail: which study and which moment is the slowest of a hundred differs from arm to arm,
    so there is nothing to pair. For the middle, :func:`ratio_interval` tells more with less.

    Parameters
    ----------
    reference, candidate, seed, level, baseline
        As :func:`ratio_interval` takes them, but that the arms may differ in samples a block.
    q
        Which quantile, a fraction.

    Raises
    ------
    ModelError, ValueError
        As :func:`ratio_interval`.
    """
    pooled = partial(_pooled, q=q)
    return _bootstrapped(pooled, (reference, candidate), baseline, seed=seed, level=level)


def _paired(a: Times, b: Times) -> LogRatio:
    if a.shape != b.shape:
        raise ModelError(
            f"candidate: got {b.shape[1]} samples a block, expected {a.shape[1]} as in reference"
        )
    logarithms = np.ascontiguousarray(np.log(b / a).T)  # (studies, blocks)

    def log_ratio(drawn: NDArray[np.intp]) -> Times:
        medians: Times = np.median(logarithms[:, drawn], axis=2)
        return np.asarray(medians.mean(axis=0))

    return log_ratio


def _pooled(a: Times, b: Times, *, q: float) -> LogRatio:
    def log_ratio(drawn: NDArray[np.intp]) -> Times:
        upper, lower = (
            np.quantile(times[drawn].reshape(len(drawn), -1), q, axis=1) for times in (b, a)
        )
        return np.asarray(np.log(upper / lower))

    return log_ratio


def _bootstrapped(
    statistic: Statistic,
    now: tuple[ArrayLike, ArrayLike],
    then: tuple[ArrayLike, ArrayLike] | None,
    *,
    seed: int,
    level: float,
) -> RatioInterval:
    rng = np.random.default_rng(seed)
    a, b = _checked(*now, level=level)
    found, draws = _draws(statistic(a, b), count=len(a), rng=rng)
    error, baseline_error = float(draws.std()), 0.0
    worth = len(a) / run_length(len(a))
    if then is not None:
        a_then, b_then = _checked(*then, level=level)
        found_then, draws_then = _draws(statistic(a_then, b_then), count=len(a_then), rng=rng)
        found, draws = found - found_then, draws - draws_then
        baseline_error = float(draws_then.std())
        worth = min(worth, len(a_then) / run_length(len(a_then)))
    expanded = NormalDist().cdf(-math.sqrt(worth / (worth - 1.0)) * t_quantile(level, worth - 1.0))
    low, high = np.quantile(draws, (expanded, 1.0 - expanded))
    return RatioInterval(
        ratio=math.exp(found),
        low=math.exp(low),
        high=math.exp(high),
        level=level,
        blocks=len(a),
        error=error,
        baseline_error=baseline_error,
    )


def _draws(log_ratio: LogRatio, *, count: int, rng: np.random.Generator) -> tuple[float, Times]:
    """Return the logarithm of the ratio of all blocks, and of each resample, (resamples,)."""
    run = run_length(count)
    offsets = np.arange(run)
    found = []
    for _ in range(_RESAMPLES // _AT_ONCE):
        starts = rng.integers(count, size=(_AT_ONCE, math.ceil(count / run), 1))
        drawn = ((starts + offsets) % count).reshape(_AT_ONCE, -1)[:, :count]
        found.append(log_ratio(drawn))
    return float(log_ratio(np.arange(count)[None])[0]), np.concatenate(found)


def _checked(reference: ArrayLike, candidate: ArrayLike, *, level: float) -> tuple[Times, Times]:
    a = as_times(reference, name="reference", axes=("blocks", "samples"))
    b = as_times(candidate, name="candidate", axes=("blocks", "samples"))
    for name, times in (("reference", a), ("candidate", b)):
        if times.min() <= 0.0:
            raise ModelError(f"{name}: got a time of {times.min()}, expected times above zero")
    if len(a) != len(b):
        raise ModelError(f"candidate: got {len(b)} blocks, expected {len(a)} as in reference")
    needed = math.ceil(-math.log2(tail(level)))
    if len(a) < needed:
        raise ModelError(
            f"blocks: got {len(a)}, expected at least {needed} for level {level}: "
            "measure more blocks"
        )
    return a, b
