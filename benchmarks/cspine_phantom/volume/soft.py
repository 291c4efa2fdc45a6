"""What lies before and behind the column: skin, fat, muscles, throat and vessels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from cspine_phantom.patients import Patient
from cspine_phantom.scene.neck import skin
from cspine_phantom.scene.shapes import Points, Pose, beside, ellipse, rounded, shaft
from cspine_phantom.volume.column import Column
from cspine_phantom.volume.solid import Solid, shrunk
from cspine_phantom.volume.tissue import LABEL

_BMI = 26.0

# Prevertebral tissue and depth of the airway in front of C2 to T4.
_PREVERTEBRAL_MM = (4.0, 4.5, 6.0, 11.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0)
_AIRWAY_MM = (12.0, 12.0, 11.0, 9.0, 13.0, 15.0, 15.5, 15.5, 15.5, 15.5)


def envelope(column: Column, patient: Patient, *, rng: np.random.Generator) -> list[Solid]:
    """Return skin, the fat under it and, as one, the muscle inside."""
    heavy = patient.bmi - _BMI
    (outline,) = skin(
        column.poses, column.poses[0], gaze=column.gaze, padding_mm=0.7 * heavy, rng=rng
    )
    anchor = column.poses[2].centre + np.array([4.0, 0.0])
    fat_mm = float(np.clip(5.0 + 0.45 * heavy + rng.normal(0, 1.0), 2.5, 14.0))
    trunk = beside(column.poses[6].centre, (-190, 150), (-110, 100), (-60, 70), (0, 26), (60, 14),
                   (112, 22), (190, 60), (190, 260), (-190, 260))  # fmt: skip
    solids = []
    for shape, half, power in ((rounded(trunk), 190.0, 3.0), (outline, 66.0, 2.6)):
        solids += [
            Solid(shape, LABEL["skin"], half_mm=half, power=power, anchor=anchor),
            Solid(shrunk(shape, 1.3), LABEL["fat"], half_mm=half - 1.3, power=power, anchor=anchor),
        ]
        inside = shrunk(shape, 1.3 + fat_mm)
        solids.append(Solid(inside, LABEL["muscle"], half_mm=half - 1.3 - fat_mm, power=power,
                            anchor=anchor))  # fmt: skip
    return solids


def nape(column: Column, *, rng: np.random.Generator) -> list[Solid]:
    """Return fat between the layers of muscle behind the laminae, and the ligament of the nape."""
    ends = []
    for pose, canal_mm in zip(column.poses, column.canal_mm, strict=True):
        ends.append(pose.place([(pose.half_depth + canal_mm + 6.0, 4.0)])[0])
    near = np.stack([column.head(np.array([(44.0, 6.0)]))[0], *ends])
    solids = []
    # Muscle near the spine; beside the midline its layers part at planes of fat.
    back = near + np.stack([np.linspace(30, 30, 11), np.zeros(11)], axis=1)
    block = np.concatenate([near, back[::-1]])
    solids.append(Solid(rounded(block), LABEL["muscle"], half_mm=55.0, power=4.0))
    for depth in (6.0, 12.5, 19.0, 25.0, 30.0):
        sway = depth + 2.0 * np.sin(np.linspace(0, rng.uniform(3, 6), 11) + rng.uniform(0, 6))
        line = _through(near + np.stack([sway, rng.normal(0, 1, 11)], axis=1))
        for middle in (6.0, 14.0, 26.0):
            # A plane of fat comes and goes.
            for first in range(int(rng.integers(0, 12)), len(line) - 6, 14):
                last = first + int(rng.integers(5, 16))
                piece = line[first:last] + rng.normal(0, 0.8, 2)
                wide = float(rng.uniform(0.4, 1.5))
                solids.append(Solid(piece, LABEL["fat"], middle, 5.5, line_mm=wide))
    # In the midline there is fat, and the ligament from the occiput to the spine of C7.
    deep = np.linspace(15.0, 8.0, 7)[::-1, None] * np.array([[1.0, 0.1]])
    gap = np.concatenate([near[:7] - (2.0, 0.0), (near[:7] + deep[::-1])[::-1]])
    solids.append(Solid(rounded(gap), LABEL["fat"], half_mm=1.9, power=2.0))
    for part in (0.45, 0.8, 1.15):
        line = near[:7] + part * deep[::-1] + rng.normal(0, 0.8, (7, 2))
        solids.append(
            Solid(_through(line), LABEL["ligament"], half_mm=2.2, line_mm=rng.uniform(0.7, 1.6))
        )
    for first, last in pairwise(ends[:9]):
        for _ in range(3):
            at = first + rng.uniform(0.2, 0.9) * (last - first) + (rng.uniform(-7, 5), 0.0)
            streak = ellipse(
                at, radii=(rng.uniform(3, 8), rng.uniform(0.7, 1.8)),
                turn_deg=float(rng.uniform(40, 75)),
            )  # fmt: skip
            solids.append(Solid(streak, LABEL["muscle"], half_mm=2.6, power=2.0))
    return solids


def throat(column: Column, *, rng: np.random.Generator) -> list[Solid]:
    """Return pharynx, larynx, trachea, gullet, tongue and jaw."""
    poses = column.poses
    width = rng.normal(1.0, 0.1)
    walls = np.stack([pose.place([[-pose.half_depth, 0.0]])[0] for pose in poses])
    back = walls - np.stack([_PREVERTEBRAL_MM, np.zeros(10)], axis=1)
    front = back - np.stack([np.array(_AIRWAY_MM) * width, np.zeros(10)], axis=1)
    neck = np.concatenate([beside(back[0], (-2, -26), (-1, -12)), back, front[::-1],
                           beside(front[0], (-4, -10), (-12, -24), (-6, -34))])  # fmt: skip
    airway = rounded(neck)
    third = poses[1].centre
    return [
        *_mouth(column, rng),
        *_fat_planes(poses, back),
        Solid(shrunk(airway, -1.6), LABEL["mucosa"], half_mm=11.0, power=3.0),
        Solid(airway, LABEL["air"], half_mm=9.0, power=3.0),
        *_larynx(third + rng.normal(0, 2.0, 2)),
        *_gullet(back),
        *_vessels(poses),
    ]


def _mouth(column: Column, rng: np.random.Generator) -> list[Solid]:
    chin = column.tip + rng.normal(0, 2.0, 2)
    tongue = rounded([(-24, -6), (-42, -14), (-66, -10), (-80, 4), (-82, 24), (-62, 34), (-40, 28),
                      (-28, 14)])  # fmt: skip
    jaw = ellipse((-90.0, 39.0), radii=(5.2, 12.0), turn_deg=-8)
    palate = shaft((-84.0, -15.5), (-36.0, -17.5), (0, 2.0), (1, 1.4))
    velum = rounded([(-38, -18), (-26, -14), (-18, -2), (-15.5, 10), (-19, 10), (-23, 0),
                     (-36, -11)])  # fmt: skip
    nose = rounded([(-100, -40), (-70, -42), (-44, -38), (-34, -24), (-38, -20), (-80, -20)])
    floor = rounded([(-84, 26), (-60, 34), (-40, 30), (-34, 36), (-56, 44), (-82, 48)])
    solids = [
        Solid(chin + floor, LABEL["muscle"], half_mm=18.0),
        Solid(chin + nose, LABEL["air"], half_mm=14.0, power=3.0),
        Solid(chin + tongue, LABEL["muscle"], half_mm=22.0, power=3.0),
    ]
    for part in (0.25, 0.45, 0.65, 0.85):
        start = np.array([-78.0, 30.0]) + part * np.array([30.0, -2.0])
        end = np.array([-74.0, -2.0]) + part * np.array([46.0, 2.0])
        line = _through(chin + np.stack([start, (start + end) / 2 + (-3, 0), end]))
        solids.append(Solid(line, LABEL["fat"], half_mm=14.0, line_mm=0.7))
    return [
        *solids,
        Solid(chin + palate, LABEL["bone"], half_mm=16.0),
        Solid(chin + velum, LABEL["gland"], half_mm=13.0, power=3.0),
        Solid(chin + jaw, LABEL["bone"], half_mm=14.0),
        Solid(chin + shrunk(jaw, 1.8), LABEL["fatty marrow"], half_mm=12.0),
    ]


def _fat_planes(poses: tuple[Pose, ...], back: Points) -> list[Solid]:
    """Return the thin fat behind the gullet and the long muscles beside the midline."""
    walls = np.stack([pose.place([[-pose.half_depth, 0.0]])[0] for pose in poses])
    muscles = np.concatenate([walls - (0.5, 0), (walls - (6.5, 0))[::-1]])
    middle = walls + 0.45 * (back - walls)
    return [
        Solid(_through(middle[2:]), LABEL["fat"], half_mm=12.0, line_mm=0.9),
        Solid(_through(walls - (1.2, 0)), LABEL["ligament"], half_mm=9.0, line_mm=1.0),
        Solid(rounded(muscles), LABEL["muscle"], middle_mm=9.5, half_mm=6.0, power=3.0),
    ]


def _larynx(at: Points) -> list[Solid]:
    leaf = [(-24.0, 15.0), (-21.5, 4.0), (-17.5, -5.0), (-15.6, -4.4), (-18.6, 5.0), (-21.2, 15.5)]
    fat = [(-34.0, 14.0), (-26.0, 9.0), (-23.5, 16.0), (-27.0, 30.0), (-33.0, 30.0)]
    ring = ellipse((-12.0, 50.0), radii=(3.4, 8.5), turn_deg=4)
    fold = [(-30.0, 30.0), (-20.0, 33.0), (-20.0, 37.0), (-31.0, 38.0)]
    arch = ellipse((-28.5, 50.0), radii=(2.2, 4.0))
    hyoid = ellipse((-37.0, 9.0), radii=(4.2, 3.0), turn_deg=-32)
    shield = shaft((-34.0, 24.0), (-33.0, 42.0), (0, 1.4), (1, 1.4))
    return [
        Solid(at + rounded(fat), LABEL["fat"], half_mm=9.0, power=3.0),
        Solid(at + rounded(leaf), LABEL["cartilage"], half_mm=8.0, power=2.0),
        Solid(at + rounded(fold), LABEL["muscle"], half_mm=9.0, power=2.0),
        Solid(at + ring, LABEL["cartilage"], half_mm=10.0, power=3.0),
        Solid(at + shrunk(ring, 1.0), LABEL["fatty marrow"], half_mm=9.0, power=3.0),
        Solid(at + arch, LABEL["cartilage"], half_mm=9.0, power=3.0),
        Solid(at + hyoid, LABEL["bone"], half_mm=13.0),
        Solid(at + shrunk(hyoid, 0.9), LABEL["fatty marrow"], half_mm=12.0),
        Solid(at + shield, LABEL["cartilage"], half_mm=12.0),
    ]


def _gullet(back: Points) -> list[Solid]:
    first = back[4:] + np.array([4.5, 0.0])
    return [
        Solid(_through(first), LABEL["muscle"], half_mm=8.0, line_mm=6.0),
        Solid(_through(first), LABEL["mucosa"], half_mm=5.0, line_mm=1.2),
    ]


def _vessels(poses: tuple[Pose, ...]) -> list[Solid]:
    """Return carotids, jugulars and vertebral arteries, dark where blood is fast, and the lungs."""
    centres = np.stack([pose.centre for pose in poses])
    ends = np.stack([pose.place([[-pose.half_depth + 3.0, 0.0]])[0] for pose in poses[:6]])
    carotid = _through(centres[:8] + np.array([-22.0, 0.0]))
    jugular = _through(centres[:8] + np.array([-17.0, 0.0]))
    apex = beside(poses[7].centre, (-40, 110), (-36, 20), (-14, 2), (12, 2), (26, 20), (30, 110))
    return [
        Solid(_through(ends), LABEL["flow void"], middle_mm=14.5, half_mm=2.0, line_mm=3.2),
        Solid(carotid, LABEL["flow void"], middle_mm=23.0, half_mm=3.2, line_mm=6.0),
        Solid(jugular, LABEL["vein"], middle_mm=29.0, half_mm=4.5, line_mm=9.0),
        Solid(rounded(apex), LABEL["air"], middle_mm=36.0, half_mm=25.0, power=2.5),
    ]


def _through(knots: Points) -> Points:
    """Return a smooth open line through some positions (Catmull and Rom)."""
    padded = np.concatenate([[2 * knots[0] - knots[1]], knots, [2 * knots[-1] - knots[-2]]])
    t = np.linspace(0, 1, 6, endpoint=False)[:, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
               + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False)
    ]  # fmt: skip
    return np.concatenate([*pieces, knots[-1:]])
