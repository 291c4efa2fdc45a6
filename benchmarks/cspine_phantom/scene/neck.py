"""The soft parts of a lateral neck, and what else is no vertebra: atlas, larynx, shoulders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cspine_phantom.scene.shapes import Points, Pose, Shape, beside, ellipse, rounded, shaft, turned
from cspine_phantom.scene.skull import jaw, skull, skull_points

# Prevertebral soft tissue and airway depth, millimetres, in front of C2 to T1.
_PREVERTEBRAL = (4.0, 4.2, 5.5, 11.0, 13.5, 14.0, 14.0)
_AIRWAY = (13.0, 14.0, 13.0, 10.0, 13.0, 15.0, 15.5)

# With this, C1 and C7 include the 35 to 40 degrees that are published.
_ATLAS_TIPPED = np.deg2rad(6.0)


def organs(
    poses: tuple[Pose, ...], dens: Pose, *, gaze: float, rng: np.random.Generator
) -> tuple[Shape, ...]:
    """Return the sharp shapes around the vertebrae, unlabelled.

    The head is tipped back on the axis by `gaze` radians.
    """
    top = tip(dens)
    chin = top + rng.normal(0, 2.0, 2)
    return (
        *(
            replace(shape, outline=turned(shape.outline, about=top, angle=gaze))
            for shape in (*skull(top), *jaw(chin))
        ),
        *_atlas(dens, gaze),
        *_airway(poses, chin, rng),
        *_larynx(poses[1].centre, rng),
        *_nape(poses, rng),
    )


def tip(dens: Pose) -> Points:
    """Return where the odontoid ends, (2,): skull and jaw hang on it."""
    end: Points = dens.place([[1.0, -27.0]])[0]
    return end


def points(dens: Pose, *, gaze: float) -> dict[str, Points]:
    """Return the landmarks above C2 by name."""
    top = tip(dens)
    front, back = _atlas_pose(dens, gaze).place([[-10.9, 0.0], [36.2, 2.4]])
    head = {name: turned(at, about=top, angle=gaze) for name, at in skull_points(top).items()}
    return {**head, "C1A": front, "C1P": back}


def _atlas_pose(dens: Pose, gaze: float) -> Pose:
    """Return where C1 turns about the odontoid: half way between it and the head, tipped back."""
    lean = (dens.lean - gaze) / 2 - _ATLAS_TIPPED
    return Pose(dens.place([[0.0, -20.0]])[0], lean, 0.0, 0.0)


def _atlas(dens: Pose, gaze: float) -> tuple[Shape, ...]:
    """Return C1: a level is named by the bodies beside it, and it has none, so no label either."""
    pose = _atlas_pose(dens, gaze)
    bar = [
        (6.0, -1.0), (12.0, -2.6), (20.0, -3.4), (28.0, -3.2), (34.0, -1.8), (36.6, 0.6),
        (36.0, 4.8), (32.0, 6.6), (28.0, 5.0), (24.0, 2.6), (17.0, 1.4), (9.0, 3.6),
    ]  # fmt: skip
    ring = [(27.0, -2.4), (33.6, -1.2), (36.0, 1.4), (35.0, 4.6), (31.4, 5.8), (28.0, 4.0)]
    front = [(-11.2, -2.0), (-9.6, -5.4), (-7.2, -5.6), (-6.0, -1.0), (-6.2, 4.0), (-8.0, 6.2),
             (-10.4, 4.6), (-11.6, 1.2)]  # fmt: skip
    mass = [(-4.0, -2.5), (4.0, -5.5), (12.5, -4.5), (14.0, 1.0), (10.0, 8.0), (0.0, 10.5),
            (-5.0, 7.0)]  # fmt: skip
    return (
        Shape(pose.place(rounded(front)), 0.34, rim=0.14, soft_mm=0.2),
        Shape(pose.place(rounded(bar)), 0.22, rim=0.08, soft_mm=0.3),
        Shape(pose.place(rounded(ring)), 0.16, rim=0.08, soft_mm=0.3),
        Shape(pose.place(rounded(mass)), 0.24, rim=0.06, soft_mm=0.7, round_mm=3.0),
    )


def _nape(poses: tuple[Pose, ...], rng: np.random.Generator) -> tuple[Shape, ...]:
    """Return the muscle behind the laminae, a little denser than what surrounds it, and lime.

    The nuchal ligament calcifies in some, and so does a carotid in front; neither has to do with
    any level's severity.
    """
    back = [pose.place([[pose.half_depth + 21.0, 0.0]])[0] for pose in poses[1:]]
    far = [pose.place([[pose.half_depth + 44.0, 6.0]])[0] for pose in poses[1:]]
    shapes = [Shape(rounded(np.array([*back, *far[::-1]])), 0.07, soft_mm=2.5, material="tissue")]
    if rng.random() < 0.15:
        at = poses[4].place([[rng.uniform(48, 56), rng.uniform(-4, 12)]])[0]
        shapes.append(Shape(ellipse(at, radii=(6.0, 1.8), turn_deg=75), 0.22, soft_mm=0.4))
    if rng.random() < 0.12:
        at = poses[2].place([[-rng.uniform(30, 36), rng.uniform(-4, 8)]])[0]
        fleck = ellipse(at, radii=(4.5, 1.1), turn_deg=float(rng.uniform(60, 100)))
        shapes.append(Shape(fleck, 0.16, soft_mm=0.3))
    return tuple(shapes)


def _larynx(third: Points, rng: np.random.Generator) -> tuple[Shape, ...]:
    """Return hyoid, epiglottis and the calcified part of thyroid and cricoid cartilage."""
    at = third + rng.normal(0, 2.0, 2)
    body = ellipse((-37.0, 10.0), radii=(7.0, 2.8), turn_deg=-32)
    horn = shaft((-33.0, 8.0), (-17.0, -1.0), (0, 1.6), (0.5, 1.2), (1, 1.5))
    leaf = [(-24.0, 15.0), (-21.5, 4.0), (-17.5, -5.0), (-15.8, -4.4), (-18.6, 5.0), (-21.6, 15.5)]
    plate = [(-36.0, 27.0), (-26.0, 22.0), (-15.0, 20.0), (-13.0, 30.0), (-17.0, 46.0),
             (-28.0, 46.0), (-35.0, 38.0)]  # fmt: skip
    signet = [(-17.0, 46.0), (-11.0, 44.0), (-10.0, 57.0), (-17.0, 60.0), (-26.0, 57.0)]
    lime = float(np.clip(rng.normal(0.06, 0.05), 0.01, 0.2))
    spots = [
        Shape(at + ellipse(rng.uniform((-33, 24), (-15, 52)), radii=(2.6, 1.8),
                           turn_deg=float(rng.uniform(0, 180))), lime, soft_mm=0.7)
        for _ in range(5)
    ]  # fmt: skip
    return (
        Shape(at + body, 0.18, rim=0.14, soft_mm=0.25),
        Shape(at + horn, 0.13, rim=0.09, soft_mm=0.25),
        Shape(at + rounded(leaf), 0.20, soft_mm=0.45, material="tissue"),
        Shape(at + rounded(plate), 0.5 * lime, rim=lime, rim_mm=2.0, soft_mm=0.8),
        Shape(at + rounded(signet), lime, rim=0.5 * lime, soft_mm=0.8),
        *spots,
    )


def _airway(poses: tuple[Pose, ...], chin: Points, rng: np.random.Generator) -> tuple[Shape, ...]:
    """Return pharynx, larynx and trachea, the mouth's air and the soft palate in it."""
    width = rng.normal(1.0, 0.1)
    walls = np.stack([pose.place([[-pose.half_depth, 0.0]])[0] for pose in poses])
    back = walls - np.stack([_PREVERTEBRAL, np.zeros(7)], axis=1)
    front = back - np.stack([np.array(_AIRWAY) * width, np.zeros(7)], axis=1)
    top, end = back[0], back[-1]
    # From the nasopharynx down the back wall, through the trachea and up the front.
    outline = [
        beside(top, (-24, -38), (-7, -30), (-1, -18)),
        back,
        beside(end, (10, 34), (26, 80), (10, 80), (-6, 34)),
        front[::-1],
        beside(top, (-17, -14), (-30, -24), (-38, -34)),
    ]
    velum = [(-34, -14), (-24, -10), (-17, 0), (-15, 9), (-18, 10), (-22, 2), (-33, -6)]
    vallecula = front[1] + ellipse((-4.0, 6.0), radii=(5.0, 2.6), turn_deg=50)
    return (
        Shape(
            rounded(np.concatenate(outline)), -0.48, soft_mm=0.7, round_mm=5.0, material="tissue"
        ),
        Shape(vallecula, -0.22, soft_mm=0.8, round_mm=2.0, material="tissue"),
        Shape(chin + rounded(velum), 0.14, soft_mm=0.9, material="tissue"),
    )


