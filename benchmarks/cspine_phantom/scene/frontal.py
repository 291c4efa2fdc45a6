"""The frontal cervical spine: the wrong view that a reader of lateral films must refuse."""

from __future__ import annotations

import numpy as np

from cspine_phantom.patients import Patient, generator
from cspine_phantom.scene.shapes import Points, Scene, Shape, ellipse, rounded


def frontal(patient: Patient) -> Scene:
    """Return the antero-posterior scene of a patient; no shape of it carries a label.

    x runs to the patient's left, as on a film seen from the front.
    """
    rng = generator(patient.seed, patient.number, stream="anatomy")
    half_width = 13.0 * rng.normal(1, 0.04)
    pitch = 17.5 * rng.normal(1, 0.03)
    bend = rng.normal(0, 3.0)
    rows = np.arange(8)
    centres = np.stack([bend * np.sin(rows / 7 * np.pi), (rows - 3.0) * pitch], axis=1)
    shapes = [*_upper(centres[0]), *_chest(centres[-1])]
    for index, centre in enumerate(centres[1:]):
        shapes.extend(_vertebra(centre, half_width + 0.6 * index, pitch))
    airway = [(-6, -55), (6, -55), (7, -12), (3, -2), (8, 10), (9, 110), (-9, 110), (-8, 10),
              (-3, -2), (-7, -12)]  # fmt: skip
    shapes.append(Shape(rounded(airway), -0.45, soft_mm=0.8))
    scale, reach = patient.scale, np.array([25.0, 10.0])
    return Scene(
        view="ap",
        skin=tuple(outline * scale for outline in _skin(rng)),
        veils=(),
        shapes=tuple(shape.scaled(scale) for shape in shapes),
        focus=np.concatenate([centres - reach, centres + reach]) * scale,
    )


def _vertebra(centre: Points, half_width: float, pitch: float) -> tuple[Shape, ...]:
    w, h = half_width, pitch / 2
    body = [
        (-w, -h - 1.5), (-w + 2.5, -h + 2.6), (0, -h + 3.4), (w - 2.5, -h + 2.6), (w, -h - 1.5),
        (w + 0.6, -0.3 * h), (w - 0.8, 0.2 * h), (w - 1.2, h - 2.2), (0.5 * w, h - 0.8),
        (0, h - 0.4), (-0.5 * w, h - 0.8), (-w + 1.2, h - 2.2), (-w + 0.8, 0.2 * h),
        (-w - 0.6, -0.3 * h),
    ]  # fmt: skip
    mass = np.array([(w - 1, -0.8 * h), (w + 7, -0.9 * h), (w + 10, -0.1 * h), (w + 8, 0.9 * h),
                     (w - 1, 0.8 * h)])  # fmt: skip
    process = [(-2.4, 0.2 * h), (0, -0.3 * h), (2.4, 0.2 * h), (3.4, 0.9 * h), (0, 1.1 * h),
               (-3.4, 0.9 * h)]  # fmt: skip
    return (
        Shape(centre + rounded(body), 0.42, rim=0.28),
        Shape(centre + rounded(mass), 0.26, rim=0.18),
        Shape(centre + rounded(mass * (-1, 1)), 0.26, rim=0.18),
        Shape(centre + rounded(process), 0.16, rim=0.26),
    )


def _upper(top: Points) -> tuple[Shape, ...]:
    jaw = [
        (-58, -70), (-54, -30), (-44, -4), (-24, 8), (0, 11), (24, 8), (44, -4), (54, -30),
        (58, -70), (46, -66), (42, -34), (32, -14), (16, -5), (0, -3), (-16, -5), (-32, -14),
        (-42, -34), (-46, -66),
    ]  # fmt: skip
    skull = [(-66, -24), (-40, -14), (0, -10), (40, -14), (66, -24), (74, -110), (-74, -110)]
    return (
        Shape(top + rounded(skull), 0.85, rim=0.3, rim_mm=4.0, soft_mm=1.5),
        Shape(top + rounded(jaw), 0.5, rim=0.35, rim_mm=2.0, soft_mm=0.4),
    )


def _chest(base: Points) -> tuple[Shape, ...]:
    lung = np.array([(16, 8), (26, -4), (42, -8), (62, 4), (76, 34), (80, 90), (20, 90)])
    clavicle = np.array([(10, 32), (34, 24), (70, 8), (110, 0), (110, 9), (72, 18), (36, 35),
                         (12, 44)])  # fmt: skip
    rib = np.array([(14, -6), (40, -14), (66, 2), (74, 24), (68, 26), (60, 8), (40, -6), (14, 1)])
    mirror = (-1, 1)
    return (
        *(Shape(base + rounded(lung * side), -0.85, soft_mm=1.5) for side in ((1, 1), mirror)),
        *(Shape(base + rounded(clavicle * side), 0.3, rim=0.3) for side in ((1, 1), mirror)),
        *(Shape(base + rounded(rib * side), 0.22, rim=0.2) for side in ((1, 1), mirror)),
        *(
            Shape(base + ellipse((46 * side, 40), radii=(32, 26)), 0.0, rim=0.25, rim_mm=5.0)
            for side in (1, -1)
        ),
    )


def _skin(rng: np.random.Generator) -> tuple[Points, ...]:
    half = rng.normal(58, 4)
    right = np.array([(72, -190), (74, -90), (half, -40), (half, 20), (half + 14, 50), (150, 80),
                      (190, 190)])  # fmt: skip
    return (rounded(np.concatenate([right, right[::-1] * (-1, 1)])),)
