"""Intervals of F1 and of macro F1, clustered by patient."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError
from cspine_bench.metrics.agreement import confusion_matrix, macro_f1
from cspine_bench.metrics.bootstrap import bootstrap_interval
from cspine_bench.metrics.interval import Interval, tail
from cspine_bench.metrics.labels import as_binary
from cspine_bench.metrics.proportion import clustered_wilson


def f1_interval(
    truth: ArrayLike, decision: ArrayLike, *, clusters: ArrayLike, level: float = 0.95
) -> Interval:
    """Return the interval of F1, that of :attr:`cspine_bench.metrics.binary.Confusion.f1`.

    Parameters
    ----------
    truth, decision
        0 or 1 (or booleans) a case, shape (cases,), 1 for the positive class.
    clusters
        One identifier a case, shape (cases,), equal within a patient; integers or strings.
    level
        Nominal coverage.

    Returns
    -------
    Interval
        Inside [0, 1], with a positive width even where F1 is 0 or 1.

    Raises
    ------
    ModelError
        If the lengths differ, a value is neither 0 nor 1, or no case is positive in truth or
        decision, which leaves F1 undefined.
    ValueError
        If ``level`` is not strictly between 0 and 1.

    Notes
    -----
    Of the cases that are positive in truth or decision, ``J = tp / (tp + fp + fn)`` are so in
    both; ``F1 = 2 J / (1 + J)`` rises with it, and takes the ends of the interval of ``J``
    (:func:`~cspine_bench.metrics.proportion.clustered_wilson`) with it.
    """
    positive, called = as_binary(truth, name="truth"), as_binary(decision, name="decision")
    ids = _paired(positive, called, clusters)
    either = positive | called
    if not either.any():
        raise ModelError(
            "F1: got no case that is positive in truth or decision, expected one: add cases"
        )
    share = clustered_wilson((positive & called)[either], ids[either], level=level)
    low, high = (2.0 * end / (1.0 + end) for end in (share.low, share.high))
    return Interval(low, high, level)


def macro_f1_interval(
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    classes: int,
    clusters: ArrayLike,
    seed: int,
    level: float = 0.95,
) -> Interval:
    """Return the interval of :func:`~cspine_bench.metrics.agreement.macro_f1`, by BCa bootstrap.

    Parameters
    ----------
    truth, predicted
        One integer label a case, shape (cases,), from 0 to ``classes - 1``.
    classes
        How many classes there are.
    clusters
        As for :func:`f1_interval`.
    seed
        Of the bootstrap.
    level
        Nominal coverage.

    Returns
    -------
    Interval
        If every case is called right, or every one wrong, no draw of patients says how rare the
        other is. The interval is then the mean of the :func:`f1_interval` of each class that a
        case shows, at a level that holds for all of them at once (Bonferroni), and its other end
        is the estimate.

    Raises
    ------
    ModelError
        If the lengths differ, a label is out of range, there is no case, or as
        :func:`~cspine_bench.metrics.bootstrap.bootstrap_interval` does.
    ValueError
        If ``level`` is not strictly between 0 and 1.
    """
    whole = confusion_matrix(truth, predicted, classes=classes)
    rows, columns = np.asarray(truth), np.asarray(predicted)
    ids = _paired(rows, columns, clusters)
    right = int(np.trace(whole))
    if whole.sum() and right in (0, int(whole.sum())):
        shown = np.flatnonzero(whole.sum(axis=0) + whole.sum(axis=1))
        each = 1.0 - 2.0 * tail(level) / shown.size
        of_class = [
            f1_interval(rows == label, columns == label, clusters=ids, level=each)
            for label in shown
        ]
        low = float(np.mean([interval.low for interval in of_class]))
        high = float(np.mean([interval.high for interval in of_class]))
        return Interval(low, high, level)

    def of(cases: NDArray[np.intp]) -> float:
        return macro_f1(confusion_matrix(rows[cases], columns[cases], classes=classes))

    return bootstrap_interval(of, ids, seed=seed, level=level)


def _paired(
    truth: NDArray[np.generic], called: NDArray[np.generic], clusters: ArrayLike
) -> NDArray[np.generic]:
    ids = np.asarray(clusters)
    if not truth.shape == called.shape == ids.shape:
        raise ModelError(
            f"F1: got {truth.size} true, {called.size} called and {ids.size} clusters, expected "
            "one of each a case"
        )
    return ids
