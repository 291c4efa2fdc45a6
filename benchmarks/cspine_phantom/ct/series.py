"""A CT series as it leaves the scanner, before it is written as DICOM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cspine_phantom.ct.scanners import Scanner
from cspine_phantom.ct.slices import Stack, Units
from cspine_phantom.volume.lying import Vector

Title = Literal["axial", "thick axial", "sagittal reformat", "scout"]

TITLES: tuple[Title, ...] = get_args(Title)

Stored = NDArray[np.int32]
"""Values as they are stored, whatever their type on disk."""


@dataclass(frozen=True)
class Frame:
    """One slice in the patient's coordinates (PS3.3 C.7.6.2).

    Attributes
    ----------
    stored
        (rows, columns); Hounsfield units are the intercept higher.
    origin_mm
        Centre of the first pixel.
    position
        Its place in the stack, counted from 1 along the stack's normal.
    """

    stored: Stored
    origin_mm: Vector
    across: Vector
    down: Vector
    position: int


@dataclass(frozen=True)
class Series:
    """Frames of one reconstruction in the order in which they are stored.

    Attributes
    ----------
    number
        Series Number.
    spacing_mm
        Between the middles of neighbouring slices.
    """

    title: Title
    number: int
    kernel: str
    frames: tuple[Frame, ...]
    pixel_mm: float
    thickness_mm: float
    spacing_mm: float


def stored(units: Units, scanner: Scanner) -> Stored:
    """Return Hounsfield units as a scanner stores them: whole, in its range, padded outside."""
    least = -(2 ** (scanner.bits - 1)) if scanner.signed else 0
    most = least + 2**scanner.bits - 1
    values = np.clip(np.rint(units), -1024, None) - scanner.intercept
    kept: Stored = np.clip(values, least, most).astype(np.int32)
    if scanner.padding_hu is not None:
        rows, columns = units.shape[-2:]
        down, across = np.ogrid[:rows, :columns]
        radius = np.hypot(down - (rows - 1) / 2, across - (columns - 1) / 2)
        kept[..., radius > min(rows, columns) / 2] = scanner.padding_hu - scanner.intercept
    return kept


def assemble(
    title: Title,
    stack: Stack,
    values: Stored,
    *,
    number: int,
    kernel: str,
    order: NDArray[np.intp],
) -> Series:
    """Return the series of a stack; `order` is that of its frames, and may leave some out."""
    frames = tuple(
        Frame(values[index], stack.origin(index), stack.across, stack.down, index + 1)
        for index in order.tolist()
    )
    spacing = abs(stack.offsets_mm[1] - stack.offsets_mm[0]) if len(stack.offsets_mm) > 1 else 0.0
    return Series(title, number, kernel, frames, stack.pixel_mm, stack.thickness_mm, spacing)
