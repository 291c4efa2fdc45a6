"""Chest, shoulder, lumbar spine, pelvis and skull, as outlines in millimetres.

Every function draws one film, newly varied by `rng`; the origin lies near the middle of what is
shown. Laterals face left, and x of a film from the front runs to the patient's left.
"""

from __future__ import annotations

import numpy as np

from cspine_phantom.scene.limbs import Drawn, bone
from cspine_phantom.scene.shapes import Points, Shape, ellipse, rounded, shaft

MIRROR = np.array([-1.0, 1.0])
THICK = np.array([0.0, 8.0])  # from the upper edge of a rib to its lower


def _both(outline: Points, density: float, *, rim: float = 0.0, rim_mm: float = 1.5,
          soft_mm: float = 0.3) -> list[Shape]:  # fmt: skip
    """Return a shape and its mirror image."""
    return [
        Shape(side, density, rim=rim, rim_mm=rim_mm, soft_mm=soft_mm)
        for side in (outline, outline * MIRROR)
    ]


def _ribs(first_mm: float, count: int, *, reach_mm: float, drop_mm: float) -> list[Shape]:
    """Return the ribs of both sides as pairs of lines, the upper ones shorter."""
    shapes = []
    for index in range(count):
        wide = reach_mm * min(1.0, 0.55 + 0.16 * index)
        y = first_mm + 21.0 * index
        arc = np.array([(14, y), (0.4 * wide, y - 8), (0.8 * wide, y + 4), (wide, y + drop_mm),
                        (0.86 * wide, y + drop_mm + 24)])  # fmt: skip
        outline = np.concatenate([arc, arc[::-1] + THICK])
        shapes += _both(rounded(outline), 0.12, rim=0.16, rim_mm=1.6)
    return shapes


def _column(first_mm: float, count: int, *, pitch_mm: float, half_mm: float) -> list[Shape]:
    """Return vertebrae from the front: bodies, pedicles and spinous processes."""
    shapes = []
    for index in range(count):
        w, h = half_mm + 0.8 * index, 0.42 * pitch_mm
        at = np.array([0.0, first_mm + index * pitch_mm])
        body = [(-w, -h), (w, -h), (w - 2, 0), (w, h), (-w, h), (2 - w, 0)]
        shapes.append(Shape(at + rounded(body), 0.30, rim=0.20, rim_mm=1.4, soft_mm=0.3))
        pedicles = (ellipse((x * w, -0.2 * h), radii=(3.2, 4.6)) for x in (-0.6, 0.6))
        shapes += [Shape(at + pedicle, 0.1, rim=0.2) for pedicle in pedicles]
        process = ellipse((0, 0.8 * h), radii=(3.0, 7.0))
        shapes.append(Shape(at + process, 0.14, rim=0.15))
    return shapes


def _gas(
    rng: np.random.Generator, *, low: tuple[float, float], high: tuple[float, float]
) -> list[Shape]:
    """Return some bowel gas, centred in the box from `low` to `high`."""
    shapes = []
    for _ in range(rng.integers(2, 9)):
        radii = (rng.uniform(6, 22), rng.uniform(5, 16))
        bubble = ellipse(rng.uniform(low, high), radii=radii, turn_deg=rng.uniform(0, 180))
        shapes.append(Shape(bubble, -rng.uniform(0.15, 0.45), soft_mm=1.5))
    return shapes


