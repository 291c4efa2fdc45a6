"""Vertebrae, discs and the arches behind them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from cspine_phantom.patients import VERTEBRAE
from cspine_phantom.scene import vertebra
from cspine_phantom.scene.shapes import POSTERIOR, Points, Pose, ellipse, rounded
from cspine_phantom.volume.canal import Canal
from cspine_phantom.volume.column import Column
from cspine_phantom.volume.solid import Solid, shrunk
from cspine_phantom.volume.tissue import FIRST_BODY, FIRST_DISC, LABEL

# Length and slope of the spinous processes of C2 to T4.
_SPINOUS_MM = (17.0, 13.0, 13.5, 16.0, 22.0, 30.0, 31.0, 30.0, 30.0, 30.0)
_DROP_DEG = (22.0, 20.0, 22.0, 25.0, 27.0, 26.0, 32.0, 40.0, 46.0, 50.0)

_CORTEX_MM = 0.55


def arches(column: Column, *, rng: np.random.Generator) -> list[Solid]:
    """Return laminae, spinous processes, articular pillars and the atlas."""
    solids: list[Solid] = []
    for index, (pose, canal_mm) in enumerate(zip(column.poses, column.canal_mm, strict=True)):
        w, h = pose.half_depth, pose.half_height
        mask = POSTERIOR if index < len(VERTEBRAE) else 0
        process = vertebra.arch(
            pose,
            canal_mm=canal_mm,
            length_mm=_SPINOUS_MM[index] * rng.normal(1, 0.07),
            drop=np.deg2rad(_DROP_DEG[index] + rng.normal(0, 4)),
            high=index == 0,
        )
        # From the middle of the arch to the pillar, the lamina comes forward as the canal ends.
        for middle, back in ((4.5, 0.97), (7.5, 0.86), (10.5, 0.72)):
            at = (w + back * canal_mm + 2.0, 0.45 * h)
            lamina = pose.place(ellipse(at, radii=(2.4, 0.85 * h + 1.0), turn_deg=-14))
            solids += _bone(lamina, middle_mm=middle, half_mm=2.6, power=4.0, mask=mask)
        pillar = pose.place(_pillar(pose))
        solids += _bone(pillar, middle_mm=16.0, half_mm=6.5, power=6.0, cortex_mm=0.8)
        root = pose.place([(w - 2.0, -0.55 * h), (w + 4.0, -0.5 * h), (w + 4.0, 0.25 * h),
                           (w - 2.0, 0.3 * h)])  # fmt: skip
        solids += _bone(rounded(root), middle_mm=11.5, half_mm=2.8, power=4.0)
        solids += _bone(process, half_mm=3.6 if index else 5.0, power=3.0, cortex_mm=0.7, mask=mask)
    return [*solids, *_atlas(column)]


def _pillar(pose: Pose) -> Points:
    """Return the articular pillar in the vertebra's own frame: a rhomboid between two facets."""
    w, h = pose.half_depth, pose.half_height
    outline = [
        (w + 1.5, -h - 3.6), (w + 3.0, -h - 3.2), (w + 10.0, -h + 3.6), (w + 10.2, h + 1.6),
        (w + 9.0, h + 3.4), (w + 2.0, h - 2.6), (w + 0.8, h - 4.0),
    ]  # fmt: skip
    return rounded(outline)


def _atlas(column: Column) -> list[Solid]:
    """Return C1: its two arches in the middle and its masses beside the odontoid."""
    axis = column.poses[0]
    pose = Pose(axis.place([[0.0, -20.0]])[0], (axis.lean - column.gaze) / 2, 0.0, 0.0)
    front = pose.place(ellipse((-9.0, 0.4), radii=(2.7, 5.6), turn_deg=8))
    back = pose.place(ellipse((34.6, 2.2), radii=(3.0, 4.4), turn_deg=12))
    mass = pose.place(rounded([(-4, -3), (4, -6), (13, -5), (14, 1), (10, 8), (0, 10), (-5, 7)]))
    condyle = column.head(rounded([(-4, -8), (6, -14), (18, -14), (22, -6), (14, -1), (2, -1)]))
    solids = []
    for outline, middle, half, power in (
        (front, 0.0, 8.0, 3.0), (back, 0.0, 12.0, 3.0), (mass, 15.0, 6.5, 4.0),
        (condyle, 15.0, 7.0, 4.0),
    ):  # fmt: skip
        solids += _bone(outline, middle_mm=middle, half_mm=half, power=power, cortex_mm=0.8)
    return solids


