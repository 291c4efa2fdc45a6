"""Where a slice lies in the patient, as its header states it (PS3.3 C.7.6.2)."""

from __future__ import annotations

import numpy as np
import pydicom

from cspine.dicom.element import numbers, uid
from cspine.findings import Refused
from cspine.plane import Plane

# Direction cosines as they are written, to a few digits.
_TOLERANCE = 1e-3
# What a slice can have, widely taken: pixels from a specimen's to a localiser's, ten metres about.
SMALLEST_MM, LARGEST_MM = 0.01, 20.0
FARTHEST_MM = 10_000.0


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
