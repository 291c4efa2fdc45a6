"""From outlines to path lengths: what every pixel's ray loses on its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine_phantom.devices import Device
from cspine_phantom.patients import Patient
from cspine_phantom.shapes import Points, Scene, Shape

Map = NDArray[Any]
"""(rows, columns) float32; OpenCV's own annotations cannot say so."""

NECK = 2.15
"""Attenuation (natural logarithm) through the middle of a neck without its bones."""

SHIFT = 4
"""Fractional bits of an outline's position when it is drawn."""

_NECK_RADIUS_MM = 48.0  # the depth from the skin where the neck is thickest
_COARSE = 4  # pixels of the picture per pixel of what is blurred anyway


@dataclass(frozen=True)
class Projection:
    """Scene millimetres to pixels: ``(col, row) = matrix @ (x, y) + offset``."""

    matrix: Points
    offset: Points
    pixels_per_mm: float

    def pixels(self, outline: Points) -> Points:
        """Return (n, 2) positions (column, row); the centre of the first pixel is (0, 0)."""
        placed: Points = outline @ self.matrix.T + self.offset
        return placed

    def drawn(self, outline: Points) -> NDArray[np.int32]:
        """Return `pixels` in OpenCV's fixed point, with `SHIFT` fractional bits."""
        return _fixed(self.pixels(outline))


def project(
    scene: Scene, patient: Patient, device: Device, *, rng: np.random.Generator
) -> Projection:
    """Aim the beam: tilt, mirror for those who face right, magnify, and keep `focus` in view."""
    turn = np.deg2rad(patient.tilt_deg)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    if scene.view in ("lateral", "oblique") and patient.face == "right":
        matrix = np.diag([-1.0, 1.0]) @ matrix
    scale = device.magnification / device.spacing_mm
    matrix = matrix * scale
    focus = scene.focus @ matrix.T
    low, high = focus.min(axis=0), focus.max(axis=0)
    size = np.array([device.columns, device.rows])
    slack = np.maximum((size - (high - low)) / 2 - 11.0 * scale, 0.0)
    shift = np.clip(rng.normal(0, 8.0, 2) * scale, -slack, slack)
    return Projection(matrix, (size - 1) / 2 - (low + high) / 2 + shift, scale)


def path_length(
    scene: Scene, projection: Projection, device: Device, rng: np.random.Generator
) -> Map:
    """Return the attenuation of every pixel's ray: tissue, veils, air and bone, none below 0."""
    coarse = _coarse(scene, projection, device, rng)
    fine: Map = cv2.resize(coarse, (device.columns, device.rows), interpolation=cv2.INTER_LINEAR)
    bone = np.zeros_like(fine)
    for shape in scene.shapes:
        _add(bone if shape.density >= 0 else fine, shape, projection)
    # Trabeculae: bone differs from place to place by about a tenth, over one to two millimetres.
    grain: Map = rng.standard_normal((device.rows // 4 + 1, device.columns // 4 + 1), np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 0.35 / device.spacing_mm)
    grain *= np.float32(0.09) / grain.std()
    grain += 1
    bone *= cv2.resize(grain, (device.columns, device.rows), interpolation=cv2.INTER_LINEAR)
    fine += bone
    return np.maximum(fine, 0, out=fine)


def _coarse(scene: Scene, projection: Projection, device: Device, rng: np.random.Generator) -> Map:
    """Return tissue and veils at a quarter of the size; their edges are wider than its pixels."""
    scale = projection.pixels_per_mm / _COARSE
    small = Projection(
        projection.matrix / _COARSE,
        (projection.offset + 0.5) / _COARSE - 0.5,
        scale,
    )
    # Skin beyond the picture still has a depth: measure on a margin, then cut it off.
    margin = int(np.ceil(_NECK_RADIUS_MM * scale))
    rows, columns = -(-device.rows // _COARSE), -(-device.columns // _COARSE)
    inside = np.zeros((rows + 2 * margin, columns + 2 * margin), np.uint8)
    for outline in scene.skin:
        points = _fixed(small.pixels(outline) + margin)
        cv2.fillPoly(inside, [points], 1, lineType=cv2.LINE_8, shift=SHIFT)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[margin:-margin, margin:-margin]
    reach = np.minimum(depth / np.float32(_NECK_RADIUS_MM * scale), 1)
    total: Map = np.float32(NECK) * np.sqrt(1 - (1 - reach) ** 2)
    # Muscle and fat in between: a few per cent, over some millimetres.
    marbling: Map = rng.standard_normal((rows, columns), np.float32)
    marbling = cv2.GaussianBlur(marbling, (0, 0), 2.2 * scale)
    total += total * marbling * (np.float32(0.035) / marbling.std())
    total = cv2.GaussianBlur(total, (0, 0), 0.9)
    for veil in scene.veils:
        _add(total, veil, small)
    return total


def _add(total: Map, shape: Shape, projection: Projection) -> None:
    """Add a shape's attenuation to `total`, touching only the box around it."""
    points = projection.pixels(shape.outline)
    sigma = shape.soft_mm * projection.pixels_per_mm
    pad = int(np.ceil(3 * sigma)) + 8
    height, width = total.shape
    low = np.floor(points.min(axis=0)).astype(int) - pad
    high = np.ceil(points.max(axis=0)).astype(int) + pad + 1
    # Clipped a pad beyond the picture, so that the blur has what lies outside it.
    low, high = np.maximum(low, -pad), np.minimum(high, (width + pad, height + pad))
    if (high <= low).any():
        return
    peak = max(abs(shape.density), abs(shape.density + shape.rim))
    box = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    fixed = _fixed(points - low)
    if shape.density:
        grey = round(255 * abs(shape.density) / peak)
        cv2.fillPoly(box, [fixed], grey, lineType=cv2.LINE_AA, shift=SHIFT)
    if shape.rim:
        grey = round(255 * abs(shape.density + shape.rim) / peak)
        thickness = max(1, round(shape.rim_mm * projection.pixels_per_mm))
        cv2.polylines(box, [fixed], shape.closed, grey, thickness, cv2.LINE_AA, SHIFT)
    layer: Map = box.astype(np.float32)
    if sigma > 0.3:
        layer = cv2.GaussianBlur(layer, (0, 0), sigma)
    left, top = np.maximum(-low, 0)
    x, y = np.maximum(low, 0)
    right, bottom = min(width, high[0]), min(height, high[1])
    if right <= x or bottom <= y:
        return
    layer *= np.float32(np.copysign(peak, shape.density + shape.rim) / 255)
    total[y:bottom, x:right] += layer[top : top + bottom - y, left : left + right - x]


def _fixed(points: Points) -> NDArray[np.int32]:
    fixed: NDArray[np.int32] = np.round(points * 2**SHIFT).astype(np.int32)
    return fixed
