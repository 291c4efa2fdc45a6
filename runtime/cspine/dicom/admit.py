"""Admission by the header: object, anatomy and view.

Gates run in the order object, anatomy, view; the first that closes gives the refusal. What the
header leaves open is left to the image: see :mod:`cspine.stages.levels`.
"""

from __future__ import annotations

import pydicom
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from cspine.dicom.element import integer, text, uid
from cspine.findings import Refused
from cspine.spec import Accept

READABLE = {
    "1.2.840.10008.5.1.4.1.1.1": "CR",
    "1.2.840.10008.5.1.4.1.1.1.1": "DX",
}

# View Position (0018,5101) and View Code (0054,0220; SNOMED CT, CID 4010) of a lateral.
LATERAL_POSITIONS = frozenset({"LL", "RL", "LAT", "LATERAL"})
LATERAL_CODES = frozenset({"399173006", "399198007", "399067008"})


def admit(dataset: pydicom.Dataset, accept: Accept) -> tuple[str, ...]:
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
    return (*_admit_anatomy(dataset, accept), *_admit_view(dataset))


def _admit_object(dataset: pydicom.Dataset, accept: Accept) -> None:
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
    syntax = UID(uid(getattr(dataset, "file_meta", pydicom.Dataset()), "TransferSyntaxUID"))
    if not _decodable(syntax):
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


def _admit_anatomy(dataset: pydicom.Dataset, accept: Accept) -> tuple[str, ...]:
    part = text(dataset, "BodyPartExamined")
    if not part:
        return ("The header does not state the body part; the image alone decided.",)
    if part not in accept.body_part:
        raise Refused(
            "WRONG_ANATOMY",
            "The header states another body part than the cervical spine.",
            remedy="Send the cervical radiograph, or correct Body Part Examined at the modality.",
        )
    return ()


def _admit_view(dataset: pydicom.Dataset) -> tuple[str, ...]:
    position = text(dataset, "ViewPosition")
    codes = {text(item, "CodeValue") for item in dataset.get("ViewCodeSequence") or ()}
    if not position and not codes:
        return ("The header does not state the view; the image alone decided.",)
    if (position and position not in LATERAL_POSITIONS) or (codes and not codes & LATERAL_CODES):
        raise Refused(
            "WRONG_VIEW",
            "The header states a view that is not lateral.",
            remedy="Send the lateral view in neutral position.",
        )
    return ()


def _decodable(syntax: UID) -> bool:
    if not syntax.is_transfer_syntax:
        return False
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _named(uid: UID) -> str:
    """Return the registered name of a UID; an unregistered one may be anything, even a name."""
    return uid.name if uid and uid.name != uid else "not a registered one"
