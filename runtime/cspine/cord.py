"""Compression of the cord in an axial slice, from the four ends of its two diameters.

Positions are (column, row) of an image and are scaled to millimetres before anything is measured,
so that pixels need not be square.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CORD = ("front", "back", "left", "right")
"""Ends of the diameters; left and right are the patient's."""


class Diameters(NamedTuple):
    """Of a cord in one axial slice.

    Attributes
    ----------
    ap_mm
        From the front of the cord to its back.
    transverse_mm
        From its left to its right.
    """

    ap_mm: float
    transverse_mm: float

    @property
    def ratio(self) -> float:
        """Compression ratio, AP over transverse: the flatter the cord, the lower."""
        return self.ap_mm / self.transverse_mm


def cord_diameters(
    points: Mapping[str, npt.ArrayLike], spacing_mm: tuple[float, float]
) -> Diameters:
    """Return the two diameters of a cord.

    They are the axes of the ellipse that fits its outline. These are the cord's own: they turn
    with the neck, and are not the rows and columns of the image. Of masks, their ratio is that of
    the square roots of the principal second moments, to 0.02 and better. A calliper's smallest
    and largest width is not: it depends on single pixels of the outline, and a pixel of 1 mm is a
    seventh of a cord's depth.

    Parameters
    ----------
    points
        (2,) positions (column, row) of :data:`CORD`.
    spacing_mm
        Between the centres of neighbouring rows, then of columns, as DICOM's Pixel Spacing.
    """
    row_mm, column_mm = spacing_mm
    scale = np.array([column_mm, row_mm])
    front, back, left, right = (np.asarray(points[name], np.float64) * scale for name in CORD)
    return Diameters(float(np.linalg.norm(back - front)), float(np.linalg.norm(left - right)))
