"""What can be wrong with a CT study, and what that does to its slices."""

from __future__ import annotations

from typing import Literal, get_args

import cv2
import numpy as np

from cspine.codes import Code
from cspine_phantom.ct.necks import Neck
from cspine_phantom.ct.slices import Stack, Units

Fault = Literal["missing slices", "sagittal only", "brain", "metal"]

FAULTS: tuple[Fault, ...] = get_args(Fault)

REFUSED: dict[Fault, Code] = {
    "missing slices": "INCOMPLETE_SET",
    "sagittal only": "INCOMPLETE_SET",
    "brain": "MODEL_UNSURE",
    "metal": "HARDWARE",
}
"""The code that each must be refused with."""

TOLD: tuple[Fault, ...] = ("missing slices", "sagittal only", "brain")
"""Those that are told without a network that was trained for it: by headers, by no canal found."""

_SCREW_HU = 9000.0
_SCREW_MM = 1.9  # radius
_RAYS = 7


def screwed(units: Units, stack: Stack, neck: Neck, rng: np.random.Generator) -> Units:
    """Return slices with a screw in each pillar of C4 to C6, and the streaks about them.

    Between two screws and beyond them the beam is starved: dark along the line through both, and
    rays of both signs around each.
    """
    found: Units = units.copy()
    column, row = np.meshgrid(np.arange(stack.columns), np.arange(stack.rows))
    for pose in neck.column.poses[2:5]:
        middle = pose.place([[pose.half_depth + 5.0, 0.0]])[0]
        ends = [neck.placed(middle, side_mm=side) for side in (-16.0, 16.0)]
        phase = rng.uniform(0, 2 * np.pi, 2)
        for index in range(len(found)):
            origin = stack.origin(index)
            height = abs(float((ends[0] - origin) @ stack.normal))
            strength = float(np.exp(-0.5 * (height / 3.0) ** 2))
            if strength < 0.05:
                continue
            places = [(end - origin) / stack.pixel_mm for end in ends]
            around = np.zeros(units.shape[1:], np.float32)
            for place, turn in zip(places, phase, strict=True):
                x, y = column - place @ stack.across, row - place @ stack.down
                away = np.hypot(x, y) * stack.pixel_mm
                rays = np.cos(_RAYS * np.arctan2(y, x) + turn) * np.exp(-away / 22.0)
                dark = np.exp(-0.5 * (y * stack.pixel_mm / 2.5) ** 2) * np.exp(-away / 45.0)
                around += (260 * rays - 420 * dark).astype(np.float32)
            found[index] += np.float32(strength) * cv2.GaussianBlur(around, (0, 0), 1.0)
            for place in places:
                x, y = column - place @ stack.across, row - place @ stack.down
                # A screw runs from the back to the front.
                inside = (np.abs(x) * stack.pixel_mm < _SCREW_MM) & (
                    np.abs(y) * stack.pixel_mm < 7.0
                )
                if height < 2 * _SCREW_MM:
                    found[index][inside] = _SCREW_HU
    return found
