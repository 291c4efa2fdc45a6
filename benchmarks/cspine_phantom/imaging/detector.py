"""From the beam at the detector to its signal: blur, quanta, electronics, response."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine_phantom.imaging.attenuation import Map
from cspine_phantom.imaging.devices import Device

SATURATION = 1.25
"""The largest signal that is told from a larger one; the open beam has 1."""

_DECADES = 4.0  # of the signal, below saturation, that a logarithmic response spans
_LEVELS = 2**16


def detected(beam: Map, device: Device, *, kerma_ugy: float, rng: np.random.Generator) -> Map:
    """Return the exposed, unprocessed signal: linear, 1.0 in the open beam, never clipped.

    Noise has the variance of the quanta that the detector counts. All but `Detector.white` of it
    arises in the scintillator and is blurred with the picture, so its spectrum falls with
    frequency; the rest and that of the electronics is white.

    Parameters
    ----------
    beam
        (rows, columns) float32, not below 0: primary and scatter, 1.0 in the open beam; even
        number of rows. It is left as it is.
    kerma_ugy
        Air kerma at the detector in the open beam.
    """
    quanta = device.quanta(kerma_ugy=kerma_ugy)
    white = device.detector.white
    noise = rng.standard_normal(beam.shape, np.float32)
    early: Map = cv2.sqrt(beam)
    early *= noise
    spread = line_spread(device)
    signal: Map = cv2.sepFilter2D(
        cv2.scaleAdd(early, float(np.sqrt((1 - white) / quanta)), beam), -1, spread, spread
    )
    late = beam * np.float32(white / quanta)
    late += np.float32((device.detector.electronic / quanta) ** 2)
    late = cv2.sqrt(late)
    # Drawn once: half a picture away the same numbers are as good as new ones.
    half = len(noise) // 2
    late[:half] *= noise[half:]
    late[half:] *= noise[:half]
    signal += late
    return signal


def line_spread(device: Device) -> NDArray[np.float32]:
    """Return the (odd,) weights, one a pixel, by which focal spot and detector blur a line.

    Their transfer function is the detector's times that of a focal spot of uniform width, seen
    through the magnification of the mid-sagittal plane.
    """
    count = 64
    frequency = np.fft.rfftfreq(count, device.spacing_mm)
    spot_mm = device.focal_mm * (device.magnification - 1)
    transfer = np.sinc(frequency * spot_mm) / (1 + (frequency / device.detector.mtf50_per_mm) ** 2)
    spread = np.fft.irfft(transfer, count)
    reach = int(np.ceil(0.8 / device.spacing_mm))
    weights: NDArray[np.float32] = np.concatenate([spread[-reach:], spread[: reach + 1]])
    return np.asarray(weights / weights.sum(), np.float32)


def exposed(signal: Map, device: Device) -> Map:
    """Return -log of the signal (natural logarithm) as the detector's steps have left it."""
    counts = cv2.addWeighted(signal, _LEVELS / SATURATION, signal, 0, 0, dtype=cv2.CV_16U)
    return np.asarray(cv2.LUT(counts, _response(device)), np.float32)


def _response(device: Device) -> NDArray[np.float32]:
    """Return -log of the signal at each of the levels, stored in the detector's bits between."""
    values = (np.arange(_LEVELS) + 0.5) / _LEVELS
    top = 2**device.detector.bits - 1
    match device.detector.response:
        case "linear":
            stored = np.maximum(np.round(values * top), 0.5) / top
        case "root":
            stored = (np.maximum(np.round(np.sqrt(values) * top), 0.5) / top) ** 2
        case "logarithmic":
            code = np.round(np.maximum(1 + np.log10(values) / _DECADES, 0) * top) / top
            stored = 10 ** ((code - 1) * _DECADES)
    return np.asarray(-np.log(stored * SATURATION), np.float32)
