"""From a study to the stack of slices that a pipeline judges."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
import pydicom

from cspine.dicom.identity import distinct, of_one_patient
from cspine.dicom.stacks.canal import REACH_MM
from cspine.dicom.stacks.candidate import SAME_PLACE_MM, Candidate
from cspine.dicom.stacks.ct import shows_a_body
from cspine.dicom.stacks.found import Found, find_stacks
from cspine.dicom.stacks.rank import rank_of, reason
from cspine.dicom.stacks.stack import Stack, read_stack
from cspine.dicom.stacks.wanted import Modality, Thinning, WantedSeries, Weighting
from cspine.findings import Refused

# What a cervical spine shows of canal and cord at the least: so many millimetres in one slice, or
# in a lower field this share of its height. More is asked where the fluid is dark, for then any
# bright band may be taken for a cord.
LEAST_CANAL_MM: dict[Weighting, float] = {"T2": 40.0, "STIR": 40.0, "T1": 60.0}
LEAST_SHARE = 0.5

_AN: dict[Modality, str] = {"MR": "an MR", "CT": "a CT"}
_SHOWS: dict[Modality, str] = {
    "MR": "shows the spinal canal with its cord from the head down",
    "CT": "shows air, soft tissue and bone",
}
_SHOWS_NOT: dict[Modality, str] = {
    "MR": "does not show the canal",
    "CT": "shows not air, soft tissue and bone",
}


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


def stack(study: Objects, wanted: WantedSeries, *, thinning: Thinning | None = None) -> Stack:
    """Choose the stack of a study that the pipeline judges, decode it and find its middle.

    Every series is parted into stacks of parallel slices of one kind. Among those that are as
    wanted the choice goes by :class:`Rank`; a sagittal one of MR must show the spinal canal with
    its cord, one of CT soft tissue and bone, or the next is asked. The order of files never
    matters.

    Parameters
    ----------
    study
        Its objects, in any order.
    wanted
        Which series.
    thinning
        Which of its slices; all, and none missing about the middle, if it is not given.

    Returns
    -------
    Stack
        Its notes say how many there were, what each was taken for and why it was not judged.

    Raises
    ------
    Refused
        ``IDENTITY_CONFLICT`` if the study is of several patients, or objects that differ share a
        UID; ``UNSUPPORTED_OBJECT`` if it has no images of the modality, or the chosen ones cannot
        be decoded;
        ``INCOMPLETE_SET`` if no stack is as wanted, or slices are missing near the middle or, of
        a thinned one, anywhere; ``WRONG_ANATOMY`` if none shows a neck; ``LOW_QUALITY`` if the
        slices are blank.
    """
    of_one_patient(study.patients)
    found = find_stacks(distinct(study.instances), wanted)
    if not found.series:
        raise Refused(
            "UNSUPPORTED_OBJECT",
            f"None of {found.others} objects is {_AN[wanted.modality]} image.",
            remedy=f"Send the {wanted.modality} series themselves, not reports, captures or "
            "another modality.",
        )
    fitting = [each for each in found.stacks if not each.lacks(wanted, thinning)]
    if not fitting:
        raise _incomplete(found, wanted, thinning)
    for place, candidate in enumerate(fitting):
        read = read_stack(candidate, wanted, candidate.judged(thinning))
        if _shows_a_neck(read):
            if thinning:
                _check_stretches(candidate, thinning)
            else:
                _check_middle(candidate, read.middle)
            notes = _notes(found, fitting, place, wanted, thinning)
            return replace(read, notes=notes)
    raise Refused(
        "WRONG_ANATOMY",
        f"None of {len(fitting)} {wanted.words} stacks {_SHOWS[wanted.modality]}, as the cervical "
        "spine does.",
        remedy="Send the series of the cervical spine. If it is that, its contrast is too little "
        "or its values are not right: have it read without this software.",
    )


def _shows_a_neck(stack: Stack) -> bool:
    if not stack.weighting:
        return shows_a_body([each.image.pixels for each in stack.slices])
    shown = [each.canal_mm for each in stack.slices if each.canal_mm is not None]
    rows, _ = stack.slices[0].image.shape
    height = rows * stack.slices[0].image.spacing.row_mm
    return not shown or max(shown) >= min(LEAST_CANAL_MM[stack.weighting], LEAST_SHARE * height)


def _check_middle(candidate: Candidate, middle: int) -> None:
    """Check that no slice is missing near the middle one, for the true middle may be missing."""
    place = candidate.places_mm[middle]
    if any(abs(missing - place) < REACH_MM for missing in candidate.missing_mm):
        raise _missing(f"within {REACH_MM:g} mm of the middle of the spine")


def _check_stretches(candidate: Candidate, thinning: Thinning) -> None:
    """Check that no two places in a row are without a slice, for what lies there may be worst."""
    widest = float(np.diff(candidate.places_mm).max(initial=0.0))
    if widest > 2 * max(thinning.every_mm, candidate.spacing_mm) + SAME_PLACE_MM:
        raise _missing(f"in a stretch of {widest:.0f} mm")


def _missing(where: str) -> Refused:
    return Refused(
        "INCOMPLETE_SET",
        f"Slices are missing {where}.",
        remedy="Send the whole series; the transfer may have been cut off.",
    )


def _notes(
    found: Found,
    fitting: list[Candidate],
    place: int,
    wanted: WantedSeries,
    thinning: Thinning | None,
) -> tuple[str, ...]:
    """Return how the stack at a place among those that fit came to be judged."""
    judged, unlike, rivals = fitting[place], fitting[:place], fitting[place + 1 :]
    notes = [
        f"{wanted.modality} series found: {found.series}, stacks of slices in them: "
        f"{len(found.stacks)}. Judged: {judged.words}."
    ]
    if thinning and (count := len(judged.judged(thinning))) < len(judged.frames):
        notes.append(f"Of them, {count} were judged, about every {thinning.every_mm:g} mm.")
    if rivals:
        won = reason(judged, rivals[0], wanted)
        notes.append(f"One of {len(rivals) + 1} such stacks was judged: {won}.")
    if rank_of(judged, wanted).part == 2:
        notes.append("The header states another body part; the image alone decided.")
    for count, what in (
        (judged.repeated, "more slices at the same places were passed over"),
        (sum(judged.gaps), "slices are missing between others"),
    ):
        if count:
            notes.append(f"Of the judged stack, {count} {what}.")
    if judged.uneven:
        notes.append("The slices of the judged stack are unevenly spaced.")
    told = [f"{each.words} ({_SHOWS_NOT[wanted.modality]})" for each in unlike]
    told += [
        f"{each.words} ({lack})" for each in found.stacks if (lack := each.lacks(wanted, thinning))
    ]
    if told or found.unfit:
        notes.append(f"Not judged: {found.listed(told)}.")
    return tuple(notes)


def _incomplete(found: Found, wanted: WantedSeries, thinning: Thinning | None) -> Refused:
    told = [f"{each.words} ({each.lacks(wanted, thinning)})" for each in found.stacks]
    apart = f" every {thinning.every_mm:g} mm" if thinning else ""
    return Refused(
        "INCOMPLETE_SET",
        f"No series is {wanted.words} with at least {wanted.minimum_slices} slices{apart} and a "
        f"field of {wanted.minimum_field_mm:g} mm. Found: {found.listed(told)}.",
        remedy=f"Send the {wanted.words} series of the cervical spine, whole and as the scanner "
        "made it.",
    )
