"""From a study to the stack of MR slices that a pipeline judges."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import pydicom

from cspine.dicom.identity import distinct, of_one_patient
from cspine.dicom.stacks.canal import REACH_MM
from cspine.dicom.stacks.candidate import Candidate
from cspine.dicom.stacks.found import Found, find_stacks
from cspine.dicom.stacks.rank import rank_of, reason
from cspine.dicom.stacks.stack import Stack, read_stack
from cspine.dicom.stacks.wanted import WantedSeries, Weighting
from cspine.findings import Refused

# What a cervical spine shows of canal and cord at the least: so many millimetres in one slice, or
# in a lower field this share of its height. More is asked where the fluid is dark, for then any
# bright band may be taken for a cord.
LEAST_CANAL_MM: dict[Weighting, float] = {"T2": 40.0, "STIR": 40.0, "T1": 60.0}
LEAST_SHARE = 0.5


class Objects(Protocol):
    """What is asked of a study: its objects, and of how many patients they are."""

    @property
    def instances(self) -> tuple[pydicom.Dataset, ...]:
        """Copies included."""
        ...

    @property
    def patients(self) -> int:
        """How many Patient IDs were met under its Study Instance UID."""
        ...


def stack(study: Objects, wanted: WantedSeries) -> Stack:
    """Choose the stack of a study that the pipeline judges, decode it and find its middle.

    Every series is parted into stacks of parallel slices of one contrast. Among those that are as
    wanted the choice goes by :class:`Rank`; a sagittal one must show the spinal canal with its
    cord, or the next is asked. The order of files never matters.

    Returns
    -------
    Stack
        Its notes say how many there were, what each was taken for and why it was not judged.

    Raises
    ------
    Refused
        ``IDENTITY_CONFLICT`` if the study is of several patients, or objects that differ share a
        UID; ``UNSUPPORTED_OBJECT`` if it has no MR images, or the chosen ones cannot be decoded;
        ``INCOMPLETE_SET`` if no stack is as wanted, or slices are missing near the middle;
        ``WRONG_ANATOMY`` if none shows the canal; ``LOW_QUALITY`` if the slices are blank.
    """
    of_one_patient(study.patients)
    found = find_stacks(distinct(study.instances))
    if not found.series:
        raise Refused(
            "UNSUPPORTED_OBJECT",
            f"None of {found.others} objects is an MR image.",
            remedy="Send the MR series themselves, not reports, captures or another modality.",
        )
    fitting = [each for each in found.stacks if not each.lacks(wanted)]
    if not fitting:
        raise _incomplete(found, wanted)
    for place, candidate in enumerate(fitting):
        read = read_stack(candidate, wanted.weighting, wanted.orientation)
        if _shows_canal(read):
            if wanted.orientation == "sagittal":
                _check_gaps(candidate, read.middle)
            notes = _notes(found, fitting, place, wanted)
            return replace(read, notes=notes)
    raise Refused(
        "WRONG_ANATOMY",
        f"None of {len(fitting)} {wanted.orientation} {wanted.weighting} stacks shows the spinal "
        "canal with its cord from the head down, as the cervical spine does.",
        remedy="Send the series of the cervical spine. If it is that, its contrast is too little: "
        "have it read without this software.",
    )


def _shows_canal(stack: Stack) -> bool:
    shown = [each.canal_mm for each in stack.slices if each.canal_mm is not None]
    rows, _ = stack.slices[0].image.shape
    height = rows * stack.slices[0].image.spacing.row_mm
    return not shown or max(shown) >= min(LEAST_CANAL_MM[stack.weighting], LEAST_SHARE * height)


def _check_gaps(candidate: Candidate, middle: int) -> None:
    """Check that no slice is missing near the middle one, for the true middle may be missing."""
    place = candidate.places_mm[middle]
    if any(abs(missing - place) < REACH_MM for missing in candidate.missing_mm):
        raise Refused(
            "INCOMPLETE_SET",
            f"Slices are missing within {REACH_MM:g} mm of the middle of the spine.",
            remedy="Send the whole series; the transfer may have been cut off.",
        )


def _notes(
    found: Found, fitting: list[Candidate], place: int, wanted: WantedSeries
) -> tuple[str, ...]:
    """Return how the stack at a place among those that fit came to be judged."""
    judged, unlike, rivals = fitting[place], fitting[:place], fitting[place + 1 :]
    notes = [
        f"MR series found: {found.series}, stacks of slices in them: {len(found.stacks)}. Judged: "
        f"{judged.words}."
    ]
    if rivals:
        won = reason(judged, rivals[0])
        notes.append(f"One of {len(rivals) + 1} such stacks was judged: {won}.")
    if rank_of(judged).part == 2:
        notes.append("The header states another body part; the image alone decided.")
    for count, what in (
        (judged.repeated, "more slices at the same places were passed over"),
        (sum(judged.gaps), "slices are missing between others"),
    ):
        if count:
            notes.append(f"Of the judged stack, {count} {what}.")
    if judged.uneven:
        notes.append("The slices of the judged stack are unevenly spaced.")
    told = [f"{each.words} (does not show the canal)" for each in unlike]
    told += [f"{each.words} ({lack})" for each in found.stacks if (lack := each.lacks(wanted))]
    if told or found.unfit:
        notes.append(f"Not judged: {found.listed(told)}.")
    return tuple(notes)


def _incomplete(found: Found, wanted: WantedSeries) -> Refused:
    told = [f"{each.words} ({each.lacks(wanted)})" for each in found.stacks]
    return Refused(
        "INCOMPLETE_SET",
        f"No MR series is {wanted.orientation} {wanted.weighting} with at least "
        f"{wanted.minimum_slices} slices and a field of {wanted.minimum_field_mm:g} mm. Found: "
        f"{found.listed(told)}.",
        remedy=f"Send the {wanted.orientation} {wanted.weighting} series of the cervical spine, "
        "whole and as the scanner made it.",
    )
