"""Hounsfield units of planes of any direction through a neck that lies askew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine_phantom.ct.hounsfield import Table
from cspine_phantom.volume.anatomy import Anatomy, LabelMap
from cspine_phantom.volume.lying import Lying, Vector

Units = NDArray[np.float32]
"""Hounsfield units."""

_NEAR_MM, _FINE_MM, _COARSE_MM, _FAR_MM = 27.0, 0.5, 1.5, 96.0


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
        found = np.zeros((len(stack.offsets_mm), stack.rows, stack.columns), np.float32)
        for index in range(len(found)):
            for offset in inside:
                found[index] += self._plane(
                    stack, stack.origin(index) + offset * stack.normal, table
                )
        found /= parts
        return found

    def _plane(self, stack: Stack, origin: Vector, table: Table) -> Units:
        """Return a plane: the nearest label of a sagittal one, in between two of them."""
        turn = self.lying.matrix.T
        start = turn @ (origin - self.lying.middle_mm)
        across, down = turn @ stack.across * stack.pixel_mm, turn @ stack.down * stack.pixel_mm
        columns = np.arange(stack.columns)[None]
        rows = np.arange(stack.rows)[:, None]
        left, back, feet = (
            start[axis] + columns * across[axis] + rows * down[axis] for axis in range(3)
        )
        place = self._plane_number(left)
        nearer = place.astype(np.intp)
        part = (place - nearer).astype(np.float32)
        x, y = self.anatomy.pixel(np.stack([back, feet], axis=-1)).reshape(-1, 2).T
        shape = self.labels.shape
        x = np.clip(np.rint(x), 0, shape[2] - 1).astype(np.intp)
        y = np.clip(np.rint(y), 0, shape[1] - 1).astype(np.intp)
        flat = (nearer.ravel() * shape[1] + y) * shape[2] + x
        labels: LabelMap = self.labels.reshape(-1)
        one, other = table[labels[flat]], table[labels[flat + shape[1] * shape[2]]]
        found: Units = (one + part.ravel() * (other - one)).reshape(left.shape)
        return found

    def _plane_number(self, left_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        number = np.interp(left_mm, self.sides_mm, np.arange(len(self.sides_mm)))
        return np.minimum(number, len(self.sides_mm) - 1 - 1e-6)


def body(anatomy: Anatomy, lying: Lying) -> Body:
    """Draw all planes of a neck."""
    outer = np.arange(_NEAR_MM + _COARSE_MM, _FAR_MM, _COARSE_MM)
    near = np.arange(-_NEAR_MM, _NEAR_MM + _FINE_MM / 2, _FINE_MM)
    sides = np.concatenate([-outer[::-1], near, outer])
    return Body(anatomy, lying, np.stack([anatomy.plane(side) for side in sides.tolist()]), sides)