def skin(
    poses: tuple[Pose, ...],
    dens: Pose,
    *,
    gaze: float,
    padding_mm: float,
    rng: np.random.Generator,
) -> tuple[Points, ...]:
    """Return the outline of head, neck and upper trunk; it leaves every picture on three sides.

    `padding_mm` is how much farther the skin lies from the spine than that of most.
    """
    axis, third, fifth, seventh, first = (poses[i].centre for i in (0, 1, 3, 5, 6))
    back, front = padding_mm + rng.normal(0, (4, 3))
    face = beside(axis, (-150, -140), (-118, -60), (-112, -20), (-114, 18), (-104, 34))
    outline = [
        turned(face, about=tip(dens), angle=gaze),
        beside(third, (-58 - front, 26)),
        beside(fifth, (-52 - front, 12)),
        beside(seventh, (-58 - front, 16)),
        beside(first, (-70 - front, 44), (-100, 84), (-190, 120), (-190, 240), (190, 240)),
        beside(first, (190, 60), (112, 22), (78 + back, -10)),
        beside(fifth, (64 + back, -2)),
        beside(third, (62 + back, -6)),
        turned(beside(axis, (78 + back, -24), (98, -60), (100, -140)), about=tip(dens), angle=gaze),
    ]
    return (rounded(np.concatenate(outline)),)


