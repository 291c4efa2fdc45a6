"""What one of two predictions of the same cases adds to Cohen's kappa over the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine_bench.metrics.agreement import Weights, confusion_matrix, kappa, kappa_influence


def kappa_changes(
    truth: ArrayLike, before: ArrayLike, after: ArrayLike, *, classes: int, weights: Weights
) -> NDArray[np.float64]:
    """Return one number a case, whose mean is the second kappa less the first.

    Kappa is no mean over cases. To first order it behaves as one, of what each case adds to it
    (:func:`~cspine_bench.metrics.agreement.kappa_influence`); so an interval of the mean of these,
    clustered by patient (:func:`~cspine_bench.metrics.mean.clustered_mean`), is one of the
    difference, and keeps that both predictions are of the same cases.

    Parameters
    ----------
    truth, before, after
        One integer label a case, shape (cases,), from 0 to ``classes - 1``.
    classes
        How many classes there are.
    weights
        As for :func:`~cspine_bench.metrics.agreement.kappa`.

    Returns
    -------
    ndarray
        Shape (cases,), float64; all zero if the two predict the same.

    Raises
    ------
    ModelError
        If the lengths differ, a label is out of range, or either kappa is undefined.
    """
    rows = np.asarray(truth, np.intp)
    found = []
    for called in (before, after):
        matrix = confusion_matrix(truth, called, classes=classes)
        added = kappa_influence(matrix, weights=weights)
        found.append(kappa(matrix, weights=weights) + added[rows, np.asarray(called, np.intp)])
    return found[1] - found[0]
