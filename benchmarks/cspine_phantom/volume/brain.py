"""A head: what is scanned where the request says neck and the coil is another's."""

from __future__ import annotations

import numpy as np

from cspine_phantom.patients import Patient
from cspine_phantom.scene.shapes import ellipse, rounded
from cspine_phantom.volume.anatomy import Anatomy
from cspine_phantom.volume.solid import Solid, Solids, shrunk
from cspine_phantom.volume.tissue import LABEL

# The profile of a head that looks ahead, from the middle of the brain.
_PROFILE = (
    (-84.0, -60.0), (-96.0, -20.0), (-98.0, 4.0), (-112.0, 40.0), (-98.0, 52.0), (-102.0, 72.0),
    (-98.0, 100.0), (-70.0, 116.0), (-48.0, 122.0), (-44.0, 200.0), (60.0, 200.0), (62.0, 110.0),
    (88.0, 60.0), (98.0, 0.0), (84.0, -60.0), (40.0, -100.0), (0.0, -108.0), (-46.0, -98.0),
)  # fmt: skip


def brain(patient: Patient, *, rng: np.random.Generator) -> Anatomy:
    """Return the head of a patient, centred on the brain."""
    middle = np.array([0.0, -16.0])
    vault = ellipse(middle, radii=(86.0, 76.0))
    skin = rounded(np.array(_PROFILE))
    solids = [
        Solid(skin, LABEL["skin"], half_mm=80.0, power=2.4, anchor=middle),
        Solid(shrunk(skin, 1.5), LABEL["fat"], half_mm=78.0, power=2.4, anchor=middle),
        Solid(shrunk(skin, 7.0), LABEL["muscle"], half_mm=74.0, power=2.4, anchor=middle),
        Solid(ellipse((-66.0, 52.0), radii=(26, 9)), LABEL["air"], half_mm=14.0),
        Solid(ellipse((-62.0, 80.0), radii=(24, 17)), LABEL["muscle"], half_mm=20.0),
        Solid(ellipse((-28.0, 84.0), radii=(6, 30)), LABEL["air"], half_mm=10.0),
        Solid(ellipse((-84.0, 24.0), radii=(9, 10)), LABEL["air"], half_mm=14.0),
        Solid(ellipse((-70.0, 26.0), radii=(13, 12)), LABEL["csf"], 32.0, 12.0, power=2.0),
    ]
    for inset, label in ((-7.0, "bone"), (-5.0, "fatty marrow"), (-2.5, "bone"), (0.0, "csf")):
        solids.append(
            Solid(shrunk(vault, inset), LABEL[label], half_mm=69.0 - inset, power=2.1,
                  anchor=middle)
        )  # fmt: skip
    lobes = ellipse(middle + np.array([0.0, -6.0]), radii=(82.0, 62.0))
    solids += [
        Solid(lobes, LABEL["grey matter"], 34.0, 33.0, power=2.2),
        Solid(middle + 0.88 * (lobes - middle), LABEL["white matter"], 34.0, 29.0, power=2.2),
        Solid(lobes, LABEL["grey matter"], half_mm=30.0, power=6.0),
    ]
    for _ in range(60):
        angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 0.85)
        rim = middle + np.array([82 * np.cos(angle), 62 * np.sin(angle) - 6])
        bend = middle + depth * (rim - middle) + rng.normal(0, 4, 2)
        line = np.stack([rim, (rim + bend) / 2 + rng.normal(0, 3, 2), bend])
        place, half = rng.uniform(0, 60), rng.uniform(6, 20)
        solids.append(Solid(line, LABEL["csf"], place, half, line_mm=1.4))
    arch = [(-34, 2), (-40, -12), (-20, -26), (14, -28), (36, -18), (38, -4), (30, -12), (10, -19),
            (-18, -17), (-30, -6)]  # fmt: skip
    solids += [
        Solid(rounded(arch), LABEL["white matter"], half_mm=12.0),
        Solid(ellipse((-2.0, -12.0), radii=(30, 6)), LABEL["csf"], 9.0, 7.0, power=2.0),
        Solid(ellipse((-2.0, 0.0), radii=(15, 9)), LABEL["grey matter"], 9.0, 9.0, power=2.0),
        Solid(ellipse((36.0, 33.0), radii=(23, 18)), LABEL["grey matter"], half_mm=48.0, power=2.2),
        Solid(ellipse((34.0, 33.0), radii=(13, 9)), LABEL["white matter"], half_mm=40.0, power=2.2),
        Solid(
            ellipse((0.0, 36.0), radii=(13, 15), turn_deg=20),
            LABEL["white matter"],
            half_mm=16.0,
            power=2.2,
        ),
        Solid(ellipse((8.0, 70.0), radii=(7, 26)), LABEL["cord"], half_mm=8.0, power=2.2),
        Solid(ellipse((14.0, 33.0), radii=(3.5, 8)), LABEL["csf"], half_mm=6.0, power=2.0),
    ]
    rows = np.linspace(-56, 44, 5)
    return Anatomy(
        parts=(Solids(solids),),
        scale=patient.scale,
        centre=np.array([-4.0, 0.0]),
        sections=tuple((np.array([0.0, row]), 0.0) for row in rows),
    )
