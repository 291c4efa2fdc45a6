"""Anchors: boxes of fixed sizes around every cell of every map of the pyramid."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from cspine.detection.spec import Anchors, DetectorSpec

Floats = npt.NDArray[np.float32]


@cache  # a bundle has one detector, which every slice asks for them
def all_anchors(spec: DetectorSpec) -> Floats:
    """Return the anchors of all maps, shape (anchors, 4), as x0, y0, x1, y1 in pixels.

    They stand in the order of the graph's outputs: map, row, column, aspect ratio, size. The array
    is shared, and not to be written to.
    """
    found = np.concatenate([_anchors(anchors) for anchors in spec.anchors])
    found.flags.writeable = False
    return found


def _anchors(anchors: Anchors) -> Floats:
    rows, columns = anchors.grid
    step_y, step_x = anchors.stride_px
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    places = np.stack([x * step_x, y * step_y] * 2, axis=-1).reshape(-1, 1, 4)
    return np.asarray(places + _around_origin(anchors), np.float32).reshape(-1, 4)


def _around_origin(anchors: Anchors) -> Floats:
    """Return the anchors of one cell, in whole pixels: so they were when it was trained."""
    tall = np.sqrt(np.array(anchors.aspect_ratios, np.float32))[:, None]
    sizes = np.array(anchors.sizes_px, np.float32)
    half = np.stack([1 / tall * sizes, tall * sizes], axis=-1).reshape(-1, 2) / 2
    return np.round(np.concatenate([-half, half], axis=1))
