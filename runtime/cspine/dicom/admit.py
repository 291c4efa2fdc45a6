"""Admission by the header: object, anatomy, view and orientation.

Gates run in that order; the first that closes gives the refusal. What the header leaves open is
left to the image: see :mod:`cspine.stages.levels`.
"""

from __future__ import annotations

import pydicom
from pydicom.uid import UID

from cspine.accept import Film
from cspine.dicom.codec import SYNTAXES
from cspine.dicom.element import (
    age_years,
    codes,
    integer,
    items,
    lived_years,
    syntax_of,
    text,
    uid,
)
from cspine.dicom.geometry import directions_of
from cspine.findings import Refused

READABLE = {
    "1.2.840.10008.5.1.4.1.1.1": "CR",
    "1.2.840.10008.5.1.4.1.1.1.1": "DX",
}

# SNOMED CT codes, each with the SNOMED-RT code it replaced (PS3.16 annexes B and O).
# Anatomic Region (0008,2218; CID 4009): cervical spine, neck.
REGION_CODES = frozenset({"122494005", "T-11501", "45048000", "T-D1600"})
# View Position (0018,5101) and View Code (0054,0220; CID 4010) of a lateral: left, right, either.
LATERAL_POSITIONS = frozenset({"LL", "RL", "LAT", "LATERAL"})
LATERAL_CODES = frozenset({"399173006", "R-10236", "399198007", "R-10232", "399067008", "R-102CD"})
# View Modifier Code (0054,0222). Its own CID 4011 knows no bent neck; the standard's codes of one
# are those of joint position (CID 92): flexion, extension.
BENT_CODES = frozenset({"9964006", "F-10110", "24154002", "F-10100"})


def admit(dataset: pydicom.Dataset, accept: Film) -> tuple[str, ...]:
    """Let a data set in, or refuse it.

    Returns
    -------
    tuple of str
        Notes for the findings on what the header left open.

    Raises
    ------
    Refused
        With the code of the first gate that closes.
    """
    _admit_object(dataset, accept)
    return (
        *_admit_anatomy(dataset, accept),
        *_admit_view(dataset),
        *_admit_orientation(dataset),
        *admit_age(dataset, accept.age_years),
    )


def _admit_object(dataset: pydicom.Dataset, accept: Film) -> None:
    wanted = " or ".join(accept.modality)
    sop_class = UID(uid(dataset, "SOPClassUID"))
    if READABLE.get(sop_class) not in accept.modality:
        raise Refused(
            "UNSUPPORTED_OBJECT",
            f"The object is {_named(sop_class)}, expected a {wanted} image for presentation.",
            remedy="Send the lateral radiograph itself, not a report, capture or other modality.",
        )
    if "PixelData" not in dataset:
        raise Refused(
            "UNSUPPORTED_OBJECT",
            "The object has no pixel data.",
            remedy="Send the image again; the transfer may have been cut off.",
        )
    syntax = syntax_of(dataset)
    if syntax not in SYNTAXES:
        raise Refused(
            "UNSUPPORTED_OBJECT",
            f"This build has no decoder for the transfer syntax {_named(syntax)}.",
            remedy="Have the archive send it uncompressed (Explicit VR Little Endian).",
        )
    monochrome = text(dataset, "PhotometricInterpretation") in ("MONOCHROME1", "MONOCHROME2")
    if not monochrome or integer(dataset, "SamplesPerPixel", default=1) != 1:
        raise Refused(
            "UNSUPPORTED_OBJECT",
            "The image is in colour, expected grey levels.",
            remedy="Send the original radiograph, not a screen capture.",
        )
    if integer(dataset, "NumberOfFrames", default=1) != 1:
        raise Refused(
            "UNSUPPORTED_OBJECT",
            "The object has several frames, expected one radiograph.",
            remedy="Send the single lateral radiograph.",
        )


def _admit_anatomy(dataset: pydicom.Dataset, accept: Film) -> tuple[str, ...]:
    part = text(dataset, "BodyPartExamined")
    regions = codes(dataset, "AnatomicRegionSequence")
    if not part and not regions:
        return ("The header does not state the body part; the image alone decided.",)
    if (part and part not in accept.body_part) or not regions <= REGION_CODES:
        raise Refused(
            "WRONG_ANATOMY",
            "The header states another body part than the cervical spine.",
            remedy="Send the cervical radiograph, or correct Body Part Examined and Anatomic "
            "Region at the modality.",
        )
    return ()


def _admit_view(dataset: pydicom.Dataset) -> tuple[str, ...]:
    position = text(dataset, "ViewPosition")
    views = codes(dataset, "ViewCodeSequence")
    if (position and position not in LATERAL_POSITIONS) or not views <= LATERAL_CODES:
        raise Refused(
            "WRONG_VIEW",
            "The header states a view that is not lateral.",
            remedy="Send the lateral view in neutral position.",
        )
    coded = (dataset, *items(dataset, "ViewCodeSequence"))
    if any(codes(each, "ViewModifierCodeSequence") & BENT_CODES for each in coded):
        raise Refused(
            "WRONG_VIEW",
            "The header states flexion or extension, expected neutral position.",
            remedy="Send the lateral view in neutral position.",
        )
    if not position and not views:
        return ("The header does not state the view; the image alone decided.",)
    return ()


def _admit_orientation(dataset: pydicom.Dataset) -> tuple[str, ...]:
    row, column = directions_of(dataset)
    if row in ("L", "R"):
        raise _contradicted("The header states left or right along the rows, which no lateral has.")
    if column == "H":
        raise _contradicted("The header states that the image is stored upside down.")
    if row in ("H", "F") or column in ("A", "P", "L", "R"):
        raise _contradicted("The header states an orientation that no upright lateral has.")
    if not row:
        return ("The header does not state where the face points; mirroring was not checked.",)
    return ()


def _contradicted(what: str) -> Refused:
    return Refused(
        "ORIENTATION_CONFLICT",
        what,
        remedy="Correct Patient Orientation at the modality, or send the image that it describes.",
    )


def admit_age(dataset: pydicom.Dataset, accepted: tuple[int, int]) -> tuple[str, ...]:
    """Let a patient in by age, which notes that the header does not state one.

    Raises
    ------
    Refused
        ``OUT_OF_SCOPE``.
    """
    # Where both are stated, each may be the wrong one: a child is not let in by either.
    ages = [years for years in (age_years(dataset), lived_years(dataset)) if years is not None]
    youngest, oldest = accepted
    if not ages:
        return ("The header does not state the patient's age.",)
    if not all(youngest <= years <= oldest for years in ages):
        raise Refused(
            "OUT_OF_SCOPE",
            f"The header states an age outside of {youngest} to {oldest} years, for which the "
            "models were not made.",
            remedy="Have the images read without this software.",
        )
    return ()


def _named(uid: UID) -> str:
    """Return the registered name of a UID; an unregistered one may be anything, even a name."""
    return uid.name if uid and uid.name != uid else "not a registered one"