def chest(rng: np.random.Generator) -> Drawn:
    """Return a chest from behind."""
    breath, wide = rng.uniform(-25, 15), rng.uniform(0.9, 1.1)
    lung = np.array([(18, -118), (40, -140), (70, -132), (104, -80), (124, 10), (130, 92 + breath),
                     (92, 76 + breath), (48, 84 + breath), (24, 70), (20, -20)])  # fmt: skip
    heart = [(-34, 0), (-18, -40), (16, -44), (40, -6), (66, 50), (58, 82), (0, 92), (-36, 80),
             (-44, 40)]  # fmt: skip
    clavicle = shaft((14, -116), (128, -138), (0, 7), (0.4, 5), (0.8, 6), (1, 7))
    blade = [(96, -120), (140, -130), (150, -60), (122, 30), (108, 10)]
    arm = [(150, -150), (190, -120), (196, 360), (150, 360), (138, 60)]
    shapes = [
        *_both(rounded(lung) * (wide, 1), -rng.uniform(0.75, 1.05), soft_mm=1.5),
        Shape(rounded(heart), rng.uniform(0.5, 0.8), soft_mm=2.0),
        Shape(rounded([(-8, -190), (8, -190), (7, -50), (-7, -50)]), -0.25, soft_mm=1.5),
        *_column(-173, 20, pitch_mm=23.0, half_mm=14.0),
        *_ribs(-130, 10, reach_mm=128 * wide, drop_mm=rng.uniform(24, 44)),
        *_both(clavicle, 0.26, rim=0.22),
        *_both(rounded(blade), 0.10, rim=0.14, soft_mm=0.6),
    ]
    trunk = rounded([(-60, -150), (-44, -230), (44, -230), (60, -150), (160, -140), (170, 360),
                     (-170, 360), (-160, -140)])  # fmt: skip
    return (trunk, rounded(arm), rounded(arm) * MIRROR), (), tuple(shapes)


def shoulder(rng: np.random.Generator) -> Drawn:
    """Return a left shoulder from the front."""
    swing = np.deg2rad(rng.uniform(-5, 35))
    down = np.array([np.sin(swing), np.cos(swing)])
    head = ellipse((24, -8), radii=(25.0, 26.0))
    humerus = shaft((24, -8), np.array([24.0, -8.0]) + 190 * down, (0, 24), (0.1, 22), (0.25, 13),
                    (1.7, 12))  # fmt: skip
    blade = [(-4, -34), (4, -20), (2, 14), (-14, 36), (-40, 110), (-54, 104), (-70, 10),
             (-64, -30), (-36, -34)]  # fmt: skip
    spine = shaft((-66, -14), (24, -52), (0, 3), (0.6, 5), (0.9, 9), (1, 7))
    clavicle = shaft((-120, -36), (14, -54), (0, 10), (0.4, 6), (0.8, 7), (1, 8))
    lung = [(-300, -40), (-110, -44), (-78, 0), (-66, 60), (-64, 320), (-300, 320)]
    shapes = [
        Shape(rounded(lung), -rng.uniform(0.6, 0.9), soft_mm=2.0),
        Shape(rounded(blade), 0.16, rim=0.18, rim_mm=1.8, soft_mm=0.4),
        bone(spine), bone(clavicle), bone(humerus, weight=1.2, rim_mm=2.5),
        Shape(head, 0.14, rim=0.2, rim_mm=1.8),
        Shape(ellipse((-2, 0), radii=(5.0, 18.0)), 0.2, rim=0.2),
    ]  # fmt: skip
    for index in range(6):
        y = -30.0 + 24 * index
        arc = np.array([(-150, y - 10), (-110, y - 6), (-76 + 4 * index, y + 26)])
        outline = rounded(np.concatenate([arc, arc[::-1] + THICK]))
        shapes.append(Shape(outline, 0.14, rim=0.16, rim_mm=1.6))
    skin = rounded([(-300, -120), (-90, -92), (0, -74), (52, -56), (72, -10), (84, 80),
                    (120, 320), (-300, 320)])  # fmt: skip
    arm = shaft((24, -10), np.array([24.0, -10.0]) + 200 * down, (0, 46), (0.5, 46), (1.7, 40))
    return (skin, arm), (), tuple(shapes)


