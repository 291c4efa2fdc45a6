"""A stack of MR slices as the isolated reader sends it to its parent."""

from __future__ import annotations

import numpy as np

from cspine.dicom.message import Fill, Message, Shape, receive_array
from cspine.dicom.mr.stack import MRSlice, Stack
from cspine.dicom.mr.wanted import Orientation, Weighting
from cspine.dicom.pixels import MAXIMUM_PIXELS
from cspine.dicom.plane import Plane
from cspine.findings import Source, Spacing
from cspine.image import Facing, Image

Vector = tuple[float, float, float]


class Lying(Message, frozen=True, kw_only=True):
    """Where pixels lie in the patient: a :class:`~cspine.dicom.plane.Plane`."""

    origin_mm: Vector
    across: Vector
    down: Vector
    spacing_mm: tuple[float, float]
    frame_of_reference: str


class Cut(Message, frozen=True, kw_only=True):
    """One slice of a stack, without its levels."""

    plane: Lying
    stored: Lying
    frame: int
    canal_mm: float | None
    source: Source


class Piled(Message, frozen=True, kw_only=True):
    """A stack of MR slices of one shape and spacing; the levels of each follow, as float32."""

    shape: Shape
    spacing: Spacing
    facing: Facing | None
    slices: tuple[Cut, ...]
    orientation: Orientation
    weighting: Weighting
    spacing_mm: float
    gaps: tuple[int, ...]
    middle: int
    notes: tuple[str, ...]


def piled(stack: Stack) -> Piled:
    """Return a stack's header, which the levels of its slices are to follow."""
    first = stack.slices[0].image
    return Piled(
        shape=first.shape,
        spacing=first.spacing,
        facing=first.facing,
        slices=tuple(map(_cut, stack.slices)),
        orientation=stack.orientation,
        weighting=stack.weighting,
        spacing_mm=stack.spacing_mm,
        gaps=stack.gaps,
        middle=stack.middle,
        notes=stack.notes,
    )


def _cut(each: MRSlice) -> Cut:
    return Cut(
        plane=_lying(each.plane),
        stored=_lying(each.stored),
        frame=each.frame,
        canal_mm=each.canal_mm,
        source=each.image.source,  # type: ignore[arg-type]  # every slice of a study has one
    )


def _lying(plane: Plane) -> Lying:
    return Lying(
        origin_mm=plane.origin_mm.tolist(),
        across=plane.across.tolist(),
        down=plane.down.tolist(),
        spacing_mm=plane.spacing_mm,
        frame_of_reference=plane.frame_of_reference,
    )


def receive_stack(fill: Fill, piled: Piled) -> Stack:
    """Read the arrays that a stack's header announces; its arrays are freshly owned.

    Raises
    ------
    ValueError
        If the header announces no stack that is read.
    """
    rows, columns = piled.shape
    count = len(piled.slices)
    if rows * columns * count > MAXIMUM_PIXELS:
        raise ValueError("too many pixels")
    if not 0 <= piled.middle < count or len(piled.gaps) != count - 1:
        raise ValueError("no stack")
    if min(piled.spacing.row_mm, piled.spacing.column_mm) <= 0:
        raise ValueError("no spacing")
    return Stack(
        slices=tuple(_slice(fill, piled, each) for each in piled.slices),
        orientation=piled.orientation,
        weighting=piled.weighting,
        spacing_mm=piled.spacing_mm,
        gaps=piled.gaps,
        middle=piled.middle,
        notes=piled.notes,
    )


def _slice(fill: Fill, piled: Piled, cut: Cut) -> MRSlice:
    image = Image(
        pixels=receive_array(fill, piled.shape, "float32"),
        spacing=piled.spacing,
        facing=piled.facing,
        source=cut.source,
    )
    return MRSlice(image, _plane(cut.plane), _plane(cut.stored), cut.frame, cut.canal_mm)


def _plane(lying: Lying) -> Plane:
    origin, across, down = map(np.array, (lying.origin_mm, lying.across, lying.down))
    return Plane(origin, across, down, lying.spacing_mm, lying.frame_of_reference)
