"""The anterior oblique: halfway between frontal and lateral, and neither."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cspine_phantom.patients import Patient, generator
from cspine_phantom.scene import neck, skull, vertebra
from cspine_phantom.scene.anatomy import spine
from cspine_phantom.scene.shapes import Points, Pose, Scene, Shape, beside, ellipse, rounded, shaft

_HALF_WIDTH_MM = 11.5  # of a body, across


def oblique(patient: Patient, *, rng: np.random.Generator) -> Scene:
    """Return the scene of a patient turned by 35 to 55 degrees, facing left; no shape is labelled.

    What lies in the midline is foreshortened, what lies beside it comes out from behind: the
    foramina of one side open, and the two halves of the jaw part.
    """
    turn = np.deg2rad(rng.uniform(35, 55))
    anatomy = generator(patient.seed, patient.number, stream="anatomy")
    column = spine(patient, patient.stance.standing, rng=anatomy)
    poses = tuple(_turned(pose, turn) for pose in column.poses)
    dens = _turned(column.dens, turn)
    shapes = [*_upper(dens, turn, rng), _airway(poses, turn, rng)]
    for index in range(7):
        shapes += _vertebra(poses, dens, index, turn, rng)
    shapes += [shape for index in range(6) for shape in _foramen(poses, index, turn, rng)]
    veils, chest = _chest(poses[6].centre, rng)
    scale = patient.scale
    centres = np.stack([pose.centre for pose in poses])
    return Scene(
        view="oblique",
        skin=tuple(
            outline * scale for outline in neck.skin(poses, dens, gaze=0.0, padding_mm=0.0, rng=rng)
        ),
        veils=tuple(veil.scaled(scale) for veil in veils),
        shapes=tuple(shape.scaled(scale) for shape in (*shapes, *chest)),
        focus=np.concatenate([centres - np.array([14, 28]), centres + np.array([32, 12])]) * scale,
    )


def _turned(pose: Pose, turn: float) -> Pose:
    """Return where a vertebra projects to: an ellipse from above, it stays about as wide."""
    half = np.hypot(pose.half_depth * np.cos(turn), _HALF_WIDTH_MM * np.sin(turn))
    return replace(
        pose,
        centre=pose.centre * (np.cos(turn), 1.0),
        lean=float(np.arctan(np.tan(pose.lean) * np.cos(turn))),
        half_depth=float(half),
    )


def _vertebra(
    poses: tuple[Pose, ...], dens: Pose, index: int, turn: float, rng: np.random.Generator
) -> list[Shape]:
    pose = poses[index]
    w, h = pose.half_depth, pose.half_height
    high = min(h, 7.5)
    # Tiles of a roof: the laminae lie on one another behind the foramina.
    tile = pose.place(ellipse((w + 14.5, 0.15 * high), radii=(4.2, 10.5), turn_deg=-24))
    process = pose.place(
        ellipse((w + 22, 0.9 * high), radii=(4 + 9 * np.cos(turn), 3.6), turn_deg=18)
    )
    near = pose.place(rounded([(w - 4, -0.75 * high), (w + 10, -0.7 * high), (w + 12, 0.1 * high),
                               (w + 7, 0), (w - 4, 0.05 * high)]))  # fmt: skip
    # The far pedicle is seen end on, through the body.
    far = pose.place(ellipse((rng.uniform(-0.15, 0.25) * w, -0.25 * high), radii=(3.2, 3.9)))
    shapes = [
        Shape(tile, 0.24, rim=0.20, rim_mm=1.2, soft_mm=0.3),
        Shape(process, 0.16, rim=0.14, soft_mm=0.3),
        Shape(near, 0.30, rim=0.16, soft_mm=0.25),
    ]
    if index == 0:
        shapes.append(Shape(vertebra.axis(pose, dens, below_mm=0.0), 0.42, rim=0.15, soft_mm=0.3))
    else:
        # Both uncinate edges show, so neighbours overlap at the back of the disc.
        body = [(-w, -h + 2), (-0.5 * w, -h + 0.5), (0.1 * w, -h + 1.5), (0.55 * w, -h - 3.5),
                (w, -h - 2.5), (w, 0.2 * h), (w - 1, h - 1), (0.2 * w, h + 1.2),
                (-0.5 * w, h + 0.6), (-w, h + 0.8), (0.8 - w, 0)]  # fmt: skip
        edge = [(-0.35 * w, -h + 1), (-0.3 * w, 0), (-0.4 * w, h)]
        shapes.append(Shape(pose.place(rounded(body)), 0.42, rim=0.16, soft_mm=0.2))
        shapes.append(Shape(pose.place(edge), 0.0, rim=0.12, rim_mm=1.4, soft_mm=0.5, closed=False))
    shapes.append(Shape(far, 0.0, rim=0.22, rim_mm=1.3, soft_mm=0.15))
    return shapes


def _foramen(
    poses: tuple[Pose, ...], index: int, turn: float, rng: np.random.Generator
) -> list[Shape]:
    """Return the foramen below vertebra `index`: a dark oval with a bright ring."""
    upper, lower = poses[index], poses[index + 1]
    ends = [upper.place([[upper.half_depth + 3.8, 0.25 * min(upper.half_height, 7.0)]]),
            lower.place([[lower.half_depth + 3.8, -0.75 * lower.half_height]])]  # fmt: skip
    centre = (ends[0] + ends[1])[0] / 2
    half = float(np.linalg.norm(ends[0] - ends[1])) / 2
    # Widest at 45 degrees, and narrowed by spurs in some.
    radii = (
        rng.uniform(3.0, 4.4) * float(np.sin(2 * turn)),
        max(half, 3.5) * rng.uniform(0.85, 1.1),
    )
    outline = ellipse(centre, radii=radii, turn_deg=rng.normal(12, 5))
    return [
        Shape(outline, -0.32, soft_mm=0.3),
        Shape(outline, 0.0, rim=0.32, rim_mm=1.5, soft_mm=0.2),
    ]


def _upper(dens: Pose, turn: float, rng: np.random.Generator) -> list[Shape]:
    """Return skull, atlas and a jaw whose halves part."""
    tip = neck.tip(dens)
    apart = 34 * np.sin(turn)
    arch = ellipse((14.0, -19.0), radii=(16.0, 5.0), turn_deg=rng.normal(0, 8))
    shapes = [
        *skull.skull(tip + np.array([rng.normal(4, 4), 0.0])),
        Shape(dens.place(arch), 0.16, rim=0.24),
    ]
    for side, depth in ((-0.5, np.cos(turn)), (0.35, np.cos(turn) + 0.3)):
        for shape in skull.jaw(np.zeros(2)):
            outline = (
                shape.outline * (depth, 1.0) + tip + (side * apart, rng.normal(0, 0.5) + 5 * side)
            )
            shapes.append(replace(shape, outline=outline, density=0.7 * shape.density))
    return shapes


def _airway(poses: tuple[Pose, ...], turn: float, rng: np.random.Generator) -> Shape:
    """Return the airway, which crosses the front of the bodies from the side."""
    front = np.stack([pose.place([[-pose.half_depth, 0.0]])[0] for pose in poses])
    front += np.linspace(-2.0, 7.0, 7)[:, None] * (np.sin(turn), 0.0)
    wide = rng.uniform(9, 14)
    top, end = front[0], front[-1]
    outline = [beside(top, (-16, -36), (-4, -20)), front, beside(end, (14, 80), (14 - wide, 80)),
               front[::-1] - (wide, 0.0), beside(top, (-22, -20), (-28, -32))]  # fmt: skip
    return Shape(rounded(np.concatenate(outline)), -0.38, soft_mm=0.7)


def _chest(first: Points, rng: np.random.Generator) -> tuple[list[Shape], list[Shape]]:
    """Return veils and shapes below: one shoulder in front, one behind, a lung between them."""
    near = [(-130, 90), (-96, 44), (-70, 30), (-40, 46), (-30, 130)]
    far = [(34, 130), (44, 36), (70, 14), (110, 20), (190, 70), (190, 140)]
    lung = [(-26, 26), (-4, 12), (24, 16), (44, 50), (50, 140), (-40, 140)]
    first = first + rng.normal(0, (6, 5))
    clavicle = shaft((-6, 34), (-110, 22), (0, 6), (0.5, 4.5), (1, 6))
    veils = [
        Shape(first + rounded(outline), rng.uniform(0.4, 0.8), soft_mm=5.0)
        for outline in (near, far)
    ]
    shapes = [
        Shape(first + rounded(lung), -rng.uniform(0.35, 0.6), soft_mm=2.0),
        Shape(first + clavicle, 0.3, rim=0.25),
    ]
    for index in range(3):
        rib = np.array([(10.0, 8), (34, 6), (46, 26), (38, 52)]) + index * np.array([2, 16])
        band = rounded(np.concatenate([rib, rib[::-1] + np.array([-5, 5])]))
        shapes.append(Shape(first + band, 0.14, rim=0.18))
    return veils, shapes
