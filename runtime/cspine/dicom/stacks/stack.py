"""A stack of parallel slices, decoded: what a pipeline of MR or CT looks at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from cspine.dicom.dataset import pixels_forgotten, source_of
from cspine.dicom.read import read_slice
from cspine.dicom.stacks.canal import Fluid, canal_mm, middle_of
from cspine.dicom.stacks.candidate import Candidate
from cspine.dicom.stacks.ct import AIR_HU
from cspine.dicom.stacks.frames import Frame
from cspine.dicom.stacks.wanted import Orientation, WantedSeries, Weighting
from cspine.findings import Refused, Source, Spacing
from cspine.image import Floats, Image
from cspine.plane import Plane


@dataclass(frozen=True)
class StackSlice:
    """One slice, hung as it is read: sagittal and coronal head up, sagittal face left.

    Attributes
    ----------
    image
        Float32 levels as measured, in HU on CT, whose spacing is the patient's. Its coordinates
        are pixels of the slice as hung; ``stored.to_pixels(plane.to_patient(points))`` are those
        of the frame.
    plane
        ``image.plane``.
    stored
        Where the pixels of the frame lie as they are stored.
    frame
        Zero-based, of the object that ``image.source`` names.
    canal_mm
        How much of the spinal canal with its cord it shows (:mod:`cspine.dicom.stacks.canal`);
        ``None`` unless the stack is sagittal MR.
    """

    image: Image
    plane: Plane
    stored: Plane
    frame: int
    canal_mm: float | None


@dataclass(frozen=True)
class Stack:
    """Parallel slices of one kind.

    Attributes
    ----------
    slices
        Ordered by position: to the patient's left if sagittal, back if coronal, head if axial.
        All have one shape and spacing.
    orientation, weighting
        What it was taken for; CT is weighted by nothing.
    spacing_mm
        Between the centres of neighbouring slices; 0 for a single one.
    gaps
        How many slices are missing after each but the last.
    middle
        Index of the slice in the middle: of those that show the canal, if it is sagittal MR;
        else of all.
    notes
        How it was chosen, and what else was found.
    """

    slices: tuple[StackSlice, ...]
    orientation: Orientation
    weighting: Weighting | None
    spacing_mm: float
    gaps: tuple[int, ...]
    middle: int
    notes: tuple[str, ...] = ()

    @property
    def source(self) -> Source | None:
        """What names the middle slice, for an answer that is about the stack."""
        return self.slices[self.middle].image.source

    def around_middle(self, count: int) -> tuple[StackSlice, ...]:
        """Return the slices nearest to the middle one, which is among them, by position.

        Of two as near, the one that shows more of the canal is taken, then the former. All, if
        there are not more.
        """

        def rank(place: int) -> tuple[float, float, int]:
            return abs(place - self.middle), -(self.slices[place].canal_mm or 0.0), place

        nearest = sorted(range(len(self.slices)), key=rank)[:count]
        return tuple(self.slices[place] for place in sorted(nearest))

    def from_middle(self, count: int) -> tuple[Image, ...]:
        """Return the images of :meth:`around_middle`, the one in the middle first, then by place.

        Of a multi-frame object each names its frame.
        """
        middle = self.slices[self.middle]
        others = [each for each in self.around_middle(count) if each is not middle]
        return tuple(each.image for each in (middle, *others))

    def nearest_to(self, point_mm: npt.ArrayLike) -> int:
        """Return the index of the slice that a point of the patient, shape (3,), lies nearest to.

        A point of another stack's slice is meant only if both state one Frame of Reference.
        """
        off = [abs(float(each.plane.to_pixels(point_mm)[2])) for each in self.slices]
        return int(np.argmin(off))


def read_stack(candidate: Candidate, wanted: WantedSeries, judged: Sequence[int]) -> Stack:
    """Decode the slices of these indices of a candidate, which is as wanted.

    Raises
    ------
    Refused
        ``UNSUPPORTED_OBJECT`` if a slice cannot be decoded, ``LOW_QUALITY`` if all pixels have one
        value.
    """
    frames = tuple(candidate.frames[index] for index in judged)
    every = candidate.places_mm
    places = [every[index] for index in judged]
    # One array: a stack may be as large as all images that are read.
    levels = np.empty((len(frames), *frames[0].shape), np.float32)
    sources = list(_decoded(frames, levels))
    if levels.min() == levels.max():
        raise Refused(
            "LOW_QUALITY",
            "The slices are blank: all their pixels have one value.",
            remedy="Send the right series, or have it repeated.",
        )
    canal: list[float | None] = [None] * len(frames)
    middle = len(frames) // 2
    if wanted.modality == "CT":
        np.maximum(levels, AIR_HU, out=levels)
    elif wanted.orientation == "sagittal":
        fluid: Fluid = "dark" if wanted.weighting == "T1" else "bright"
        shown = canal_mm(levels, frames[0].plane.spacing_mm, fluid=fluid)
        canal, middle = [*shown], middle_of(shown, places)
    return Stack(
        slices=tuple(map(_slice, frames, levels, sources, canal)),
        orientation=wanted.orientation,
        weighting=wanted.weighting,
        spacing_mm=float(np.median(np.diff(places))) if len(places) > 1 else 0.0,
        gaps=tuple(sum(candidate.gaps[a:b]) for a, b in pairwise(judged)),
        middle=middle,
    )


def _decoded(frames: tuple[Frame, ...], levels: Floats) -> Iterator[Source]:
    """Decode frames into ``levels`` as they hang; yield what names the object of each.

    The pixels of an object are read once for all of its frames.
    """
    sources: dict[str, Source] = {}
    with ExitStack() as held:
        for frame, turned in zip(frames, levels, strict=True):
            dataset, name = frame.instance.dataset, frame.instance.name
            if name not in sources:
                held.enter_context(pixels_forgotten(dataset))
            turned[:] = frame.turn.pixels(read_slice(dataset, frame=frame.index).values)
            if name not in sources:
                sources[name] = source_of(dataset)
            several = "NumberOfFrames" in dataset
            yield msgspec.structs.replace(sources[name], frame=frame.index + 1 if several else None)


def _slice(frame: Frame, levels: Floats, source: Source, canal: float | None) -> StackSlice:
    row_mm, column_mm = frame.plane.spacing_mm
    return StackSlice(
        image=Image(
            pixels=levels,
            spacing=Spacing(row_mm=row_mm, column_mm=column_mm, flag="calibrated"),
            facing="left" if frame.plane.view == "sagittal" else None,
            source=source,
            plane=frame.plane,
            unit="HU" if frame.modality == "CT" else None,
        ),
        plane=frame.plane,
        stored=frame.stored,
        frame=frame.index,
        canal_mm=canal,
    )
