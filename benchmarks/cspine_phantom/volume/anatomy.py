"""All of a neck, cut by sagittal planes into label maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine_phantom.patients import VERTEBRAE, Patient
from cspine_phantom.scene.shapes import Points
from cspine_phantom.volume.bones import arches, bodies
from cspine_phantom.volume.canal import Canal
from cspine_phantom.volume.column import Column
from cspine_phantom.volume.head import head, stem
from cspine_phantom.volume.soft import envelope, nape, throat
from cspine_phantom.volume.solid import Drawn, Solids, masked

LabelMap = NDArray[np.uint8]

PITCH_MM = 0.5
"""Of a label map: finer than what any series resolves."""

_BEFORE_MM, _BEHIND_MM, _ABOVE_MM, _BELOW_MM = 135.0, 110.0, 150.0, 150.0
_SHAPE = round((_ABOVE_MM + _BELOW_MM) / PITCH_MM), round((_BEFORE_MM + _BEHIND_MM) / PITCH_MM)
_SHIFT = 4  # fractional bits of a drawn position


class Part(Protocol):
    """Something that a sagittal plane cuts."""

    def cut(self, side_mm: float) -> list[Drawn]:
        """Return what a plane so far to the left of the midline meets, in order of drawing."""
        ...


@dataclass(frozen=True)
class Anatomy:
    """What lies in the scanner.

    Positions are (x, y) in millimetres of the patient from `centre`, x towards the back, y towards
    the feet, and how far a plane lies to the left of the midline.

    Attributes
    ----------
    parts
        Later ones lie over earlier ones.
    scale
        What the parts' millimetres are multiplied by.
    centre
        (2,) in the parts' millimetres: what an image is centred on.
    sections
        Where axial slices are taken: (2,) position and the angle by which they rise to the back,
        radians.
    discs
        The same of the middles of the discs C2/3 to C7/T1.
    bones
        C2 to T1 and their arches, labelled as on a radiograph.
    """

    parts: tuple[Part, ...]
    scale: float
    centre: Points
    sections: tuple[tuple[Points, float], ...]
    discs: tuple[tuple[Points, float], ...] = ()
    bones: tuple[Part, ...] = ()

    def plane(self, side_mm: float) -> LabelMap:
        """Return the labels of a sagittal plane, (rows, columns) at `PITCH_MM`."""
        labels = np.zeros(_SHAPE, np.uint8)
        drawn = [each for part in self.parts for each in part.cut(side_mm / self.scale)]
        if not drawn:  # beside the body
            return labels
        ends = np.cumsum([len(each.outline) for each in drawn])
        points = np.concatenate([each.outline for each in drawn])
        at = self.pixel((points - self.centre) * self.scale)
        fixed = np.rint(at * 2**_SHIFT).astype(np.int32)
        for each, outline in zip(drawn, np.split(fixed, ends[:-1]), strict=True):
            if each.line_mm:
                wide = max(1, round(each.line_mm * self.scale / PITCH_MM))
                cv2.polylines(labels, [outline], False, each.label, wide, cv2.LINE_8, _SHIFT)
            else:
                cv2.fillPoly(labels, [outline], each.label, cv2.LINE_8, _SHIFT)
        return labels

    def pixel(self, points: Points) -> Points:
        """Return (column, row) on a label map of positions, (..., 2)."""
        at: Points = (points + np.array([_BEFORE_MM, _ABOVE_MM])) / PITCH_MM - 0.5
        return at


def assemble(
    patient: Patient,
    own: Column,
    canal: Canal,
    *,
    rng: np.random.Generator,
    arched: Sequence[Part] = (),
) -> Anatomy:
    """Return the neck about a column and its canal, centred on the canal at C4/5.

    Parameters
    ----------
    arched
        What is seen of the arches besides, behind the canal.
    """
    behind = [
        *envelope(own, patient, rng=rng), *nape(own, rng=rng), *throat(own, rng=rng),
        *head(own, rng=rng), *arches(own, rng=rng),
    ]  # fmt: skip
    before = [*bodies(own, canal, rng=rng), *stem(own)]
    centre = (own.poses[2].centre + own.poses[3].centre) / 2 + np.array([13.0, 0.0])
    sections = []
    for upper, lower in pairwise(own.poses[1:6]):
        at = (upper.centre + lower.centre) / 2 + np.array([8.0, 0.0])
        sections.append(((at - centre) * patient.scale, (upper.lean + lower.lean) / 2))
    discs = []
    for upper, lower in pairwise(own.poses[: len(VERTEBRAE)]):
        ends = [*upper.place([(0.0, upper.half_height)]), *lower.place([(0.0, -lower.half_height)])]
        at = np.mean(ends, axis=0)
        discs.append(((at - centre) * patient.scale, (upper.lean + lower.lean) / 2))
    return Anatomy(
        parts=(Solids(behind), *arched, canal, Solids(before)),
        scale=patient.scale,
        centre=centre,
        sections=tuple(sections),
        discs=tuple(discs),
        bones=(masked(behind), masked(before)),
    )
