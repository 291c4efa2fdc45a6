"""Spacing with its calibration flag, and orientation, of a projection radiograph."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose

import pydicom

from cspine.dicom.element import positive
from cspine.findings import Spacing
from cspine.image import Facing


def spacing_of(dataset: pydicom.Dataset) -> Spacing | None:
    """Return the pixel spacing and how far it can be trusted; ``None`` if none is stated.

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
    factor = positive(dataset.get("EstimatedRadiographicMagnificationFactor"))
    if pixel is None and factor is not None:
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
    row, column = (str(value).strip()[:1].upper() for value in orientation)
    return row, column


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


def _pair(value: object) -> tuple[float, float] | None:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        return None
    row, column = positive(value[0]), positive(value[1])
    return (row, column) if row and column else None


def _equal(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return all(isclose(x, y, rel_tol=1e-3) for x, y in zip(a, b, strict=True))
