"""The vertebrae of a neck in space: those of its radiograph, and three thoracic ones below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cspine_phantom.patients import Patient
from cspine_phantom.scene.anatomy import spine
from cspine_phantom.scene.neck import tip
from cspine_phantom.scene.shapes import Points, Pose, turned

_BELOW_DEPTH = (17.6, 17.8, 18.2)
_BELOW_HEIGHT = (16.8, 17.4, 18.0)
_BELOW_DISC_MM = 4.0
_BELOW_CANAL_MM = 15.5

# Half widths of C2 to T4, millimetres.
_HALF_WIDTH = (9.5, 9.5, 10.0, 10.5, 11.5, 13.0, 14.0, 13.5, 13.0, 13.0)


@dataclass(frozen=True)
class Column:
    """C2 to T4 before the patient's size.

    Attributes
    ----------
    poses
        Ten, C2 first.
    half_width_mm
        Of the bodies to each side.
    canal_mm
        From the back of each body to its spinolaminar line.
    gaze
        How far the head is tipped back, radians.
    """

    poses: tuple[Pose, ...]
    half_width_mm: tuple[float, ...]
    canal_mm: tuple[float, ...]
    gaze: float

    @property
    def tip(self) -> Points:
        """The tip of the odontoid, (2,)."""
        return tip(self.poses[0])

    def head(self, points: Points) -> Points:
        """Return positions given from the tip of the odontoid in a head that looks ahead."""
        return turned(np.asarray(points, np.float64) + self.tip, about=self.tip, angle=self.gaze)


def column(patient: Patient, *, rng: np.random.Generator) -> Column:
    """Stack the vertebrae of a patient; below T1 the spine leans back again."""
    above = spine(patient, patient.stance.lying, rng=rng)
    poses = list(above.poses)
    for depth, height in zip(_BELOW_DEPTH, _BELOW_HEIGHT, strict=True):
        upper = poses[-1]
        lean = upper.lean - np.deg2rad(rng.normal(4.0, 0.8))
        own = Pose(np.zeros(2), lean, depth / 2, height / 2)
        between = Pose(np.zeros(2), (lean + upper.lean) / 2, 0.0, 0.0)
        centre = (
            upper.place([[0.0, upper.half_height]])
            + between.place([[0.0, _BELOW_DISC_MM]])
            + own.place([[0.0, own.half_height]])
        )[0]
        poses.append(Pose(centre, lean, depth / 2, height / 2))
    widths = np.array(_HALF_WIDTH) * rng.normal(1, 0.04)
    return Column(
        poses=tuple(poses),
        half_width_mm=tuple(widths.tolist()),
        canal_mm=(*above.canal_mm, *[_BELOW_CANAL_MM] * 3),
        gaze=float(np.deg2rad(patient.stance.gaze_deg)),
    )
