"""Parallel slices of one kind in one series: what could be judged, by the headers alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cspine.dicom.pixels import MAXIMUM_PIXELS
from cspine.dicom.stacks.frames import Frame
from cspine.dicom.stacks.wanted import Kernel, Modality, Thinning, WantedSeries, Weighting
from cspine.plane import View

# Frames belong together as long as no gap as wide as this lies between them. Headers round
# directions to about 1e-6 and positions to micrometres; two stacks of a series differ by more.
_DIRECTION_GAP = 0.02  # of a direction cosine: about a degree
_SPACING_GAP_MM = 1e-3
_ECHO_GAP_MS = 1.0
_THICKNESS_GAP_MM = 0.05
_ASIDE_GAP_MM = 5.0  # of the slices' centres, within their planes

SAME_PLACE_MM = 0.1  # slices nearer than this are two of the same place
_UNEVEN = 0.25  # of the spacing: by more than that no slice is off its place


@dataclass(frozen=True)
class Candidate:
    """Frames of one series, one a place, in order along their normal.

    Attributes
    ----------
    frames
        Ordered to the patient's left, back or head, whichever the normal is nearest to.
    repeated
        How many more frames the series has at the same places, which are passed over.
    gaps
        How many slices are missing after each frame but the last.
    spacing_mm
        Between neighbouring slices; 0 for a single one.
    uneven
        Whether slices lie off the places that the spacing gives them.
    """

    frames: tuple[Frame, ...]
    repeated: int
    gaps: tuple[int, ...]
    spacing_mm: float
    uneven: bool

    @property
    def view(self) -> View:
        """The patient's plane that it is nearest to."""
        return self.frames[0].plane.view

    @property
    def modality(self) -> Modality:
        """MR or CT."""
        return self.frames[0].modality

    @property
    def weighting(self) -> Weighting | None:
        """What it is weighted by; ``None`` if nothing tells, and for CT."""
        return self.frames[0].weighting

    @property
    def kernel(self) -> Kernel | None:
        """What it was reconstructed with; ``None`` if nothing tells, and for MR."""
        return self.frames[0].kernel

    @property
    def field_mm(self) -> float:
        """Height of a slice, head to feet; of an axial one its shorter side."""
        first = self.frames[0]
        height, width = (n * mm for n, mm in zip(first.shape, first.plane.spacing_mm, strict=True))
        return min(height, width) if self.view == "axial" else height

    @property
    def words(self) -> str:
        """What it was taken for."""
        if self.modality == "CT":
            kind = f"CT of a {self.kernel} kernel" if self.kernel else "CT"
        else:
            kind = self.weighting or "of another weighting"
        count = len(self.frames)
        return f"{self.view} {kind}, {count} slice{'s' * (count > 1)}"

    @property
    def places_mm(self) -> list[float]:
        """Where each slice lies along their normal, from the first on."""
        first = self.frames[0].plane
        return [abs(float(first.to_pixels(each.plane.origin_mm)[2])) for each in self.frames]

    @property
    def missing_mm(self) -> list[float]:
        """Where slices are missing, in the same way."""
        pairs = zip(self.places_mm, self.places_mm[1:], self.gaps, strict=False)
        return [
            one + (other - one) * k / (gap + 1)
            for one, other, gap in pairs
            for k in range(1, gap + 1)
        ]

    def judged(self, thinning: Thinning | None) -> tuple[int, ...]:
        """Return the indices of the slices that are judged: all, unless they are thinned."""
        if thinning is None:
            return tuple(range(len(self.frames)))
        places = np.array(self.places_mm)
        every = np.arange(0, places[-1] + SAME_PLACE_MM, thinning.every_mm)
        nearest = np.abs(places[:, np.newaxis] - every).argmin(axis=0)
        return tuple(np.unique(nearest).tolist())

    def lacks(self, wanted: WantedSeries, thinning: Thinning | None = None) -> str:
        """Return why it is not what is wanted; empty if it is."""
        if self.view != wanted.orientation:
            return f"not {wanted.orientation}"
        return self.lacks_otherwise(wanted, thinning)

    def lacks_otherwise(self, wanted: WantedSeries, thinning: Thinning | None = None) -> str:
        """Return why it is not what is wanted, wherever it lies; empty if it is."""
        rows, columns = self.frames[0].shape
        count = len(self.judged(thinning))
        apart = f" every {thinning.every_mm:g} mm" if thinning else ""
        if self.weighting != wanted.weighting:
            return f"not {wanted.weighting}"
        if count < wanted.minimum_slices:
            return f"fewer than {wanted.minimum_slices} slices{apart}"
        if thinning and count > thinning.most:
            return f"more than {thinning.most} slices{apart}"
        if wanted.maximum_spacing_mm and self.spacing_mm > wanted.maximum_spacing_mm:
            return f"slices more than {wanted.maximum_spacing_mm:g} mm apart"
        if self.field_mm < wanted.minimum_field_mm:
            return f"a field of less than {wanted.minimum_field_mm:g} mm"
        if count * rows * columns > MAXIMUM_PIXELS:
            return "more pixels than are read"
        return ""


