"""All of a neck, cut by sagittal planes into label maps."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine_phantom.mr.bones import arches, bodies
from cspine_phantom.mr.canal import Canal, canal
from cspine_phantom.mr.column import Column, column
from cspine_phantom.mr.disease import Disease, generator
from cspine_phantom.mr.head import head
from cspine_phantom.mr.soft import envelope, nape, throat
from cspine_phantom.mr.solid import Drawn, Solids
from cspine_phantom.patients import Patient
from cspine_phantom.scene.shapes import Points

LabelMap = NDArray[np.uint8]

PITCH_MM = 0.5
"""Of a label map: finer than what any series resolves."""

_BEFORE_MM, _BEHIND_MM, _ABOVE_MM, _BELOW_MM = 135.0, 110.0, 150.0, 150.0
_SHAPE = round((_ABOVE_MM + _BELOW_MM) / PITCH_MM), round((_BEFORE_MM + _BEHIND_MM) / PITCH_MM)
_SHIFT = 4  # fractional bits of a drawn position


@dataclass(frozen=True)
class Neck:
    """One patient's neck.

    Positions are (x, y) in millimetres of the patient, x towards the back, y towards the feet,
    and how far a plane lies to the left of the midline.

    Attributes
    ----------
    scale
        What the column's and the canal's millimetres are multiplied by.
    centre
        (2,) the middle of the canal at C4/5: what an image of the neck is centred on.
    """

    column: Column
    canal: Canal
    behind: Solids
    before: Solids
    scale: float
    centre: Points

    def plane(self, side_mm: float) -> LabelMap:
        """Return the labels of a sagittal plane, (rows, columns) at `PITCH_MM`."""
        side = side_mm / self.scale
        labels = np.zeros(_SHAPE, np.uint8)
        parts = (self.behind.cut(side), self.canal.cut(side), self.before.cut(side))
        for drawn in (each for part in parts for each in part):
            self._draw(labels, drawn)
        return labels

    def pixel(self, points: Points) -> Points:
        """Return (column, row) on a label map of positions in the patient's millimetres."""
        return (points - self.centre + (_BEFORE_MM, _ABOVE_MM)) / PITCH_MM - 0.5

    def _draw(self, labels: LabelMap, drawn: Drawn) -> None:
        at = np.rint(self.pixel(drawn.outline * self.scale) * 2**_SHIFT).astype(np.int32)
        if drawn.line_mm:
            wide = max(1, round(drawn.line_mm * self.scale / PITCH_MM))
            cv2.polylines(labels, [at], False, drawn.label, wide, cv2.LINE_8, _SHIFT)
        else:
            cv2.fillPoly(labels, [at], drawn.label, cv2.LINE_8, _SHIFT)


def neck(patient: Patient, disease: Disease) -> Neck:
    """Return the neck of a patient with a disease."""
    rng = generator(patient.seed, patient.number, stream="anatomy")
    own = column(patient, rng=rng)
    inside = canal(own, disease, rng=rng)
    behind = [
        *envelope(own, patient, rng=rng), *nape(own, rng=rng), *throat(own, rng=rng),
        *head(own, rng=rng), *arches(own, rng=rng),
    ]  # fmt: skip
    middle = own.poses[2].centre + own.poses[3].centre
    return Neck(
        column=own,
        canal=inside,
        behind=Solids(behind),
        before=Solids(bodies(own, inside, rng=rng)),
        scale=patient.scale,
        centre=(middle / 2 + (13.0, 0.0)) * patient.scale,
    )