def lumbar_spine(rng: np.random.Generator) -> Drawn:
    """Return a lumbar spine from the side, with the lowest thoracic vertebrae and the sacrum."""
    curve = rng.uniform(0.5, 1.3)
    leans = np.deg2rad(curve * np.array([8.0, 7, 5, 0, -7, -15, -26]))
    at = np.array([10.0, -128.0])
    shapes = [Shape(rounded([(-190, -330), (30, -330), (60, -140), (-20, -118), (-190, -96)]),
                    -0.4, soft_mm=4.0)]  # fmt: skip
    for index, lean in enumerate(leans):
        w, h = 16.0 + 0.7 * index, 12.5 + 0.6 * index
        cos, sin = np.cos(lean), np.sin(lean)
        turn = np.array([[cos, sin], [-sin, cos]])
        body = [(-w, -h), (0, 1.5 - h), (w, -h), (w - 2, 0), (w, h), (0, h - 1.5), (-w, h),
                (2 - w, 0)]  # fmt: skip
        pedicle = [(w - 1, -h + 1), (w + 12, -h + 3), (w + 12, -1), (w - 1, -1)]
        facet = [(w + 8, -h - 6), (w + 15, -h), (w + 17, h), (w + 12, h + 9), (w + 8, 2)]
        process = [(w + 15, -3), (w + 46, 0), (w + 48, 15), (w + 34, 17), (w + 15, 10)]
        for outline, density, rim in ((facet, 0.24, 0.1), (pedicle, 0.3, 0.14),
                                      (process, 0.28, 0.16), (body, 0.5, 0.2)):  # fmt: skip
            placed = at + rounded(outline) @ turn
            shapes.append(Shape(placed, density, rim=rim, rim_mm=1.6, soft_mm=0.3))
        following = leans[min(index + 1, 6)]
        middle = (lean + following) / 2
        at = at + (2 * h + rng.uniform(7, 11)) * np.array([-np.sin(middle), np.cos(middle)])
    sacrum = at + rounded([(-18, -14), (18, -20), (36, 26), (50, 74), (38, 84), (10, 40)])
    shapes.append(Shape(sacrum, 0.45, rim=0.2, rim_mm=1.6, soft_mm=0.4))
    for shift in rng.normal(0, 8, (2, 2)):
        wing = rounded([(-44, 10), (-14, -26), (34, -24), (54, 10), (20, 60), (-20, 60)])
        shapes.append(Shape(at + shift + wing, 0.12, rim=0.2, rim_mm=2.0, soft_mm=0.5))
        rib = np.array([(44, -190), (50, -150), (10, -110), (-30, -80)]) + shift
        shapes.append(Shape(rounded(np.concatenate([rib, rib[::-1] + THICK])), 0.16, rim=0.14))
    shapes += _gas(rng, low=(-130, -90), high=(-40, 130))
    front, back = rng.uniform(-165, -100), rng.uniform(76, 100)
    skin = rounded([(front + 20, -330), (back, -330), (back - 12, 0), (back + 30, 90),
                    (back + 30, 330), (front, 330), (front - 8, 20)])  # fmt: skip
    veil = Shape(
        rounded([(-150, 20), (-40, 40), (100, 50), (110, 340), (-170, 340)]), 0.5, soft_mm=9.0
    )
    return (skin,), (veil,), tuple(shapes)


def pelvis(rng: np.random.Generator) -> Drawn:
    """Return a pelvis from the front."""
    turn, broad = rng.uniform(-8, 12), rng.uniform(0.93, 1.12)
    wing = np.array([(22, -34), (40, -74), (84, -98), (124, -72), (128, -44), (104, -4), (108, 22),
                     (92, 40), (66, 30), (56, 6), (34, -8)])  # fmt: skip
    ischium = np.array([(70, 26), (98, 40), (94, 66), (78, 92), (60, 104), (30, 82), (6, 70),
                        (6, 48), (34, 52), (56, 44)])  # fmt: skip
    hole = ellipse((54, 70), radii=(18.0, 13.0 + turn / 3), turn_deg=35)
    sacrum = [(-48, -60), (0, -68), (48, -60), (34, -10), (12, 30), (0, 40), (-12, 30), (-34, -10)]
    femur = shaft((98, 56), (146, 70), (0, 16), (0.5, 15), (1, 22))
    thigh = shaft((142, 56), (126, 220), (0, 18), (0.15, 22), (0.35, 16), (1, 15))
    squash = np.array([broad, 1.0])
    shapes = [
        *_both(rounded(wing) * squash, 0.26, rim=0.24, rim_mm=2.2),
        *_both(rounded(ischium) * squash, 0.30, rim=0.24, rim_mm=2.0),
        *_both(hole * squash, -0.30, soft_mm=0.8),
        Shape(rounded(sacrum), 0.24, rim=0.16, rim_mm=1.6, soft_mm=0.5),
        *_both(ellipse((96, 46), radii=(24.0, 24.0)) * squash, 0.26, rim=0.22, rim_mm=1.8),
        *_both(femur * squash, 0.24, rim=0.2), *_both(thigh * squash, 0.34, rim=0.3, rim_mm=3.0),
        *_column(-200, 4, pitch_mm=36.0, half_mm=22.0),
    ]  # fmt: skip
    for x, y in ((-14, 0), (14, 0), (-12, -26), (12, -26)):
        shapes.append(Shape(ellipse((x, y - 14), radii=(5.0, 4.0)), -0.12, soft_mm=0.6))
    shapes += _gas(rng, low=(-100, -130), high=(100, -30))
    hip = np.array(
        [(120, -230), (128, -100), (172, 20), (176, 110), (150, 240), (12, 240), (4, 120)]
    )
    skin = rounded(np.concatenate([hip, hip[::-1] * MIRROR]))
    return (skin,), (), tuple(shapes)


