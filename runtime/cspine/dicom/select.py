"""From what a user points at to the one image a pipeline judges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.uid import MediaStorageDirectoryStorage

from cspine.dicom.admit import ORDER, admit
from cspine.dicom.element import integer, uid
from cspine.dicom.media import Listing
from cspine.dicom.media import dicom_files as dicom_files
from cspine.dicom.read import read_dataset, source_of
from cspine.errors import StudyError
from cspine.findings import Refused, Source
from cspine.spec import Accept


@dataclass(frozen=True)
class Study:
    """The instances of one study of one patient, in the order they were found."""

    instances: tuple[pydicom.Dataset, ...]

    @property
    def source(self) -> Source:
        """What names its first instance, for an answer that is about the study.

        Pixels that can no longer be read count as none: the file may be gone by now.
        """
        first = self.instances[0]
        try:
            return source_of(first)
        except Exception:  # deferred reading raises OSError, struct.error and whatever it likes
            stated = pydicom.Dataset()
            for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
                setattr(stated, keyword, uid(first, keyword))
            return source_of(stated)


@dataclass(frozen=True)
class Selection:
    """The instance that was chosen, with what admission noted."""

    dataset: pydicom.Dataset
    notes: tuple[str, ...]


def read_studies(listing: Listing) -> tuple[list[Study], list[StudyError]]:
    """Group files into studies; what cannot be read is returned beside them.

    A study is what shares a Study Instance UID and a Patient ID. A file without a valid UID is a
    study of its own, for nothing tells what it belongs to. The directory of a medium (DICOMDIR)
    is passed over.
    """
    groups: dict[tuple[str, str], list[pydicom.Dataset]] = {}
    unreadable = list(listing.unreadable)
    for file, name in listing.named():
        try:
            dataset = read_dataset(file, name=name)
        except StudyError as error:
            unreadable.append(error)
            continue
        if _is_directory(dataset):
            continue
        study = uid(dataset, "StudyInstanceUID")
        key = (study, str(dataset.get("PatientID") or "").strip()) if study else ("", name)
        groups.setdefault(key, []).append(dataset)
    if not groups and not unreadable:
        unreadable.append(
            StudyError(f"{listing.root}: a DICOMDIR only; give the folder that holds the images")
        )
    return [Study(tuple(group)) for group in groups.values()], unreadable


def read_all(paths: Iterable[Path]) -> list[Study]:
    """Read studies that were chosen one by one, so that an unreadable file is a mistake.

    Raises
    ------
    StudyError
        For the first file that cannot be read.
    """
    studies: list[Study] = []
    for path in paths:
        found, unreadable = read_studies(dicom_files(path))
        for error in unreadable:
            raise error
        studies += found
    return studies


def select(study: Study, accept: Accept) -> Selection:
    """Choose the image of a study that the pipeline judges.

    Among the admitted ones the best is that whose header leaves least open; ties go to the lowest
    Instance Number, then to the order of files. The choice among several is noted.

    Raises
    ------
    Refused
        If no instance is admitted: with the reason of the one that came furthest.
    """
    admitted: list[Selection] = []
    refusals: list[Refused] = []
    for dataset in study.instances:
        try:
            admitted.append(Selection(dataset, admit(dataset, accept)))
        except Refused as refused:
            refusals.append(refused)
    if not admitted:
        raise max(refusals, key=lambda refused: ORDER.index(refused.refusal.code))
    best = min(admitted, key=_rank)
    if len(admitted) == 1:
        return best
    note = f"One of {len(admitted)} lateral images was judged: the one stated most clearly."
    return Selection(best.dataset, (*best.notes, note))


def _rank(candidate: Selection) -> tuple[int, int]:
    # Admission notes each question that the header leaves open, and nothing else.
    return len(candidate.notes), integer(candidate.dataset, "InstanceNumber", default=0)


def _is_directory(dataset: pydicom.Dataset) -> bool:
    meta = getattr(dataset, "file_meta", pydicom.Dataset())
    return uid(meta, "MediaStorageSOPClassUID") == MediaStorageDirectoryStorage
