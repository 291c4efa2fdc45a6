"""Where the pixels of an image lie in the patient: one affine map each way.

Patient coordinates (x, y, z) are millimetres; x runs to the left, y to the back, z to the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
View = Literal["sagittal", "coronal", "axial", "oblique"]

# An axis within 26 degrees of the patient's gives its name to the view.
_LEAST_COSINE = 0.9


@dataclass(frozen=True)
class Plane:
    """The plane of one slice.

    Attributes
    ----------
    origin_mm
        Shape (3,): the centre of the first pixel.
    across, down
        Shape (3,), unit vectors: where a row runs to, and where a column runs to.
    spacing_mm
        (row, column) spacing: along ``down`` and along ``across``.
    frame_of_reference
        Planes with the same UID share their coordinates; empty if none is stated.
    """

    origin_mm: Points
    across: Points
    down: Points
    spacing_mm: tuple[float, float]
    frame_of_reference: str

    @property
    def normal(self) -> Points:
        """Unit vector off the plane: ``across`` x ``down``."""
        return np.cross(self.across, self.down)

    @property
    def view(self) -> View:
        """The patient's plane that the slice is nearest to, or oblique."""
        axis = int(np.argmax(np.abs(self.normal)))
        if abs(self.normal[axis]) <= _LEAST_COSINE:
            return "oblique"
        names: tuple[View, ...] = ("sagittal", "coronal", "axial")
        return names[axis]

    def to_patient(self, points: npt.ArrayLike) -> Points:
        """Map pixels (x, y) = (column, row), shape (..., 2), to millimetres, shape (..., 3)."""
        row_mm, column_mm = self.spacing_mm
        axes = np.stack([self.across * column_mm, self.down * row_mm])
        mapped: Points = np.asarray(points, float) @ axes + self.origin_mm
        return mapped

    def to_pixels(self, points: npt.ArrayLike) -> Points:
        """Map millimetres, shape (..., 3), to (x, y, distance off the plane in millimetres)."""
        row_mm, column_mm = self.spacing_mm
        axes = np.stack([self.across / column_mm, self.down / row_mm, self.normal], axis=1)
        mapped: Points = (np.asarray(points, float) - self.origin_mm) @ axes
        return mapped
