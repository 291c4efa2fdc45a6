"""Measurement: the six sagittal parameters, or of each the reason that it is withheld."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from cspine.findings import Measurement, Withheld
from cspine.geometry import C0Line, C2Reference, Lines, bodies_of, known_parameters, needed_points
from cspine.image import Facing, Image
from cspine.spec import Measure, Sign
from cspine.stages.column import read_column
from cspine.stages.landmarks import Placed
from cspine.stages.lines import parameter_lines
from cspine.transform import Points, rounded


class Named(NamedTuple):
    """How findings name a parameter, in which unit, and between which lines it lies.

    ``digits`` after the point are kept: a tenth of what landmarks let one tell.
    """

    name: str
    unit: Literal["mm", "%", "deg"]
    digits: int
    definition: str


C7 = "lower endplate of C7 (C7PI-C7AI)"
BASES: Mapping[C0Line, str] = {
    "McGregor": "McGregor (OC-HP)",
    "foramen magnum": "foramen magnum (OP-BA)",
}
C2: Mapping[C2Reference, str] = {
    "lower endplate midpoint": "middle of the lower endplate of C2",
    "body centroid": "centroid of C2",
}


@dataclass(frozen=True)
class Measured:
    """What was measured on one image, and on which points; lordosis is positive."""

    placed: Placed
    facing: Facing
    measurements: tuple[Measurement, ...]
    withheld: tuple[Withheld, ...]
    notes: tuple[str, ...]


def named(lines: Lines) -> dict[str, Named]:
    """Return what findings say of each parameter, by field of its tuple in `geometry`."""
    return {
        "borden_mm": Named("Borden", "mm", 2, "posterior wall C2PI to C7PS from C2D-C7PI"),
        "cci_percent": Named("CCI", "%", 2, "C3PI to C6PI from C2PI-C7PI, over its length"),
        "ccl_deg": Named("CCL", "deg", 2, f"{C2[lines.c2]}, centroids of C3, C6 and C7"),
        "c0_c7_deg": Named("C0-C7", "deg", 2, f"{BASES[lines.c0]} to {C7}"),
        "c1_c7_deg": Named("C1-C7", "deg", 2, f"C1 (C1P-C1A) to {C7}"),
        "c2_c7_deg": Named(
            "C2-C7", "deg", 2, "lower endplates of C2 (C2PI-C2AI) and C7 (C7PI-C7AI)"
        ),
    }


def measure(placed: Placed, image: Image, *, signs: tuple[Sign, ...], stage: Measure) -> Measured:
    """Measure the points of an image.

    Parameters
    ----------
    placed
        Its landmarks, in its pixels.
    signs
        Those that hide what lies at a vertebra and below it; nothing is taken from there.

    Raises
    ------
    Refused
        If the points are no upright cervical spine, see :func:`~cspine.stages.column.read_column`.
    """
    hidden = _hidden(placed, signs)
    points = {name: point for name, point in placed.points.items() if name not in hidden}
    column = read_column(points, image.spacing_mm, stage=stage, facing=image.facing)
    points = {name: point for name, point in points.items() if name not in column.disordered}
    lines = stage.lines
    values = known_parameters(points, image.spacing_mm, lines=lines)
    words = named(lines)
    measurements = tuple(
        Measurement(
            name=words[key].name,
            value=round(value, words[key].digits),
            unit=words[key].unit,
            definition=words[key].definition,
            lines_px=_lines_px(points, image, key, lines),
            calibration=image.spacing.flag if words[key].unit == "mm" else None,
        )
        for key, value in values.items()
    )
    withheld = tuple(
        _withheld(words[key].name, sorted(needs - points.keys()), hidden, column.disordered)
        for key, needs in needed_points(lines).items()
        if key not in values
    )
    return Measured(
        placed=Placed(points, placed.confidence),
        facing=column.facing,
        measurements=measurements,
        withheld=withheld,
        notes=_contradiction(values, stage),
    )


def _lines_px(
    points: Mapping[str, Points], image: Image, parameter: str, lines: Lines
) -> tuple[tuple[tuple[float, float], tuple[float, float]], ...]:
    """Return the lines of a parameter in pixels of the image."""
    row_mm, column_mm = image.spacing_mm
    scale = np.array([column_mm, row_mm])
    in_mm = {name: np.asarray(point, float) * scale for name, point in points.items()}
    return tuple(
        (rounded(start / scale), rounded(end / scale))
        for start, end in parameter_lines(in_mm, parameter, lines)
    )


def _hidden(placed: Placed, signs: tuple[Sign, ...]) -> dict[str, Sign]:
    """Return the corners that a sign hides, each with the first sign that does."""
    bodies = bodies_of(placed.confidence)
    hidden: dict[str, Sign] = {}
    for sign in signs:
        if sign.withholds_from is not None:
            below = bodies[bodies.index(sign.withholds_from) :]
            for name in placed.confidence:
                if name[:-2] in below:
                    hidden.setdefault(name, sign)
    return hidden


def _withheld(
    name: str, lacking: list[str], hidden: Mapping[str, Sign], disordered: frozenset[str]
) -> Withheld:
    for point in lacking:
        if sign := hidden.get(point):
            return Withheld(label=name, code=sign.code, reason=sign.reason)
    if wrong := [point for point in lacking if point in disordered]:
        reason = f"The points {', '.join(wrong)} lie in no order that they can have."
    else:
        reason = f"Not seen with confidence: {', '.join(lacking)}."
    return Withheld(label=name, code="MODEL_UNSURE", reason=reason)


def _contradiction(values: Mapping[str, float], stage: Measure) -> tuple[str, ...]:
    """Return a note where curvature index and angle of C2 and C7 clearly differ in sign."""
    index, angle = values.get("cci_percent", 0.0), values.get("c2_c7_deg", 0.0)
    clear = abs(index) > stage.contradiction_percent and abs(angle) > stage.contradiction_deg
    if not clear or index * angle > 0:
        return ()
    return (
        "CCI and C2-C7 are of opposite sign: the neck bends both ways, or a point is wrong. Look "
        "at the picture.",
    )
