"""Whether placed corners are those of a cervical spine, and which of them cannot be believed.

A row that is no spine's, or contradicts its header, is refused; a single vertebra or line whose
points lie in no order that they can have is only not believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cspine.geometry import CORNERS, bodies_of
from cspine.image import Facing
from cspine.spec import Measure
from cspine.stages.row import check_facing, check_upright, is_bent, misaligned, unsure
from cspine.transform import Points

# Between the centres of adjacent bodies, in the depth of the upper one. C2 to C3 is the longest,
# about 1.2; a number passed over gives 2.
SHORTEST_PITCH, LONGEST_PITCH = 0.5, 1.75
# Each pair from back to front.
PAIRS = (("OC", "HP"), ("OP", "BA"), ("C1P", "C1A"))
ANCHORS = ("C2", "C3")


@dataclass(frozen=True)
class Column:
    """What the order of the points tells: the side of the face, and the points in no order."""

    facing: Facing
    disordered: frozenset[str]


def read_column(
    points: Mapping[str, Points],
    spacing_mm: tuple[float, float],
    *,
    stage: Measure,
    facing: Facing | None,
) -> Column:
    """Check a row of vertebrae by their corners.

    Parameters
    ----------
    points
        (2,) positions (x, y) in pixels of the image by name, of those that are seen.
    spacing_mm
        (row, column) spacing of the image.
    facing
        What the header says of the face.

    Raises
    ------
    Refused
        ``MODEL_UNSURE`` if C2 and C3, which anchor the numbering, are not seen or the bodies are
        no row; ``ORIENTATION_CONFLICT`` if the image is not upright or mirrored against its header.
    """
    row_mm, column_mm = spacing_mm
    p = {name: np.asarray(point, float) * (column_mm, row_mm) for name, point in points.items()}
    seen = [body for body in bodies_of(p) if p.keys() >= _corners(body)]
    if seen[:2] != list(ANCHORS) or len(seen) < 3:
        raise unsure("C2 and C3, which anchor the numbering, and a vertebra below them,")
    centres = [_mean(p, body) for body in seen]
    if is_bent(centres):
        raise misaligned()
    check_upright(centres)
    axis = centres[-1] - centres[0]
    forward = sum((_forward(p, body) for body in seen), np.zeros(2))
    side = _side(axis, forward)
    bodies = [body for body in seen if not _is_body(p, body, axis, side, stage)]
    lines = [pair for pair in PAIRS if p.keys() >= set(pair)]
    turned = [pair for pair in lines if _side(axis, p[pair[1]] - p[pair[0]]) != side]
    sound = [body for body in seen if body not in bodies]
    if sound[:2] != list(ANCHORS) or len(sound) < 3 or _gaps(p, sound):
        raise misaligned()
    found: Facing = "left" if side < 0 else "right"
    check_facing(found, header=facing)
    wrong = {name for body in bodies for name in _corners(body)}
    return Column(found, frozenset(wrong | {name for pair in turned for name in pair}))


def _is_body(p: Mapping[str, Points], body: str, axis: Points, side: float, stage: Measure) -> bool:
    """Return whether four corners are a body's: not turned, and as deep as one."""
    depths = [float(np.linalg.norm(p[f"{body}A{end}"] - p[f"{body}P{end}"])) for end in "SI"]
    down = [p[f"{body}{wall}I"] - p[f"{body}{wall}S"] for wall in "AP"]
    return (
        stage.minimum_depth_mm <= min(depths)
        and max(depths) <= stage.maximum_depth_mm
        and _side(axis, p[f"{body}AS"] - p[f"{body}PS"]) == side
        and _side(axis, p[f"{body}AI"] - p[f"{body}PI"]) == side
        and all(step @ axis > 0 for step in down)
    )


def _gaps(p: Mapping[str, Points], bodies: Sequence[str]) -> bool:
    """Return whether neighbours by number lie nearer or further than neighbours do."""
    for upper, lower in pairwise(bodies):
        if int(lower[1:]) - int(upper[1:]) == 1:  # a body between may not have been seen
            pitch = np.linalg.norm(_mean(p, lower) - _mean(p, upper))
            depth = np.linalg.norm(_forward(p, upper)) / 2
            if not SHORTEST_PITCH * depth <= pitch <= LONGEST_PITCH * depth:
                return True
    return False


def _corners(body: str) -> set[str]:
    return {f"{body}{corner}" for corner in CORNERS}


def _mean(p: Mapping[str, Points], body: str) -> Points:
    centre: Points = np.mean([p[f"{body}{corner}"] for corner in CORNERS], axis=0)
    return centre


def _forward(p: Mapping[str, Points], body: str) -> Points:
    return p[f"{body}AS"] - p[f"{body}PS"] + p[f"{body}AI"] - p[f"{body}PI"]


def _side(axis: Points, across: Points) -> float:
    """Return +1 if ``across`` points to the right of an image that ``axis`` runs down, else -1."""
    return float(np.sign(axis[1] * across[0] - axis[0] * across[1]))
