"""Greedy suppression of boxes that overlap a better one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cspine.detection.boxes import Floats, overlaps

Indices = npt.NDArray[np.intp]

# Rows of one matrix of overlaps: small enough for a cache, and most of a map's candidates are
# gone before they are compared with each other.
_BLOCK = 128


def suppress(
    boxes: Floats, scores: Floats, groups: npt.NDArray[np.integer], *, threshold: float
) -> Indices:
    """Return the boxes that no better one of their group overlaps by more than the threshold.

    Parameters
    ----------
    boxes
        Shape (boxes, 4), each with an area.
    scores
        Shape (boxes,); of two equal ones the first is better.
    groups
        Shape (boxes,): maps or labels; boxes of different ones leave each other alone.
    threshold
        Intersection over union that is still allowed.

    Returns
    -------
    ndarray
        Indices, the best first.
    """
    # OpenCV's NMSBoxesBatched does not fit: it compares a box with those of every group, which
    # takes three times as long on five maps of a thousand; it drops scores that are 0, as a
    # sigmoid gives; and it cannot be told what comes first among equals.
    order = np.argsort(-scores, kind="stable")
    kept = np.zeros(len(boxes), np.bool_)
    for group in np.unique(groups):
        members = order[groups[order] == group]
        kept[members[_greedy(boxes[members], threshold)]] = True
    return order[kept[order]]


def _greedy(boxes: Floats, threshold: float) -> Indices:
    """Return which boxes stay, of one group with the best first."""
    kept = np.empty(0, np.intp)
    for start in range(0, len(boxes), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(boxes)))
        block = block[~(overlaps(boxes[kept], boxes[block]) > threshold).any(axis=0)]
        over = overlaps(boxes[block], boxes[block]) > threshold
        stays = np.ones(len(block), np.bool_)
        for index in range(len(block)):
            if stays[index]:
                stays[index + 1 :] &= ~over[index, index + 1 :]
        kept = np.concatenate([kept, block[stays]])
    return kept