def shoulders(poses: tuple[Pose, ...], *, rng: np.random.Generator) -> tuple[Shape, ...]:
    """Return the veils over C7 and T1: both shoulders, seldom at one height, and what they hold."""
    first = poses[6].centre
    veils = []
    for _ in range(2):
        at = first + np.array([rng.normal(0.0, 10.0), rng.normal(-1.0, 6.0)])
        trunk = beside(
            at,
            *((-112, 92), (-82, 50), (-50, 26), (-12, 8), (25, 2), (60, 8), (100, 24)),
            *((190, 70), (190, 140), (-112, 140)),
        )
        weight = float(rng.uniform(0.45, 0.85))
        head = ellipse(at + np.array([8.0, 56.0]), radii=(24, 23))
        collar = at + shaft((4.0, 36.0), (-112.0, 30.0), (0, 6), (0.4, 4.2), (1, 6.5))
        blade = at + shaft((26.0, 42.0), (66.0, 78.0), (0, 8), (0.5, 14), (1, 12))
        veils += [
            Shape(rounded(trunk), weight, soft_mm=5.0, material="tissue"),
            Shape(head, 0.30, rim=0.05, rim_mm=2.5, soft_mm=2.6, round_mm=10.0),
            Shape(collar, 0.14, rim=0.10, rim_mm=1.8, soft_mm=1.8),
            Shape(blade, 0.14, rim=0.06, rim_mm=2.0, soft_mm=2.2),
        ]
    apex = [(-30, 44), (-14, 20), (8, 14), (26, 30), (40, 70), (44, 140), (-40, 140)]
    lung = Shape(
        first + rounded(apex), -float(rng.uniform(0.2, 0.5)), soft_mm=4.0, material="tissue"
    )
    ribs = [
        Shape(
            first + shaft((12.0, 24.0 + 17 * n), (-34.0, 46.0 + 19 * n), (0, 4.5), (1, 4.5)),
            0.08, rim=0.08, rim_mm=1.5, soft_mm=0.9,
        )
        for n in range(3)
    ]  # fmt: skip
    return (*veils, lung, *ribs)
