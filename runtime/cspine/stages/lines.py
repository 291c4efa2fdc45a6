"""The lines between which each sagittal parameter is taken, to be drawn and to be reported."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cspine.geometry import BASE, WALL, Lines, Point, centroid

Segment = tuple[Point, Point]
"""From one (2,) position to another: from back to front, or up the spine."""


def parameter_lines(p: Mapping[str, Point], name: str, lines: Lines) -> tuple[Segment, ...]:
    """Return the lines of one parameter, that which is measured to first.

    Parameters
    ----------
    p
        (2,) positions by name, in units in which a right angle is one, such as millimetres; all
        that the parameter needs are there.
    name
        A field of :class:`cspine.geometry.Parameters`.
    """
    c7 = (p["C7PI"], p["C7AI"])
    match name:
        case "borden_mm":
            chord = (p["C7PI"], p["C2D"])
            depths = [_depth(p[corner], chord) for corner in WALL]
            return chord, max(depths, key=_length)
        case "cci_percent":
            chord = (p["C7PI"], p["C2PI"])
            return chord, *(_depth(p[f"C{n}PI"], chord) for n in range(3, 7))
        case "ccl_deg":
            c2 = centroid(p, 2) if lines.c2 == "body centroid" else (p["C2AI"] + p["C2PI"]) / 2
            return (centroid(p, 7), centroid(p, 6)), (centroid(p, 3), c2)
        case "c0_c7_deg":
            back, front = BASE[lines.c0]
            return c7, (p[back], p[front])
        case "c1_c7_deg":
            return c7, (p["C1P"], p["C1A"])
    return c7, (p["C2PI"], p["C2AI"])


def _depth(point: Point, chord: Segment) -> Segment:
    """Return the way from a chord to a point, at a right angle to it."""
    start, end = chord
    along = (end - start) / np.linalg.norm(end - start)
    foot: Point = start + along * ((point - start) @ along)
    return foot, point


def _length(segment: Segment) -> float:
    return float(np.linalg.norm(segment[1] - segment[0]))
