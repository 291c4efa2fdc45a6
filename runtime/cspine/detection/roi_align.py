"""RoIAlign: regions of a pyramid's maps as tensors of one size, by bilinear samples.

Mask R-CNN, He et al. 2017, section 3, without the later shift by half a cell (``aligned=False``);
which map a region is cut from: Feature Pyramid Networks, Lin et al. 2017, equation 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from cspine.detection.boxes import areas
from cspine.detection.spec import Regions

Floats = npt.NDArray[np.float32]


def levels(boxes: Floats, regions: Regions) -> npt.NDArray[np.intp]:
    """Return the index in ``regions.maps`` that each box, shape (boxes, 4), is cut from."""
    lowest, highest = (int(-np.log2(regions.scales[at])) for at in (0, -1))
    scale = np.sqrt(areas(boxes)) / np.float32(regions.canonical_scale_px)
    with np.errstate(divide="ignore"):  # a box without an area belongs to the finest map
        found = np.float32(regions.canonical_level) + np.log2(scale)
    # A box of just the scale that lies between two maps is on the coarser one.
    found = np.floor(found + np.float32(1e-6))
    return np.asarray(np.clip(found, lowest, highest) - lowest, np.intp)


def roi_align(maps: Sequence[Floats], boxes: Floats, regions: Regions) -> Floats:
    """Return one tensor a box, shape (boxes, channels, rows, columns).

    Parameters
    ----------
    maps
        By ``regions.maps``, each of shape (rows, columns, channels): channels last, so that all
        of a cell are taken at once.
    boxes
        Shape (boxes, 4), in pixels of the network's input.
    regions
        The size of the tensors, and how boxes are sampled.
    """
    made = np.empty((len(boxes), regions.channels, *regions.size), np.float32)
    level = levels(boxes, regions)
    for index, (cells, scale) in enumerate(zip(maps, regions.scales, strict=True)):
        chosen = np.flatnonzero(level == index)
        ends = boxes[chosen] * np.float32(scale)
        # An interpolation is linear along each axis: two small matrices a region do it.
        down, rows = _matrices(ends[:, 1::2], cells.shape[0], regions.size[0], regions)
        across, columns = _matrices(ends[:, ::2], cells.shape[1], regions.size[1], regions)
        for at, (top, bottom), (left, right), y, x in zip(
            chosen, rows, columns, down, across, strict=True
        ):
            strips = x[:, left:right] @ cells[top:bottom, left:right]
            cut = y[:, top:bottom] @ strips.reshape(bottom - top, -1)
            # In half the time that NumPy takes to copy across.
            cv2.transpose(
                cut.reshape(-1, regions.channels), dst=made[at].reshape(regions.channels, -1)
            )
    return made


def _matrices(
    ends: Floats, cells: int, bins: int, regions: Regions
) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Return what each bin takes from each cell along one axis, and which cells are used.

    Parameters
    ----------
    ends
        Shape (boxes, 2): where a box begins and ends, in cells.

    Returns
    -------
    tuple of ndarray
        Shares, shape (boxes, bins, cells), and the first used cell and the one after the last,
        shape (boxes, 2).
    """
    start, length = ends[:, :1], np.maximum(ends[:, 1:] - ends[:, :1], np.float32(1))
    step = length / np.float32(bins)
    samples = (
        np.ceil(step) if regions.sampling_ratio == 0 else np.full_like(step, regions.sampling_ratio)
    )
    bin_start = start + np.arange(bins, dtype=np.float32) * step
    made = np.zeros((len(ends), bins, cells), np.float32)
    for sample in range(int(samples.max(initial=0))):
        place = bin_start + np.float32(sample + 0.5) * step / samples
        # Up to one cell beyond the border the border counts, and nothing does further out.
        used = (place >= -1) & (place <= cells) & (sample < samples)
        place = np.clip(place, 0, cells - 1)
        share = np.float32(1) - np.abs(place[..., None] - np.arange(cells, dtype=np.float32))
        made += np.maximum(share, 0) * (used / samples)[..., None]
    touched = np.asarray(made.any(axis=1))
    window = np.stack([touched.argmax(axis=1), cells - touched[:, ::-1].argmax(axis=1)], axis=1)
    return made, window
