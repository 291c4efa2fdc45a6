"""The six sagittal parameters of a lateral cervical radiograph, from 34 named landmarks.

Positions are (column, row) of an image and are scaled to millimetres before anything is measured,
so that pixels need not be square. Every line runs from back to front, and ``h`` below is the side
that the face is on (+1 where columns grow towards it), which the landmarks themselves say: the six
are the same for an image that is turned, mirrored or flipped. Lordosis is positive.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    """Return the six parameters of one neck.

    Parameters
    ----------
    points
        (2,) positions (column, row) by name; more than are needed may be there.
    spacing_mm
        Between the centres of neighbouring rows, then of columns, as DICOM's Pixel Spacing. Only
        Borden's depth depends on its scale.
    lines
        Which of the published lines are meant.

    Raises
    ------
    KeyError
        If a landmark is missing that `lines` needs.
    """
    row_mm, column_mm = spacing_mm
    scale = np.array([column_mm, row_mm])
    p = {name: np.asarray(point, np.float64) * scale for name, point in points.items()}
    side = _side(p)
    c7 = p["C7AI"] - p["C7PI"]
    c0 = p["HP"] - p["OC"] if lines.c0 == "McGregor" else p["BA"] - p["OP"]
    c2 = (p["C2AI"] + p["C2PI"]) / 2 if lines.c2 != "body centroid" else _centroid(p, 2)
    upper, lower = c2 - _centroid(p, 3), _centroid(p, 6) - _centroid(p, 7)
    return Parameters(
        borden_mm=_borden(p, side),
        cci_percent=_curvature_index(p, side),
        ccl_deg=_angle(upper, lower, side),
        c0_c7_deg=_angle(c0, c7, side),
        c1_c7_deg=_angle(p["C1A"] - p["C1P"], c7, side),
        c2_c7_deg=_angle(p["C2AI"] - p["C2PI"], c7, side),
    )


def _side(p: Mapping[str, Point]) -> float:
    """Return +1 where a face that looks up the columns is on the right, otherwise -1.

    A flip turns it over as a mirror does, which is what makes the parameters invariant to both.
    """
    forward = sum(
        (p[f"C{n}AS"] - p[f"C{n}PS"] + p[f"C{n}AI"] - p[f"C{n}PI"] for n in range(3, 8)),
        np.zeros(2),
    )
    return float(np.sign(_cross(_centroid(p, 3) - _centroid(p, 7), forward)))


def _borden(p: Mapping[str, Point], side: float) -> float:
    # Between two corners the depth of a polyline is largest at one of them.
    names = ("C2PI", *(f"C{n}{corner}" for n in range(3, 7) for corner in ("PS", "PI")), "C7PS")
    depths = [_depth(p[name], p["C2D"], p["C7PI"], side) for name in names]
    return max(depths, key=abs)


def _curvature_index(p: Mapping[str, Point], side: float) -> float:
    top, bottom = p["C2PI"], p["C7PI"]
    depths = [_depth(p[f"C{n}PI"], top, bottom, side) for n in range(3, 7)]
    return float(100 * sum(depths) / np.linalg.norm(top - bottom))


def _centroid(p: Mapping[str, Point], number: int) -> Point:
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
