"""The interval of any statistic, by drawing whole patients anew.

Cases of a patient stay together in a draw, so the interval holds whatever they share. It sees no
more than the patients at hand: where no draw changes the statistic it has no width to give, and
says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError
from cspine_bench.metrics.clustering import cluster_codes
from cspine_bench.metrics.interval import Interval, tail

Statistic = Callable[[NDArray[np.intp]], float]
Method = Literal["percentile", "bca"]

RESAMPLES = 2000

_ROUNDING = 1e-12  # of a sum in float64, whatever the order of its terms

_NORMAL = NormalDist()


def bootstrap_interval(
    statistic: Statistic,
    clusters: ArrayLike,
    *,
    seed: int,
    level: float = 0.95,
    method: Method = "bca",
    resamples: int = RESAMPLES,
) -> Interval:
    """Return the interval of a statistic over cases of which a patient may give several.

    Parameters
    ----------
    statistic
        Takes the numbers of the cases, shape (drawn cases,), a case as often as it was drawn, and
        returns the value; ``nan`` where these cases do not define it, as when they lack a class.
    clusters
        One identifier a case, shape (cases,), equal within a patient; integers or strings.
    seed
        Of the drawing: the same seed and cases give the same interval.
    level
        Nominal coverage.
    method
        ``"percentile"``, the quantiles of the draws; or ``"bca"``, those quantiles corrected for
        the bias and the skewness of the statistic, which at a few dozen patients is nearer to
        the level.
    resamples
        How many draws. Memory holds one draw at a time.

    Raises
    ------
    ModelError
        If the shapes differ, the statistic is undefined on all cases, no draw changes it, so many
        draws leave it undefined that an end may lie anywhere, or the patients are too few: even
        the extreme of them enclose a median at the level only if ``2**(1 - n) <= 1 - level``,
        which takes six for 0.95.
    ValueError
        If ``level`` is not strictly between 0 and 1, or the draws are too few to have its tails.

    Notes
    -----
    Efron, J Am Stat Assoc 1987;82:171: with ``z0`` the normal quantile of the share of draws below
    the value (ties half) and ``a`` the jackknife's ``sum(d**3) / (6 sum(d**2)**1.5)``, an end is
    the quantile at ``Phi(z0 + (z0 + z) / (1 - a (z0 + z)))`` of the draws. A draw that leaves the
    statistic undefined counts as beyond either end, which is the cautious side of both.
    """
    each = tail(level)
    if resamples * each < 1.0:
        raise ValueError(f"resamples: got {resamples}, expected at least {math.ceil(1 / each)}")
    members = _members(clusters)
    needed = math.ceil(-math.log2(each))
    if len(members) < needed:
        raise ModelError(
            f"clusters: got {len(members)}, expected at least {needed} for level {level}: "
            "add patients"
        )
    value = statistic(np.sort(np.concatenate(members)))
    if not math.isfinite(value):
        raise ModelError(f"statistic: got {value} on all cases, expected a finite value: add cases")
    draws = resampled(statistic, clusters, seed=seed, resamples=resamples)
    known = np.sort(draws[np.isfinite(draws)])
    if not known.size or known[-1] - known[0] <= _ROUNDING * abs(value):
        raise ModelError(
            f"statistic: got the same value in all {resamples} draws of patients, expected a "
            "spread: add patients, or bound what none of them showed"
        )
    ends = (each, 1.0 - each)
    if method == "bca":
        unknown = resamples - known.size
        # A draw of the value itself ties with it in whatever order it was summed.
        near = _ROUNDING * max(abs(value), float(np.ptp(known)))
        ties = np.searchsorted(known, [value - near, value + near])
        twice = int(ties.sum())
        below = (twice + unknown) / (2 * resamples)
        ends = _corrected(ends, below, _acceleration(statistic, members))
    beyond = np.full(resamples - known.size, math.inf)
    return Interval(
        _quantile(np.concatenate((-beyond, known)), ends[0]),
        _quantile(np.concatenate((known, beyond)), ends[1]),
        level,
    )


def resampled(
    statistic: Statistic, clusters: ArrayLike, *, seed: int, resamples: int
) -> NDArray[np.float64]:
    """Return the statistic of each draw of as many patients as there are, with replacement.

    Parameters
    ----------
    statistic, clusters, seed, resamples
        As for :func:`bootstrap_interval`.

    Returns
    -------
    ndarray
        Shape (resamples,), float64, in the order of the draws.
    """
    members = _members(clusters)
    rng = np.random.default_rng(seed)
    found = np.empty(resamples)
    for i in range(resamples):
        drawn = rng.integers(len(members), size=len(members))
        found[i] = statistic(np.concatenate([members[k] for k in drawn]))
    return found


def _members(clusters: ArrayLike) -> list[NDArray[np.intp]]:
    """Return the numbers of each cluster's cases."""
    ids = np.asarray(clusters)
    names, codes = cluster_codes(ids, (ids.size,))
    first = np.searchsorted(np.sort(codes), np.arange(1, names.size))
    return np.split(np.argsort(codes, kind="stable"), first)


def _acceleration(statistic: Statistic, members: list[NDArray[np.intp]]) -> float:
    """Return what the spread of the statistic changes with its value, by the jackknife."""
    without = np.array(
        [
            statistic(np.concatenate(members[:left_out] + members[left_out + 1 :]))
            for left_out in range(len(members))
        ]
    )
    if not np.isfinite(without).all():
        raise ModelError(
            "statistic: got no value without one of the patients, expected one: add patients"
        )
    d = without.mean() - without
    squares = float((d**2).sum())
    return float((d**3).sum()) / (6.0 * squares**1.5) if squares else 0.0


def _corrected(ends: tuple[float, float], below: float, acceleration: float) -> tuple[float, float]:
    if not 0.0 < below < 1.0:
        raise ModelError(
            f"statistic: got {'every' if below else 'no'} draw of patients below its value, "
            "expected some on either side: use the percentile method"
        )
    z0 = _NORMAL.inv_cdf(below)

    def corrected(end: float) -> float:
        z = z0 + _NORMAL.inv_cdf(end)
        room = 1.0 - acceleration * z
        # As the room shrinks the end runs out to the extreme draw, and stays there.
        return _NORMAL.cdf(z0 + (z / room if room > 0.0 else math.copysign(math.inf, z)))

    return corrected(ends[0]), corrected(ends[1])


def _quantile(ordered: NDArray[np.float64], q: float) -> float:
    """Return a quantile, linear between the two draws about it."""
    at = q * (ordered.size - 1)
    low, high = float(ordered[math.floor(at)]), float(ordered[math.ceil(at)])
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ModelError(
            "statistic: got too many draws of patients that leave it undefined, expected fewer "
            "than a tail holds: add patients"
        )
    return low + (at - math.floor(at)) * (high - low)
