"""The neck of a patient on the table of a CT scanner."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cspine_phantom.ct.arch import arched
from cspine_phantom.ct.disease import Disease, generator
from cspine_phantom.ct.narrowing import downwards, narrowed
from cspine_phantom.patients import Patient
from cspine_phantom.scene.shapes import Points
from cspine_phantom.volume.anatomy import Anatomy, assemble
from cspine_phantom.volume.canal import Canal
from cspine_phantom.volume.column import Column, column
from cspine_phantom.volume.lying import Lying, Vector

AXIS = np.array([0.0, 0.0, 1.0])
"""The long axis of the table, to the head of the patient: slices are at right angles to it."""


@dataclass(frozen=True)
class Neck:
    """A neck and where it lies.

    Attributes
    ----------
    anatomy
        What is cut.
    column, canal
        What of it the truth follows from, before the patient's size.
    lying
        From the neck's axes (left, back, feet) to the patient's.
    cut
        (2,) unit vector (back, feet) that lies in the scanner's slices and in the midline.
    """

    anatomy: Anatomy
    column: Column
    canal: Canal
    lying: Lying
    cut: Points

    def placed(self, point: Points, *, side_mm: float = 0.0) -> Vector:
        """Return where a point of the column, (2,), is in the patient, (left, back, head)."""
        moved = (point - self.anatomy.centre) * self.anatomy.scale
        return self.lying.place(np.array([side_mm, *moved]))

    def height_mm(self, origin: Vector) -> float:
        """Return how far down the column a slice through a point of the patient meets the midline.

        In millimetres of the column along :func:`~cspine_phantom.ct.narrowing.downwards`.
        """
        normal = self.lying.matrix.T @ AXIS
        down = downwards(self.cut)
        # In the midline the slice's own normal is as long as it leans to neither side.
        level = float((origin - self.lying.middle_mm) @ AXIS) / float(normal[1:] @ down)
        return level / self.anatomy.scale + float(self.anatomy.centre @ down)


def neck(patient: Patient, disease: Disease, lying: Lying) -> Neck:
    """Return the neck of a patient with a disease, who lies so when the neck is straight."""
    rng = generator(patient.seed, patient.number, stream="anatomy")
    own = column(patient, rng=rng)
    lying = bedded(lying, own)
    cut = backwards(lying)
    made = narrowed(own, disease, scale=patient.scale, cut=cut, rng=rng)
    anatomy = assemble(patient, made.column, made.canal, rng=rng, arched=arched(made.column))
    return Neck(anatomy, made.column, made.canal, lying, cut)


def bedded(lying: Lying, own: Column) -> Lying:
    """Return how a neck lies on a table on which it would lean forward if its patient stood."""
    along = own.poses[5].centre - own.poses[1].centre
    back, feet = along / np.linalg.norm(along)
    level = np.array([[1.0, 0.0, 0.0], [0.0, feet, -back], [0.0, back, feet]])
    return replace(lying, matrix=lying.matrix @ level)


def backwards(lying: Lying) -> Points:
    """Return the (2,) unit vector (back, feet) in the scanner's slices and in the midline."""
    _, back, feet = lying.matrix.T @ AXIS
    along: Points = np.array([-feet, back]) / np.hypot(back, feet)
    return along
