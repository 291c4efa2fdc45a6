"""From what a user points at to the one image a pipeline judges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pydicom

from cspine.dicom.admit import admit
from cspine.dicom.element import integer, uid
from cspine.dicom.read import read_dataset, source_of
from cspine.errors import StudyError
from cspine.findings import Refused, Source
from cspine.spec import Accept

# How much of the lateral the header confirms, after everything else has been admitted.
_NOT_STATED = "does not state"


@dataclass(frozen=True)
class Study:
    """The instances of one study, in the order they were found."""

    instances: tuple[pydicom.Dataset, ...]

    @property
    def source(self) -> Source:
        """The UIDs of its first instance, for an answer that is about the study."""
        return source_of(self.instances[0])


@dataclass(frozen=True)
class Selection:
    """The instance that was chosen, with what admission noted."""

    dataset: pydicom.Dataset
    notes: tuple[str, ...]


def dicom_files(path: Path) -> list[Path]:
    """Return a file itself, or every file below a folder in a fixed order.

    Raises
    ------
    StudyError
        If there is nothing there, or the folder holds no file.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise StudyError(f"{path}: no such file or folder")
    files = sorted(
        file for file in path.rglob("*") if file.is_file() and not file.name.startswith(".")
    )
    if not files:
        raise StudyError(f"{path}: the folder holds no file")
    return files


def read_studies(files: Iterable[Path]) -> tuple[list[Study], list[StudyError]]:
    """Group files into studies; the ones that cannot be read are returned beside them."""
    groups: dict[str, list[pydicom.Dataset]] = {}
    unreadable: list[StudyError] = []
    for file in files:
        try:
            dataset = read_dataset(file)
        except StudyError as error:
            unreadable.append(error)
        else:
            groups.setdefault(uid(dataset, "StudyInstanceUID"), []).append(dataset)
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
        # Gates close in the order of the codes below, so a later code came further.
        order = ("UNSUPPORTED_OBJECT", "WRONG_ANATOMY", "WRONG_VIEW")
        raise max(refusals, key=lambda refused: order.index(refused.refusal.code))
    best = min(admitted, key=_rank)
    if len(admitted) == 1:
        return best
    note = f"One of {len(admitted)} lateral images was judged: the one stated most clearly."
    return Selection(best.dataset, (*best.notes, note))


def _rank(candidate: Selection) -> tuple[int, int]:
    open_questions = sum(_NOT_STATED in note for note in candidate.notes)
    return open_questions, integer(candidate.dataset, "InstanceNumber", default=0)
