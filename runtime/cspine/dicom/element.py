"""Elements of a data set as plain values, whatever the file put there.

What cannot be read as its type is as good as not stated; a value is never repeated in a message.
"""

from __future__ import annotations

from datetime import date
from math import isfinite

import pydicom
from pydicom.multival import MultiValue
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
    "PatientAge",
    "PatientBirthDate",
    "StudyDate",
    "AcquisitionDate",
    "ContentDate",
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
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "ModalityLUTSequence",
    "RescaleIntercept",
    "RescaleSlope",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "FrameOfReferenceUID",
    "ImageType",
    "EchoTime",
    "RepetitionTime",
    "InversionTime",
    "ScanningSequence",
    "EchoPulseSequence",
    "MRAcquisitionType",
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
    "SeriesNumber",
    "RescaleType",
    "SliceThickness",
    "ConvolutionKernel",
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


def numbers(dataset: pydicom.Dataset, keyword: str) -> list[float]:
    """Return an element as numbers; none if it is not stated or one of them is none."""
    return numbers_in(dataset.get(keyword))


def integers(dataset: pydicom.Dataset, keyword: str) -> list[int]:
    """Return an element as whole numbers; none if it is not stated or one of them is none."""
    return integers_in(dataset.get(keyword))


def numbers_in(value: object) -> list[float]:
    """Return a value of an element as numbers; none if one of them is none."""
    try:
        return [
            float(str(each))
            for each in (value if isinstance(value, (MultiValue, list)) else [value])
        ]
    except ValueError:
        return []


def integers_in(value: object) -> list[int]:
    """Return a value of an element as whole numbers; none if one of them is none."""
    found = numbers_in(value)
    return [int(each) for each in found] if all(map(float.is_integer, found)) else []


def number(value: object) -> float | None:
    """Return a value as a finite number; ``None`` if it is none."""
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if isfinite(found) else None


def age_years(dataset: pydicom.Dataset) -> float | None:
    """Return Patient's Age in years; ``None`` if it is not stated, or not as an Age String."""
    stated = text(dataset, "PatientAge")
    count, unit = stated[:-1], stated[-1:]
    a_year = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
    if not count.isascii() or not count.isdigit() or unit not in a_year:
        return None
    return int(count) / a_year[unit]


def lived_years(dataset: pydicom.Dataset) -> float | None:
    """Return the whole years from Patient's Birth Date to the day of the examination.

    That is Study Date, or else Acquisition Date or Content Date; ``None`` if either date is not
    stated, or birth came after it.
    """
    born = _day(dataset, "PatientBirthDate")
    days = (_day(dataset, keyword) for keyword in ("StudyDate", "AcquisitionDate", "ContentDate"))
    examined = next((day for day in days if day is not None), None)
    if born is None or examined is None or examined < born:
        return None
    before_birthday = (examined.month, examined.day) < (born.month, born.day)
    return float(examined.year - born.year - before_birthday)


def _day(dataset: pydicom.Dataset, keyword: str) -> date | None:
    stated = text(dataset, keyword)
    if len(stated) != 8 or not stated.isascii() or not stated.isdigit():
        return None
    try:
        return date(int(stated[:4]), int(stated[4:6]), int(stated[6:]))
    except ValueError:
        return None


def uid(dataset: pydicom.Dataset, keyword: str) -> str:
    """Return an element as a UID; empty if it is not a valid one, for then it may be a name."""
    value = UID(str(dataset.get(keyword) or ""))
    return str(value) if value.is_valid else ""


def syntax_of(dataset: pydicom.Dataset) -> UID:
    """Return the transfer syntax; empty if no valid one is stated."""
    return UID(uid(getattr(dataset, "file_meta", pydicom.Dataset()), "TransferSyntaxUID"))
