"""What surrounds the lateral cervical spine: skull, jaw, airway, skin and shoulders."""

from __future__ import annotations

import numpy as np

from cspine_phantom.shapes import Points, Pose, Shape, beside, ellipse, rounded

# Prevertebral soft tissue and airway depth, millimetres, in front of C2 to T1.
_PREVERTEBRAL = (4.0, 4.5, 6.0, 11.0, 14.0, 15.0, 15.5)
_AIRWAY = (14.0, 15.0, 13.0, 11.0, 13.0, 15.0, 15.5)


def organs(poses: tuple[Pose, ...], *, rng: np.random.Generator) -> tuple[Shape, ...]:
    """Return the sharp shapes around the vertebrae, unlabelled."""
    dens = poses[0].place([[1.0, -27.0]])[0]
    chin = dens + rng.normal(0, 2.0, 2)
    return (
        *skull(dens),
        *jaw(chin),
        *_atlas(poses[0]),
        _airway(poses, rng),
        *_larynx(poses[1].centre, rng),
    )


def skull(dens: Points) -> tuple[Shape, ...]:
    """Return the base of the skull above the tip of the odontoid, `dens`."""
    vault = [
        (-30, -14), (-12, -13), (-2, -7), (6, -8), (16, -10), (27, -7), (36, -3), (48, -4),
        (62, -12), (74, -26), (84, -48), (86, -90), (-60, -90), (-62, -30), (-48, -20),
    ]  # fmt: skip
    petrous = [(-14, -46), (2, -38), (14, -42), (28, -34), (22, -22), (10, -13), (-4, -18)]
    mastoid = [(12, -14), (30, -16), (33, -2), (26, 7), (18, 4)]
    palate = [(-84, -1), (-46, -5), (-34, -4), (-36, -1), (-60, 2), (-84, 3)]
    return (
        Shape(dens + rounded(vault), 0.50, rim=0.34, rim_mm=4.5, soft_mm=0.6),
        Shape(dens + rounded(petrous), 0.60, soft_mm=2.5),
        Shape(dens + rounded(mastoid), 0.20, rim=0.06, soft_mm=0.8),
        Shape(dens + rounded(palate), 0.35, rim=0.2, soft_mm=0.2),
    )


def jaw(dens: Points) -> tuple[Shape, ...]:
    """Return the jaw and its teeth in front of the tip of the odontoid, `dens`."""
    mandible = [
        (-14, -24), (-9, -22), (-12, -8), (-17, 8), (-20, 20), (-25, 28), (-34, 33), (-52, 40),
        (-72, 48), (-86, 54), (-92, 51), (-94, 36), (-90, 28), (-78, 27), (-58, 21), (-46, 14),
        (-42, 5), (-40, -8), (-38, -20), (-31, -16), (-22, -13),
    ]  # fmt: skip
    step = np.arange(7)
    lower = np.stack([-50.0 - 6.2 * step, 17.0 + 1.9 * step], axis=1)
    upper = lower + np.array([2.0, -13.0])
    teeth = [ellipse(at, radii=(8.0, 2.7), turn_deg=62.0) for at in lower]
    teeth += [ellipse(at, radii=(8.0, 2.7), turn_deg=118.0) for at in upper]
    return (
        Shape(dens + rounded(mandible), 0.36, rim=0.26, rim_mm=2.0, soft_mm=0.35),
        *(Shape(dens + tooth, 0.50, rim=0.15) for tooth in teeth),
    )


def _atlas(axis: Pose) -> tuple[Shape, ...]:
    """Return C1: a level is named by the bodies beside it, and it has none, so no label either."""
    arch = [
        (22.0, -21.5), (23.5, -16.5), (28.0, -14.2), (35.0, -14.0), (38.5, -17.0), (36.5, -21.0),
        (31.0, -22.5), (25.5, -23.8),
    ]  # fmt: skip
    front = ellipse((-8.9, -20.5), radii=(3.2, 5.6), turn_deg=-8)
    mass = ellipse((2.5, -15.5), radii=(10.0, 6.0), turn_deg=8)
    return (
        Shape(axis.place(front), 0.32, rim=0.20, soft_mm=0.15),
        Shape(axis.place(rounded(arch)), 0.32, rim=0.18, soft_mm=0.15),
        Shape(axis.place(mass), 0.16, rim=0.05, soft_mm=0.6),
    )


def _larynx(third: Points, rng: np.random.Generator) -> tuple[Shape, ...]:
    """Return hyoid, epiglottis and the calcified part of the thyroid cartilage."""
    sway = rng.normal(0, 2.0, 2)
    body = ellipse((-36.0, 9.0), radii=(7.5, 2.6), turn_deg=-28)
    horn = ellipse((-27.0, 5.0), radii=(9.0, 1.3), turn_deg=-38)
    leaf = ellipse((-21.0, 2.0), radii=(11.0, 1.5), turn_deg=68)
    cartilage = ellipse((-24.0, 38.0), radii=(10.0, 2.4), turn_deg=72)
    return (
        Shape(third + sway + body, 0.16, rim=0.12, soft_mm=0.2),
        Shape(third + sway + horn, 0.10, rim=0.08, soft_mm=0.2),
        Shape(third + sway + leaf, 0.28, soft_mm=0.5),
        Shape(third + sway + cartilage, float(rng.uniform(0.02, 0.14)), soft_mm=0.7),
    )


def _airway(poses: tuple[Pose, ...], rng: np.random.Generator) -> Shape:
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
    return Shape(rounded(np.concatenate(outline)), -0.45, soft_mm=0.6)


def skin(poses: tuple[Pose, ...], *, rng: np.random.Generator) -> tuple[Points, ...]:
    """Return the outline of head, neck and upper trunk; it leaves every picture on three sides."""
    axis, third, fifth, seventh, first = (poses[i].centre for i in (0, 1, 3, 5, 6))
    back, front = rng.normal(0, 4), rng.normal(0, 3)
    outline = [
        beside(axis, (-150, -140), (-112, -60), (-104, -20), (-108, 18), (-96, 32)),
        beside(third, (-72, 24)),
        beside(fifth, (-50 + front, 6)),
        beside(seventh, (-52 + front, 0)),
        beside(first, (-64 + front, 24), (-100, 90), (190, 120), (122 + back, 30)),
        beside(seventh, (78 + back, 0)),
        beside(fifth, (66 + back, 0)),
        beside(third, (64 + back, -4)),
        beside(axis, (79 + back, -22), (98, -60), (100, -140)),
    ]
    return (rounded(np.concatenate(outline)),)


def shoulders(poses: tuple[Pose, ...], *, rng: np.random.Generator) -> tuple[Shape, ...]:
    """Return the veils over C7 and T1: both shoulders, seldom at one height."""
    first = poses[6].centre
    veils = []
    for _ in range(2):
        top, forward = rng.normal(-2.0, 6.0), rng.normal(0.0, 10.0)
        trunk = beside(
            first + np.array([forward, top]),
            *((-110, 90), (-80, 46), (-45, 20), (-10, 4), (25, 0), (60, 6), (100, 22)),
            *((190, 70), (190, 140), (-110, 140)),
        )
        head = ellipse(first + np.array([forward + 10, top + 52]), radii=(24, 22))
        veils.append(Shape(rounded(trunk), float(rng.uniform(0.45, 0.85)), soft_mm=5.0))
        veils.append(Shape(head, 0.35, soft_mm=2.5))
    return tuple(veils)
