"""Noise as wide as it is in millimetres, whatever the pixels measure."""

from __future__ import annotations

import cv2
import numpy as np

from cspine_phantom.imaging.attenuation import Map


def grain(
    shape: tuple[int, ...], *, pitch_mm: float, blur_mm: float, rng: np.random.Generator
) -> Map:
    """Return noise of unit standard deviation, blurred by `blur_mm` (a standard deviation).

    (rows, columns) float32. It is drawn no finer than its grains: what a network sees at a
    millimetre is as strong on every pitch.
    """
    rows, columns = shape
    step = max(1, int(blur_mm / pitch_mm))
    sigma = blur_mm / (step * pitch_mm)
    small: Map = rng.standard_normal((-(-rows // step), -(-columns // step)), np.float32)
    small = cv2.GaussianBlur(small, (0, 0), sigma)
    small *= np.float32(2 * np.sqrt(np.pi) * sigma)  # white noise blurred by a Gaussian
    return cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR)
