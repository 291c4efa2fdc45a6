"""The signal of slices: planes of a body, weighted by how much of a slice each one fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine_phantom.mr.geometry import Stack
from cspine_phantom.mr.tissue import Table
from cspine_phantom.volume.anatomy import PITCH_MM, Anatomy, LabelMap

Signal = NDArray[np.float32]
"""(rows, columns), or (slices, rows, columns)."""

STEP_MM = 1.2
"""Between the planes that a sagittal slice is the mean of."""

_FAR_STEP_MM = 3.0  # farther out, where only sections of other directions go
_FAR_MM = 100.0
_COARSE_MM = 0.75  # pixels that skip some of a label map's
_ACROSS = 3  # points of which a section's pixel is the mean, along its column


@dataclass(frozen=True)
class Wanted:
    """A stack of slices and the signal of every label in it."""

    stack: Stack
    table: Table


class _Taking(Protocol):
    """Slices that grow as planes are drawn."""

    @property
    def reach_mm(self) -> tuple[float, float]:
        """Planes between these sides are wanted."""
        ...

    def take(self, labels: LabelMap, side_mm: float) -> None: ...

    def signal(self) -> Signal: ...


def signals(anatomy: Anatomy, wanted: Sequence[Wanted]) -> list[Signal]:
    """Return the signal of every stack, (slices, rows, columns) each.

    A plane of the body is drawn once for all stacks that need it. Sagittal stacks may be rolled;
    those of other directions must have rows that run straight to the left.
    """
    found: list[_Taking] = [
        _Sagittal(anatomy, each) if each.stack.is_sagittal else _Sections(anatomy, each)
        for each in wanted
    ]
    near = [each.reach_mm for each in found if isinstance(each, _Sagittal)]
    low = min((low for low, _ in near), default=-30.0)
    high = max((high for _, high in near), default=30.0)
    # The same planes whatever else is wanted.
    sides = STEP_MM * np.arange(np.floor(low / STEP_MM), np.ceil(high / STEP_MM) + 1)
    if len(near) < len(found):
        outer = np.arange(_FAR_STEP_MM, _FAR_MM, _FAR_STEP_MM)
        sides = np.concatenate([(sides[0] - outer)[::-1], sides, sides[-1] + outer])
    for side_mm in sides.tolist():
        takers = [
            each
            for each in found
            if each.reach_mm[0] - STEP_MM < side_mm < each.reach_mm[1] + STEP_MM
        ]
        if takers:
            labels = anatomy.plane(side_mm)
        for each in takers:
            each.take(labels, side_mm)
    return [each.signal() for each in found]


class _Sagittal:
    """Sagittal slices: a plane crosses one that is rolled against it in a band of rows."""

    def __init__(self, anatomy: Anatomy, wanted: Wanted) -> None:
        stack = wanted.stack
        self._anatomy, self._stack, self._table = anatomy, stack, wanted.table
        self._signal = np.zeros((len(stack.offsets_mm), stack.rows, stack.columns), np.float32)
        down = (np.arange(stack.rows) - (stack.rows - 1) / 2) * stack.pixel_mm
        offsets = np.array(stack.offsets_mm)[:, None]
        # To the left of the midline, of the middle of each row of each slice.
        self._middle = stack.middle_mm[0] + offsets * stack.normal[0] + down * stack.down[0]

    @property
    def reach_mm(self) -> tuple[float, float]:
        half = self._stack.thickness_mm / 2
        return float(self._middle.min()) - half, float(self._middle.max()) + half

    def take(self, labels: LabelMap, side_mm: float) -> None:
        half, step = self._stack.thickness_mm / 2, STEP_MM / 2
        low = np.maximum(self._middle - half, side_mm - step)
        high = np.minimum(self._middle + half, side_mm + step)
        part = (np.clip(high - low, 0, None) / self._stack.thickness_mm).astype(np.float32)
        seen = self._seen(labels, side_mm)
        for index, share in enumerate(part):
            rows = np.flatnonzero(share)
            if len(rows):
                band = slice(rows[0], rows[-1] + 1)
                self._signal[index, band] += share[band, None] * seen[band]

    def _seen(self, labels: LabelMap, side_mm: float) -> Signal:
        """Return the signal of a plane on the pixels of the stack.

        A pixel r millimetres down in a slice that is rolled by an angle lies in this plane
        ``r / cos - side * tan`` down along the plane.
        """
        stack = self._stack
        cos, sin = stack.normal[0], stack.down[0]
        feet = np.array([-stack.across[2], stack.across[1]])
        fine = cv2.LUT(labels, self._table)
        if stack.pixel_mm > _COARSE_MM:
            fine = cv2.GaussianBlur(fine, (3, 3), 0.45 * stack.pixel_mm / PITCH_MM)
        shift = (side_mm - stack.middle_mm[0]) * sin / cos
        start = self._anatomy.pixel(stack.middle_mm[1:] - shift * feet)
        across = stack.across[1:] * stack.pixel_mm / PITCH_MM
        down = feet * stack.pixel_mm / cos / PITCH_MM
        corner = start - across * (stack.columns - 1) / 2 - down * (stack.rows - 1) / 2
        matrix = np.stack([across, down, corner], axis=1)
        size = stack.columns, stack.rows
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(fine, matrix, size, flags=flags))

    def signal(self) -> Signal:
        return self._signal


class _Sections:
    """Axial or coronal slices: a plane gives them one column each, the rest lies between."""

    def __init__(self, anatomy: Anatomy, wanted: Wanted) -> None:
        stack = self._stack = wanted.stack
        self._table = wanted.table
        down = (np.arange(stack.rows) - (stack.rows - 1) / 2) * stack.pixel_mm
        inside = (np.arange(_ACROSS) + 0.5) / _ACROSS - 0.5
        start = stack.middle_mm[1:] + np.array(stack.offsets_mm)[:, None] * stack.normal[1:]
        points = (
            start[:, None, None]
            + down[:, None, None] * stack.down[1:]
            + (inside * stack.thickness_mm)[:, None] * stack.normal[1:]
        )
        self._pixels = np.rint(anatomy.pixel(points)).astype(np.intp)
        self._columns: list[Signal] = []
        self._sides: list[float] = []

    @property
    def reach_mm(self) -> tuple[float, float]:
        half = self._stack.pixel_mm * self._stack.columns / 2 + _FAR_STEP_MM
        left = float(self._stack.middle_mm[0])
        return left - half, left + half

    def take(self, labels: LabelMap, side_mm: float) -> None:
        rows, columns = labels.shape
        x = np.clip(self._pixels[..., 0], 0, columns - 1)
        y = np.clip(self._pixels[..., 1], 0, rows - 1)
        self._columns.append(self._table[labels[y, x]].mean(axis=2))
        self._sides.append(side_mm)

    def signal(self) -> Signal:
        stack, sides = self._stack, np.array(self._sides)
        left = (np.arange(stack.columns) - (stack.columns - 1) / 2) * stack.pixel_mm
        left += stack.middle_mm[0]
        place = np.clip(np.searchsorted(sides, left), 1, len(sides) - 1)
        part = np.clip((left - sides[place - 1]) / (sides[place] - sides[place - 1]), 0, 1)
        planes = np.stack(self._columns, axis=2)
        part = part.astype(np.float32)
        between: Signal = (1 - part) * planes[:, :, place - 1] + part * planes[:, :, place]
        return between