def skull(rng: np.random.Generator) -> Drawn:
    """Return a skull from the side, with the uppermost cervical vertebrae behind the jaw."""
    long, high = rng.normal(1, 0.04), rng.normal(1, 0.04)
    vault = [(-84, 4), (-90, -30), (-72, -70), (-20, -96), (44, -86), (88, -40), (90, 6), (70, 36),
             (40, 46), (14, 44), (-4, 30), (-40, 10)]  # fmt: skip
    base = [
        (-60, 8),
        (-20, 6),
        (-8, 16),
        (0, 8),
        (12, 12),
        (28, 44),
        (14, 48),
        (-10, 30),
        (-40, 18),
    ]
    orbit = ellipse((-66, 22), radii=(17.0, 15.0))
    nose = [(-84, 14), (-100, 48), (-92, 50), (-78, 30)]
    jaw_bone = [(-12, 38), (-4, 36), (-4, 70), (-14, 90), (-60, 112), (-92, 118), (-98, 100),
                (-88, 92), (-50, 88), (-30, 74), (-26, 44)]  # fmt: skip
    maxilla = [(-92, 50), (-40, 44), (-34, 78), (-88, 84)]
    shapes = [
        Shape(rounded(vault) * (long, high), 0.18, rim=0.75, rim_mm=5.5, soft_mm=0.6),
        Shape(rounded(base), 0.5, soft_mm=1.0),
        Shape(ellipse((12, 30), radii=(17.0, 11.0), turn_deg=35), 0.6, soft_mm=2.0),
        Shape(orbit, -0.22, soft_mm=1.0), Shape(orbit, 0.0, rim=0.4, rim_mm=2.0),
        Shape(rounded(nose), 0.2, rim=0.1), Shape(rounded(maxilla), 0.34, rim=0.2, rim_mm=2.0),
        Shape(ellipse((-60, 54), radii=(15.0, 12.0)), -0.4, soft_mm=1.0),
        Shape(ellipse((-84, -6), radii=(6.0, 12.0)), -0.35, soft_mm=0.8),
    ]  # fmt: skip
    shapes += [
        Shape(rounded(jaw_bone) + shift, 0.24, rim=0.2, rim_mm=2.0, soft_mm=0.3)
        for shift in rng.normal(0, 3, (2, 2))
    ]
    for step in range(7):
        for y, lean in ((84.0, 100.0), (98.0, 80.0)):
            tooth = ellipse((-44 - 7.0 * step, y), radii=(8.0, 2.8), turn_deg=lean)
            shapes.append(Shape(tooth, 0.5, rim=0.15))
    for index in range(4):
        at = np.array([18.0 + 2 * index, 66.0 + 18 * index])
        shapes.append(Shape(at + rounded([(-8, -7), (8, -7), (8, 7), (-8, 7)]), 0.45, rim=0.16))
        shapes.append(Shape(at + ellipse((32, 4), radii=(12.0, 5.0), turn_deg=20), 0.3, rim=0.14))
    skin = rounded([(-96, 0), (-102, -40), (-80, -84), (-20, -108), (50, -98), (102, -46),
                    (102, 20), (84, 60), (80, 190), (-40, 190), (-44, 124), (-106, 130),
                    (-110, 90), (-122, 52), (-100, 24)])  # fmt: skip
    veil = Shape(rounded(vault) * (0.9, 0.9), 0.7, soft_mm=10.0)
    airway = [(-24, 60), (-6, 60), (0, 120), (0, 200), (-14, 200), (-12, 120)]
    shapes.append(Shape(rounded(airway), -0.5, soft_mm=1.0))
    return (skin,), (veil,), tuple(shapes)
