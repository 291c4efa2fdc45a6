"""Correlation of two measurements, and of their ranks, with intervals.

An interval either leaves out one patient at a time, and then takes several cases of one, or has
the closed form of independent cases. Correlation is no agreement: a reader who measures twice the
truth has a perfect one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError
from cspine_bench.metrics.clustering import cluster_codes
from cspine_bench.metrics.interval import Interval, normal_quantile

Correlation = Callable[[NDArray[np.float64], NDArray[np.float64]], float]


def pearson(a: ArrayLike, b: ArrayLike) -> float:
    """Return Pearson's product-moment correlation.

    Parameters
    ----------
    a, b
        Finite, one a case, shape (cases,).

    Returns
    -------
    float
        In [-1, 1]; ``nan`` if either has one value only.

    Raises
    ------
    ModelError
        If the shapes differ or a value is not finite.
    """
    return _pearson(*_pair(a, b))


def pearson_interval(
    a: ArrayLike, b: ArrayLike, *, clusters: ArrayLike, level: float = 0.95
) -> Interval | None:
    """Return an interval of :func:`pearson`, as :func:`spearman_interval` does.

    Parameters
    ----------
    a, b, clusters, level
        As for :func:`spearman_interval`.

    Returns
    -------
    Interval or None
        ``None`` as from :func:`spearman_interval`.

    Raises
    ------
    ModelError, ValueError
        As :func:`spearman_interval`.
    """
    return _jackknife(pearson, *_pair(a, b), clusters=clusters, level=level)


def fisher_interval(r: float, cases: int, *, level: float = 0.95) -> Interval:
    """Return Fisher's interval of Pearson's correlation of independent, normal pairs.

    Parameters
    ----------
    r
        What :func:`pearson` returned, strictly between -1 and 1.
    cases
        How many pairs, four or more.
    level
        Nominal coverage.

    Raises
    ------
    ModelError
        If ``r`` is undefined or perfect, which leaves the interval no width, or ``cases`` too few.
    ValueError
        If ``level`` is not strictly between 0 and 1.

    Notes
    -----
    Fisher, Metron 1921;1:3: ``atanh(r)`` has the standard error ``1 / sqrt(cases - 3)``.
    """
    return _on_fishers_scale(r, cases, 1.0, level=level)


def bonett_wright_interval(rho: float, cases: int, *, level: float = 0.95) -> Interval:
    """Return Bonett and Wright's interval of Spearman's correlation of independent pairs.

    Parameters
    ----------
    rho
        What :func:`spearman` returned, strictly between -1 and 1.
    cases, level
        As for :func:`fisher_interval`.

    Raises
    ------
    ModelError, ValueError
        As :func:`fisher_interval`.

    Notes
    -----
    Bonett & Wright, Psychometrika 2000;65:23: Fisher's, with the variance times
    ``1 + rho**2 / 2``. Good to a correlation of 0.95, and for grades with few ties.
    """
    return _on_fishers_scale(rho, cases, 1.0 + rho**2 / 2.0, level=level)


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Return Spearman's rank correlation, ties at their midrank.

    Parameters
    ----------
    a, b
        Finite, one a case, shape (cases,).

    Returns
    -------
    float
        In [-1, 1]; ``nan`` if either has one value only.

    Raises
    ------
    ModelError
        If the shapes differ or a value is not finite.
    """
    left, right = _pair(a, b)
    return _pearson(_ranks(left), _ranks(right))


def spearman_interval(
    a: ArrayLike, b: ArrayLike, *, clusters: ArrayLike, level: float = 0.95
) -> Interval | None:
    """Return an interval of :func:`spearman`, normal on Fisher's scale so that it stays in (-1, 1).

    The standard error is the jackknife's that leaves out one patient at a time.

    Parameters
    ----------
    a, b
        As for :func:`spearman`.
    clusters
        One identifier a case, shape (cases,), equal within a patient; integers or strings.
    level
        Nominal coverage.

    Returns
    -------
    Interval or None
        ``None`` where nothing is known of the spread: fewer than three patients, or a correlation
        that is undefined or perfect, with all patients or without one of them.

    Raises
    ------
    ModelError
        As :func:`spearman`, or if the shape of ``clusters`` differs.
    ValueError
        If ``level`` is not strictly between 0 and 1.

    Notes
    -----
    Efron & Stein, Ann Stat 1981;9:586, on ``atanh(rho)``. Simulated at 40 patients of six cases,
    a correlation of 0.68 and a quarter of the variance between patients, an interval of 0.95
    covers 0.95.
    """
    return _jackknife(spearman, *_pair(a, b), clusters=clusters, level=level)


def _jackknife(
    correlation: Correlation,
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    *,
    clusters: ArrayLike,
    level: float,
) -> Interval | None:
    names, codes = cluster_codes(clusters, left.shape)
    if names.size < 3:
        return None
    kept = [codes != patient for patient in range(names.size)]
    without = [correlation(left[others], right[others]) for others in kept]
    correlations = np.array([correlation(left, right), *without])
    if not (np.abs(correlations) < 1 - 1e-12).all():  # written so that nan is caught too
        return None
    scale = np.arctanh(correlations)
    spread = scale[1:] - scale[1:].mean()
    error = math.sqrt((names.size - 1) / names.size * float((spread**2).sum()))
    half = normal_quantile(level) * error
    return Interval(math.tanh(scale[0] - half), math.tanh(scale[0] + half), level)


def _on_fishers_scale(value: float, cases: int, factor: float, *, level: float) -> Interval:
    if not -1.0 < value < 1.0:  # written so that nan is caught too
        raise ModelError(
            f"correlation: got {value}, expected one between -1 and 1: one that is perfect or "
            "undefined says nothing of its spread"
        )
    if cases < 4:
        raise ModelError(f"correlation: got {cases} cases, expected at least 4: add cases")
    half = normal_quantile(level) * math.sqrt(factor / (cases - 3))
    scale = math.atanh(value)
    return Interval(math.tanh(scale - half), math.tanh(scale + half), level)


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if left.ndim != 1 or left.shape != right.shape:
        raise ModelError(
            f"correlation: got shapes {left.shape} and {right.shape}, expected (cases,) twice"
        )
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise ModelError("correlation: got a value that is not finite, expected finite values")
    return left, right


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return twice the midranks, less one."""
    ordered = np.sort(values)
    twice = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return twice.astype(np.float64)


def _pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if not a.size or np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return math.nan
    left, right = _unit(a), _unit(b)
    return max(-1.0, min(1.0, float(left @ right)))


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the deviations from the mean, of length 1."""
    # The largest is taken out first, so that no square overflows or vanishes.
    deviations = values - values.mean()
    deviations /= np.abs(deviations).max()
    return np.asarray(deviations / math.sqrt(float(deviations @ deviations)))
