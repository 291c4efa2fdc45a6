"""What a system's processing makes of the detector's signal, and the shutters it paints."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine_phantom.imaging.attenuation import NECK, Map
from cspine_phantom.imaging.devices import Device
from cspine_phantom.scene.shapes import Points

Picture = NDArray[np.uint16]

WHITE = 2**14 - 1
"""The largest value of a picture; what is stored has the bits of its device."""

_COARSE = 4  # pixels of the picture per pixel of what is blurred anyway
_TISSUE = 0.4  # attenuation (natural logarithm) that is no open beam
_LEAST_SPAN = 0.5  # between black and white
_AREA_MM = 9.0  # standard deviation of what counts as a large area


def presented(exposed: Map, device: Device, rng: np.random.Generator) -> Picture:
    """Return the picture: large-area compression, unsharp mask, window and presentation curve.

    Parameters
    ----------
    exposed
        (rows, columns) float32: attenuation (natural logarithm), see
        :func:`~cspine_phantom.imaging.detector.exposed`.
    """
    rows, columns = exposed.shape
    coarse = device.spacing_mm * _COARSE
    small = cv2.resize(exposed, (columns // _COARSE, rows // _COARSE), interpolation=cv2.INTER_AREA)
    tiny = cv2.resize(small, (columns // 16, rows // 16), interpolation=cv2.INTER_AREA)
    wide = cv2.GaussianBlur(tiny, (0, 0), _AREA_MM / (16 * device.spacing_mm))
    excess: Map = np.maximum(wide - np.float32(NECK), 0) * np.float32(device.compression)
    # The unsharp mask is exposed + edge * (exposed - soft); all that is blurred is taken at once.
    excess = cv2.resize(excess, small.shape[::-1], interpolation=cv2.INTER_LINEAR)
    black, white = _window(small - excess, device, rng)
    removed: Map = cv2.GaussianBlur(small, (0, 0), device.edge_mm / coarse)
    removed *= np.float32(device.edge)
    removed += excess
    gain = 65535 / (white - black)
    shown = cv2.addWeighted(
        exposed,
        (1 + device.edge) * gain,
        cv2.resize(removed, (columns, rows), interpolation=cv2.INTER_LINEAR),
        -gain,
        -black * gain,
        dtype=cv2.CV_16U,
    )
    curve = np.linspace(0, 1, 65536) ** (device.gamma * rng.uniform(0.92, 1.08))
    return np.asarray(cv2.LUT(shown, np.round(curve * WHITE).astype(np.uint16)), np.uint16)


def _window(shown: Map, device: Device, rng: np.random.Generator) -> tuple[float, float]:
    """Return what is shown as black and as white, by the histogram of what is not open beam."""
    every = shown[::3, ::3]
    tissue = every[every > _TISSUE]
    low, high = np.percentile(tissue if tissue.size else every, [2.0, 99.5])
    span = max(high - low, _LEAST_SPAN)
    below, above = np.array(device.window) + rng.normal(0, 0.03, 2)
    return low - below * span, high + above * span


def collimate(
    picture: Picture, focus: Points, *, pixels_per_mm: float, rng: np.random.Generator
) -> None:
    """Blacken what the shutters hide, in place.

    Parameters
    ----------
    focus
        (n, 2) positions (column, row) from which the shutters stay 2 mm clear.
    """
    size = np.array(picture.shape[::-1])
    clear, soft = 2.0 * pixels_per_mm, max(round(rng.uniform(0.3, 1.2) * pixels_per_mm), 1)
    inset = rng.uniform(-0.04, 0.06, 4) * (*size, *size)
    near = np.minimum(inset[:2], focus.min(axis=0) - clear - soft)
    far = np.minimum(inset[2:], size - focus.max(axis=0) - clear - soft)
    left, top, right, bottom = np.maximum(np.round([*near, *far]), 0).astype(int)
    ramp = np.arange(1, soft + 1, dtype=np.float32) / (soft + 1)
    for turned, hidden in ((picture.T, left), (picture, top),
                           (picture.T[::-1], right), (picture[::-1], bottom)):  # fmt: skip
        if hidden:
            turned[:hidden] = 0
            edge = turned[hidden : hidden + soft]
            edge[:] = edge * ramp[: len(edge), None]
