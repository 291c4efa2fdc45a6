"""An anti-scatter grid that shows: its lines, their moire, or the beam that it cuts off."""

from __future__ import annotations

import cv2
import numpy as np

from cspine_phantom.imaging.attenuation import Map
from cspine_phantom.imaging.devices import Device
from cspine_phantom.imaging.radiograph import Disturb


def grid_lines(device: Device, rng: np.random.Generator) -> Disturb:
    """Return what a grid that stands still, or stands wrong, leaves of the beam.

    Lines of 2 to 12 mm, mostly along the columns or the rows: those of the grid alias on the
    pixels. A grid that is off its centre cuts one side off, one that is upside down both.
    """
    kind = rng.random()
    attenuation = np.zeros((device.rows // 2, device.columns // 2), np.float32)
    upright = rng.random() < 0.7
    if kind < 0.8:
        attenuation += _lines(attenuation.shape, 2 * device.spacing_mm, upright, rng)
    if kind > 0.55:
        attenuation += _cut_off(attenuation.shape, upright, rng)
    passed: Map = cv2.exp(-attenuation)

    def through(beam: Map) -> Map:
        beam *= cv2.resize(passed, beam.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return beam

    return through


def _lines(shape: tuple[int, ...], pitch_mm: float, upright: bool, rng: np.random.Generator) -> Map:
    """Return the attenuation of the lines, about 0."""
    rows, columns = shape
    period = 1.9 * 6.3 ** rng.uniform(0, 1)
    # The shorter the period, the less of it is left at a millimetre a pixel.
    depth = rng.uniform(0.07, 0.24) / np.sinc(1 / period)
    angle = rng.normal(0, 0.03) + (0.0 if upright else np.pi / 2)
    across = (np.arange(columns, dtype=np.float32) - columns / 2) * np.float32(pitch_mm)
    down = (np.arange(rows, dtype=np.float32) - rows / 2)[:, None] * np.float32(pitch_mm)
    phase = across * np.float32(np.cos(angle) / period) + down * np.float32(np.sin(angle) / period)
    # A grid that is not level with the detector: the moire widens towards one side.
    phase += phase * phase * np.float32(rng.normal(0, 0.001) * period)
    lines: Map = np.sin(np.float32(2 * np.pi) * phase)
    lines *= np.float32(depth)
    lines *= 1 + np.float32(rng.uniform(-0.4, 0.4) / across[-1]) * (across if upright else down)
    return lines


def _cut_off(shape: tuple[int, ...], upright: bool, rng: np.random.Generator) -> Map:
    """Return the attenuation across the grid, which grows to one side, or to both."""
    rows, columns = shape
    place = np.linspace(-1, 1, columns if upright else rows, dtype=np.float32)
    if rng.random() < 0.4:
        beyond = np.abs(place - np.float32(rng.normal(0, 0.25))) - np.float32(0.1)
    else:
        beyond = place * np.float32(rng.choice([-1, 1])) + np.float32(rng.uniform(0.1, 0.8))
    # A quarter of the way out, where the neck is, about one in three quanta is left.
    profile = np.maximum(beyond, 0) * np.float32(rng.uniform(2.0, 4.5))
    return np.asarray(profile[None] if upright else profile[:, None], np.float32)
