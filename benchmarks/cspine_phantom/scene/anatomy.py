"""The lateral cervical spine of a patient, as outlines in millimetres.

The patient faces left here; :mod:`~cspine_phantom.imaging.attenuation` mirrors those who face
right. One severity a level moves four things together: the osteophytes at both sides of the disc,
the depth of the canal behind it, the height of the disc and the sclerosis of its endplates. What
varies between patients (canal, disc, size, posture) varies without it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cspine_phantom.patients import VERTEBRAE, Patient, disc_left, generator
from cspine_phantom.posture import Curve
from cspine_phantom.scene import neck, vertebra
from cspine_phantom.scene.shapes import POSTERIOR, Points, Pose, Scene, Shape, rounded

# Mid-sagittal depth and height of the bodies C2 to T1 and length of their spinous processes:
# millimetres, round figures of an adult.
_DEPTH = (15.0, 15.4, 15.5, 15.7, 16.3, 16.9, 17.4)
_HEIGHT = (20.0, 13.4, 13.0, 12.8, 13.0, 14.2, 16.2)
_SPINOUS = (17.0, 13.0, 13.5, 16.0, 22.0, 30.0, 31.0)
_DROP_DEG = (22.0, 20.0, 22.0, 25.0, 27.0, 26.0, 32.0)

_BMI = 26.0  # of most, kg/m2

_TOP = ("AS", "PS")  # the corners of an upper endplate

# C2 has no upper facet of the kind: its pillar is short.
_AXIS_PILLAR = rounded(
    [(2.0, -8.0), (9.0, -9.5), (13.0, -6.0), (16.5, 1.0), (18.5, 8.5), (19.0, 14.0), (17.0, 15.0),
     (12.0, 11.0), (7.5, 6.5), (4.0, -1.0)]
)  # fmt: skip

# Part of the lordosis between neighbours, C2/3 first.
_CURVE = (0.22, 0.18, 0.18, 0.18, 0.16, 0.08)


@dataclass(frozen=True)
class Spine:
    """The column from C2 to T1 before scaling, and what degeneration did to it.

    ``canal_mm`` has one depth a vertebra, ``osteophyte_mm`` one reach a level. C2 lies as its lower
    endplate does; its odontoid, and the atlas and the head with it, as ``dens``.
    """

    poses: tuple[Pose, ...]
    dens: Pose
    canal_mm: tuple[float, ...]
    osteophyte_mm: tuple[float, ...]


def spine(patient: Patient, curve: Curve, *, rng: np.random.Generator) -> Spine:
    """Stack the vertebrae from T1 upwards along one of the patient's curves."""
    severity = np.array(patient.severity)
    bends = curve.lordosis_deg * (np.array(_CURVE) + rng.normal(0, 0.03, 6))
    below = np.append(np.cumsum(bends[::-1])[::-1], 0.0)
    leans = np.deg2rad(curve.t1_slope_deg - below)
    depths = np.array(_DEPTH) * rng.normal(1, 0.02, 7)
    heights = np.array(_HEIGHT) * rng.normal(1, 0.025, 7)
    narrowing = disc_left(severity) * rng.normal(1, 0.05, 6)
    discs = np.maximum(patient.disc_mm * narrowing, 2.4)
    slips = rng.normal(0, 0.35, 6)

    poses = [Pose(np.zeros(2), float(leans[6]), depths[6] / 2, heights[6] / 2)]
    for index in reversed(range(6)):
        lower = poses[0]
        between = Pose(np.zeros(2), float(leans[index] + lower.lean) / 2, 0.0, 0.0)
        own = Pose(np.zeros(2), float(leans[index]), depths[index] / 2, heights[index] / 2)
        step = (
            lower.place([[0.0, -lower.half_height]])
            + between.place([[slips[index], -discs[index]]])
            + own.place([[0.0, -own.half_height]])
        )
        poses.insert(0, replace(own, centre=step[0]))

    canal = patient.canal_mm + np.array([2.0, 0.4, 0, 0, 0, 0.2, 0.4]) + rng.normal(0, 0.3, 7)
    canal[:6] -= 0.7 * severity
    reach = np.clip(1.0 + 0.9 * severity + rng.normal(0, 0.12, 6), 0.0, 3.8)
    dens = poses[0].tipped(np.deg2rad(patient.stance.incidence_deg))
    return Spine(tuple(poses), dens, tuple(canal.tolist()), tuple(reach.tolist()))


