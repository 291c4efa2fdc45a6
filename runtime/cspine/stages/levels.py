"""From a label map to disc levels, or to the reason why the numbering cannot be trusted.

All geometry is done in millimetres on the grid of the label map: x to the right, y down. The
image is asked again here for what its header may have got wrong: which way the face points,
which way is up, and whether this is a lateral cervical spine at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from cspine.findings import Refused, Vertebra, Withheld
from cspine.image import Facing
from cspine.spec import Levels
from cspine.stages.row import check_facing, check_upright, is_bent, misaligned, unsure
from cspine.transform import Affine, Points, rounded


@dataclass(frozen=True)
class Body:
    """One vertebra on the label map: its pixels' centres (N, 2) and their mean, in millimetres."""

    label: str
    points: Points
    centre: Points
    area_mm2: float


@dataclass(frozen=True)
class Disc:
    """One disc level: its centre and the unit vector down the spine, in millimetres."""

    label: str
    centre: Points
    down: Points

    def back(self, facing: Facing) -> Points:
        """Return the unit vector to the patient's back, at a right angle to the spine."""
        x, y = self.down
        return np.array([y, -x]) if facing == "left" else np.array([-y, x])


@dataclass(frozen=True)
class Spine:
    """What the label map shows."""

    bodies: tuple[Body, ...]
    discs: tuple[Disc, ...]
    withheld: tuple[Withheld, ...]
    facing: Facing

    @property
    def names(self) -> tuple[str, ...]:
        """The levels that are answered, in order."""
        return tuple(disc.label for disc in self.discs)

    def without(self, hidden: Sequence[Withheld]) -> Spine:
        """Return the spine without levels that are withheld on other grounds.

        A vertebra stays while one of its levels does.
        """
        reasons = {item.label: item for item in (*self.withheld, *hidden)}
        order = [*self.names, *(item.label for item in self.withheld)]
        discs = tuple(disc for disc in self.discs if disc.label not in reasons)
        return replace(
            self,
            bodies=self.bodies[: len(discs) + 1],
            discs=discs,
            withheld=tuple(reasons[name] for name in order if name in reasons),
        )

    def vertebrae(self, to_image: Affine) -> tuple[Vertebra, ...]:
        """Return the bodies in image pixels; ``to_image`` maps millimetres to them."""
        return tuple(
            Vertebra(
                label=body.label,
                centre_px=rounded(to_image(body.centre)),
                area_mm2=round(body.area_mm2, 1),
            )
            for body in self.bodies
        )


def find_spine(
    labels: npt.NDArray[np.uint8],
    *,
    names: Sequence[str],
    spacing_mm: float,
    stage: Levels,
    facing: Facing | None,
) -> Spine:
    """Find the vertebrae and the levels between them.

    Parameters
    ----------
    labels
        Label map, shape (rows, columns).
    names
        Name of each label.
    spacing_mm
        Of the label map, both ways.
    stage
        Which labels are vertebrae, in order from the head, and their plausible sizes.
    facing
        What the header says; a contradiction is refused, never resolved.

    Raises
    ------
    Refused
        ``MODEL_UNSURE`` if the first vertebra is not seen, one within the row is missing or the
        row is not a spine's; ``ORIENTATION_CONFLICT`` if the image is not upright or is mirrored
        against its header.
    """
    found = [_body(labels == names.index(name), name, spacing_mm) for name in stage.vertebrae]
    bodies = [body for body in found if body and body.area_mm2 >= stage.minimum_area_mm2]
    _check_row(bodies, stage)
    discs = tuple(_disc(upper, lower) for upper, lower in pairwise(bodies))
    posterior = _body(labels == names.index(stage.posterior), stage.posterior, spacing_mm)
    return Spine(
        bodies=tuple(bodies),
        discs=discs,
        withheld=tuple(_withheld(len(bodies), stage)),
        facing=_facing(bodies, posterior, header=facing, stage=stage),
    )


