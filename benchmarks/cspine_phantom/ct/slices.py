"""Hounsfield units of planes of any direction through a neck that lies askew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine_phantom.ct.hounsfield import Table
from cspine_phantom.volume.anatomy import PITCH_MM, Anatomy
from cspine_phantom.volume.lying import Lying, Vector

Units = NDArray[np.float32]
"""Hounsfield units."""

_NEAR_MM, _FINE_MM, _COARSE_MM, _FAR_MM = 27.0, 0.5, 2.0, 88.0


@dataclass(frozen=True)
class Stack:
    """Parallel slices in the patient's coordinates (PS3.3 C.7.6.2).

    Attributes
    ----------
    first_mm
        Centre of the first pixel of the slice at offset 0.
    across, down, normal
        Unit vectors along a row, along a column, and from slice to slice.
    offsets_mm
        Of the slices, along the normal.
    """

    first_mm: Vector
    across: Vector
    down: Vector
    normal: Vector
    offsets_mm: tuple[float, ...]
    rows: int
    columns: int
    pixel_mm: float
    thickness_mm: float

    def origin(self, index: int) -> Vector:
        """Return the centre of the first pixel of a slice."""
        place: Vector = self.first_mm + self.offsets_mm[index] * self.normal
        return place


@dataclass(frozen=True)
class Body:
    """All labels of a neck, in sagittal planes that lie closer near the spine.

    Attributes
    ----------
    labels
        (planes, rows, columns).
    sides_mm
        How far each plane lies to the left.
    """

    anatomy: Anatomy
    lying: Lying
    labels: NDArray[np.uint8]
    sides_mm: NDArray[np.float64]

    def slices(self, stack: Stack, table: Table, *, parts: int) -> Units:
        """Return the slices of a stack, (slices, rows, columns).

        Parameters
        ----------
        parts
            Planes of which a slice is the mean, through its thickness.
        """
        inside = ((np.arange(parts) + 0.5) / parts - 0.5) * stack.thickness_mm
        turn = self.lying.matrix.T
        across = np.arange(stack.columns, dtype=np.float32) * stack.pixel_mm
        down = np.arange(stack.rows, dtype=np.float32)[:, None] * stack.pixel_mm
        # From the first pixel of a slice, the same in all of them: to the left, and in a plane.
        left, back, feet = (
            across * np.float32(along) + down * np.float32(below)
            for along, below in zip(turn @ stack.across, turn @ stack.down, strict=True)
        )
        column, row = back / np.float32(PITCH_MM), feet / np.float32(PITCH_MM)
        found = np.zeros((len(stack.offsets_mm), stack.rows, stack.columns), np.float32)
        for index, units in enumerate(found):
            for offset in inside:
                origin = stack.origin(index) + offset * stack.normal
                first = turn @ (origin - self.lying.middle_mm)
                x, y = self.anatomy.pixel(first[1:]).astype(np.float32)
                units += self._plane(left + np.float32(first[0]), column + x, row + y, table)
        found /= parts
        return found

    def _plane(self, left_mm: Units, column: Units, row: Units, table: Table) -> Units:
        """Return what lies at places of the label maps: of the two beside each, and between."""
        number = np.interp(left_mm, self.sides_mm, np.arange(len(self.sides_mm)))
        nearer = np.minimum(number, len(self.sides_mm) - 2).astype(np.int32)
        part = (number - nearer).astype(np.float32)
        _, rows, columns = self.labels.shape
        x = np.clip(column + np.float32(0.5), 0, columns - 1).astype(np.int32)
        y = np.clip(row + np.float32(0.5), 0, rows - 1).astype(np.int32)
        flat = (nearer * np.int32(rows) + y) * np.int32(columns) + x
        labels = self.labels.reshape(-1)
        one = table.take(labels.take(flat))
        flat += rows * columns
        found: Units = one + part * (table.take(labels.take(flat)) - one)
        return found


def body(anatomy: Anatomy, lying: Lying) -> Body:
    """Draw all planes of a neck."""
    outer = np.arange(_NEAR_MM + _COARSE_MM, _FAR_MM, _COARSE_MM)
    near = np.arange(-_NEAR_MM, _NEAR_MM + _FINE_MM / 2, _FINE_MM)
    sides = np.concatenate([-outer[::-1], near, outer])
    return Body(anatomy, lying, np.stack([anatomy.plane(side) for side in sides.tolist()]), sides)
