"""The cord in an axial slice, exactly as it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine.plane import Plane
from cspine_phantom.mr.series import Frame
from cspine_phantom.volume.anatomy import PITCH_MM, Anatomy
from cspine_phantom.volume.canal import Canal, Depth
from cspine_phantom.volume.lying import Lying, Vector

POINTS = ("front", "back", "left", "right")
"""Key points of a cord; left is the patient's."""

_EDGE_MM = PITCH_MM / 2
"""A drawn outline fills the pixels that it runs through: half of one more on each side."""


@dataclass(frozen=True)
class Section:
    """A slice of any direction through a neck whose rows run straight to the left.

    Attributes
    ----------
    origin_mm, down
        (left, back, feet) in the neck, of the first pixel's centre and of the way down a column.
    """

    anatomy: Anatomy
    canal: Canal
    origin_mm: Vector
    down: Vector

    def at(self, side_mm: float) -> tuple[float, float]:
        """Return front and back of the cord so far to the left, in millimetres down the columns.

        Beside the cord both are nan.
        """
        near, far = map(self._down, self.canal.cord_at(side_mm / self.anatomy.scale))
        return (near - _EDGE_MM, far + _EDGE_MM) if far > near else (np.nan, np.nan)

    def points(self) -> dict[str, Vector]:
        """Return the `POINTS` in the neck, (left, back, feet) each."""
        front, back = self.canal.cord_at(0.0)
        middle = (front + back) / 2
        first, part = self._crossing(self._placed(middle))
        halves = self.canal.cord_half(back - front) * self.anatomy.scale
        half = (1 - part) * halves[first] + part * halves[first + 1]
        near, far = self.at(0.0)
        beside = self._down(middle)
        places = [(0.0, near), (0.0, far), (half, beside), (-half, beside)]
        return {
            name: np.array([side, *(self.origin_mm + way * self.down)[1:]])
            for name, (side, way) in zip(POINTS, places, strict=True)
        }

    def _down(self, depth: Depth) -> float:
        """Return where the slice crosses a line behind the bodies: millimetres down its columns."""
        points = self._placed(depth)
        first, part = self._crossing(points)
        crossed = (1 - part) * points[first] + part * points[first + 1]
        return float((crossed - self.origin_mm[1:]) @ self.down[1:])

    def _placed(self, depth: Depth) -> NDArray[np.float64]:
        points = (self.canal.line(depth) - self.anatomy.centre) * self.anatomy.scale
        return np.asarray(points)

    def _crossing(self, points: NDArray[np.float64]) -> tuple[int, float]:
        """Return the step of a line in which the slice crosses it, and how far into that step."""
        normal = np.array([-self.down[2], self.down[1]])
        beyond = (points - self.origin_mm[1:]) @ normal
        # The lowest crossing: above it a slice that falls to the back may meet the clivus, too.
        first = int(np.flatnonzero(np.diff(beyond > 0))[-1])
        return first, float(beyond[first] / (beyond[first] - beyond[first + 1]))


def section(anatomy: Anatomy, lying: Lying, frame: Frame | Plane) -> Section:
    """Return the section that an axial slice of a patient who lies so is."""
    (canal,) = (part for part in anatomy.parts if isinstance(part, Canal))
    origin, down = lying.placed_back(frame.origin_mm), lying.directed_back(frame.down)
    return Section(anatomy, canal, origin, down)
