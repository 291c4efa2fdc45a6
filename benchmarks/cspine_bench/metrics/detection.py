"""Boxes: how much two overlap, which prediction finds which, and how many are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError
from cspine_bench.metrics.interval import Interval
from cspine_bench.metrics.proportion import clustered_wilson


@dataclass(frozen=True)
class Recall:
    """The share of true boxes that were found, its interval clustered by patient."""

    found: int
    boxes: int
    share: float
    interval: Interval


def iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return the intersection over union of each box with each other.

    Parameters
    ----------
    a, b
        Shapes (boxes of a, 4) and (boxes of b, 4): left, top, right, bottom, in one unit of
        length; edges, not pixels, so that a box from 3 to 5 is 2 wide.

    Returns
    -------
    ndarray
        Shape (boxes of a, boxes of b), float64, in [0, 1].

    Raises
    ------
    ModelError
        If a shape is another, an edge is not finite, or a box has no area.
    """
    first, second = _boxes(a)[:, None], _boxes(b)[None, :]
    corner = np.maximum(first[..., :2], second[..., :2])
    opposite = np.minimum(first[..., 2:], second[..., 2:])
    both = np.prod(np.maximum(opposite - corner, 0.0), axis=-1)
    areas = (np.prod(box[..., 2:] - box[..., :2], axis=-1) for box in (first, second))
    return np.asarray(both / (sum(areas) - both), dtype=np.float64)


def match(
    predicted: ArrayLike, scores: ArrayLike, truth: ArrayLike, *, at_iou: float
) -> NDArray[np.intp]:
    """Give each prediction, the surest first, the true box that it overlaps most.

    Each true box is given once, so a second prediction of it is a false one.

    Parameters
    ----------
    predicted
        Boxes of one image, shape (predictions, 4), as :func:`iou` takes them; may be empty.
    scores
        Finite, shape (predictions,); of equal scores the first goes first.
    truth
        Boxes of the same image, shape (true boxes, 4); may be empty.
    at_iou
        Least overlap that finds, above 0 and at most 1.

    Returns
    -------
    ndarray
        Shape (predictions,): number of the true box, or -1 of a prediction that finds none.

    Raises
    ------
    ModelError
        If a shape is another, an edge or a score is not finite, or a box has no area.
    ValueError
        If ``at_iou`` is out of range.
    """
    if not 0.0 < at_iou <= 1.0:
        raise ValueError(f"overlap: got {at_iou}, expected above 0 and at most 1, such as 0.5")
    overlap = iou(predicted, truth)
    order = np.asarray(scores, np.float64)
    if order.shape != overlap.shape[:1] or not np.isfinite(order).all():
        raise ModelError(
            f"scores: got shape {order.shape}, expected {overlap.shape[:1]}: a finite one a box"
        )
    given = np.full(order.size, -1, dtype=np.intp)
    if not overlap.size:
        return given
    for box in np.argsort(-order, kind="stable"):
        best = int(overlap[box].argmax())
        if overlap[box, best] >= at_iou:
            given[box] = best
            overlap[:, best] = -1.0
    return given


def box_recall(found: Sequence[ArrayLike], clusters: ArrayLike, *, level: float = 0.95) -> Recall:
    """Return how many of the true boxes of all images were found.

    Parameters
    ----------
    found
        One array an image, shape (true boxes of it,), of 0 or 1; ``np.isin(np.arange(true boxes),
        match(...))`` says it. All 0 for an image that was refused: what was not looked for was
        not found.
    clusters
        One identifier an image, shape (images,), equal within a patient; integers or strings.
    level
        Nominal coverage.

    Raises
    ------
    ModelError
        If the lengths differ, a value is neither 0 nor 1, or there is no true box.
    ValueError
        If ``level`` is not strictly between 0 and 1.
    """
    images, ids = [np.asarray(each) for each in found], np.asarray(clusters)
    if ids.shape != (len(images),):
        raise ModelError(
            f"clusters: got shape {ids.shape}, expected ({len(images)},): one an image"
        )
    every = np.concatenate([np.empty(0, np.bool_), *images])
    if not every.size:
        raise ModelError("found: got no true box, expected at least one: a recall is of something")
    interval = clustered_wilson(every, np.repeat(ids, [each.size for each in images]), level=level)
    return Recall(int(every.sum()), every.size, float(every.mean()), interval)


def _boxes(values: ArrayLike) -> NDArray[np.float64]:
    boxes = np.asarray(values, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ModelError(f"boxes: got shape {boxes.shape}, expected (boxes, 4)")
    if not np.isfinite(boxes).all() or not (boxes[:, :2] < boxes[:, 2:]).all():
        raise ModelError(
            "boxes: got one that is not finite or has no area, expected left < right, top < bottom"
        )
    return boxes
