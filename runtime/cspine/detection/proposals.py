"""Proposals: the boxes of one image that are likely to hold something."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from cspine.detection.boxes import Floats, at_least, clip, decode
from cspine.detection.nms import Indices, suppress
from cspine.detection.spec import DetectorSpec


def propose(objectness: Floats, deltas: Floats, anchors: Floats, spec: DetectorSpec) -> Floats:
    """Return the proposals of one image, the best first.

    Parameters
    ----------
    objectness
        Logits, shape (anchors,), in the order of :func:`cspine.detection.anchors.all_anchors`.
    deltas
        Shape (anchors, 4).
    anchors
        Shape (anchors, 4).

    Returns
    -------
    ndarray
        Shape (proposals, 4), within the image; there may be none.
    """
    limits = spec.proposals
    ends = np.cumsum([0, *(anchors.count for anchors in spec.anchors)])
    best = [
        start + _best(objectness[start:end], limits.before_nms) for start, end in pairwise(ends)
    ]
    maps = np.repeat(np.arange(len(best)), [len(chosen) for chosen in best])
    chosen = np.concatenate(best)
    boxes = decode(deltas[chosen, None], anchors[chosen], weights=limits.weights)[:, 0]
    boxes = clip(boxes, spec.size_px)
    with np.errstate(over="ignore"):  # the score of a logit below -88 is 0
        scores = 1 / (1 + np.exp(-objectness[chosen]))
    fit = at_least(boxes, limits.minimum_side_px) & (scores >= limits.score_threshold)
    boxes, scores, maps = boxes[fit], scores[fit], maps[fit]
    kept = suppress(boxes, scores, maps, threshold=limits.nms_threshold)
    return np.asarray(boxes[kept[: limits.after_nms]])


def _best(scores: Floats, count: int) -> Indices:
    """Return the indices of the highest scores, the best first and the first of equal ones."""
    if count >= len(scores):
        return np.argsort(-scores, kind="stable")
    # Sorting fifty thousand to take one thousand would cost more than all the rest. INT8 gives
    # many anchors the same score, and which of them are taken must not depend on the machine.
    least = np.partition(scores, -count)[-count]
    above = np.flatnonzero(scores > least)
    chosen = np.concatenate([above, np.flatnonzero(scores == least)[: count - len(above)]])
    return chosen[np.argsort(-scores[chosen], kind="stable")]
