"""Ratios of two arms that were measured in turn, with intervals; no sample is ever removed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError
from cspine_bench.distributions import t_quantile
from cspine_bench.interval import tail
from cspine_bench.quantile import as_times

Arm = TypeVar("Arm")
Times = NDArray[np.float64]

_RESAMPLES = 2000
_AT_ONCE = 100  # resamples; all of them at once would hold 2000 copies of the samples


@dataclass(frozen=True)
class RatioInterval:
    """The ratio of two quantiles, candidate over reference, and its interval.

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


def ratio_interval(
    reference: ArrayLike,
    candidate: ArrayLike,
    *,
    seed: int,
    q: float = 0.5,
    level: float = 0.95,
    baseline: tuple[ArrayLike, ArrayLike] | None = None,
) -> RatioInterval:
    """Return the ratio of a quantile of the arms, bootstrapped over runs of blocks.

    Whole blocks are drawn, the same for both arms, so that what the samples of a block share,
    within an arm and between the two, stays together; and neighbouring blocks are drawn together,
    because what disturbs one often lasts into the next.

    Parameters
    ----------
    reference, candidate
        Times in one unit, finite and above zero, shape (blocks, samples); row ``i`` of both was
        measured in block ``i``. The arms may differ in samples a block.
    seed
        Of the resampling: the same seed and times give the same interval.
    q
        Which quantile, a fraction; the median by default.
    level
        Nominal coverage.
    baseline
        Reference and candidate of an earlier run: the result is then the ratio now over the ratio
        then. The two runs are independent and need not have the same number of blocks.

    Raises
    ------
    ModelError
        If the blocks do not pair, a time is not finite or not above zero, or the blocks are too
        few: even the extreme blocks enclose a median at the level only if
        ``2**(1 - blocks) <= 1 - level``, which takes six for 0.95.
    ValueError
        If ``level`` is not strictly between 0 and 1.

    Notes
    -----
    Circular block bootstrap (Politis & Romano 1992) of 2000 resamples, with runs of
    ``round(blocks ** (1/3))`` blocks. Its percentiles are those that make up for the few runs
    that there are: the expanded percentile interval of Hesterberg, Am Stat 2015;69:371.
    """
    a, b = _paired(reference, candidate, level=level)
    rng = np.random.default_rng(seed)
    draws = _log_ratios(a, b, q=q, rng=rng)
    error, baseline_error = float(draws.std()), 0.0
    log_ratio = _log_ratio(a, b, q=q)
    worth = len(a) / _run(len(a))
    if baseline is not None:
        a_then, b_then = _paired(*baseline, level=level)
        then = _log_ratios(a_then, b_then, q=q, rng=rng)
        draws, baseline_error = draws - then, float(then.std())
        log_ratio -= _log_ratio(a_then, b_then, q=q)
        worth = min(worth, len(a_then) / _run(len(a_then)))
    expanded = NormalDist().cdf(-math.sqrt(worth / (worth - 1.0)) * t_quantile(level, worth - 1.0))
    low, high = np.quantile(draws, (expanded, 1.0 - expanded))
    return RatioInterval(
        ratio=math.exp(log_ratio),
        low=math.exp(low),
        high=math.exp(high),
        level=level,
        blocks=len(a),
        error=error,
        baseline_error=baseline_error,
    )


def _run(count: int) -> int:
    """Return how many neighbouring blocks are drawn together."""
    return round(math.pow(count, 1 / 3))


def _log_ratio(a: Times, b: Times, *, q: float) -> float:
    return math.log(float(np.quantile(b, q)) / float(np.quantile(a, q)))


def _log_ratios(a: Times, b: Times, *, q: float, rng: np.random.Generator) -> Times:
    """Return the logarithm of the ratio of each resample, shape (resamples,)."""
    run = _run(len(a))
    offsets = np.arange(run)
    found = []
    for _ in range(_RESAMPLES // _AT_ONCE):
        starts = rng.integers(len(a), size=(_AT_ONCE, math.ceil(len(a) / run), 1))
        drawn = ((starts + offsets) % len(a)).reshape(_AT_ONCE, -1)[:, : len(a)]
        upper, lower = (
            np.quantile(times[drawn].reshape(_AT_ONCE, -1), q, axis=1) for times in (b, a)
        )
        found.append(np.log(upper / lower))
    return np.concatenate(found)


def _paired(reference: ArrayLike, candidate: ArrayLike, *, level: float) -> tuple[Times, Times]:
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