def lateral(patient: Patient) -> Scene:
    """Return the lateral scene of a patient, facing left.

    ``focus`` holds the outlines of every labelled shape: C2 to T1 and their processes.
    """
    rng = generator(patient.seed, patient.number, stream="anatomy")
    column = spine(patient, patient.stance.standing, rng=rng)
    gaze, heavy = np.deg2rad(patient.stance.gaze_deg), patient.bmi - _BMI
    organs = neck.organs(column.poses, column.dens, gaze=gaze, rng=rng)
    shapes = [*organs, *_vertebrae(patient, column, rng)]
    veils = neck.shoulders(column.poses, rng=rng)
    outlines = neck.skin(column.poses, column.dens, gaze=gaze, padding_mm=0.7 * heavy, rng=rng)
    points = _landmarks(column, gaze)
    return Scene(
        view="lateral",
        skin=tuple(outline * patient.scale for outline in outlines),
        veils=tuple(veil.scaled(patient.scale) for veil in veils),
        shapes=tuple(shape.scaled(patient.scale) for shape in shapes),
        focus=np.concatenate([s.outline for s in shapes if s.label]) * patient.scale,
        landmarks={name: at * patient.scale for name, at in points.items()},
        girth=1 + 0.012 * heavy,
    )


def _landmarks(column: Spine, gaze: float) -> dict[str, Points]:
    """Return the 34 points by name; osteophytes are no part of a corner."""
    found = neck.points(column.dens, gaze=gaze)
    found |= {f"C2{name}": at for name, at in vertebra.odontoid(column.dens).items()}
    for name, pose in zip(VERTEBRAE, column.poses, strict=True):
        corners = vertebra.corners(pose, dens=column.dens if name == "C2" else None)
        # Of T1, which the shoulders may hide, the upper endplate is all that anyone marks.
        found |= {f"{name}{end}": at for end, at in corners.items() if name != "T1" or end in _TOP}
    return found


def _vertebrae(patient: Patient, column: Spine, rng: np.random.Generator) -> list[Shape]:
    wear = max(patient.age - 45, 0) / 40
    lips = (0.0, *column.osteophyte_mm, 0.0)
    discs = (0.0, *patient.severity, 0.0)
    pillars, arches, bodies = [], [], []
    for index, pose in enumerate(column.poses):
        front = max(rng.normal(wear, 0.5), 0.0)
        canal = column.canal_mm[index]
        process = vertebra.arch(
            pose,
            canal_mm=canal,
            length_mm=_SPINOUS[index] * rng.normal(1, 0.07),
            drop=np.deg2rad(_DROP_DEG[index] + rng.normal(0, 4)),
            high=index == 0,
        )
        upper, lower = vertebra.endplates(pose, above=discs[index], below=discs[index + 1])
        pillar = vertebra.pillar(pose)
        if index == 0:
            body = vertebra.axis(pose, column.dens, below_mm=lips[1])
            plates = [lower]
            pillar = pose.place(_AXIS_PILLAR)
        else:
            body = vertebra.body(
                pose, above_mm=lips[index], below_mm=lips[index + 1], front_mm=front
            )
            plates = [upper, lower]
            pillars.append(Shape(vertebra.uncus(pose), 0.12, rim=0.06, soft_mm=0.3))
            pillars.extend(vertebra.facets(pose, wear=wear))
        pillars.append(Shape(vertebra.transverse(pose), 0.06, rim=0.06, soft_mm=0.5))
        pillars.append(Shape(pillar, 0.27, rim=0.03, soft_mm=0.4, round_mm=2.0))
        if index:
            pillars.append(Shape(vertebra.lamina(pose, canal_mm=canal), 0.15, soft_mm=0.7))
        arches.append(Shape(process, 0.32, rim=0.08, label=POSTERIOR, soft_mm=0.25, round_mm=1.6))
        line = vertebra.spinolaminar(pose, canal_mm=canal, high=index == 0)
        arches.append(Shape(line, 0.0, rim=0.13, rim_mm=1.2, soft_mm=0.2, closed=False))
        # A shell around marrow, rounder in front than at the back.
        bodies.append(Shape(body, 0.22, rim=0.13, rim_mm=0.8, label=index + 1, soft_mm=0.15))
        bodies.append(Shape(body, 0.20, round_mm=2.5, soft_mm=0.2))
        bodies.extend(plates)
    # Drawn last, the bodies win the label where they meet an arch.
    return [*pillars, *arches, *bodies]
