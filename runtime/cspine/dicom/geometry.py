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


def facing_of(dataset: pydicom.Dataset) -> Facing | None:
    """Return where the face points by Patient Orientation; ``None`` unless it states a lateral.

    The first value is the direction of the rows: ``P`` means that they run towards the back, so
    the face is on the left.
    """
    orientation = dataset.get("PatientOrientation")
    if not orientation or isinstance(orientation, str):
        return None
    match str(orientation[0])[:1]:
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