def candidates(frames: Iterable[Frame]) -> list[Candidate]:
    """Part the frames of one series into stacks of parallel slices of one kind.

    Neither the order of the frames nor the way they are stored matters.
    """
    groups: dict[tuple[object, ...], list[Frame]] = {}
    for frame in sorted(frames, key=lambda each: (*each.plane.origin_mm.tolist(), each.order)):
        # What a group has alike is of the frame as it hangs, so that turning it changes nothing.
        key: tuple[object, ...] = (
            frame.shape,
            frame.kind,
            frame.weighting or "",
            frame.kernel or "",
            frame.plane.view,
            frame.plane.frame_of_reference,
        )
        groups.setdefault(key, []).append(frame)
    parted: list[list[Frame]] = []
    for group in groups.values():
        for parallel in _parted(group, *_alike(group)):
            parted += _parted(parallel, *_aside(parallel))
    return [_ordered(group) for group in parted]


def _alike(frames: Sequence[Frame]) -> tuple[npt.NDArray[np.float64], list[float]]:
    """Return what parallel slices of one kind have alike, one row a frame, and the gaps."""
    rows = [
        [
            *each.plane.across,
            *each.plane.down,
            *each.plane.spacing_mm,
            each.echo_ms or 0.0,
            each.thickness_mm or 0.0,
        ]
        for each in frames
    ]
    gaps = [*[_DIRECTION_GAP] * 6, *[_SPACING_GAP_MM] * 2, _ECHO_GAP_MS, _THICKNESS_GAP_MM]
    return np.array(rows), gaps


def _aside(frames: Sequence[Frame]) -> tuple[npt.NDArray[np.float64], list[float]]:
    """Return where the middles of parallel slices lie within their common plane."""
    rows, columns = frames[0].shape
    middles = [each.plane.to_patient(((columns - 1) / 2, (rows - 1) / 2)) for each in frames]
    axes = [
        np.mean([getattr(each.plane, name) for each in frames], axis=0)
        for name in ("across", "down")
    ]
    return np.array(middles) @ np.array(axes).T, [_ASIDE_GAP_MM] * 2


def _parted(
    frames: Sequence[Frame], values: npt.NDArray[np.float64], gaps: Sequence[float]
) -> list[list[Frame]]:
    """Part frames wherever one of their values leaves a gap; again until none does."""
    whole, open_ = [], [np.arange(len(frames))]
    while open_:
        part = open_.pop()
        pieces = _pieces(part, values, gaps)
        if len(pieces) > 1:
            open_ += reversed(pieces)
        else:
            whole.append([frames[place] for place in sorted(part.tolist())])
    return whole


def _pieces(
    part: npt.NDArray[np.intp], values: npt.NDArray[np.float64], gaps: Sequence[float]
) -> list[npt.NDArray[np.intp]]:
    """Part places at the gaps of the first value that leaves any."""
    for column, gap in enumerate(gaps):
        ordered = part[np.argsort(values[part, column], kind="stable")]
        cuts = np.flatnonzero(np.diff(values[ordered, column]) > gap)
        if len(cuts):
            return np.split(ordered, cuts + 1)
    return [part]


def _ordered(frames: Sequence[Frame]) -> Candidate:
    normal = np.mean([each.plane.normal for each in frames], axis=0)
    normal *= np.sign(normal[np.argmax(np.abs(normal))]) / np.linalg.norm(normal)
    places = [float(each.plane.origin_mm @ normal) for each in frames]
    kept: list[tuple[float, Frame]] = []
    # Within a place the earliest comes first, and places that differ by rounding are one.
    for place, frame in sorted(zip(places, frames, strict=True), key=lambda each: each[0]):
        if kept and place - kept[-1][0] < SAME_PLACE_MM:
            if frame.order < kept[-1][1].order:
                kept[-1] = (kept[-1][0], frame)
        else:
            kept.append((place, frame))
    steps = np.diff([place for place, _ in kept])
    spacing = float(np.median(steps)) if len(steps) else 0.0
    counts = np.maximum(np.rint(steps / spacing), 1) if len(steps) else steps
    return Candidate(
        frames=tuple(frame for _, frame in kept),
        repeated=len(frames) - len(kept),
        gaps=tuple(int(count) - 1 for count in counts),
        spacing_mm=spacing,
        uneven=bool((np.abs(steps - counts * spacing) > _UNEVEN * spacing).any()),
    )
