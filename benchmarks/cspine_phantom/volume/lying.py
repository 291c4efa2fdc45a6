"""How a patient lies in the scanner: the neck's own axes against the patient's.

The neck's axes are (left, back, feet), millimetres from where the canal is at C4/5. The patient's
are those of DICOM (PS3.3 C.7.6.2): left, back and head. A patient does not lie straight, so one is
turned against the other by a few degrees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
"""(3,)"""


@dataclass(frozen=True)
class Lying:
    """How a patient lies in the scanner: one affine map from neck to patient coordinates."""

    matrix: NDArray[np.float64]  # (3, 3), orthogonal; its only reflection is feet to head
    middle_mm: Vector

    def place(self, point: Vector) -> Vector:
        """Return the patient coordinates of a point of the neck."""
        placed: Vector = self.matrix @ point + self.middle_mm
        return placed

    def direct(self, direction: Vector) -> Vector:
        """Return a direction of the neck in patient coordinates."""
        turned: Vector = self.matrix @ direction
        return turned

    def placed_back(self, point: Vector) -> Vector:
        """Return the point of the neck that has some patient coordinates."""
        point_of_neck: Vector = self.matrix.T @ (point - self.middle_mm)
        return point_of_neck

    def directed_back(self, direction: Vector) -> Vector:
        """Return a direction of the patient's coordinates in those of the neck."""
        turned: Vector = self.matrix.T @ direction
        return turned


def lie(rng: np.random.Generator) -> Lying:
    """Return how a patient lies: turned about each axis by a few degrees."""
    spreads = (2.0, 1.5, 1.5)
    angles = np.deg2rad([float(np.clip(rng.normal(0, each), -4, 4)) for each in spreads])
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        one = np.eye(3)
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        one[i, i] = one[j, j] = np.cos(angle)
        one[i, j], one[j, i] = -np.sin(angle), np.sin(angle)
        turn = one @ turn
    return Lying(turn @ np.diag([1.0, 1.0, -1.0]), rng.uniform((-6, -25, -30), (6, 25, 30)))
