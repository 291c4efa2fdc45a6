"""Where a slice lies in the patient (PS3.3 C.7.6.2): one affine map each way.

Patient coordinates (x, y, z) are millimetres; x runs to the left, y to the back, z to the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pydicom

from cspine.dicom.element import numbers, uid
from cspine.findings import Refused

Points = npt.NDArray[np.float64]
View = Literal["sagittal", "coronal", "axial", "oblique"]

# An axis within 26 degrees of the patient's gives its name to the view.
_LEAST_COSINE = 0.9
# Direction cosines as they are written, to a few digits.
_TOLERANCE = 1e-3
# What a slice can have, widely taken: pixels from a specimen's to a localiser's, ten metres about.
SMALLEST_MM, LARGEST_MM = 0.01, 20.0
FARTHEST_MM = 10_000.0


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


def plane_of(header: pydicom.Dataset) -> Plane:
    """Return the plane that one frame's header states.

    Raises
    ------
    Refused
        ``INCOMPLETE_SET`` if position, orientation or spacing is not stated, is none that a slice
        can have, or they contradict themselves.
    """
    origin = np.array(numbers(header, "ImagePositionPatient"))
    cosines = np.array(numbers(header, "ImageOrientationPatient"))
    spacing = numbers(header, "PixelSpacing")
    if origin.shape != (3,) or cosines.shape != (6,) or len(spacing) != 2:
        raise _unplaced("does not state position, orientation and spacing")
    near = bool((np.abs(origin) <= FARTHEST_MM).all())  # which no NaN is
    if not near or not all(SMALLEST_MM <= each <= LARGEST_MM for each in spacing):
        raise _unplaced("states a position or spacing that none has")
    across, down = np.clip(cosines, -2, 2).reshape(2, 3)  # no cosine is as large as that
    lengths = np.linalg.norm(across), np.linalg.norm(down)
    if not np.allclose(lengths, 1, atol=_TOLERANCE) or abs(across @ down) > _TOLERANCE:
        raise _unplaced("states an orientation whose axes are not at right angles")
    return Plane(
        origin_mm=origin,
        across=across / lengths[0],
        down=down / lengths[1],
        spacing_mm=(spacing[0], spacing[1]),
        frame_of_reference=uid(header, "FrameOfReferenceUID"),
    )


def _unplaced(what: str) -> Refused:
    return Refused(
        "INCOMPLETE_SET",
        f"The header of a slice {what}, so it has no place in the patient.",
        remedy="Send the original series from the scanner.",
    )
