"""From a scene to the picture that a system shows of it, with the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine_phantom.imaging.attenuation import SHIFT, Map, Projection, path_length, project
from cspine_phantom.imaging.detector import detected, exposed
from cspine_phantom.imaging.devices import Device
from cspine_phantom.imaging.presentation import Picture, collimate, presented
from cspine_phantom.imaging.scatter import scattered
from cspine_phantom.patients import Patient, generator
from cspine_phantom.scene.shapes import Points, Scene

LabelMap = NDArray[np.uint8]

Disturb = Callable[[Map], Map]
"""What happens to the primary beam, (rows, columns) of 0 to 1, between patient and detector."""


@dataclass(frozen=True)
class Exposure:
    """What a device makes of a scene, and the truth of it.

    Attributes
    ----------
    picture
        (rows, columns) uint16, 0 to `WHITE`; bone is bright, whatever the photometric
        interpretation the object will state.
    mask
        (rows, columns) uint8 on the same grid: 0 background, 1 to 7 the bodies of C2 to T1 (C2
        with its odontoid), 8 posterior elements. All 0 when the view is not lateral.
        Pixels that an outline crosses belong to the shape.
    points
        The scene's landmarks by name: (2,) positions (column, row); the centre of the first
        pixel is (0, 0).
    """

    picture: Picture
    mask: LabelMap
    points: Mapping[str, Points]


def radiograph(
    scene: Scene, patient: Patient, device: Device, *, disturb: Disturb | None = None
) -> Exposure:
    """Return what `device` makes of `scene`; `disturb` is for faults of the beam."""
    rng = generator(patient.seed, patient.number, stream="picture")
    projection = project(scene, patient, device, rng=rng)
    linear = _expose(scene, projection, device, rng, disturb)
    picture = presented(exposed(linear, device), device, rng)
    focus = projection.pixels(scene.focus)
    collimate(picture, focus, pixels_per_mm=projection.pixels_per_mm, rng=rng)
    mask = np.zeros((device.rows, device.columns), np.uint8)
    for shape in scene.shapes:
        if shape.label:
            outline = projection.drawn(shape.outline)
            cv2.fillPoly(mask, [outline], shape.label, lineType=cv2.LINE_8, shift=SHIFT)
    points = {name: projection.pixels(point) for name, point in scene.landmarks.items()}
    return Exposure(picture, mask, points)


def signal(
    scene: Scene, patient: Patient, device: Device, *, disturb: Disturb | None = None
) -> Map:
    """Return the detector's signal behind `scene`, that of the picture before processing.

    Returns
    -------
    numpy.ndarray
        (rows, columns) float32, linear in the detected quanta: 1.0 is the mean of the open beam.
        Nothing is collimated yet.
    """
    rng = generator(patient.seed, patient.number, stream="picture")
    projection = project(scene, patient, device, rng=rng)
    return _expose(scene, projection, device, rng, disturb)


def _expose(
    scene: Scene,
    projection: Projection,
    device: Device,
    rng: np.random.Generator,
    disturb: Disturb | None,
) -> Map:
    """Return the linear signal of primary and scatter, shaded by the heel of the anode."""
    beam: Map = cv2.exp(-path_length(scene, projection, device, rng))
    if disturb:
        beam = disturb(beam)
    beam += scattered(beam, device)
    shading = np.linspace(-1, 1, len(beam), dtype=np.float32) * device.detector.shading
    beam *= 1 + shading[:, None]
    kerma_ugy = device.kerma_ugy * rng.uniform(0.7, 1.4)
    return detected(beam, device, kerma_ugy=kerma_ugy, rng=rng)
