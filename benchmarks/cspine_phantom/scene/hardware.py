"""Metal in and around a neck: what spinal surgery and immobilisation leave on a film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from cspine_phantom.patients import Patient, generator
from cspine_phantom.scene.anatomy import spine
from cspine_phantom.scene.shapes import Points, Pose, Scene, Shape, beside, ellipse, rounded, shaft

Poses = Sequence[Pose]


def with_hardware(scene: Scene, patient: Patient, *, rng: np.random.Generator) -> Scene:
    """Return the lateral `scene` of `patient` with metal of one kind or two."""
    anatomy = generator(patient.seed, patient.number, stream="anatomy")
    column = spine(patient, patient.stance.standing, rng=anatomy)
    kinds = (_front, _front, _back, _back, _discs, _wires, _outside)
    chosen = rng.choice(len(kinds), 1 if rng.random() < 0.6 else 2, replace=False)
    metal = [shape for kind in chosen for shape in kinds[kind](column.poses, rng)]
    return replace(scene, shapes=(*scene.shapes, *(shape.scaled(patient.scale) for shape in metal)))


def _metal(outline: Points, rng: np.random.Generator) -> Shape:
    """Return a solid piece; it stops nearly all of the beam, and its edge is sharp."""
    return Shape(outline, float(rng.uniform(2.6, 4.5)), material="metal")


def _line(outline: Points, width_mm: float, rng: np.random.Generator) -> Shape:
    return Shape(
        outline, 0.0, rim=float(rng.uniform(2.4, 4.0)), rim_mm=width_mm, closed=False,
        material="metal",
    )  # fmt: skip


def _screw(start: ArrayLike, end: ArrayLike, half_mm: float) -> Points:
    """Return a threaded screw whose head is at `start`."""
    first, last = np.asarray(start, np.float64), np.asarray(end, np.float64)
    along = last - first
    across = np.array([-along[1], along[0]]) / np.linalg.norm(along)
    part = np.linspace(0.0, 0.93, 21)
    half = np.where(np.arange(21) % 2, 0.7, 1.0) * half_mm
    half[:2] = 1.6 * half_mm
    edge = half[:, None] * across
    middle = first + part[:, None] * along
    outline: Points = np.concatenate([middle + edge, last[None], (middle - edge)[::-1]])
    return outline


def _span(rng: np.random.Generator, low: int, high: int) -> range:
    """Return the vertebrae of a construct of `low` to `high` of them, C3 to T1."""
    count = int(rng.integers(low, high + 1))
    first = int(rng.integers(1, 8 - count))
    return range(first, first + count)


def _front(poses: Poses, rng: np.random.Generator) -> list[Shape]:
    """Return an anterior plate with its screws, mostly with cages in the discs it bridges."""
    span = _span(rng, 2, 4)
    thick, gap = rng.uniform(2.0, 3.6), rng.uniform(0.2, 1.8)
    tall = rng.uniform(0.25, 0.75)
    walls = np.concatenate([
        poses[k].place([(-poses[k].half_depth - gap, side * tall * poses[k].half_height)])
        for k in span for side in (-1, 1)
    ])  # fmt: skip
    shapes = [_metal(np.concatenate([walls, walls[::-1] - (thick, 0)]), rng)]
    half = rng.uniform(1.6, 2.2)
    for k in span:
        w, h = poses[k].half_depth, poses[k].half_height
        for lean in (-1.5, 1.5) if rng.random() < 0.5 else (0.0,):
            y = rng.normal(0, 0.1) * h + lean
            deep = rng.uniform(0.2, 0.85) * w
            ends = poses[k].place([(-w - gap - thick, y), (deep, y + lean + rng.normal(0, 1))])
            shapes.append(_metal(_screw(ends[0], ends[1], half), rng))
    if rng.random() < 0.7:
        shapes += [shape for k in span[:-1] for shape in _cage(_gap(poses, k), rng)]
    return shapes


def _gap(poses: Poses, index: int) -> Pose:
    """Return the disc below vertebra `index`."""
    upper, lower = poses[index], poses[index + 1]
    top = upper.place([(0, upper.half_height)])[0]
    bottom = lower.place([(0, -lower.half_height)])[0]
    half = float(np.linalg.norm(top - bottom)) / 2
    return Pose((top + bottom) / 2, (upper.lean + lower.lean) / 2, upper.half_depth, half)


def _box(gap: Pose, rng: np.random.Generator) -> Points:
    """Return the outline of a wedge that fills a disc and bites a little into its endplates."""
    w = rng.uniform(0.6, 0.95) * gap.half_depth
    h = gap.half_height + rng.uniform(0.0, 0.9)
    return gap.place([(-w, -h), (w, -0.8 * h), (w, 0.8 * h), (-w, h)])


def _cage(gap: Pose, rng: np.random.Generator) -> list[Shape]:
    """Return what fills a disc: a block, a shell, or a polymer with its markers."""
    box = _box(gap, rng)
    match rng.integers(3):
        case 0:
            return [_metal(box, rng)]
        case 1:
            wall = float(rng.uniform(1.8, 3.0))
            return [Shape(box, 0.6, rim=wall, rim_mm=rng.uniform(1.0, 1.8), material="metal")]
        case _:
            pins = gap.place([(x * gap.half_depth, 0) for x in (-0.7, 0.0, 0.6)])
            pin = 0.8 * gap.half_height
            polymer = Shape(box, 0.2, material="tissue")
            return [polymer, *(_metal(ellipse(at, radii=(1.0, pin)), rng) for at in pins)]


def _discs(poses: Poses, rng: np.random.Generator) -> list[Shape]:
    """Return blocks alone, or an artificial disc: two plates with keels and a core."""
    span = _span(rng, 2, 3)
    if rng.random() < 0.4:
        return [_metal(_box(_gap(poses, k), rng), rng) for k in span[:-1]]
    index = span[0]
    shapes = []
    for pose, side in ((poses[index], 1.0), (poses[index + 1], -1.0)):
        w, y = 0.9 * pose.half_depth, side * pose.half_height
        plate = [(-w, y), (w, y), (w, y + side * 1.4), (-w, y + side * 1.4)]
        keel = [(-0.4 * w, y), (0.4 * w, y), (0.3 * w, y - side * 3.5), (-0.3 * w, y - side * 3.5)]
        dome = ellipse((0, y + side * 1.2), radii=(0.5 * w, 2.0))
        shapes += [_metal(pose.place(each), rng) for each in (plate, keel, dome)]
    return shapes


def _back(poses: Poses, rng: np.random.Generator) -> list[Shape]:
    """Return lateral-mass screws, their heads, and the rods that join them, of both sides."""
    span = _span(rng, 3, 6)
    thick, half = rng.uniform(3.0, 4.2), rng.uniform(1.6, 2.1)
    shapes = []
    for _ in range(2):
        sway, heads = rng.normal(0, 1.6, 2), []
        for k in span:
            w, h = poses[k].half_depth, min(poses[k].half_height, 7.5)
            head = np.array([w + 11.5, 0.2 * h]) + sway + rng.normal(0, 0.5, 2)
            tip = head - (rng.uniform(10, 14), rng.uniform(2, 6))
            ends = poses[k].place([head, tip])
            tulip = head + np.array([(-3.0, -4.0), (4.5, -4.0), (4.5, 4.0), (-3.0, 4.0)])
            shapes += [_metal(_screw(ends[0], ends[1], half), rng),
                       _metal(poses[k].place(tulip), rng)]  # fmt: skip
            heads.append(poses[k].place([(head[0] + 2.0, head[1])])[0])
        rod = np.stack([heads[0] + 0.35 * (heads[0] - heads[1]), *heads,
                        heads[-1] + 0.35 * (heads[-1] - heads[-2])])  # fmt: skip
        shapes.append(_line(rod, thick, rng))
    return shapes


def _wires(poses: Poses, rng: np.random.Generator) -> list[Shape]:
    """Return wire loops about neighbouring spinous processes, with their twisted ends."""
    shapes = []
    for k in _span(rng, 3, 4)[:-1]:
        pose = poses[k]
        pitch = float(np.linalg.norm(poses[k + 1].centre - pose.centre))
        at = (pose.half_depth + rng.uniform(20, 25), 0.5 * pitch + 4)
        loop = ellipse(at, radii=(rng.uniform(3, 6), 0.75 * pitch), turn_deg=rng.normal(-15, 8))
        closed = pose.place(np.concatenate([loop, loop[:1]]))
        twist = closed[8] + np.array([(0, 0), (3, 2), (5, 6)]) * rng.uniform(0.6, 1.4)
        shapes += [_line(closed, rng.uniform(1.0, 1.8), rng), _line(twist, 2.2, rng)]
    return shapes


def _outside(poses: Poses, rng: np.random.Generator) -> list[Shape]:
    """Return a halo's rods and pins, or a collar's shell with clips and rivets."""
    third, sixth = poses[1].centre, poses[4].centre
    if rng.random() < 0.5:
        shapes = []
        # The first crosses the film near the spine, whatever the shutters hide.
        others = rng.choice([-60.0, -46.0, 36.0, 52.0], int(rng.integers(0, 3)), replace=False)
        for x in (rng.choice([-30.0, -4.0, 22.0]), *others):
            ends = beside(sixth, (x + rng.normal(0, 5), -240), (x + rng.normal(0, 12), 200))
            shapes.append(_metal(shaft(ends[0], ends[1], (0, 4), (1, rng.uniform(3, 5.5))), rng))
            joint = beside(third, (x - 9, 0), (x + 9, 0), (x + 9, 14), (x - 9, 14))
            shapes.append(_metal(joint + (sixth - third) * (1, rng.uniform(-0.5, 0.8)), rng))
        return shapes
    shapes = []
    for x, low in ((-46.0, 30.0), (50.0, 24.0)):
        shell = beside(third, (x, -30), (0.9 * x, 4), (0.9 * x, low), (1.1 * x, low + 26))
        shapes.append(
            Shape(shell, 0.0, rim=0.35, rim_mm=rng.uniform(2.5, 5.0), closed=False,
                  material="tissue")
        )  # fmt: skip
    for _ in range(int(rng.integers(3, 7))):
        at = (third + sixth) / 2 + rng.uniform((-44, -40), (48, 46))
        size = rng.uniform(4.0, 9.0)
        turn = rng.uniform(0, 180)
        clip = Pose(at, float(np.deg2rad(turn)), 0.0, 0.0)
        box = clip.place(np.array([(-1.0, -0.6), (1.0, -0.6), (1.0, 0.6), (-1.0, 0.6)]) * size)
        if rng.random() < 0.5:
            ring = rng.uniform(1.6, 2.6)
            shapes.append(Shape(rounded(box), 0.0, rim=3.0, rim_mm=ring, material="metal"))
        else:
            shapes.append(_metal(box, rng))
    return shapes
