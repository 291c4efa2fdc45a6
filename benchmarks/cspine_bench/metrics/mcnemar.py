"""Two models' decisions on the same cases: which change, how many, and whether that is chance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError
from cspine_bench.metrics.clustering import cluster_codes
from cspine_bench.metrics.interval import Interval, normal_quantile
from cspine_bench.metrics.labels import as_binary
from cspine_bench.metrics.mean import clustered_mean
from cspine_bench.metrics.paired import tango_interval


@dataclass(frozen=True)
class PairedDecisions:
    """Successes of two models on the same cases.

    Attributes
    ----------
    both, gained, lost, neither
        Cases in which both succeed, the candidate alone, the reference alone, and neither.
    difference
        Share of successes, candidate less reference.
    interval
        Of the difference.
    exact_p, mid_p
        McNemar's, over patients by whether they gain or lose on the whole.
    """

    both: int
    gained: int
    lost: int
    neither: int
    difference: float
    interval: Interval
    exact_p: float
    mid_p: float


def paired_decisions(
    reference: ArrayLike, candidate: ArrayLike, *, clusters: ArrayLike, level: float = 0.95
) -> PairedDecisions:
    """Compare the successes of two models.

    Parameters
    ----------
    reference, candidate
        0 or 1 (or booleans) a case, shape (cases,), 1 for a success: a right decision for
        accuracy, a positive one over the positive cases for sensitivity, a negative one over the
        negative cases for specificity. A refused case is none.
    clusters
        One identifier a case, shape (cases,), equal within a patient; integers or strings.
    level
        Nominal coverage of the interval.

    Raises
    ------
    ModelError
        If the lengths differ, a value is neither 0 nor 1, or there is no case.
    ValueError
        If ``level`` is not strictly between 0 and 1.

    Notes
    -----
    The cases are worth as many independent ones as have the variance that the difference has
    between patients (Rao & Scott, as in
    :func:`~cspine_bench.metrics.proportion.clustered_wilson`), never more than there are; if all
    change alike, or none does, each patient counts once. For one case a patient it is Tango's
    interval itself.

    A few changes say little of how the cases of a patient change together. So where patients give
    several, the interval is no narrower than that of the mean change between patients
    (:func:`~cspine_bench.metrics.mean.clustered_mean`), and neither end is nearer than what no
    patient showed: ``square / (patients + square)``, where Tango's ends if nothing changes, with
    ``square`` that of the normal quantile. So one more lost case never makes it better.

    The test takes a patient's net change as one sign, of which either is as likely where neither
    model is better, however the cases of a patient depend on each other; for one case a patient it
    is McNemar's.
    """
    before = as_binary(reference, name="reference")
    after = as_binary(candidate, name="candidate")
    if before.size != after.size or not before.size:
        raise ModelError(
            f"candidate: got {after.size} cases, expected {before.size} as in reference, and a case"
        )
    names, codes = cluster_codes(clusters, before.shape)
    change = after.astype(np.float64) - before
    gained, lost = int((change > 0).sum()), int((change < 0).sum())
    net = np.bincount(codes, weights=change)
    exact, mid = mcnemar(int((net > 0).sum()), int((net < 0).sum()))
    scale = _worth(change, codes, names.size) / before.size
    changed = gained * scale + lost * scale
    # Summed, as rounding must not leave more changes than cases.
    worth = changed + (before.size - gained - lost) * scale
    return PairedDecisions(
        both=int((before & after).sum()),
        gained=gained,
        lost=lost,
        neither=int((~before & ~after).sum()),
        difference=(gained - lost) / before.size,
        interval=_widest(
            tango_interval(gained * scale, lost * scale, worth, level=level), change, codes
        ),
        exact_p=exact,
        mid_p=mid,
    )


def mcnemar(gained: int, lost: int) -> tuple[float, float]:
    """Return McNemar's two-sided p values, the exact one and the mid-p.

    Parameters
    ----------
    gained, lost
        Independent cases that change either way.

    Returns
    -------
    tuple of float
        Exact conditional p, which keeps its level whatever the counts, and mid-p, which is less
        timid. Both are 1 if no case changes.

    Raises
    ------
    ModelError
        If a count is negative.

    Notes
    -----
    Fagerland, Lydersen & Laake, BMC Med Res Methodol 2013;13:91.

    Examples
    --------
    >>> exact, mid = mcnemar(1, 7)
    >>> round(exact, 4), round(mid, 4)
    (0.0703, 0.0391)
    """
    if min(gained, lost) < 0:
        raise ModelError(f"changes: got {gained} and {lost}, expected counts of zero or more")
    total, fewer = gained + lost, min(gained, lost)
    if not total:
        return 1.0, 1.0
    at_most = sum(math.comb(total, k) for k in range(fewer + 1)) / 2**total
    point = math.comb(total, fewer) / 2**total
    if gained == lost:
        return 1.0, 1.0 - point / 2.0
    return 2.0 * at_most, 2.0 * at_most - point


def _widest(tango: Interval, change: NDArray[np.float64], codes: NDArray[np.intp]) -> Interval:
    """Return the interval, and where patients give several cases no less than they may hide."""
    patients = int(codes.max()) + 1
    if patients == change.size or patients < 2:
        return tango
    square = normal_quantile(tango.level) ** 2
    unseen = square / (patients + square)
    difference = float(change.mean())
    between = clustered_mean(change, codes, level=tango.level)
    return Interval(
        max(-1.0, min(tango.low, between.low, difference - unseen)),
        min(1.0, max(tango.high, between.high, difference + unseen)),
        tango.level,
    )


def _worth(change: NDArray[np.float64], codes: NDArray[np.intp], clusters: int) -> float:
    """Return how many independent cases these are worth."""
    deviations = change - change.mean()
    spread = float((deviations**2).mean())
    if clusters < 2 or spread == 0.0:
        return float(clusters)
    sums = np.bincount(codes, weights=deviations)
    variance = clusters / (clusters - 1) * float((sums**2).sum()) / change.size**2
    # Compared before dividing: patients who all change alike leave no variance.
    enough = variance * (change.size - 1) <= spread
    return float(change.size) if enough else 1.0 + spread / variance
