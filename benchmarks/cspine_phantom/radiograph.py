"""From path lengths to stored pixels: scatter, blur, quanta, presentation, and the truth."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine_phantom.attenuation import NECK, SHIFT, Map, path_length, project
from cspine_phantom.devices import Device
from cspine_phantom.patients import Patient, generator
from cspine_phantom.shapes import Points, Scene

Picture = NDArray[np.uint16]
LabelMap = NDArray[np.uint8]

BITS = 12
"""Bits stored."""

WHITE = 2**BITS - 1
"""The largest value."""


def radiograph(scene: Scene, patient: Patient, device: Device) -> tuple[Picture, LabelMap]:
    """Return the picture that `device` stores of `scene`, and its truth.

    Returns
    -------
    picture
        (rows, columns) uint16, 12 bits; bone is bright, whatever the photometric interpretation
        the object will state.
    mask
        (rows, columns) uint8 on the same grid: 0 background, 1 to 7 the bodies of C2 to T1 (C2
        with its odontoid), 8 posterior elements. All 0 when the view is not lateral.
        Pixels that an outline crosses belong to the shape.
    """
    rng = generator(patient.seed, patient.number, stream="picture")
    projection = project(scene, patient, device, rng=rng)
    attenuation = path_length(scene, projection, device, rng)
    exposed = _expose(attenuation, device, rng)
    picture = _present(exposed, device, rng)
    _collimate(picture, projection.pixels(scene.focus), rng)
    mask = np.zeros((device.rows, device.columns), np.uint8)
    for shape in scene.shapes:
        if shape.label:
            points = projection.drawn(shape.outline)
            cv2.fillPoly(mask, [points], shape.label, lineType=cv2.LINE_8, shift=SHIFT)
    return picture, mask


def _expose(attenuation: Map, device: Device, rng: np.random.Generator) -> Map:
    """Return the detected attenuation: -log of beam and scatter with the noise of the quanta."""
    beam: Map = cv2.exp(-attenuation)
    rows, columns = beam.shape
    small = cv2.resize(beam, (columns // 16, rows // 16), interpolation=cv2.INTER_AREA)
    wide = cv2.GaussianBlur(small, (0, 0), 14.0 / (16 * device.spacing_mm))
    wide = cv2.resize(wide, (columns, rows), interpolation=cv2.INTER_LINEAR)
    beam = cv2.addWeighted(beam, 1 - device.scatter, wide, device.scatter, 0)
    beam = cv2.GaussianBlur(beam, (0, 0), device.focal_mm / device.spacing_mm)
    dose = device.quanta * rng.uniform(0.7, 1.4)
    # A Poisson count of hundreds is a normal one to the eye and to the twelfth bit.
    noise = rng.standard_normal(beam.shape, np.float32)
    noise *= cv2.sqrt(beam)
    beam += noise * np.float32(dose**-0.5)
    exposed: Map = cv2.log(np.maximum(beam, np.float32(1e-4)))
    return np.negative(exposed, out=exposed)


def _present(exposed: Map, device: Device, rng: np.random.Generator) -> Picture:
    """Return 12 bits: large-area compression, unsharp mask, window and presentation curve."""
    rows, columns = exposed.shape
    small = cv2.resize(exposed, (columns // 8, rows // 8), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 9.0 / (8 * device.spacing_mm))
    excess = np.maximum(small - np.float32(NECK), 0) * np.float32(device.compression)
    shown = exposed - cv2.resize(excess, (columns, rows), interpolation=cv2.INTER_LINEAR)
    soft = cv2.blur(exposed, (9, 9))
    shown = cv2.scaleAdd(exposed - soft, device.edge, shown)
    black, white = np.array(device.window) + rng.normal(0, 0.06, 2)
    shown = (shown - np.float32(black)) * np.float32(WHITE / (white - black))
    index = np.clip(shown, 0, WHITE).astype(np.uint16)
    curve = np.linspace(0, 1, 2**BITS) ** (device.gamma * rng.uniform(0.92, 1.08))
    table = np.round(curve * WHITE).astype(np.uint16)
    picture: Picture = table[index]
    return picture


def _collimate(picture: Picture, focus: Points, rng: np.random.Generator) -> None:
    """Blacken what the shutters hide; they stay eight pixels clear of the vertebrae."""
    rows, columns = picture.shape
    inset = rng.uniform(-0.04, 0.06, 4) * (columns, rows, columns, rows)
    left, top = np.minimum(inset[:2], focus.min(axis=0) - 8)
    right, bottom = np.minimum(inset[2:], (columns, rows) - focus.max(axis=0) - 8)
    for edge in (np.s_[:, : max(round(left), 0)], np.s_[: max(round(top), 0), :],
                 np.s_[:, columns - max(round(right), 0) :],
                 np.s_[rows - max(round(bottom), 0) :, :]):  # fmt: skip
        picture[edge] = 0
