"""Identity, the first gate: one SOP Instance UID is one object, one study is of one patient."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pydicom

from cspine.dicom.dataset import source_of
from cspine.dicom.element import CONSULTED, uid
from cspine.files import sha256
from cspine.findings import Refused, Source


@dataclass(frozen=True)
class Instance:
    """One object of a study.

    Attributes
    ----------
    dataset
        Any of its copies, for they do not differ in anything that is consulted.
    name
        Its SOP Instance UID; a digest where no valid one is stated. No other of its study has it.
    copies
        How often it was found.
    """

    dataset: pydicom.Dataset
    name: str
    copies: int


def distinct(datasets: Iterable[pydicom.Dataset]) -> list[Instance]:
    """Count copies of the same object as one.

    Returns
    -------
    list of Instance
        By name, so that the order of files does not matter.

    Raises
    ------
    Refused
        ``IDENTITY_CONFLICT`` if objects of one SOP Instance UID differ in their pixels, as they
        are stored, or in any element that admission, selection or reading consult.
    """
    found: dict[str, list[pydicom.Dataset]] = {}
    for dataset in datasets:
        name = uid(dataset, "SOPInstanceUID") or fingerprint(dataset)
        found.setdefault(name, []).append(dataset)
    for copies in found.values():
        if len(copies) > 1 and len({fingerprint(each) for each in copies}) > 1:
            raise Refused(
                "IDENTITY_CONFLICT",
                "Different objects of the study have one SOP Instance UID.",
                remedy="Send each image once, as the archive holds it; a changed copy needs a UID "
                "of its own.",
            )
    return [Instance(copies[0], name, len(copies)) for name, copies in sorted(found.items())]


def of_one_patient(patients: int) -> None:
    """Check how many Patient IDs were met under one Study Instance UID.

    Raises
    ------
    Refused
        ``IDENTITY_CONFLICT`` if there are several.
    """
    if patients > 1:
        raise Refused(
            "IDENTITY_CONFLICT",
            f"One Study Instance UID was met under {patients} Patient IDs.",
            remedy="Send the images of one patient, or correct the Patient ID in the archive.",
        )


def fingerprint(dataset: pydicom.Dataset) -> str:
    """Return a digest of the stored pixels and of all that is consulted in the header."""
    stated = [f"{keyword} {dataset.get(keyword)}" for keyword in CONSULTED]
    return sha256("\n".join([*stated, source_now(dataset).pixels]).encode())


def source_now(dataset: pydicom.Dataset) -> Source:
    """Return what names an instance, even if its pixels can no longer be read.

    They count as none then: the file may be gone by now.
    """
    try:
        return source_of(dataset)
    except Exception:  # deferred reading raises OSError, struct.error and whatever it likes
        stated = pydicom.Dataset()
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(stated, keyword, uid(dataset, keyword))
        return source_of(stated)
