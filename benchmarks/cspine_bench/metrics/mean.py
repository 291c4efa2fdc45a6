"""The interval of a mean over cases of which a patient may give several."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from cspine.errors import ModelError
from cspine_bench.metrics.clustering import cluster_codes
from cspine_bench.metrics.distributions import t_quantile
from cspine_bench.metrics.interval import Interval
from cspine_bench.metrics.skewness import skewed_interval, skewness_of_sum


def clustered_mean(values: ArrayLike, clusters: ArrayLike, *, level: float = 0.95) -> Interval:
    """Return the interval of a mean by Student's t, corrected for skewness.

    Parameters
    ----------
    values
        Finite, one a case, shape (cases,).
    clusters
        One identifier a case, shape (cases,), equal within a patient; integers or strings.
    level
        Nominal coverage.

    Returns
    -------
    Interval
        A point if all values are equal: what no case showed is not in it.

    Raises
    ------
    ModelError
        If the lengths differ, a value is not finite, or there are fewer than two clusters, which
        leaves the variance unknown.
    ValueError
        If ``level`` is not strictly between 0 and 1.

    Notes
    -----
    The variance is that of a ratio of two sums over the ``n`` clusters, as in
    :func:`~cspine_bench.metrics.proportion.clustered_wilson`: ``n / (n - 1) * sum(d**2) /
    cases**2`` with ``d`` the deviations of a cluster's values from the mean, summed. Clusters of
    one case give the usual standard error. Student's t has ``n - 1`` degrees of freedom; the end on
    the side of the long tail is Hall's (:mod:`cspine_bench.metrics.skewness`).
    """
    array = np.asarray(values, np.float64)
    names, codes = cluster_codes(clusters, array.shape)
    if not np.isfinite(array).all():
        raise ModelError("values: got one that is not finite, expected finite values")
    if names.size < 2:
        raise ModelError(
            f"clusters: got {names.size}, expected at least 2: a variance between patients needs "
            "more patients"
        )
    mean = math.fsum(array) / array.size
    deviations = np.bincount(codes, weights=array - mean).astype(np.float64)
    variance = names.size / (names.size - 1) * float((deviations**2).sum()) / array.size**2
    return skewed_interval(
        mean,
        math.sqrt(variance),
        skewness_of_sum(deviations),
        quantile=t_quantile(level, names.size - 1),
        level=level,
    )
