"""Hands, feet and the joints of the limbs, as outlines in millimetres.

Every function draws one film of a left limb, newly varied by `rng`; the origin lies near the middle
of what is shown, and y runs downwards on the film.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cspine_phantom.scene.shapes import Points, Shape, ellipse, rounded, shaft

Drawn = tuple[tuple[Points, ...], tuple[Shape, ...], tuple[Shape, ...]]
"""Skin, veils and sharp shapes, as a scene takes them."""

# Half widths of a long bone and of the skin around a finger, along its length.
_TUBE = ((0.0, 1.25), (0.12, 1.2), (0.35, 0.75), (0.7, 0.7), (0.9, 1.0), (1.0, 0.95))


def bone(outline: Points, *, weight: float = 1.0, rim_mm: float = 2.0) -> Shape:
    """Return a bone with marrow and cortex; `weight` multiplies both."""
    return Shape(outline, 0.34 * weight, rim=0.30 * weight, rim_mm=rim_mm, soft_mm=0.25)


def tube(start: Points, end: Points, half_mm: float) -> Points:
    """Return a short tubular bone, waisted."""
    return shaft(start, end, *((part, half * half_mm) for part, half in _TUBE))


def _ray(
    root: tuple[float, float], degrees: float, lengths: Sequence[float], half_mm: float
) -> tuple[list[Points], Points]:
    """Return the bones of one finger or toe from `root` outwards, and its skin."""
    angle = np.deg2rad(degrees)
    along = np.array([np.sin(angle), -np.cos(angle)])
    start = np.array(root)
    bones = []
    for index, length in enumerate(lengths):
        end = start + along * length
        bones.append(tube(start, end, half_mm * (1 - 0.13 * index)))
        start = end + along * 2.0
    wide = half_mm * 1.75
    return bones, shaft(root, start + along * 3, (0, wide), (0.6, wide), (0.97, 0.8 * wide))


def hand(rng: np.random.Generator) -> Drawn:
    """Return a hand, palm down, its fingers upwards."""
    spread = rng.uniform(0.4, 1.5)
    rays = [
        ((-21.0, 44.0), -26.0 - 14 * spread, (44.0, 30.0, 22.0)),
        ((-12.0, 36.0), -8.0 * spread, (66.0, 40.0, 24.0, 17.0)),
        ((-3.0, 34.0), -1.0, (63.0, 44.0, 28.0, 18.0)),
        ((6.0, 37.0), 6.0 * spread, (56.0, 41.0, 27.0, 18.0)),
        ((14.0, 41.0), 14.0 * spread, (52.0, 33.0, 19.0, 16.0)),
    ]
    skin = [rounded([(-30, 50), (-36, 10), (-24, -28), (20, -26), (32, 10), (28, 52), (0, 60)]),
            shaft((0, 40), (0, 170), (0, 28), (0.3, 27), (1, 33), (1.6, 36))]  # fmt: skip
    shapes = []
    for root, degrees, lengths in rays:
        bones, cover = _ray(root, degrees + rng.normal(0, 2), lengths, rng.normal(5.2, 0.3))
        skin.append(cover)
        shapes += [bone(outline, rim_mm=1.5) for outline in bones]
    carpals = [(-15, 48), (-7, 43), (2, 42), (12, 46), (-12, 58), (-2, 56), (7, 57), (14, 55)]
    for at in carpals:
        radii = (rng.uniform(5.5, 7.5), rng.uniform(5.5, 8.5))
        shapes.append(bone(ellipse(at, radii=radii, turn_deg=rng.uniform(0, 90)), rim_mm=1.2))
    shapes.append(bone(shaft((-8, 66), (-10, 180), (0, 14), (0.1, 13), (0.3, 7), (1.7, 7))))
    shapes.append(bone(shaft((13, 68), (12, 180), (0, 7), (0.1, 7), (0.3, 5.5), (1.7, 6))))
    return tuple(skin), (), tuple(shapes)


def foot(rng: np.random.Generator) -> Drawn:
    """Return a foot seen from above, its toes upwards."""
    fan = rng.uniform(0.5, 1.4)
    rays = [
        ((-20.0, 12.0), -6.0 * fan, (62.0, 30.0, 24.0), 8.0),
        ((-7.0, 8.0), -2.0, (70.0, 26.0, 12.0, 9.0), 4.8),
        ((3.0, 11.0), 2.0 * fan, (67.0, 24.0, 11.0, 9.0), 4.6),
        ((12.0, 15.0), 5.0 * fan, (65.0, 22.0, 9.0, 9.0), 4.6),
        ((21.0, 22.0), 9.0 * fan, (62.0, 20.0, 8.0, 8.0), 5.0),
    ]
    skin = [rounded([(-30, 20), (-38, -40), (-30, -62), (30, -50), (40, -20), (34, 60),
                     (26, 120), (0, 132), (-24, 120), (-24, 60)])]  # fmt: skip
    shapes = [
        bone(rounded([(-24, 46), (-20, 30), (4, 32), (4, 48), (-10, 54)])),
        bone(rounded([(8, 58), (8, 30), (24, 34), (24, 60)])),
        bone(rounded([(-20, 52), (-2, 52), (4, 90), (-12, 98), (-22, 70)]), weight=1.2),
        bone(rounded([(0, 62), (22, 60), (20, 118), (0, 126), (-8, 100)]), weight=1.2),
    ]
    shapes += [bone(ellipse((x, 22 + abs(x) / 3), radii=(6.5, 8.0))) for x in (-19, -8, 2)]
    for root, degrees, lengths, half in rays:
        bones, cover = _ray(root, degrees + rng.normal(0, 2), lengths, half * rng.normal(1, 0.05))
        skin.append(cover)
        shapes += [bone(outline, rim_mm=1.5) for outline in bones]
    return tuple(skin), (), tuple(shapes)


def knee(rng: np.random.Generator) -> Drawn:
    """Return a knee from the front."""
    gap, bend = rng.uniform(2.5, 5.5), rng.normal(0, 5)
    femur = shaft((bend, -190), (0, -gap), (-0.5, 17), (0.6, 16), (0.82, 30), (0.93, 41), (1, 36))
    tibia = shaft((0, gap), (-bend, 190), (0, 38), (0.08, 38), (0.2, 26), (0.45, 14), (1.5, 13))
    fibula = shaft((38, 16 + gap), (32, 190), (0, 7), (0.05, 10), (0.2, 6), (1.5, 6))
    notch = ellipse((0, -gap - 8), radii=(8.0, 12.0))
    eminence = [(-9, gap + 2), (-5, gap - 7), (0, gap), (5, gap - 7), (9, gap + 2)]
    patella = ellipse((rng.normal(0, 4), -30), radii=(21.0, 22.0))
    leg = shaft(
        (bend, -200),
        (-bend, 200),
        (-0.25, 84),
        (0, 76),
        (0.35, 62),
        (0.5, 56),
        (0.62, 55),
        (1, 50),
        (1.25, 44),
    )
    return (leg,), (), (
        bone(femur, weight=1.3, rim_mm=3.0), bone(tibia, weight=1.3, rim_mm=3.0), bone(fibula),
        Shape(notch, -0.3, soft_mm=2.0), Shape(rounded(eminence), 0.3, rim=0.2, soft_mm=0.3),
        Shape(patella, 0.16, rim=0.12, soft_mm=0.5),
    )  # fmt: skip


def ankle(rng: np.random.Generator) -> Drawn:
    """Return an ankle from the side, the toes to the left."""
    point = rng.uniform(-12, 14)  # how far the toes point down
    tibia = shaft((6, -190), (0, 4), (-0.5, 13), (0.7, 13), (0.9, 19), (1, 20))
    fibula = shaft((16, -190), (8, 16), (-0.5, 6), (0.75, 6), (0.93, 9), (1, 6))
    talus = [(-22, 14), (-18, 6), (-4, 4), (14, 7), (22, 16), (18, 24), (0, 24), (-24, 30),
             (-34, 24), (-32, 16)]  # fmt: skip
    heel = [(-22, 30), (0, 27), (22, 22), (46, 30), (54, 44), (48, 58), (28, 54), (-6, 48),
            (-26, 44)]  # fmt: skip
    shapes = [
        bone(tibia, weight=1.2, rim_mm=3.0),
        Shape(fibula, 0.2, rim=0.16, rim_mm=2.0),
        bone(rounded(talus), weight=1.1),
        bone(rounded(heel), weight=1.1),
        bone(rounded([(-36, 16), (-48, 20), (-50, 34), (-38, 36), (-33, 26)])),
        bone(rounded([(-28, 36), (-50, 36), (-54, 52), (-30, 48)]), weight=0.8),
        Shape(ellipse((-60, 34), radii=(10.0, 9.0)), 0.3, rim=0.2),
    ]
    for index in range(3):
        start = np.array([-68.0 + 2 * index, 34.0 + 7 * index])
        end = start + np.array([-66.0, 16.0 + point - 2 * index])
        shapes.append(Shape(tube(start, end, 5.5), 0.26, rim=0.2, rim_mm=1.6))
    pad = shaft((40, 52), (-150, 72 + point), (0, 20), (0.3, 20), (0.7, 18), (1, 12))
    skin = (
        shaft((12, -200), (4, 30), (-0.4, 56), (0, 50), (0.5, 38), (0.9, 32), (1, 36)),
        rounded([(-40, 4), (10, -10), (48, 10), (66, 44), (56, 70), (-10, 68), (-60, 66)]),
        pad,
        shaft((0, 24), (-140, 66 + point), (0, 26), (0.5, 20), (1, 12)),
    )
    return skin, (), tuple(shapes)


def elbow(rng: np.random.Generator) -> Drawn:
    """Return an elbow, from bent at a right angle (a lateral) to nearly straight."""
    angle = np.deg2rad(rng.uniform(75, 170))
    along = np.array([-np.sin(angle), -np.cos(angle)])
    across = np.array([along[1], -along[0]])
    humerus = shaft((4, -190), (0, 0), (-0.5, 12), (0.6, 11), (0.82, 17), (0.95, 22), (1, 15))
    ulna = shaft(12 * across - 22 * along, 9 * across + 190 * along, (0, 10), (0.1, 13),
                 (0.2, 11), (0.35, 7), (1.4, 6))  # fmt: skip
    radius = shaft(-8 * across + 14 * along, -8 * across + 190 * along, (0, 11), (0.06, 11),
                   (0.14, 7), (0.28, 8), (1.4, 8))  # fmt: skip
    shapes = (
        bone(humerus, weight=1.1, rim_mm=2.5), bone(ulna, rim_mm=2.5), bone(radius, rim_mm=2.5),
        Shape(ellipse((0, 0), radii=(12.0, 12.0)), 0.2, rim=0.25, rim_mm=1.5),
        Shape(ellipse((0, 0), radii=(6.5, 6.5)), 0.0, rim=0.2, rim_mm=1.5),
    )  # fmt: skip
    skin = (
        shaft((4, -200), (0, 10), (-0.4, 54), (0, 50), (0.7, 42), (1, 36)),
        shaft((0, 0), 200 * along, (0, 38), (0.3, 42), (1.4, 28)),
        ellipse((4, 2), radii=(38.0, 38.0)),
    )
    return skin, (), shapes
