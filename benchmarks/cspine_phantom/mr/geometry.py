"""Where the slices of a series lie in the neck, whose axes are those of `volume.lying`.

A stack is turned against the neck by a few degrees, for nobody lies straight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cspine_phantom.volume.lying import Vector


@dataclass(frozen=True)
class Stack:
    """Parallel slices of one shape, in the neck's axes.

    Attributes
    ----------
    middle_mm
        Of the stack; slice k lies ``offsets_mm[k]`` from it along `normal`.
    across, down, normal
        Unit vectors: where a row runs to, where a column runs to, and the third.
    """

    middle_mm: Vector
    across: Vector
    down: Vector
    normal: Vector
    offsets_mm: tuple[float, ...]
    rows: int
    columns: int
    pixel_mm: float
    thickness_mm: float

    def origin(self, index: int) -> Vector:
        """Return the centre of the first pixel of a slice."""
        half = 0.5 * self.pixel_mm
        corner: Vector = (
            self.middle_mm
            + self.offsets_mm[index] * self.normal
            - half * (self.columns - 1) * self.across
            - half * (self.rows - 1) * self.down
        )
        return corner

    @property
    def is_sagittal(self) -> bool:
        """Whether its slices are seen from the side."""
        return abs(float(self.normal[0])) > 0.9

    @property
    def spacing_mm(self) -> float:
        """Between the centres of neighbours."""
        return abs(self.offsets_mm[1] - self.offsets_mm[0])


def sagittal(
    *,
    slices: int,
    shape: tuple[int, int],
    pixel_mm: float,
    thickness_mm: float,
    gap_mm: float,
    roll: float,
    pitch: float,
    middle_mm: Vector,
    upward: bool,
) -> Stack:
    """Return sagittal slices whose rows run to the back and whose columns run to the feet.

    Parameters
    ----------
    roll, pitch
        Angles against the neck in radians: of the slices' plane about their rows, and in it.
    upward
        Whether slices are counted from right to left.
    """
    cos, sin = np.cos(pitch), np.sin(pitch)
    feet = np.array([0.0, -sin, cos])
    left = np.array([1.0, 0.0, 0.0])
    offsets = (np.arange(slices) - (slices - 1) / 2) * (thickness_mm + gap_mm)
    return Stack(
        middle_mm=middle_mm,
        across=np.array([0.0, cos, sin]),
        down=np.cos(roll) * feet + np.sin(roll) * left,
        normal=np.cos(roll) * left - np.sin(roll) * feet,
        offsets_mm=tuple((offsets if upward else -offsets).tolist()),
        rows=shape[0],
        columns=shape[1],
        pixel_mm=pixel_mm,
        thickness_mm=thickness_mm,
    )


def across(
    *,
    slices: int,
    shape: tuple[int, int],
    pixel_mm: float,
    thickness_mm: float,
    gap_mm: float,
    rise: float,
    middle_mm: Vector,
) -> Stack:
    """Return slices whose rows run to the left: axial ones, or coronal ones at right angles.

    Parameters
    ----------
    rise
        Angle in radians by which the columns, which run to the back, fall to the feet; a quarter
        of a turn makes slices coronal.
    """
    offsets = (np.arange(slices) - (slices - 1) / 2) * (thickness_mm + gap_mm)
    return Stack(
        middle_mm=middle_mm,
        across=np.array([1.0, 0.0, 0.0]),
        down=np.array([0.0, np.cos(rise), np.sin(rise)]),
        normal=np.array([0.0, -np.sin(rise), np.cos(rise)]),
        offsets_mm=tuple(offsets.tolist()),
        rows=shape[0],
        columns=shape[1],
        pixel_mm=pixel_mm,
        thickness_mm=thickness_mm,
    )
