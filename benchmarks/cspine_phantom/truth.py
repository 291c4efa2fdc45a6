"""What the landmarks of a phantom say: the box of every level and the six sagittal parameters."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from cspine.geometry import LANDMARKS, Parameters, sagittal_parameters
from cspine_phantom.imaging.devices import Device
from cspine_phantom.patients import LEVELS, VERTEBRAE
from cspine_phantom.scene.shapes import Points

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in columns and rows."""


def level_boxes(points: Mapping[str, Points]) -> dict[str, Box]:
    """Return the upright box about every disc and the facing halves of its two neighbours.

    Parameters
    ----------
    points
        (2,) positions (column, row) of :data:`cspine.geometry.LANDMARKS`; without all of them
        there are no boxes. T1 has no lower corners; its half is taken to be as high as that of C7.
    """
    if not points.keys() >= set(LANDMARKS):
        return {}
    deep = {f"{body}{side}": _half(points, body, side) for body in VERTEBRAE for side in "AP"}
    boxes = {}
    for level, (upper, lower) in zip(LEVELS, pairwise(VERTEBRAE), strict=True):
        around = [
            corner
            for side in "AP"
            for corner in (
                points[f"{upper}{side}I"] - deep[f"{upper}{side}"],
                points[f"{upper}{side}I"],
                points[f"{lower}{side}S"],
                points[f"{lower}{side}S"] + deep[f"{lower}{side}"],
            )
        ]
        (left, top), (right, bottom) = np.min(around, axis=0), np.max(around, axis=0)
        boxes[level] = (float(left), float(top), float(right), float(bottom))
    return boxes


def parameters(points: Mapping[str, Points], device: Device) -> Parameters | None:
    """Return the six parameters in the patient's own millimetres; None without all landmarks."""
    if not points.keys() >= set(LANDMARKS):
        return None
    pixel_mm = device.spacing_mm / device.magnification
    return sagittal_parameters(points, (pixel_mm, pixel_mm))


def _half(points: Mapping[str, Points], body: str, side: str) -> Points:
    """Return half of a body's front or back, from its upper corner to its lower one."""
    body = "C7" if body == "T1" else body
    half: Points = (points[f"{body}{side}I"] - points[f"{body}{side}S"]) / 2
    return half