def bodies(column: Column, canal: Canal, *, rng: np.random.Generator) -> list[Solid]:
    """Return discs and bodies, C2 to T4; osteophytes are where the canal has bulges."""
    solids = discs(column, rng=rng)
    reach = [float(canal.bulge[int(np.abs(canal.along - at).argmin())]) for at in canal.discs]
    lips = (0.0, *(0.55 * np.clip(reach, 0, 4)), 0.0)
    for index, (pose, half) in enumerate(zip(column.poses, column.half_width_mm, strict=True)):
        front = max(rng.normal(0.8, 0.7), 0.0) if 0 < index < 7 else 0.3
        outline = (
            vertebra.axis(pose, pose, below_mm=lips[1])
            if index == 0
            else vertebra.body(pose, above_mm=lips[index], below_mm=lips[index + 1], front_mm=front)
        )
        anchor = pose.place([(0.35 * pose.half_depth, 0.0)])[0]
        marrow = FIRST_BODY + index
        solids += _bone(
            outline, half_mm=half, power=5.0, label=marrow, anchor=anchor, cortex_mm=0.6,
            mask=index + 1 if index < len(VERTEBRAE) else 0,
        )  # fmt: skip
        if index:
            vein = rounded(pose.place([(0.45 * pose.half_depth, 0.2), (pose.half_depth - 1.0, -0.8),
                                       (pose.half_depth - 1.0, 1.2)]))  # fmt: skip
            solids.append(Solid(vein, LABEL["vein"], half_mm=3.0, power=2.0))
        if rng.random() < 0.16:
            solids.append(_endplate_change(pose, half, rng))
    return solids


def discs(column: Column, *, rng: np.random.Generator) -> list[Solid]:
    """Return the fibrous rings and the nuclei in them."""
    solids = []
    for index, (upper, lower) in enumerate(pairwise(column.poses)):
        width = column.half_width_mm[index]
        bulge = float(np.clip(rng.normal(1.2, 0.6), 0.2, 3.0))
        w, v = upper.half_depth, lower.half_depth
        top = upper.place([(-w + 0.6, upper.half_height - 1.0), (0.0, upper.half_height - 2.0),
                           (w - 0.8, upper.half_height - 1.0)])  # fmt: skip
        base = lower.place([(v - 0.8, 1.0 - lower.half_height), (0.0, 1.6 - lower.half_height),
                            (-v + 0.6, 1.0 - lower.half_height)])  # fmt: skip
        forward = (top[0] - top[2]) / np.linalg.norm(top[0] - top[2])
        nose = (top[0] + base[2]) / 2 + bulge * forward
        ring = np.concatenate([top, base, [nose]])
        middle = (top[1] + base[1]) / 2
        # The nucleus reaches the endplates, not the ring's front and back.
        away = ring - middle
        ahead = (away @ forward)[:, None] * forward
        core = rounded(middle + 0.74 * ahead + 0.9 * (away - ahead))
        solids.append(Solid(ring, LABEL["annulus"], half_mm=width, power=5.0))
        solids.append(Solid(core, FIRST_DISC + index, half_mm=0.8 * width, power=3.0))
    return solids


def _endplate_change(pose: Pose, half: float, rng: np.random.Generator) -> Solid:
    """Return fat in the marrow beside a worn endplate."""
    side = rng.choice([-1.0, 1.0])
    at = (rng.uniform(-0.4, 0.3) * pose.half_depth, side * (pose.half_height - 2.4))
    patch = ellipse(at, radii=(rng.uniform(2.5, 5.0), 1.7))
    return Solid(pose.place(patch), LABEL["fatty marrow"], half_mm=0.8 * half, power=2.0)


def _bone(
    outline: Points,
    *,
    middle_mm: float = 0.0,
    half_mm: float,
    power: float,
    label: int = LABEL["marrow"],
    anchor: Points | None = None,
    cortex_mm: float = _CORTEX_MM,
    mask: int = 0,
) -> list[Solid]:
    """Return cortex and the marrow in it; a label map of bones shows both as one."""
    inner = shrunk(outline, cortex_mm)
    thinner = max(half_mm - cortex_mm, 0.5)
    return [
        Solid(outline, LABEL["bone"], middle_mm, half_mm, power, anchor, mask=mask),
        Solid(inner, label, middle_mm, thinner, power, anchor),
    ]
