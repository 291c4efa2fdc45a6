"""Agreement over classes, from a confusion matrix.

A matrix has the truth in its rows and the prediction in its columns; classes keep one order on
both axes, which for ordinal grades is their rank: ``matrix[i, j]`` counts the cases of class
``i`` that were called ``j``.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError
from cspine_bench.metrics.clustering import cluster_codes
from cspine_bench.metrics.interval import Interval, normal_quantile
from cspine_bench.metrics.proportion import clopper_pearson_upper

Weights = Literal["none", "linear", "quadratic"]


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, *, classes: int) -> NDArray[np.int64]:
    """Count the cases of each true class by what they were called.

    Parameters
    ----------
    truth, predicted
        One integer label a case, shape (cases,), from 0 to ``classes - 1``.
    classes
        How many classes there are, whether or not a case shows them.

    Returns
    -------
    ndarray
        Shape (classes, classes), int64, rows truth.

    Raises
    ------
    ModelError
        If the lengths differ, or a label is not an integer in that range.
    """
    rows = _labels(truth, "truth", classes=classes)
    columns = _labels(predicted, "predicted", classes=classes)
    if rows.size != columns.size:
        raise ModelError(
            f"confusion matrix: got {rows.size} true and {columns.size} predicted labels, "
            "expected one of each a case"
        )
    cells = np.bincount(rows * classes + columns, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def accuracy(matrix: ArrayLike) -> float:
    """Return the fraction of cases on the diagonal; ``nan`` for a matrix without a case.

    Raises
    ------
    ModelError
        If the matrix is not square or holds a negative or non-finite count.
    """
    counts = _square(matrix)
    return _ratio(float(np.trace(counts)), float(counts.sum()))


def kappa(matrix: ArrayLike, *, weights: Weights = "none") -> float:
    """Return Cohen's kappa, ``1 - sum(w * observed) / sum(w * expected)``.

    Parameters
    ----------
    matrix
        Counts, shape (classes, classes).
    weights
        How heavily a disagreement between classes ``i`` and ``j`` counts: ``"none"`` 1 for any,
        ``"linear"`` their distance in ranks, ``"quadratic"`` its square. The last two are for
        ordered grades.

    Returns
    -------
    float
        At most 1. ``nan`` if chance leaves nothing to disagree on: no case, or truth and
        prediction each in one and the same class.

    Raises
    ------
    ModelError
        If the matrix is not square or holds a negative or non-finite count.

    Notes
    -----
    Cohen, Psychol Bull 1968;70:213. With two classes all three weightings agree.
    """
    counts = _square(matrix)
    weight = _weight(len(counts), weights)
    # Cross-multiplied by the case count, so that no case at all is 0 / 0 like the rest.
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0))
    observed = counts.sum() * counts
    return 1.0 - _ratio(float((weight * observed).sum()), float((weight * expected).sum()))


def kappa_interval(
    matrix: ArrayLike, *, weights: Weights = "none", level: float = 0.95
) -> Interval:
    """Return the interval of :func:`kappa` over independent cases, one a patient.

    Parameters
    ----------
    matrix, weights
        As for :func:`kappa`.
    level
        Nominal coverage.

    Returns
    -------
    Interval
        Inside [-1, 1]. Where the standard error is zero, as at perfect agreement, it rests on what
        ``n`` cases cannot exclude: that a fraction ``1 - ((1 - level) / 2)**(1 / n)`` would be
        called otherwise, at the largest weight.

    Raises
    ------
    ModelError
        If the matrix is not square or holds a negative or non-finite count, or kappa is undefined.
    ValueError
        If ``level`` is not strictly between 0 and 1.

    Notes
    -----
    Fleiss, Cohen & Everitt, Psychol Bull 1969;72:323, the large-sample variance that does not
    suppose kappa to be zero.
    """
    counts = _square(matrix)
    influence = kappa_influence(counts, weights=weights)
    cases = float(counts.sum())
    variance = float((counts * influence**2).sum()) / cases**2
    return _kappa_interval(counts, variance, weights=weights, units=int(cases), level=level)


def clustered_kappa_interval(
    truth: ArrayLike,
    predicted: ArrayLike,
    clusters: ArrayLike,
    *,
    classes: int,
    weights: Weights = "none",
    level: float = 0.95,
) -> Interval:
    """Return the interval of :func:`kappa` over cases of which a patient may give several.

    Parameters
    ----------
    truth, predicted, classes
        As for :func:`confusion_matrix`.
    clusters
        One identifier a case, shape (cases,), equal within a patient; integers or strings.
    weights, level
        As for :func:`kappa_interval`; where the standard error is zero, ``n`` counts patients.

    Raises
    ------
    ModelError
        If the lengths differ, a label is out of range, kappa is undefined, or there are fewer
        than two clusters, which leaves its variance unknown.
    ValueError
        If ``level`` is not strictly between 0 and 1.

    Notes
    -----
    The variance of :func:`kappa_interval` is the mean square of what each case adds to kappa; here
    the cases of a patient are added up first, with the factor ``n / (n - 1)`` of ``n`` patients.
    """
    counts = confusion_matrix(truth, predicted, classes=classes).astype(np.float64)
    rows, columns = np.asarray(truth, np.intp), np.asarray(predicted, np.intp)
    names, codes = cluster_codes(clusters, rows.shape)
    if names.size < 2:
        raise ModelError(
            f"clusters: got {names.size}, expected at least 2: a variance between patients needs "
            "more patients"
        )
    added = kappa_influence(counts, weights=weights)
    of_patient = np.bincount(codes, weights=added[rows, columns])
    variance = names.size / (names.size - 1) * float((of_patient**2).sum()) / rows.size**2
    return _kappa_interval(counts, variance, weights=weights, units=names.size, level=level)


def kappa_influence(matrix: ArrayLike, *, weights: Weights = "none") -> NDArray[np.float64]:
    """Return what a case of each cell adds to :func:`kappa`, of mean zero over the cases.

    Parameters
    ----------
    matrix, weights
        As for :func:`kappa`.

    Returns
    -------
    ndarray
        Shape (classes, classes), float64: the influence function, of which the variance of
        :func:`kappa_interval` is the mean square.

    Raises
    ------
    ModelError
        If the matrix is not square or holds a negative or non-finite count, or kappa is undefined.
    """
    counts = _square(matrix)
    share = counts / (float(counts.sum()) or 1.0)
    weight = _weight(len(counts), weights)
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    observed, expected = float((weight * share).sum()), float(rows @ weight @ columns)
    if expected == 0.0:
        raise ModelError(
            "kappa: got truth and prediction in one and the same class, or no case, expected "
            "something to disagree on: add cases"
        )
    of_cell = (weight @ columns)[:, None] + rows @ weight - 2.0 * expected
    return np.asarray((observed - weight) / expected + observed * of_cell / expected**2)


def macro_f1(matrix: ArrayLike) -> float:
    """Return the unweighted mean of the F1 of each class.

    A class that neither truth nor prediction shows has no F1 and is left out of the mean; one
    that only either shows counts as 0. ``nan`` for a matrix without a case.

    Raises
    ------
    ModelError
        If the matrix is not square or holds a negative or non-finite count.
    """
    counts = _square(matrix)
    shown = counts.sum(axis=0) + counts.sum(axis=1)
    f1 = 2.0 * np.diag(counts)[shown > 0] / shown[shown > 0]
    return _ratio(float(f1.sum()), float(f1.size))


def _weight(classes: int, weights: Weights) -> NDArray[np.float64]:
    rank = np.arange(classes)
    distance = np.abs(rank[:, None] - rank)
    chosen = {"none": distance > 0, "linear": distance, "quadratic": distance**2}[weights]
    return np.asarray(chosen, dtype=np.float64)


def _kappa_interval(
    counts: NDArray[np.float64], variance: float, *, weights: Weights, units: int, level: float
) -> Interval:
    value = kappa(counts, weights=weights)
    if variance > 1e-24:  # rounding leaves less
        half = normal_quantile(level) * math.sqrt(variance)
    else:
        weight = _weight(len(counts), weights)
        expected = counts.sum(axis=1) @ weight @ counts.sum(axis=0) / counts.sum() ** 2
        half = clopper_pearson_upper(0, units, level=level) * float(weight.max() / expected)
    return Interval(max(-1.0, value - half), min(1.0, value + half), level)


def _square(matrix: ArrayLike) -> NDArray[np.float64]:
    counts = np.asarray(matrix, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ModelError(f"confusion matrix: got shape {counts.shape}, expected (classes, classes)")
    if not np.isfinite(counts).all() or (counts < 0).any():
        raise ModelError("confusion matrix: got a negative or non-finite count, expected counts")
    return counts


def _labels(values: ArrayLike, name: str, *, classes: int) -> NDArray[np.int64]:
    labels = np.asarray(values)
    if labels.ndim != 1 or not (labels.size == 0 or np.issubdtype(labels.dtype, np.integer)):
        raise ModelError(
            f"confusion matrix, {name}: got {labels.dtype.name} {labels.shape}, "
            "expected integer labels of shape (cases,)"
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ModelError(
            f"confusion matrix, {name}: got labels from {labels.min()} to {labels.max()}, "
            f"expected 0 to {classes - 1}"
        )
    return labels.astype(np.int64)


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")
