"""Elements of a data set as plain values, whatever the file put there.

What cannot be read as its type is as good as not stated; a value is never repeated in a message.
"""

from __future__ import annotations

from math import isfinite

import pydicom
from pydicom.sequence import Sequence
from pydicom.uid import UID

# Everything that selection, admission and reading ask of a header. Reading a file converts each
# once, so that one of a broken type fails there and not in the middle of an answer.
CONSULTED = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "InstanceNumber",
    "PatientID",
    "BodyPartExamined",
    "AnatomicRegionSequence",
    "ViewPosition",
    "ViewCodeSequence",
    "ViewModifierCodeSequence",
    "PatientOrientation",
    "ImagerPixelSpacing",
    "PixelSpacing",
    "PixelSpacingCalibrationType",
    "PixelSpacingCalibrationDescription",
    "EstimatedRadiographicMagnificationFactor",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "PresentationLUTShape",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "Rows",
    "Columns",
)


def text(dataset: pydicom.Dataset, keyword: str) -> str:
    """Return an element as text in capitals without blanks around it; empty if not stated."""
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip().upper()


def items(dataset: pydicom.Dataset, keyword: str) -> tuple[pydicom.Dataset, ...]:
    """Return the items of a sequence; none if it is not stated or is none."""
    value = dataset.get(keyword)
    return tuple(value) if isinstance(value, Sequence) else ()


def codes(dataset: pydicom.Dataset, keyword: str) -> frozenset[str]:
    """Return the code values of a code sequence, in capitals.

    The coding scheme is not asked: SNOMED codes are written under SCT, SRT, SNM3 and 99SDM, and
    their values do not collide.
    """
    stated = (
        text(item, kind)
        for item in items(dataset, keyword)
        for kind in ("CodeValue", "LongCodeValue", "URNCodeValue")
    )
    return frozenset(value for value in stated if value)


def integer(dataset: pydicom.Dataset, keyword: str, *, default: int) -> int:
    """Return an element as an integer; the default if it is not stated or is none."""
    try:
        return int(str(dataset.get(keyword)))
    except ValueError:
        return default


def positive(value: object) -> float | None:
    """Return a value as a positive finite number; ``None`` if it is none."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if isfinite(number) and number > 0 else None


def uid(dataset: pydicom.Dataset, keyword: str) -> str:
    """Return an element as a UID; empty if it is not a valid one, for then it may be a name."""
    value = UID(str(dataset.get(keyword) or ""))
    return str(value) if value.is_valid else ""
