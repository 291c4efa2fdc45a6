"""The canal and what is in it, as distances from the line along the back of the bodies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine_phantom.scene.shapes import Points
from cspine_phantom.volume.solid import Drawn, bump, smoothed
from cspine_phantom.volume.tissue import LABEL

Depth = NDArray[np.float64]
"""(n,) millimetres behind the line along the back of the bodies."""

GAP_MM = 0.3
"""Fluid that is left on each side of a compressed cord."""

_SAC_HALF_MM = 9.8
_CORD_HALF_MM = 6.4
CANAL_HALF_MM = 12.5
"""From the midline to the side of the canal."""

_BULGE_HALF_MM = 9.5
_CORTEX_MM = 1.2  # of an ossification with marrow in it
_LEAST_CORD_MM = 2.6
_BRIGHT_HALF_MM = 7.0  # along the canal, of what is bright
_BRIGHT_SIDE_MM = 3.0
_STREAM_MM = 1.9  # of fluid that has room for a streak in it


def part_of_depth(side_mm: float) -> float:
    """Return which part of its depth a canal has beside the midline: half at its side."""
    return 1 - 0.5 * min(abs(side_mm) / CANAL_HALF_MM, 1.0) ** 2


@dataclass(frozen=True)
class Canal:
    """Everything between the bodies and the laminae, along the canal.

    Attributes
    ----------
    wall, outwards
        (n, 2) points from the clivus to T4 and the unit normals that run to the back.
    along
        (n,) way along the wall.
    bodies, discs
        Where on it the ten bodies and nine discs are, millimetres.
    depth, ligament, fat
        Of the canal to the laminae, of the yellow ligament in front of them, and of the fat
        between that and the dura.
    bulge, ossified
        How far discs and osteophytes, and the ossified or thick ligament, reach into the canal.
    cord, ahead
        Its thickness where nothing presses on it, and the part of the spare room in front of it.
    side_mm, half_mm
        Middle and half width of the ossification, to the sides.
    marrow
        Whether a thick ossification holds marrow.
    oedema
        Places where the cord is bright on T2, and half of what is bright there, in its thickness.
    flow
        Place, half length and side (-1 before the cord, 1 behind it) of streaks of fluid that
        moves.
    """

    wall: Points
    outwards: Points
    along: Depth
    bodies: Depth
    discs: Depth
    depth: Depth
    ligament: Depth
    fat: Depth
    bulge: Depth
    ossified: Depth
    cord: Depth
    ahead: Depth
    side_mm: float
    half_mm: float
    marrow: bool
    oedema: tuple[tuple[float, float], ...]
    flow: tuple[tuple[float, float, float], ...]

    def line(self, depth: Depth) -> Points:
        """Return the line that lies so deep behind the wall."""
        points: Points = self.wall + depth[:, None] * self.outwards
        return points

    def between(self, front: Depth, back: Depth) -> Points:
        """Return the outline between two depths."""
        return np.concatenate([self.line(front), self.line(np.maximum(front, back))[::-1]])

    def front(self, side_mm: float) -> tuple[Depth, Depth]:
        """Return bulge and ossification at a distance to the left of the midline."""
        part = min(abs(side_mm) / _BULGE_HALF_MM, 1.0)
        bulge = self.bulge * np.sqrt(1 - part**2.5)
        part = min(abs(side_mm - self.side_mm) / self.half_mm, 1.0)
        return bulge, self.ossified * np.sqrt(1 - part**3)

    def sac(self, side_mm: float) -> tuple[Depth, Depth]:
        """Return front and back of the dural sac."""
        bulge, ossified = self.front(side_mm)
        ligament = self._ligament(side_mm)
        back = self._laminae(side_mm) - ligament - self.fat
        front = np.maximum(bulge + 0.7, ossified) + 0.3
        front, back = smoothed(front, 0.8), smoothed(back, 1.2)
        middle, half = (front + back) / 2, np.maximum(back - front, 0) / 2
        half = half * np.sqrt(max(1 - (side_mm / _SAC_HALF_MM) ** 2, 0.0))
        return middle - half, middle + half

    def cord_at(self, side_mm: float) -> tuple[Depth, Depth]:
        """Return front and back of the cord; where there is too little room it is flat."""
        front, back = self.sac(0.0)
        room = back - front
        thick = np.clip(room - 2 * GAP_MM, _LEAST_CORD_MM, self.cord)
        thick = smoothed(thick, 1.5)
        spare = np.maximum(room - thick, 2 * GAP_MM)
        middle = front + self.ahead * spare + thick / 2
        half = thick / 2 * np.sqrt(np.maximum(1 - (side_mm / self.cord_half(thick)) ** 2, 0.0))
        return middle - half, middle + half

    def cord_half(self, thick: Depth) -> Depth:
        """Return half of the cord's width where it is so thick: what is flattened is wider."""
        half: Depth = _CORD_HALF_MM * (1 + 0.25 * (1 - thick / self.cord))
        return half

    def cut(self, side_mm: float) -> list[Drawn]:
        """Return the canal of a sagittal plane so far to the left, in the order of drawing."""
        if abs(side_mm) >= CANAL_HALF_MM:
            return []
        zero = np.zeros_like(self.along)
        laminae = self._laminae(side_mm)
        drawn = [
            Drawn(self.between(zero - 1.0, laminae + 0.6), LABEL["epidural"]),
            Drawn(
                self.between(laminae - self._ligament(side_mm), laminae + 0.6), LABEL["ligament"]
            ),
        ]
        if abs(side_mm) < _SAC_HALF_MM:
            front, back = self.sac(side_mm)
            drawn.append(Drawn(self.between(front, back), LABEL["csf"]))
            cord_front, cord_back = self.cord_at(side_mm)
            drawn += self._flowing(front, back, cord_front, cord_back)
            if (cord_back - cord_front).max() > 0.4:
                drawn.append(Drawn(self.between(cord_front, cord_back), LABEL["cord"]))
                drawn += self._bright(cord_front, cord_back, side_mm)
        return drawn + self._in_front(side_mm)

    def _in_front(self, side_mm: float) -> list[Drawn]:
        bulge, ossified = self.front(side_mm)
        zero = np.zeros_like(self.along)
        reach = smoothed(np.maximum(bulge + 0.6, ossified), 0.8)
        drawn = [
            Drawn(self.between(zero - 1.2, reach), LABEL["ligament"]),
            Drawn(self.between(zero - 2.5, bulge), LABEL["annulus"]),
            Drawn(self.between(zero + 0.2, ossified), LABEL["bone"]),
        ]
        inside = np.maximum(0.6 * (ossified - 2.4 * _CORTEX_MM), 0)
        if self.marrow and inside.max() > 0.4:
            drawn.append(
                Drawn(
                    self.between(zero + 0.2 + _CORTEX_MM, 0.2 + _CORTEX_MM + inside),
                    LABEL["fatty marrow"],
                )
            )
        return drawn

    def _flowing(
        self, front: Depth, back: Depth, cord_front: Depth, cord_back: Depth
    ) -> list[Drawn]:
        """Return the streaks of fluid that moves too fast to be bright, where there is room."""
        drawn = []
        for at, half, side in self.flow:
            near, far = (cord_back, back) if side > 0 else (front, cord_front)
            gap = np.maximum(far - near, 0) * bump(self.along, at, half, edge_mm=5.0)
            peak, narrow = int(gap.argmax()), np.flatnonzero(gap < _STREAM_MM)
            if gap[peak] < _STREAM_MM:
                continue
            first = narrow[narrow < peak].max(initial=-1) + 1
            rows = slice(first, narrow[narrow > peak].min(initial=len(gap)))
            wall, out = self.wall[rows], self.outwards[rows]
            middle = ((near + far) / 2)[rows, None]
            reach = 0.28 * gap[rows, None]
            outline = [wall + (middle - reach) * out, (wall + (middle + reach) * out)[::-1]]
            drawn.append(Drawn(np.concatenate(outline), LABEL["flowing csf"]))
        return drawn

    def _bright(self, front: Depth, back: Depth, side_mm: float) -> list[Drawn]:
        if abs(side_mm) > _BRIGHT_SIDE_MM:
            return []
        drawn = []
        for place, part in self.oedema:
            inside = np.abs(self.along - place) < _BRIGHT_HALF_MM
            swell = np.sqrt(1 - ((self.along[inside] - place) / _BRIGHT_HALF_MM) ** 2)
            middle = ((front + back) / 2)[inside]
            half = part * (back - front)[inside] * swell
            wall, out = self.wall[inside], self.outwards[inside]
            near = wall + (middle - half)[:, None] * out
            far = wall + (middle + half)[:, None] * out
            drawn.append(Drawn(np.concatenate([near, far[::-1]]), LABEL["oedema"]))
        return drawn

    def _laminae(self, side_mm: float) -> Depth:
        return self.depth * part_of_depth(side_mm)

    def _ligament(self, side_mm: float) -> Depth:
        return self.ligament * (1 - 0.3 * min(abs(side_mm) / CANAL_HALF_MM, 1.0))
