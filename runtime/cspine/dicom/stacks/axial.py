"""All axial slices of a study that share the coordinates of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pydicom

from cspine.dicom.identity import distinct
from cspine.dicom.pixels import MAXIMUM_PIXELS
from cspine.dicom.stacks.candidate import Candidate
from cspine.dicom.stacks.found import find_stacks
from cspine.dicom.stacks.stack import StackSlice, read_stack
from cspine.dicom.stacks.wanted import WantedSeries
from cspine.findings import Refused
from cspine.image import Image

MOST_SLICES = 200  # of a neck there are 20 to 60


def axial_slices(
    instances: Sequence[pydicom.Dataset], wanted: WantedSeries, *, frame_of_reference: str
) -> tuple[tuple[Image, ...], tuple[str, ...]]:
    """Decode every axial stack that is as wanted: one through the neck, or one along each disc.

    Discs lean; what lies along one may be oblique, and is read as it is stored.

    Returns
    -------
    images
        From the feet up; none if no stack is as wanted.
    notes
        What was found and, of what is not used, why.
    """
    found = find_stacks(distinct(instances), wanted)
    slices: list[StackSlice] = []
    stacks = 0
    told: list[str] = []
    for each in filter(_across_the_neck, found.stacks):
        lack = (
            each.lacks_otherwise(wanted)
            or _unlike(each, frame_of_reference)
            or _over(each, len(slices))
        )
        if not lack:
            try:
                read = read_stack(each, wanted, range(len(each.frames)))
            except Refused as refused:
                lack = refused.refusal.reason
            else:
                slices += read.slices
                stacks += 1
        if lack:
            told.append(f"{each.words} ({lack})")
    notes = [f"Axial slices that are used: {len(slices)}, in stacks: {stacks}."]
    if told:
        notes.append(f"Axial stacks that are not used: {'; '.join(dict.fromkeys(told))}.")
    return tuple(each.image for each in sorted(slices, key=_height)), tuple(notes)


def _across_the_neck(candidate: Candidate) -> bool:
    """Return whether slices lie nearer to axial than to another view, as along a leaning disc."""
    normal = np.abs(candidate.frames[0].plane.normal)
    return bool(normal.argmax() == 2)


def _unlike(candidate: Candidate, frame_of_reference: str) -> str:
    own = candidate.frames[0].plane.frame_of_reference
    return "" if own == frame_of_reference != "" else "in another Frame of Reference, or in none"


def _over(candidate: Candidate, count: int) -> str:
    rows, columns = candidate.frames[0].shape
    most = min(MOST_SLICES, MAXIMUM_PIXELS // (rows * columns))
    return "more slices than are read" if count + len(candidate.frames) > most else ""


def _height(each: StackSlice) -> float:
    """Return how far the middle of a slice lies to the head."""
    rows, columns = each.image.shape
    return float(each.plane.to_patient(((columns - 1) / 2, (rows - 1) / 2))[2])
