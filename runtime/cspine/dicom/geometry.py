"""Spacing with its calibration flag, and orientation, of a projection radiograph."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose

import pydicom

from cspine.dicom.element import number
from cspine.findings import Spacing
from cspine.image import Facing

# What a radiograph can have, widely taken; detectors and film readers have 0.05 to 0.2 mm and
# square pixels. A number beyond counts as not stated.
SMALLEST_MM, LARGEST_MM = 0.01, 5.0
LARGEST_RATIO = 4.0  # of the longer to the shorter side of a pixel
LARGEST_MAGNIFICATION = 3.0  # of the detector plane over the patient, at least 1

# The axis of the patient that each letter of Patient Orientation lies on.
_AXES = {"A": 0, "P": 0, "L": 1, "R": 1, "H": 2, "F": 2}


def spacing_of(dataset: pydicom.Dataset) -> Spacing | None:
    """Return the pixel spacing and how far it can be trusted; ``None`` if none is stated.

    A spacing or factor that no radiograph can have counts as not stated.

    The rule table is cornerstone3D's (``getPixelSpacingInformation.ts``): Imager Pixel Spacing is
    at the detector, so it overestimates anatomy by the magnification; Pixel Spacing that differs
    from it has been calibrated only where the header says how.
    """
    imager = _pair(dataset.get("ImagerPixelSpacing"))
    pixel = _pair(dataset.get("PixelSpacing"))
    if imager is None:
        return Spacing(row_mm=pixel[0], column_mm=pixel[1], flag="unknown") if pixel else None
    if pixel is not None and not _equal(imager, pixel):
        stated = bool(
            dataset.get("PixelSpacingCalibrationType")
            or dataset.get("PixelSpacingCalibrationDescription")
        )
        return Spacing(
            row_mm=pixel[0], column_mm=pixel[1], flag="calibrated" if stated else "unknown"
        )
    factor = number(dataset.get("EstimatedRadiographicMagnificationFactor"))
    if pixel is None and factor is not None and 1 <= factor <= LARGEST_MAGNIFICATION:
        return Spacing(row_mm=imager[0] / factor, column_mm=imager[1] / factor, flag="geometry")
    return Spacing(row_mm=imager[0], column_mm=imager[1], flag="detector plane")


def directions_of(dataset: pydicom.Dataset) -> tuple[str, str]:
    """Return the main directions that Patient Orientation states; empty where it states none.

    Returns
    -------
    tuple of str
        One letter of A, P, H, F, L, R (PS3.3 C.7.6.1.1.1) for where a row runs to and one for
        where a column runs to, from its first pixel to its last.
    """
    orientation = dataset.get("PatientOrientation")
    if not isinstance(orientation, Sequence) or isinstance(orientation, str):
        return "", ""
    if len(orientation) != 2:
        return "", ""
    return _direction(orientation[0]), _direction(orientation[1])


def facing_of(dataset: pydicom.Dataset) -> Facing | None:
    """Return where the face points by Patient Orientation; ``None`` unless it states a lateral.

    Rows that run towards the back (``P``) begin at the face, which is then on the left.
    """
    match directions_of(dataset)[0]:
        case "P":
            return "left"
        case "A":
            return "right"
        case _:
            return None


def _direction(value: object) -> str:
    """Return the first letter of a direction; empty unless each is of an axis of its own."""
    letters = str(value).strip().upper()
    axes = [_AXES.get(letter) for letter in letters]
    return letters[:1] if None not in axes and len(set(axes)) == len(axes) else ""


def _pair(value: object) -> tuple[float, float] | None:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        return None
    row, column = number(value[0]), number(value[1])
    if row is None or column is None:
        return None
    shorter, longer = sorted((row, column))
    if not SMALLEST_MM <= shorter <= longer <= min(LARGEST_MM, LARGEST_RATIO * shorter):
        return None
    return row, column


def _equal(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return all(isclose(x, y, rel_tol=1e-3) for x, y in zip(a, b, strict=True))
