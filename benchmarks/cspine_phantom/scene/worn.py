"""Metal that people wear: no fault away from the column, and a fault across it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from cspine_phantom.patients import Patient, generator
from cspine_phantom.scene.anatomy import spine
from cspine_phantom.scene.shapes import Points, Pose, Scene, Shape, beside, ellipse, shaft

Poses = Sequence[Pose]


def adorned(scene: Scene, *, rng: np.random.Generator) -> Scene:
    """Return a lateral scene with fillings or an ear-ring in some, all clear of the column."""
    tip = scene.landmarks["C2T"]
    worn = []
    if rng.random() < 0.45:
        for tooth in rng.choice(7, int(rng.integers(1, 6)), replace=False):
            side = rng.choice([-1.0, 1.0])
            bite = tip + np.array([-47.0 - 7.2 * tooth, 15.0 + 1.9 * tooth])
            at = bite + side * np.array([0.6, rng.uniform(1.5, 4.5)]) + rng.normal(0, 0.6, 2)
            radii = (rng.uniform(1.2, 3.6), rng.uniform(1.0, 3.2))
            filling = ellipse(at, radii=radii, turn_deg=rng.uniform(0, 180))
            worn.append(_metal(filling, rng.uniform(0.9, 2.6)))
    if rng.random() < 0.12:
        lobe = tip + rng.uniform((6, -26), (28, -12))
        for at in (lobe, lobe + rng.normal(0, 5, 2) - (0, 3))[: int(rng.integers(1, 3))]:
            size = rng.uniform(1.0, 2.2)
            worn.append(_metal(ellipse(at, radii=(size, size)), rng.uniform(1.5, 3.5)))
    return replace(scene, shapes=(*scene.shapes, *worn))


def with_jewellery(scene: Scene, patient: Patient, *, rng: np.random.Generator) -> Scene:
    """Return the lateral `scene` of `patient` with jewellery of one kind across the column."""
    anatomy = generator(patient.seed, patient.number, stream="anatomy")
    column = spine(patient, patient.stance.standing, rng=anatomy)
    kinds: tuple[Callable[[Poses, np.random.Generator], list[Shape]], ...]
    kinds = (_chain, _chain, _earrings, _piercings)
    jewels = kinds[int(rng.integers(len(kinds)))](column.poses, rng)
    return replace(
        scene, shapes=(*scene.shapes, *(jewel.scaled(patient.scale) for jewel in jewels))
    )


def _metal(outline: Points, density: float) -> Shape:
    return Shape(outline, float(density), material="metal")


def _wire(outline: Points, width_mm: float, density: float) -> Shape:
    return Shape(
        outline, 0.0, rim=float(density), rim_mm=float(width_mm), closed=False, material="metal"
    )


def _chain(poses: Poses, rng: np.random.Generator) -> list[Shape]:
    """Return a necklace from the nape down to the breast: both its halves, a pendant in some."""
    pose = poses[int(rng.integers(2, 7))]
    high = pose.centre + rng.normal(0, 3, 2)
    kind, size = int(rng.integers(3)), rng.uniform(0.9, 2.0)
    density, steep = rng.uniform(1.6, 3.8), rng.uniform(0.25, 0.9)
    shapes: list[Shape] = []
    for sway in rng.normal(0, 3.5, 2):
        ends = beside(high, (58, -14 * steep), (24, -7 * steep - 2), (0, sway), (-30, 26 * steep),
                      (-66, 84 * steep))  # fmt: skip
        curve = _through(ends, 400)
        match kind:
            case 0:  # fine links run together
                shapes.append(_wire(curve, size, density))
            case 1:
                for at, following in _spaced(curve, 3.4 * size):
                    along = np.degrees(np.arctan2(*(following - at)[::-1]))
                    link = ellipse(at, radii=(2.0 * size, 1.1 * size), turn_deg=float(along))
                    ring = Shape(link, 0.0, rim=float(density), rim_mm=0.9, material="metal")
                    shapes.append(ring)
            case _:  # beads or pearls
                for at, _ in _spaced(curve, 4.6 * size):
                    shapes.append(_metal(ellipse(at, radii=(1.9 * size, 1.9 * size)), density))
    if rng.random() < 0.4:
        drop = high + rng.uniform((-40, 8), (-8, 30))
        shapes.append(_metal(ellipse(drop, radii=(rng.uniform(3, 9), rng.uniform(3, 9))), density))
    return shapes


def _through(ends: Points, count: int) -> Points:
    """Return a smooth line through some points: a cubic in how far along them one is."""
    steps = np.linalg.norm(np.diff(ends, axis=0), axis=1).cumsum()
    part = np.concatenate([[0.0], steps / steps[-1]])
    place = np.linspace(0, 1, count)
    return np.stack([np.polyval(np.polyfit(part, each, 3), place) for each in ends.T], axis=1)


def _spaced(curve: Points, apart_mm: float) -> list[tuple[Points, Points]]:
    """Return points of a line `apart_mm` from one another, each with the next on the line."""
    walked = np.linalg.norm(np.diff(curve, axis=0), axis=1).cumsum()
    chosen = np.searchsorted(walked, np.arange(0, walked[-1], apart_mm))
    return [(curve[i], curve[i + 1]) for i in chosen]


def _earrings(poses: Poses, rng: np.random.Generator) -> list[Shape]:
    """Return hoops or drops that hang from the lobes across the upper vertebrae."""
    lobe = poses[0].place([[rng.uniform(0, 14), rng.uniform(-30, -22)]])[0]
    drop, density = rng.random() < 0.45, rng.uniform(1.8, 3.8)
    reach = rng.uniform(24, 52)
    shapes: list[Shape] = []
    for _ in range(2):
        top = lobe + rng.normal(0, 4, 2)
        if drop:
            end = top + np.array([rng.normal(0, 3), reach])
            wide = rng.uniform(2.0, 5.0)
            shapes.append(_wire(np.stack([top, end]), rng.uniform(0.9, 1.6), density))
            shapes.append(_metal(ellipse(end, radii=(wide, 1.6 * wide)), density))
        else:
            radii = (rng.uniform(0.25, 0.5) * reach, reach / 2)
            hoop = ellipse(top + np.array([0, reach / 2]), radii=radii)
            closed = np.concatenate([hoop, hoop[:1]])
            shapes.append(_wire(closed, rng.uniform(1.2, 3.0), density))
    return shapes


def _piercings(poses: Poses, rng: np.random.Generator) -> list[Shape]:
    """Return one to three bars with balls at their ends, on the skin over the column."""
    density, size = rng.uniform(2.2, 4.0), rng.uniform(1.8, 3.4)
    shapes: list[Shape] = []
    for index in rng.choice(np.arange(1, 7), int(rng.integers(1, 4)), replace=False):
        pose = poses[int(index)]
        middle = pose.place(rng.uniform((-8, -6), (18, 8), (1, 2)))[0]
        angle, half = rng.uniform(0, np.pi), rng.uniform(5, 9)
        ends = middle + half * np.array([[-np.cos(angle), -np.sin(angle)],
                                         [np.cos(angle), np.sin(angle)]])  # fmt: skip
        shapes.append(_metal(shaft(ends[0], ends[1], (0, 0.8), (1, 0.8)), density))
        shapes += [_metal(ellipse(end, radii=(size, size)), density) for end in ends]
    return shapes
