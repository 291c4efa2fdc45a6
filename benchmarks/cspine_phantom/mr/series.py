"""A series as it leaves the scanner, before it is written as DICOM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cspine_phantom.mr.geometry import Stack
from cspine_phantom.mr.receive import Stored
from cspine_phantom.mr.scanners import Protocol
from cspine_phantom.mr.tissue import Sequence as Contrast
from cspine_phantom.volume.lying import Lying, Vector

Title = Literal["sag T2", "sag T1", "sag STIR", "ax T2", "localiser"]

TITLES: tuple[Title, ...] = get_args(Title)


@dataclass(frozen=True)
class Frame:
    """One slice in the patient's coordinates (PS3.3 C.7.6.2).

    Attributes
    ----------
    pixels
        (rows, columns) uint16.
    origin_mm
        Centre of the first pixel.
    across, down
        Unit vectors along a row and along a column.
    position
        Its place in its stack, counted from 1 along the normal of the scanner's choice.
    stack
        Number of that stack in the series, from 1.
    """

    pixels: NDArray[np.uint16]
    origin_mm: Vector
    across: Vector
    down: Vector
    position: int
    stack: int


@dataclass(frozen=True)
class Series:
    """Frames of one contrast in the order in which they are stored.

    Attributes
    ----------
    number
        Series Number.
    spacing_mm
        Between the centres of neighbouring slices of one stack.
    moved
        Whether the patient was moved before it: its Frame of Reference is another.
    """

    title: Title
    number: int
    sequence: Contrast
    frames: tuple[Frame, ...]
    pixel_mm: float
    thickness_mm: float
    spacing_mm: float
    moved: bool = False


def assemble(
    title: Title,
    stacks: Sequence[tuple[Stack, Stored]],
    protocol: Protocol,
    *,
    number: int,
    lying: Lying,
    moved: bool = False,
    shuffle: np.random.Generator | None,
) -> Series:
    """Return the series of some stacks; `shuffle` mixes its frames."""
    frames = [
        Frame(
            pixels=pixels,
            origin_mm=lying.place(stack.origin(index)),
            across=lying.direct(stack.across),
            down=lying.direct(stack.down),
            position=index + 1,
            stack=place,
        )
        for place, (stack, images) in enumerate(stacks, 1)
        for index, pixels in enumerate(images)
    ]
    if shuffle is not None:
        frames = [frames[index] for index in shuffle.permutation(len(frames))]
    first = stacks[0][0]
    return Series(
        title=title,
        number=number,
        sequence=protocol.sequence,
        frames=tuple(frames),
        pixel_mm=first.pixel_mm,
        thickness_mm=first.thickness_mm,
        spacing_mm=first.spacing_mm,
        moved=moved,
    )
