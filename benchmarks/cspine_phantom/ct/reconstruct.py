"""What a reconstruction makes of Hounsfield units: its kernel's sharpness, and its noise.

The noise of a filtered back-projection has little power at low frequencies, most near where the
kernel ends. Between the shoulders fewer quanta come through, most of all from side to side, which
makes noise stronger and draws it out sideways into streaks.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine_phantom.ct.scanners import Protocol
from cspine_phantom.ct.slices import Stack, Units

Filter = NDArray[np.float32]

_STREAK_MM = 9.0
_STREAKS = 0.9  # of the strength of the noise between the shoulders


def reconstructed(
    units: Units,
    stack: Stack,
    protocol: Protocol,
    *,
    dose: NDArray[np.float64],
    rng: np.random.Generator,
) -> Units:
    """Return slices as a protocol reconstructs them, (slices, rows, columns).

    Parameters
    ----------
    dose
        (slices,) noise relative to that of a common neck above the shoulders.
    """
    sigma = protocol.blur_mm / stack.pixel_mm
    shaped = _spectrum(units.shape[1:], stack.pixel_mm, protocol.blur_mm)
    found = np.empty_like(units)
    for index, one in enumerate(units):
        seen = cv2.GaussianBlur(one, (0, 0), sigma)
        if protocol.edge:
            wide = cv2.GaussianBlur(seen, (0, 0), 2.2 * sigma)
            seen = seen + np.float32(protocol.edge) * (seen - wide)
        level = protocol.noise_hu * dose[index]
        seen += np.float32(level) * _noise(shaped, one.shape, rng)
        starved = protocol.noise_hu * _STREAKS * max(dose[index] - 1.0, 0.0)
        seen += np.float32(starved) * _streaks(one.shape, stack.pixel_mm, rng)
        found[index] = seen
    return found


def _spectrum(shape: tuple[int, ...], pixel_mm: float, blur_mm: float) -> Filter:
    """Return the amplitude of the noise by frequency, for unit variance: a ramp that ends."""
    down = np.fft.fftfreq(shape[0], pixel_mm)[:, None]
    across = np.fft.rfftfreq(shape[1], pixel_mm)[None]
    often = np.hypot(down, across)
    amplitude = np.sqrt(often) * np.exp(-2 * (np.pi * blur_mm * often) ** 2)
    half = amplitude.copy()
    # All but the first and last columns of half a spectrum stand for two.
    half[:, 1:-1] *= np.sqrt(2)
    return np.asarray(
        amplitude / np.sqrt(np.square(half).sum() / (shape[0] * shape[1])), np.float32
    )


def _noise(shaped: Filter, shape: tuple[int, ...], rng: np.random.Generator) -> Units:
    white = np.fft.rfft2(rng.standard_normal(shape, np.float32))
    return np.fft.irfft2(white * shaped, shape).astype(np.float32)


def _streaks(shape: tuple[int, ...], pixel_mm: float, rng: np.random.Generator) -> Units:
    """Return noise of unit standard deviation that is drawn out sideways."""
    step = max(1, int(_STREAK_MM / pixel_mm / 2))  # drawn no finer than it is
    white = rng.standard_normal((shape[0], -(-shape[1] // step)), np.float32)
    drawn = cv2.GaussianBlur(white, (0, 0), _STREAK_MM / (step * pixel_mm), sigmaY=0.5 / pixel_mm)
    drawn = cv2.resize(drawn, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(drawn / drawn.std(), np.float32)
