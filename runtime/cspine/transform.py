"""From image to tensor and back: one affine map each way, one resampling.

Points are ``(x, y)`` = (column, row) in pixels, zero-based, at the centre of a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cspine.fields import Grey, Percentile, Window
from cspine.findings import Refused
from cspine.image import Floats, Image, Unit

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Affine:
    """A map of the plane, ``p -> matrix @ (x, y, 1)``.

    Attributes
    ----------
    matrix
        Shape (2, 3), float64.
    """

    matrix: npt.NDArray[np.float64]

    def __call__(self, points: npt.ArrayLike) -> Points:
        """Map points of shape (..., 2)."""
        mapped: Points = np.asarray(points, float) @ self.matrix[:, :2].T + self.matrix[:, 2]
        return mapped

    def __matmul__(self, first: Affine) -> Affine:
        """Return the map that applies ``first`` and then this one."""
        linear = self.matrix[:, :2] @ first.matrix[:, :2]
        return Affine(np.column_stack([linear, self(first.matrix[:, 2])]))

    @property
    def inverse(self) -> Affine:
        """The map back."""
        linear = np.linalg.inv(self.matrix[:, :2])
        return Affine(np.column_stack([linear, -linear @ self.matrix[:, 2]]))

    @property
    def scale(self) -> float:
        """Source pixels that one output pixel spans (geometric mean of both axes)."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))


def scaling(x: float, y: float) -> Affine:
    """Return the map that scales pixel grids: outer corners meet, not first centres."""
    return Affine(np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]]))


def zoom(factor: float) -> Affine:
    """Return the map that multiplies coordinates: first centres meet."""
    return Affine(np.array([[factor, 0.0, 0.0], [0.0, factor, 0.0]]))


def frame(
    shape: tuple[int, int],
    *,
    spacing_mm: tuple[float, float],
    size_px: tuple[int, int],
    to_mm: float,
) -> Affine:
    """Return the map from a tensor centred on an image to that image.

    Parameters
    ----------
    shape
        (rows, columns) of the image.
    spacing_mm
        (row, column) spacing of the image.
    size_px
        (rows, columns) of the tensor.
    to_mm
        Pixel spacing of the tensor.
    """
    x, y = to_mm / spacing_mm[1], to_mm / spacing_mm[0]
    offset_x = (shape[1] - 1) / 2 - x * (size_px[1] - 1) / 2
    offset_y = (shape[0] - 1) / 2 - y * (size_px[0] - 1) / 2
    return Affine(np.array([[x, 0, offset_x], [0, y, offset_y]]))


def rounded(point: npt.ArrayLike) -> tuple[float, float]:
    """Return a point as two numbers fit for a result: a hundredth of a pixel."""
    x, y = np.round(np.asarray(point, float), 2).tolist()
    return x, y


def sample(image: Image, maps: Sequence[Affine], *, size_px: tuple[int, int]) -> Floats:
    """Resample an image once per map; only what the maps look at is touched.

    Parameters
    ----------
    image
        Beyond its edge lies the lowest level of what is looked at.
    maps
        From output to image pixels.
    size_px
        (rows, columns) of each output.

    Returns
    -------
    numpy.ndarray
        Shape (len(maps), rows, columns), float32, freshly owned.
    """
    rows, columns = size_px
    tensor = np.empty((len(maps), rows, columns), np.float32)
    for plane, affine in zip(tensor, maps, strict=True):
        # Each by itself: what one output holds must not depend on which others are asked for.
        part, to_part = _reduced(image, zoom(1 / image.step) @ affine, size_px)
        cv2.warpAffine(
            part,
            to_part.matrix,
            (columns, rows),
            dst=plane,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=float(part.min()),
        )
    return tensor


def sample_labels(
    labels: npt.NDArray[np.uint8], to_source: Affine, *, size_px: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Resample a label map by nearest neighbour; beyond its edge lies label 0.

    Parameters
    ----------
    labels
        Shape (rows, columns).
    to_source
        From output to input pixels.
    size_px
        (rows, columns) of the output.
    """
    resampled = cv2.warpAffine(
        labels,
        to_source.matrix,
        (size_px[1], size_px[0]),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return np.asarray(resampled, np.uint8)


def _reduced(image: Image, affine: Affine, size_px: tuple[int, int]) -> tuple[Floats, Affine]:
    """Average what a map looks at down to the scale it is read at, so that nothing aliases.

    Returns
    -------
    part
        That part of the image, smaller.
    to_part
        The map from output pixels to its own.
    """
    scale = affine.scale
    rows, columns = image.pixels.shape
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * (size_px[1] - 1, size_px[0] - 1)
    looked_at = affine(corners)
    # Two output pixels more on each side: what bilinear interpolation looks at, and rounding.
    low = np.floor(looked_at.min(axis=0) - 2 * scale).astype(int)
    high = np.ceil(looked_at.max(axis=0) + 2 * scale).astype(int) + 1
    left, top = np.clip(low, 0, (columns - 1, rows - 1)).tolist()
    right, bottom = np.clip(high, (left + 1, top + 1), (columns, rows)).tolist()
    part = image.levels(slice(top, bottom), slice(left, right))
    affine = Affine(np.array([[1.0, 0, -left], [0, 1, -top]])) @ affine
    while scale > 3.99 and min(part.shape) >= 4:  # exact halves are averaged several times as fast
        even = part[: part.shape[0] // 2 * 2, : part.shape[1] // 2 * 2]
        part, scale = _averaged(even, (even.shape[1] // 2, even.shape[0] // 2)), scale / 2
        affine = scaling(0.5, 0.5) @ affine
    small = (max(1, round(part.shape[1] / scale)), max(1, round(part.shape[0] / scale)))
    if scale <= 1 or small == part.shape[::-1]:
        return part, affine
    shrink = scaling(small[0] / part.shape[1], small[1] / part.shape[0])
    return _averaged(part, small), shrink @ affine


def _averaged(part: Floats, size: tuple[int, int]) -> Floats:
    """Average an image down to a size (columns, rows)."""
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.float32)


def map_grey(tensor: Floats, grey: Grey, *, unit: Unit | None = None) -> Floats:
    """Map grey levels of a (N, rows, columns) batch as the pipeline file says, per image.

    Parameters
    ----------
    tensor, grey
        Levels, and what becomes of them.
    unit
        What the levels are measured in.

    Raises
    ------
    Refused
        ``UNSUPPORTED_OBJECT`` if a window of Hounsfield units is asked of other levels.
    """
    if isinstance(grey, Window):
        if unit != "HU":
            raise Refused(
                "UNSUPPORTED_OBJECT",
                "The grey levels are no Hounsfield units, which the pipeline's window is in.",
                remedy="Send CT slices as the scanner made them.",
            )
        # PS3.3 C.11.2.1.3.2.
        mapped = np.clip((tensor - grey.center_hu) / grey.width_hu + 0.5, 0, 1)
    elif isinstance(grey, Percentile):
        low, high = np.percentile(tensor, [grey.low, grey.high], axis=(1, 2), keepdims=True)
        mapped = np.clip((tensor - low) / np.maximum(high - low, 1e-6), 0, 1)
    else:
        mean = tensor.mean(axis=(1, 2), keepdims=True)
        mapped = (tensor - mean) / np.maximum(tensor.std(axis=(1, 2), keepdims=True), 1e-6)
    return np.asarray(mapped, np.float32)
