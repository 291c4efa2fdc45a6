"""Bodies in space, as outlines in the mid-sagittal plane that reach so far to both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine_phantom.scene.shapes import Points

EVERYWHERE_MM = 200.0


@dataclass(frozen=True)
class Solid:
    """An outline that is extruded to the sides and grows smaller towards its ends.

    Attributes
    ----------
    outline
        (n, 2) positions (x, y) in millimetres where it is largest: x towards the back, y towards
        the feet.
    label
        Of the tissue.
    middle_mm, half_mm
        Where it is largest, to the left of the midline, and how far from there it ends. What does
        not lie on the midline has a twin on the other side.
    power
        At a part d of the way to its end it is as large as ``(1 - d**power)**(1 / power)``: 2 is
        an ellipsoid, more is a slab with round edges.
    anchor
        (2,) what the outline shrinks to; its mean unless given.
    line_mm
        Above 0, the outline is an open line so wide and does not shrink.
    mask
        Value in a label map of bones, 0 for what is none of them.
    """

    outline: Points
    label: int
    middle_mm: float = 0.0
    half_mm: float = EVERYWHERE_MM
    power: float = 4.0
    anchor: Points | None = None
    line_mm: float = 0.0
    mask: int = 0


@dataclass(frozen=True)
class Drawn:
    """One polygon of one plane, or a line if it has a width."""

    outline: Points
    label: int
    line_mm: float = 0.0


class Solids:
    """Many of them, cut together."""

    def __init__(self, solids: Sequence[Solid]) -> None:
        self._solids = tuple(solids)
        outlines = [solid.outline for solid in solids]
        self._ends = np.cumsum([len(outline) for outline in outlines])
        anchors = [
            outline.mean(axis=0) if solid.anchor is None else solid.anchor
            for solid, outline in zip(solids, outlines, strict=True)
        ]
        counts = [len(outline) for outline in outlines]
        self._anchors = np.repeat(np.array(anchors), counts, axis=0)
        self._offsets = np.concatenate(outlines) - self._anchors
        self._middle = np.array([solid.middle_mm for solid in solids])
        self._half = np.array([solid.half_mm for solid in solids])
        self._power = np.array([solid.power for solid in solids])
        self._is_line = np.array([solid.line_mm > 0 for solid in solids])
        self._counts = counts

    def cut(self, side_mm: float) -> list[Drawn]:
        """Return what a sagittal plane so far to the left of the midline meets, in order."""
        away = np.where(self._middle == 0, side_mm, np.abs(side_mm) - self._middle)
        part = np.minimum(np.abs(away) / self._half, 1.0)
        size = (1 - part**self._power) ** (1 / self._power)
        factor = np.where(self._is_line, 1.0, size)
        points = self._anchors + np.repeat(factor, self._counts)[:, None] * self._offsets
        return [
            Drawn(points[end - count : end], solid.label, solid.line_mm)
            for solid, end, count, left in zip(
                self._solids, self._ends, self._counts, size, strict=True
            )
            if left > 0.05
        ]


def masked(solids: Sequence[Solid]) -> Solids:
    """Return those of the solids that a label map of bones shows, labelled as it labels them."""
    return Solids([replace(solid, label=solid.mask) for solid in solids if solid.mask])


def shrunk(outline: Points, by_mm: float) -> Points:
    """Return an outline moved inwards along its normals, roughly."""
    before, after = np.roll(outline, 1, axis=0), np.roll(outline, -1, axis=0)
    along = after - before
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    x, y = outline.T
    area = np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))
    moved: Points = outline + np.sign(area) * by_mm * normal
    return moved


def bump(along: NDArray[np.float64], at: float, half_mm: float, *, edge_mm: float) -> Points:
    """Return 1 within `half_mm` of a place on a line and 0 farther off, with soft edges."""
    inside: Points = (half_mm - np.abs(along - at)) / edge_mm
    soft: Points = 1 / (1 + np.exp(-4 * np.clip(inside, -8, 8)))
    return soft


def curve(points: ArrayLike, *, step_mm: float, smooth_mm: float) -> tuple[Points, Points]:
    """Return a smooth line through points at equal steps, and the way along it at each."""
    knots = np.asarray(points, np.float64)
    way = np.concatenate([[0.0], np.linalg.norm(np.diff(knots, axis=0), axis=1).cumsum()])
    along = np.arange(0.0, way[-1], step_mm)
    line = np.stack([np.interp(along, way, each) for each in knots.T], axis=1)
    return np.stack([smoothed(each, smooth_mm / step_mm) for each in line.T], axis=1), along


def smoothed(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return values blurred by a Gaussian; the ends go on as they end."""
    reach = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    head = 2 * values[0] - values[reach:0:-1]
    tail = 2 * values[-1] - values[-2 : -reach - 2 : -1]
    padded = np.concatenate([head, values, tail])
    return np.convolve(padded, kernel / kernel.sum(), "valid")
