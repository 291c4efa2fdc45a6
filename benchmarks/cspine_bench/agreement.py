"""Agreement over classes, from a confusion matrix.

A matrix has the truth in its rows and the prediction in its columns; classes keep one order on
both axes, which for ordinal grades is their rank: ``matrix[i, j]`` counts the cases of class
``i`` that were called ``j``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError

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
    rank = np.arange(len(counts))
    distance = np.abs(rank[:, None] - rank)
    weight = {"none": distance > 0, "linear": distance, "quadratic": distance**2}[weights]
    # Cross-multiplied by the case count, so that no case at all is 0 / 0 like the rest.
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0))
    observed = counts.sum() * counts
    return 1.0 - _ratio(float((weight * observed).sum()), float((weight * expected).sum()))


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
