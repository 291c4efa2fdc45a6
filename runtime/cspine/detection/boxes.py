"""Boxes as x0, y0, x1, y1 in pixels, float32: deltas applied, clipped, compared."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

LARGEST_LOG_SCALE = np.float32(np.log(1000 / 16))
"""A box grows to at most 62.5 times the side of its reference, whatever a network says."""


def decode(
    deltas: Floats, references: Floats, *, weights: tuple[float, float, float, float]
) -> Floats:
    """Return the boxes that deltas make of reference boxes.

    The centre moves by the first two deltas times the reference's sides, and the sides grow by
    the exponential of the other two: R-CNN, Girshick et al. 2014, appendix C.

    Parameters
    ----------
    deltas
        Shape (boxes, kinds, 4).
    references
        Shape (boxes, 4): anchors or proposals.
    weights
        What the deltas are divided by.

    Returns
    -------
    ndarray
        Shape (boxes, kinds, 4).
    """
    sides = references[:, None, 2:] - references[:, None, :2]
    centres = references[:, None, :2] + np.float32(0.5) * sides
    parts = deltas / np.array(weights, np.float32)
    middle = parts[..., :2] * sides + centres
    half = np.float32(0.5) * (np.exp(np.minimum(parts[..., 2:], LARGEST_LOG_SCALE)) * sides)
    return np.concatenate([middle - half, middle + half], axis=-1)


def clip(boxes: Floats, size_px: tuple[int, int]) -> Floats:
    """Return boxes, shape (..., 4), cut at the border of an image of (rows, columns)."""
    rows, columns = size_px
    return np.clip(boxes, np.float32(0), np.array([columns, rows] * 2, np.float32))


def at_least(boxes: Floats, side_px: float) -> npt.NDArray[np.bool_]:
    """Return which boxes, shape (..., 4), have no side shorter than `side_px`."""
    return np.asarray((boxes[..., 2:] - boxes[..., :2] >= side_px).all(axis=-1))


def areas(boxes: Floats) -> Floats:
    """Return the areas of boxes, shape (boxes, 4)."""
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def overlaps(a: Floats, b: Floats) -> Floats:
    """Return intersection over union of every box of (n, 4) and (m, 4), shape (n, m).

    Boxes must have an area, or 0 is divided by 0.
    """
    common = _common(a, b, axis=0)
    common *= _common(a, b, axis=1)
    return np.asarray(common / (areas(a)[:, None] + areas(b) - common))


def _common(a: Floats, b: Floats, *, axis: int) -> Floats:
    """Return the length that boxes share along x (0) or y (1)."""
    ends = np.minimum(a[:, None, axis + 2], b[:, axis + 2])
    ends -= np.maximum(a[:, None, axis], b[:, axis])
    return np.maximum(ends, 0, out=ends)
