"""From what a user points at to the one image a pipeline judges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pydicom

from cspine.accept import Accept, Film, Stack, Stacks
from cspine.codes import CODES, precedence
from cspine.dicom.admit import admit, admit_age
from cspine.dicom.collect import PassedOver, all_datasets
from cspine.dicom.dataset import pixels_forgotten, source_of
from cspine.dicom.element import uid
from cspine.dicom.identity import distinct, of_one_patient, source_now
from cspine.dicom.media import Listing, dicom_files
from cspine.dicom.rank import Rank, number_of, rank_of, reason
from cspine.dicom.read import read_image
from cspine.dicom.stacks.axial import axial_slices
from cspine.dicom.stacks.choice import stack
from cspine.errors import StudyError
from cspine.findings import Refused, Source
from cspine.image import Image


class Readable(Protocol):
    """What a pipeline asks of a study."""

    @property
    def source(self) -> Source | None:
        """What names it, for an answer that is about the study as a whole."""
        ...

    def images(self, accept: Accept) -> Sequence[Image]:
        """Return the film to judge, or the slices, the one in the middle of the spine first.

        Raises
        ------
        Refused
            If there is nothing to judge.
        """
        ...


@dataclass(frozen=True)
class Study:
    """The instances of one study of one patient.

    Attributes
    ----------
    instances
        Copies included. Their pixels stay in their files, also after an image was read.
    patients
        How many Patient IDs were met under its Study Instance UID.
    """

    instances: tuple[pydicom.Dataset, ...]
    patients: int = 1

    @property
    def series(self) -> list[tuple[pydicom.Dataset, ...]]:
        """Its instances by series, in the order they were found.

        One without a valid Series Instance UID is a series of its own, for nothing tells what it
        belongs to.
        """
        groups: dict[tuple[str, int], list[pydicom.Dataset]] = {}
        for position, dataset in enumerate(self.instances):
            series = uid(dataset, "SeriesInstanceUID")
            groups.setdefault((series, 0 if series else position), []).append(dataset)
        return [tuple(group) for group in groups.values()]

    @property
    def source(self) -> Source:
        """What names its first instance, for an answer that is about the study."""
        return source_now(self.instances[0])

    def images(self, accept: Accept) -> Sequence[Image]:
        """Choose what to judge and decode it; notes of the first image say how it was chosen.

        Returns
        -------
        sequence of Image
            A film; or slices of a stack: the one in the middle, then the others by position, to
            the head if they are axial, to the left if sagittal; or the sagittal slice in the middle
            and then the axial ones to the head, of which there may be none.

        Raises
        ------
        Refused
            If there is none to choose, or it cannot be decoded.
        """
        match accept:
            case Stack():
                return self._slices(accept)
            case Stacks():
                return self._two_stacks(accept)
        return (self._film(accept),)

    def _film(self, accept: Film) -> Image:
        selection = select(self, accept)
        with pixels_forgotten(selection.dataset):
            image = read_image(selection.dataset)
            source = source_of(selection.dataset)
        return replace(image, source=source, notes=(*selection.notes, *image.notes))

    def _slices(self, accept: Stack) -> Sequence[Image]:
        notes = admit_age(self.instances[0], accept.age_years)
        found = stack(self, accept.series, thinning=accept.thinning)
        middle, *others = found.from_middle(accept.judged_slices)
        return (replace(middle, notes=(*found.notes, *notes)), *others)

    def _two_stacks(self, accept: Stacks) -> Sequence[Image]:
        notes = admit_age(self.instances[0], accept.age_years)
        found = stack(self, accept.sagittal)
        (middle,) = found.from_middle(1)
        shared = middle.plane.frame_of_reference if middle.plane else ""
        slices, more = axial_slices(self.instances, accept.axial, frame_of_reference=shared)
        return (replace(middle, notes=(*found.notes, *more, *notes)), *slices)


@dataclass(frozen=True)
class Selection:
    """The instance that was chosen, with notes of admission and on the choice."""

    dataset: pydicom.Dataset
    notes: tuple[str, ...]


def read_studies(*listings: Listing) -> tuple[list[Study], list[StudyError]]:
    """Group files into studies; what cannot be read is returned beside them.

    A study is what shares a Study Instance UID and a Patient ID, wherever it was found; a file
    that several listings hold is read once. A file without a valid UID is a study of its own, for
    nothing tells what it belongs to.

    Returns
    -------
    list of Study, list of StudyError
        Studies in the order they were found; the instances of each by number and UID. An error
        that is a :class:`~cspine.dicom.collect.PassedOver` tells only of other files than DICOM.
    """
    unreadable: list[StudyError] = []
    groups: dict[tuple[str, str], list[pydicom.Dataset]] = {}
    for position, dataset in enumerate(all_datasets(listings, unreadable)):
        study, patient = uid(dataset, "StudyInstanceUID"), str(dataset.get("PatientID") or "")
        key = (study, patient.strip()) if study else ("", str(position))
        groups.setdefault(key, []).append(dataset)
    patients = Counter(study for study, patient in groups if study and patient)
    studies = [
        Study(tuple(sorted(group, key=_place)), patients=max(1, patients[study]))
        for (study, _), group in groups.items()
    ]
    return studies, unreadable


def find_studies(
    paths: Iterable[Path], *, listing_of: Callable[[Path], Listing] = dicom_files
) -> tuple[list[Study], list[StudyError]]:
    """Read the studies in all paths together; what cannot be read does not stop the others."""
    listings: list[Listing] = []
    unreadable: list[StudyError] = []
    for path in paths:
        try:
            listings.append(listing_of(path))
        except StudyError as error:
            unreadable.append(error)
    studies, errors = read_studies(*listings)
    return studies, [*unreadable, *errors]


def read_all(paths: Iterable[Path]) -> list[Study]:
    """Read studies that were chosen one by one, so that an unreadable file is a mistake.

    Other files than DICOM beside them are none.

    Raises
    ------
    StudyError
        For the first path, or else file, that cannot be read.
    """
    studies, unreadable = find_studies(paths)
    for error in unreadable:
        if not isinstance(error, PassedOver):
            raise error
    return studies


def select(study: Study, accept: Film) -> Selection:
    """Choose the image of a study that the pipeline judges.

    Copies of one object count as one. Among the admitted images the choice goes by, one after the
    other, until one image is left:

    1. stated pixel spacing before none;
    2. the fewest questions of admission that the header leaves open;
    3. original before not stated before derived or secondary (Image Type);
    4. the most pixels;
    5. the lowest Instance Number;
    6. the lowest SOP Instance UID.

    The order of files never matters. Notes say how many candidates there were and what decided,
    how many copies of the chosen one were found, and how many objects were no candidates and why.

    Raises
    ------
    Refused
        ``IDENTITY_CONFLICT`` if the study is of several patients, or objects that differ share a
        UID; if no instance is admitted, with the reason of the one that came furthest.
    """
    of_one_patient(study.patients)
    admitted: list[tuple[Rank, Selection, int]] = []
    refusals: list[Refused] = []
    for instance in distinct(study.instances):
        try:
            notes = admit(instance.dataset, accept)
        except Refused as refused:
            refusals.append(refused)
            continue
        # Admission notes each question that the header leaves open, and nothing else.
        rank = rank_of(instance, open_questions=len(notes))
        admitted.append((rank, Selection(instance.dataset, notes), instance.copies))
    if not admitted:
        raise _furthest(refusals)
    admitted.sort(key=lambda candidate: candidate[0])
    best, chosen, copies = admitted[0]
    notes = chosen.notes
    if len(admitted) > 1:
        won = reason(best, admitted[1][0])
        notes += (f"One of {len(admitted)} lateral images was judged: {won}.",)
    if copies > 1:
        notes += (f"{copies} copies of the judged image were found; one was judged.",)
    if refusals:
        counted = _counted(refusals)
        notes += (f"Other objects of the study that were no candidates: {counted}.",)
    return Selection(chosen.dataset, notes)


def _place(dataset: pydicom.Dataset) -> tuple[int, str]:
    return number_of(dataset), uid(dataset, "SOPInstanceUID")


def _furthest(refusals: list[Refused]) -> Refused:
    """Return the refusal that came furthest, which tells of the others if there are any."""
    furthest = max(refusals, key=lambda refused: precedence(refused.refusal.code)).refusal
    if len(refusals) == 1:
        return refusals[0]
    return Refused(
        furthest.code,
        f"None of {len(refusals)} objects is a candidate ({_counted(refusals)}). The one that "
        f"came furthest: {furthest.reason}",
        remedy=furthest.remedy,
    )


def _counted(refusals: list[Refused]) -> str:
    """Return how many were refused with each code, those that came furthest first."""
    counts = Counter(refused.refusal.code for refused in refusals)
    return ", ".join(f"{code} {counts[code]}" for code in reversed(CODES) if code in counts)
