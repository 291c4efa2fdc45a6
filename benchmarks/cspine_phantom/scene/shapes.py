"""Outlines in millimetres, and how much of the beam is lost behind each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]
"""(n, 2) positions (x, y) in millimetres: x towards the back (frontal view: the patient's left),
y towards the feet."""

View = Literal["lateral", "ap", "oblique", "other"]
"""Which way the neck is turned to the beam; ``"other"`` is no neck."""

Material = Literal["bone", "tissue", "metal"]
"""What a shape is made of: how much less of a harder beam it stops; air counts as tissue."""

POSTERIOR = 8
"""Mask label of the posterior elements."""


@dataclass(frozen=True)
class Shape:
    """A closed outline and the attenuation (natural logarithm) added where the beam crosses it.

    Attenuation is that of the reference beam, see :mod:`~cspine_phantom.imaging.beam`. Negative
    `density` is air in the place of tissue. `rim` is added along the outline, `rim_mm` wide: the
    cortex. `label` is the shape's value in the mask, 0 for none. `soft_mm` is the standard
    deviation of the blur of an edge that is no edge to the beam. `round_mm` is how far from its
    edge a round body reaches its full depth along the ray; 0 is a slab.
    """

    outline: Points
    density: float
    rim: float = 0.0
    rim_mm: float = 1.0
    label: int = 0
    soft_mm: float = 0.0
    round_mm: float = 0.0
    closed: bool = True
    material: Material = "bone"

    def scaled(self, scale: float) -> Shape:
        """Return the shape of a patient `scale` times as large; thicker bone weighs the same."""
        return replace(self, outline=self.outline * scale)


@dataclass(frozen=True)
class Scene:
    """What lies in the beam: the skin (its thickness follows from its width), veils and organs.

    `skin` outlines may overlap; `veils` are wide and blurred; `shapes` are sharp. The origin is
    arbitrary; `focus` are the points that must stay in view. `girth` is how thick the tissue is,
    relative to that of most.
    """

    view: View
    skin: tuple[Points, ...]
    veils: tuple[Shape, ...]
    shapes: tuple[Shape, ...]
    focus: Points
    landmarks: Mapping[str, Points] = field(default_factory=dict)
    """(2,) positions by name, of a lateral neck alone."""
    girth: float = 1.0

    def mapped(self, matrix: Points) -> Scene:
        """Return the scene seen through a (2, 2) matrix: turned, mirrored or scaled."""
        return replace(
            self,
            skin=tuple(outline @ matrix.T for outline in self.skin),
            veils=tuple(replace(veil, outline=veil.outline @ matrix.T) for veil in self.veils),
            shapes=tuple(replace(shape, outline=shape.outline @ matrix.T) for shape in self.shapes),
            focus=self.focus @ matrix.T,
            landmarks={name: point @ matrix.T for name, point in self.landmarks.items()},
        )


@dataclass(frozen=True)
class Pose:
    """Where a vertebra sits: its centre, its forward lean in radians, and its body's half size."""

    centre: Points  # (2,)
    lean: float
    half_depth: float
    half_height: float

    def place(self, local: ArrayLike) -> Points:
        """Return (n, 2) local points (x backwards, y downwards) in the scene."""
        cos, sin = np.cos(self.lean), np.sin(self.lean)
        points: Points = np.asarray(local, np.float64) @ np.array([[cos, -sin], [sin, cos]])
        return points + self.centre

    def tipped(self, back: float) -> Pose:
        """Return the body tipped back by radians about the middle of its lower endplate."""
        turned = replace(self, lean=self.lean - back)
        below = [[0.0, self.half_height]]
        return replace(turned, centre=self.centre + (self.place(below) - turned.place(below))[0])


def turned(points: ArrayLike, *, about: Points, angle: float) -> Points:
    """Return positions turned about one, from x towards y, by radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    offsets: Points = (np.asarray(points, np.float64) - about) @ np.array([[cos, sin], [-sin, cos]])
    return offsets + about


def rounded(points: ArrayLike, *, times: int = 2) -> Points:
    """Cut the corners of a closed polygon (Chaikin 1974): n points become ``n * 2**times``."""
    curve: Points = np.asarray(points, np.float64)
    for _ in range(times):
        following = np.roll(curve, -1, axis=0)
        pair = np.stack([0.75 * curve + 0.25 * following, 0.25 * curve + 0.75 * following], axis=1)
        curve = pair.reshape(-1, 2)
    return curve


def shaft(start: ArrayLike, end: ArrayLike, *profile: tuple[float, float]) -> Points:
    """Return a rounded outline about the line from `start` to `end`.

    `profile` are (part of the way, half width in millimetres); it need not stay between 0 and 1.
    """
    first, last = np.asarray(start, np.float64), np.asarray(end, np.float64)
    along = last - first
    across = np.array([-along[1], along[0]]) / np.linalg.norm(along)
    part, half = np.array(profile).T[:, :, None]
    middle = first + part * along
    return rounded(np.concatenate([middle + half * across, (middle - half * across)[::-1]]))


def beside(point: Points, *offsets: tuple[float, float]) -> Points:
    """Return (n, 2) positions that lie `offsets` from one (2,) point."""
    positions: Points = point + np.array(offsets, np.float64)
    return positions


def ellipse(centre: ArrayLike, *, radii: tuple[float, float], turn_deg: float = 0.0) -> Points:
    """Return 32 points of an ellipse whose first radius is turned from x towards y."""
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    turn = np.deg2rad(turn_deg)
    x, y = radii[0] * np.cos(angle), radii[1] * np.sin(angle)
    turned = [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)]
    points: Points = np.stack(turned, axis=1) + np.asarray(centre, np.float64)
    return points
