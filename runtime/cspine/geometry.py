"""The six sagittal parameters of a lateral cervical radiograph, from 34 named landmarks.

Positions are (column, row) of an image and are scaled to millimetres before anything is measured,
so that pixels need not be square. Every line runs from back to front, and ``h`` below is the side
that the face is on (+1 where columns grow towards it), which the landmarks themselves say: the six
are the same for an image that is turned, mirrored or flipped. Lordosis is positive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Point = npt.NDArray[np.float64]
"""(2,) position in millimetres: x along the rows, y along the columns."""

CORNERS = ("AS", "PS", "AI", "PI")
"""Of a vertebral body: anterior and posterior, superior and inferior."""

LANDMARKS = (
    "HP", "OC", "BA", "OP", "C1A", "C1P", "C2D", "C2T",
    *(f"C{number}{corner}" for number in range(2, 8) for corner in CORNERS),
    "T1AS", "T1PS",
)  # fmt: skip
"""Posterosuperior hard palate, lowest occipital point, basion, opisthion, anterior and posterior
tubercle of C1, odontoid's posterosuperior point and its tip, then the corners of C2 to T1."""


C0Line = Literal["McGregor", "foramen magnum"]
C2Reference = Literal["lower endplate midpoint", "body centroid"]


@dataclass(frozen=True)
class Lines:
    """What the definitions leave open; a result is worth nothing without it.

    Attributes
    ----------
    c0
        The line of the skull's base: hard palate to occiput, or basion to opisthion.
    c2
        What stands for C2 in the angle of the centroids.
    """

    c0: C0Line = "McGregor"
    c2: C2Reference = "lower endplate midpoint"


class Parameters(NamedTuple):
    """The six sagittal parameters.

    Attributes
    ----------
    borden_mm
        Largest distance of the posterior wall, C2PI to C7PS, from the line of C2D and C7PI;
        positive in front of it.
    cci_percent
        Cervical curvature index: how far C3PI to C6PI lie in front of the line of C2PI and C7PI,
        summed, over its length.
    ccl_deg
        Angle of the centroids: C2 and C3 against C6 and C7.
    c0_c7_deg, c1_c7_deg, c2_c7_deg
        Cobb angles of the skull's base, of C1 and of the lower endplate of C2 against the lower
        endplate of C7.
    """

    borden_mm: float
    cci_percent: float
    ccl_deg: float
    c0_c7_deg: float
    c1_c7_deg: float
    c2_c7_deg: float


def sagittal_parameters(
    points: Mapping[str, npt.ArrayLike],
    spacing_mm: tuple[float, float],
    *,
    lines: Lines = Lines(),
) -> Parameters:
    """Return the six parameters of one neck, all of whose landmarks are known.

    Parameters
    ----------
    points, spacing_mm, lines
        As for :func:`known_parameters`.

    Raises
    ------
    KeyError
        If a landmark is missing that a parameter needs.
    """
    needs = frozenset[str]().union(*needed_points(lines).values())
    if lacking := sorted(needs - points.keys()):
        raise KeyError(", ".join(lacking))
    return Parameters(**known_parameters(points, spacing_mm, lines=lines))


def known_parameters(
    points: Mapping[str, npt.ArrayLike],
    spacing_mm: tuple[float, float],
    *,
    lines: Lines = Lines(),
) -> dict[str, float]:
    """Return those of the parameters whose landmarks are known, by field of :class:`Parameters`.

    Parameters
    ----------
    points
        (2,) positions (column, row) by name; more than are needed may be there.
    spacing_mm
        Between the centres of neighbouring rows, then of columns, as DICOM's Pixel Spacing. Only
        Borden's depth depends on its scale.
    lines
        Which of the published lines are meant.
    """
    row_mm, column_mm = spacing_mm
    scale = np.array([column_mm, row_mm])
    p = {name: np.asarray(point, np.float64) * scale for name, point in points.items()}
    needs = needed_points(lines)
    known = [name for name in Parameters._fields if p.keys() >= needs[name]]
    side = _side(p)
    return {name: _FORMULAS[name](p, side, lines) for name in known if side}


def needed_points(lines: Lines) -> dict[str, frozenset[str]]:
    """Return the landmarks that each parameter is taken from, by field of :class:`Parameters`."""
    c7 = ("C7AI", "C7PI")
    bodies = [f"C{number}{corner}" for number in (3, 6, 7) for corner in CORNERS]
    c2 = ("C2AI", "C2PI") if lines.c2 != "body centroid" else [f"C2{each}" for each in CORNERS]
    return {
        "borden_mm": frozenset({"C2D", "C7PI", *WALL}),
        "cci_percent": frozenset(f"C{number}PI" for number in range(2, 8)),
        "ccl_deg": frozenset({*c2, *bodies}),
        "c0_c7_deg": frozenset({*BASE[lines.c0], *c7}),
        "c1_c7_deg": frozenset({"C1A", "C1P", *c7}),
        "c2_c7_deg": frozenset({"C2AI", "C2PI", *c7}),
    }


