"""From outlines to path lengths: what every pixel's ray loses on its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine_phantom.imaging.beam import hardness
from cspine_phantom.imaging.devices import Device
from cspine_phantom.patients import Patient
from cspine_phantom.scene.shapes import Points, Scene, Shape

Map = NDArray[Any]
"""(rows, columns) float32; OpenCV's own annotations cannot say so."""

NECK = 2.15
"""Attenuation (natural logarithm) through the middle of a neck without its bones."""

SHIFT = 4
"""Fractional bits of an outline's position when it is drawn."""

_NECK_RADIUS_MM = 48.0  # the depth from the skin where the neck is thickest
_FAT_MM = 4.5  # between skin and muscle
_FINE = 2  # pixels of the picture per pixel of a bone's edge: focal spot and detector blur more
_COARSE = 8  # the same, of what is blurred anyway


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

    def reduced(self, factor: int) -> Projection:
        """Return the projection on a grid of every `factor` pixels' mean."""
        return Projection(
            self.matrix / factor,
            (self.offset + 0.5) / factor - 0.5,
            self.pixels_per_mm / factor,
        )

    def drawn(self, outline: Points) -> NDArray[np.int32]:
        """Return `pixels` in OpenCV's fixed point, with `SHIFT` fractional bits."""
        return _fixed(self.pixels(outline))


def project(
    scene: Scene, patient: Patient, device: Device, *, rng: np.random.Generator
) -> Projection:
    """Aim the beam: tilt, mirror for those who face right, magnify, and keep `focus` in view."""
    turn = np.deg2rad(patient.stance.tilt_deg)
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
    rows, columns = device.rows // _FINE, device.columns // _FINE
    coarse = _coarse(scene, projection.reduced(_COARSE), device, rng)
    tissue: Map = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_LINEAR)
    fine = projection.reduced(_FINE)
    bone = np.zeros_like(tissue)
    for shape in scene.shapes:
        solid = shape.material == "bone" and shape.density >= 0
        _add(bone if solid else tissue, shape, fine, hardness(shape.material, kev=device.kev))
    bone *= _trabeculae(rows, columns, fine.pixels_per_mm, rng)
    tissue += bone
    np.maximum(tissue, 0, out=tissue)
    path: Map = cv2.resize(tissue, (device.columns, device.rows), interpolation=cv2.INTER_LINEAR)
    return path


def _trabeculae(rows: int, columns: int, pixels_per_mm: float, rng: np.random.Generator) -> Map:
    """Return how much bone there is from place to place, about 1.

    Its power falls with frequency, as that of the trabecular pattern on a radiograph does: clouds
    of some millimetres carry most, struts of half a millimetre the rest.
    """
    grain = np.ones((rows, columns), np.float32)
    for sigma_mm, share in ((0.28, 0.03), (0.7, 0.04), (2.2, 0.04)):
        # Drawn as coarsely as its blur allows.
        step = max(1, int(sigma_mm * pixels_per_mm / 1.2))
        cloud: Map = rng.standard_normal((rows // step + 1, columns // step + 1), np.float32)
        cloud = cv2.GaussianBlur(cloud, (0, 0), sigma_mm * pixels_per_mm / step)
        # In double: how NumPy adds up singles is not the same in every version.
        cloud *= np.float32(share / cloud.std(dtype=np.float64))
        grain += cv2.resize(cloud, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return grain


def _coarse(scene: Scene, small: Projection, device: Device, rng: np.random.Generator) -> Map:
    """Return tissue and veils on the coarse grid; their edges are wider than its pixels."""
    scale = small.pixels_per_mm
    hard = hardness("tissue", kev=device.kev)
    # Skin beyond the picture still has a depth: measure on a margin, then cut it off.
    margin = int(np.ceil(_NECK_RADIUS_MM * scale))
    rows, columns = -(-device.rows // _COARSE), -(-device.columns // _COARSE)
    inside = np.zeros((rows + 2 * margin, columns + 2 * margin), np.uint8)
    for outline in scene.skin:
        points = _fixed(small.pixels(outline) + margin)
        cv2.fillPoly(inside, [points], 1, lineType=cv2.LINE_8, shift=SHIFT)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[margin:-margin, margin:-margin]
    depth *= np.float32(1 / scale)
    reach = np.minimum(depth * np.float32(1 / _NECK_RADIUS_MM), 1)
    total: Map = np.float32(NECK * scene.girth) * np.sqrt(1 - (1 - reach) ** 2)
    # Fat under the skin stops a sixth less than muscle does.
    total *= 1 - np.float32(0.16) * np.clip((_FAT_MM + 1.5 - depth) / 3, 0, 1)
    # Muscle and fat in between: a few per cent, over some millimetres.
    marbling: Map = rng.standard_normal((rows, columns), np.float32)
    marbling = cv2.GaussianBlur(marbling, (0, 0), 2.2 * scale)
    total += total * marbling * np.float32(0.018 / marbling.std(dtype=np.float64))
    total = cv2.GaussianBlur(total, (0, 0), 0.9)
    total *= np.float32(hard)
    for veil in scene.veils:
        _add(total, veil, small, hard)
    return total


def _add(total: Map, shape: Shape, projection: Projection, hard: float) -> None:
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
    layer = _layer(shape, points - low, (high[1] - low[1], high[0] - low[0]), projection)
    if sigma > 0.3:
        layer = cv2.GaussianBlur(layer, (0, 0), sigma)
    left, top = np.maximum(-low, 0)
    x, y = np.maximum(low, 0)
    right, bottom = min(width, high[0]), min(height, high[1])
    if right <= x or bottom <= y:
        return
    layer *= np.float32(hard)
    total[y:bottom, x:right] += layer[top : top + bottom - y, left : left + right - x]


def _layer(shape: Shape, points: Points, size: tuple[int, int], projection: Projection) -> Map:
    """Return the attenuation of one shape in a box of `size` (rows, columns)."""
    fixed = _fixed(points)
    box = np.zeros(size, np.uint8)
    layer: Map = np.zeros(size, np.float32)
    if shape.density:
        cv2.fillPoly(box, [fixed], 255, lineType=cv2.LINE_AA, shift=SHIFT)
        layer += box * np.float32(shape.density / 255)
        if shape.round_mm:
            depth = cv2.distanceTransform((box > 127).astype(np.uint8), cv2.DIST_L2, 3)
            reach = np.minimum(
                depth * np.float32(1 / (shape.round_mm * projection.pixels_per_mm)), 1
            )
            layer *= np.sqrt(reach * (2 - reach))
    if shape.rim:
        box[:] = 0
        thickness = max(1, round(shape.rim_mm * projection.pixels_per_mm))
        cv2.polylines(box, [fixed], shape.closed, 255, thickness, cv2.LINE_AA, SHIFT)
        # The cortex stands for itself: it is not added to what lies inside of it twice.
        layer += box * np.float32(shape.rim / 255)
    return layer


def _fixed(points: Points) -> NDArray[np.int32]:
    fixed: NDArray[np.int32] = np.round(points * 2**SHIFT).astype(np.int32)
    return fixed