def level_names(vertebrae: Sequence[str]) -> tuple[str, ...]:
    """Name the levels between adjacent vertebrae: C2/3, ..., C7/T1."""
    return tuple(
        f"{upper}/{lower.removeprefix('C')}" if lower.startswith("C") else f"{upper}/{lower}"
        for upper, lower in pairwise(vertebrae)
    )


def _body(mask: npt.NDArray[np.bool_], label: str, spacing_mm: float) -> Body | None:
    """Return the largest connected part of a mask."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count == 1:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    left, top, width, height = stats[largest, : cv2.CC_STAT_HEIGHT + 1]
    window = parts[top : top + height, left : left + width] == largest
    points = (np.argwhere(window)[:, ::-1] + (left, top)) * spacing_mm
    centre = np.asarray(points.mean(axis=0), np.float64)
    return Body(label, points, centre, len(points) * spacing_mm**2)


def _check_row(bodies: Sequence[Body], stage: Levels) -> None:
    """Refuse a row of bodies whose numbering or shape cannot be right."""
    seen = [body.label for body in bodies]
    if seen[:2] != stage.vertebrae[:2]:
        raise unsure(f"{stage.vertebrae[0]} and {stage.vertebrae[1]}, which anchor the numbering,")
    if missing := [name for name in stage.vertebrae[: len(seen)] if name not in seen]:
        raise unsure(f"{missing[0]}, which lies between vertebrae that are seen,")
    _check_anchor(bodies, stage)
    pitches = [
        float(np.linalg.norm(lower.centre - upper.centre)) for upper, lower in pairwise(bodies)
    ]
    centres = [body.centre for body in bodies]
    if (
        min(pitches) < stage.minimum_pitch_mm
        or max(pitches) > stage.maximum_pitch_mm
        or is_bent(centres)
    ):
        raise misaligned()
    # Only a row of distinct bodies has a direction.
    check_upright(centres)


def _check_anchor(bodies: Sequence[Body], stage: Levels) -> None:
    """Refuse a first vertebra that does not look like one: the row may be upside down."""
    down = bodies[1].centre - bodies[0].centre
    heights = [float(np.ptp(np.percentile(body.points @ down, [2, 98]))) for body in bodies]
    if heights[0] < stage.anchor_height * float(np.median(heights[1:])):
        raise Refused(
            "MODEL_UNSURE",
            f"What was found as {stage.vertebrae[0]} lacks its height, so the numbering cannot "
            "be trusted.",
            remedy="Check that the image is upright and shows the spine from C2 down.",
        )


def _facing(
    bodies: Sequence[Body], posterior: Body | None, *, header: Facing | None, stage: Levels
) -> Facing:
    """Tell where the face points from where the posterior elements lie."""
    if posterior is None or posterior.area_mm2 < stage.minimum_area_mm2:
        raise unsure("The posterior elements, which tell front from back,")
    axis = bodies[-1].centre - bodies[0].centre
    middle = np.mean([body.centre for body in bodies], axis=0)
    x, y = posterior.centre - middle
    seen: Facing = "left" if axis[1] * x - axis[0] * y > 0 else "right"
    check_facing(seen, header=header)
    return seen


def _disc(upper: Body, lower: Body) -> Disc:
    """Place a level midway between the facing endplates of two bodies, on the line of centres.

    Percentiles, not extremes: a stray pixel must not move a level.
    """
    step = lower.centre - upper.centre
    down = step / np.linalg.norm(step)
    floor = np.percentile((upper.points - upper.centre) @ down, 95)
    ceiling = np.percentile((lower.points - upper.centre) @ down, 5)
    (label,) = level_names([upper.label, lower.label])
    return Disc(label, upper.centre + down * (floor + ceiling) / 2, down)


def _withheld(seen: int, stage: Levels) -> list[Withheld]:
    names = level_names(stage.vertebrae)[max(seen - 1, 0) :]
    return [
        Withheld(label=name, code="MODEL_UNSURE", reason="A vertebra of this level was not found.")
        for name in names
    ]