def bodies_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the vertebrae of which landmarks are corners, from the head down: C2, C3, ..."""
    found = [name[:-2] for name in names if name[-2:] in CORNERS and name[:-2]]
    return tuple(dict.fromkeys(found))


# What Borden's depth is the largest of, from the head down: between two corners the depth of a
# polyline is largest at one of them.
WALL = ("C2PI", *(f"C{n}{corner}" for n in range(3, 7) for corner in ("PS", "PI")), "C7PS")
# From back to front.
BASE: Mapping[C0Line, tuple[str, str]] = {"McGregor": ("OC", "HP"), "foramen magnum": ("OP", "BA")}


def _side(p: Mapping[str, Point]) -> float:
    """Return +1 where a face that looks up the columns is on the right, otherwise -1.

    A flip turns it over as a mirror does, which is what makes the parameters invariant to both.
    It is 0, which is neither, of fewer than two bodies from C3 to C7.
    """
    seen = [n for n in range(3, 8) if p.keys() >= {f"C{n}{corner}" for corner in CORNERS}]
    if len(seen) < 2:
        return 0.0
    forward = sum(
        (p[f"C{n}AS"] - p[f"C{n}PS"] + p[f"C{n}AI"] - p[f"C{n}PI"] for n in seen), np.zeros(2)
    )
    return float(np.sign(_cross(centroid(p, seen[0]) - centroid(p, seen[-1]), forward)))


def _borden(p: Mapping[str, Point], side: float, _: Lines) -> float:
    depths = [_depth(p[name], p["C2D"], p["C7PI"], side) for name in WALL]
    return max(depths, key=abs)


def _curvature_index(p: Mapping[str, Point], side: float, _: Lines) -> float:
    top, bottom = p["C2PI"], p["C7PI"]
    depths = [_depth(p[f"C{n}PI"], top, bottom, side) for n in range(3, 7)]
    return float(100 * sum(depths) / np.linalg.norm(top - bottom))


def _centroid_angle(p: Mapping[str, Point], side: float, lines: Lines) -> float:
    c2 = (p["C2AI"] + p["C2PI"]) / 2 if lines.c2 != "body centroid" else centroid(p, 2)
    return _angle(c2 - centroid(p, 3), centroid(p, 6) - centroid(p, 7), side)


def _base_angle(p: Mapping[str, Point], side: float, lines: Lines) -> float:
    back, front = BASE[lines.c0]
    return _angle(p[front] - p[back], p["C7AI"] - p["C7PI"], side)


def _atlas_angle(p: Mapping[str, Point], side: float, _: Lines) -> float:
    return _angle(p["C1A"] - p["C1P"], p["C7AI"] - p["C7PI"], side)


def _endplate_angle(p: Mapping[str, Point], side: float, _: Lines) -> float:
    return _angle(p["C2AI"] - p["C2PI"], p["C7AI"] - p["C7PI"], side)


_FORMULAS: Mapping[str, Callable[[Mapping[str, Point], float, Lines], float]] = {
    "borden_mm": _borden,
    "cci_percent": _curvature_index,
    "ccl_deg": _centroid_angle,
    "c0_c7_deg": _base_angle,
    "c1_c7_deg": _atlas_angle,
    "c2_c7_deg": _endplate_angle,
}


def centroid(p: Mapping[str, Point], number: int) -> Point:
    """Return the mean of a body's four corners."""
    centre: Point = np.mean([p[f"C{number}{corner}"] for corner in CORNERS], axis=0)
    return centre


def _depth(point: Point, top: Point, bottom: Point, side: float) -> float:
    """Return how far a point lies in front of the line of two others."""
    along = top - bottom
    return side * _cross(along, point - bottom) / float(np.linalg.norm(along))


def _angle(upper: Point, lower: Point, side: float) -> float:
    """Return degrees from the lower line to the upper one, tipping back positive.

    Signed: an angle without its sign takes kyphosis for lordosis.
    """
    return float(-side * np.degrees(np.arctan2(_cross(lower, upper), lower @ upper)))


def _cross(a: Point, b: Point) -> float:
    return float(a[0] * b[1] - a[1] * b[0])
