"""The rank among stacks that could all be judged."""

from __future__ import annotations

from typing import NamedTuple

from cspine.dicom.element import integer
from cspine.dicom.rank import UNNUMBERED
from cspine.dicom.stacks.candidate import Candidate
from cspine.dicom.stacks.wanted import WantedSeries


class Rank(NamedTuple):
    """What stacks are compared by that are as wanted; the lowest is judged.

    Attributes
    ----------
    part
        0 if the header states the cervical spine, 1 if it leaves the part open, 2 if it states
        another.
    missing
        How many slices are missing between its first and its last.
    kernel
        0 if it is of the wanted kernel or none is wanted, 1 if nothing tells, 2 if of the other.
    pixel_mm2
        The area of a pixel: the finer picture wins.
    fewer_slices
        Minus the number of slices.
    number
        Series Number.
    name
        The lowest name of its objects, and frame; no two stacks share both.
    """

    part: int
    missing: int
    kernel: int
    pixel_mm2: float
    fewer_slices: int
    number: int
    name: tuple[str, int]


# Why a stack was judged that won by a criterion.
WON = {
    "part": "its header states the neck, or leaves the body part open",
    "missing": "it lacks the fewest slices",
    "kernel": "it is of the kernel that is wanted, or leaves that open",
    "pixel_mm2": "it has the finest pixels",
    "fewer_slices": "it has the most slices",
    "number": "it has the lowest Series Number",
    "name": "it has the lowest SOP Instance UID",
}


def rank_of(candidate: Candidate, wanted: WantedSeries) -> Rank:
    """Return the rank of a stack among those that are as wanted."""
    first = min(candidate.frames, key=lambda frame: (frame.instance.name, frame.index))
    stated = {True: 0, None: 1, False: 2}
    like = {wanted.kernel: 0, None: 1}.get(candidate.kernel, 2)
    row_mm, column_mm = first.plane.spacing_mm
    return Rank(
        part=min(stated[frame.cervical] for frame in candidate.frames),
        missing=sum(candidate.gaps),
        kernel=like if wanted.kernel else 0,
        pixel_mm2=round(row_mm * column_mm, 6),
        fewer_slices=-len(candidate.frames),
        number=integer(first.instance.dataset, "SeriesNumber", default=UNNUMBERED),
        name=(first.instance.name, first.index),
    )


def reason(best: Candidate, second: Candidate, wanted: WantedSeries) -> str:
    """Return by what the best differs from the one that comes next."""
    pairs = zip(Rank._fields, rank_of(best, wanted), rank_of(second, wanted), strict=True)
    return next(WON[criterion] for criterion, a, b in pairs if a != b)
