"""How a film looks: the contrast and noise of its vertebrae, and the grey levels it uses."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from pydicom.dataset import Dataset

from cspine_phantom.imaging.attenuation import Map
from cspine_phantom.imaging.devices import Device
from cspine_phantom.measure.noise import NoisePower, noise_power
from cspine_phantom.scene.shapes import Points

_BODIES = ("C2", "C3", "C4", "C5", "C6", "C7")
_BONE_MM, _DISC_MM = 3.0, 0.9  # half sides of the squares that are read
_MUSCLE_MM = 47.0  # behind the middle of C3, between its process and the skin
_SIDE = 64


def contrast(signal: Map, points: Mapping[str, Points], device: Device) -> dict[str, float]:
    """Return how C3 to C6 stand out of the discs beside them, on the detector's signal.

    A body is read in its middle, a disc in its front third, which no facet or uncus covers.

    Returns
    -------
    dict
        ``contrast`` is the logarithm of disc over body, ``cnr`` their difference over the
        deviation of a pixel in the disc, ``kerma_ugy`` that of the discs at the detector, had the
        tube given what it gives in the mean. Means of the four bodies.
    """
    scale = device.magnification / device.spacing_mm
    discs = [_patch(signal, _disc(points, *pair), _DISC_MM * scale) for pair in pairwise(_BODIES)]
    mean = np.array([disc.mean() for disc in discs])
    noise = np.array([disc.std() for disc in discs])
    bodies = [_patch(signal, _centre(points, body), _BONE_MM * scale) for body in _BODIES[1:5]]
    bone = np.array([body.mean() for body in bodies])
    beside, grain = (mean[:-1] + mean[1:]) / 2, (noise[:-1] + noise[1:]) / 2
    return {
        "contrast": float(np.log(beside / bone).mean()),
        "cnr": float(((beside - bone) / grain).mean()),
        "kerma_ugy": float(beside.mean()) * device.kerma_ugy,
    }


def muscle_noise(
    signal: Map, points: Mapping[str, Points], device: Device, *, scale: float
) -> tuple[float, NoisePower]:
    """Return the mean signal and the noise power of the muscle behind C3.

    `scale` is the patient's. The region is a square of 64 pixels: 6 to 10 mm.
    """
    back = points["C3PS"] - points["C3AS"]
    step = _MUSCLE_MM * scale * device.magnification / device.spacing_mm
    middle = _centre(points, "C3") + back / np.linalg.norm(back) * step
    region = _patch(signal, middle, _SIDE / 2)
    return float(region.mean()), noise_power(region, pitch_mm=device.spacing_mm, side=_SIDE)


def greys(dataset: Dataset) -> dict[str, float]:
    """Return facts of the stored grey levels, of every fourth pixel each way.

    Returns
    -------
    dict
        ``black`` and ``white`` are the parts of pixels at either end of the scale as it is shown,
        ``bits`` is the logarithm to base 2 of the levels between the 0.1st and the 99.9th
        percentile, ``low``, ``middle`` and ``high`` are the 5th, 50th and 95th percentile in parts
        of white of the pixels at neither end.
    """
    top = 2**dataset.BitsStored - 1
    stored = dataset.pixel_array[::4, ::4]
    shown = top - stored if dataset.PhotometricInterpretation == "MONOCHROME1" else stored
    ends = np.percentile(shown, [0.1, 99.9])
    between = shown[(shown > 0) & (shown < top)]
    low, middle, high = np.percentile(between, [5, 50, 95]) / top
    return {
        "black": float(np.mean(shown == 0)),
        "white": float(np.mean(shown == top)),
        "bits": float(np.log2(ends[1] - ends[0] + 1)),
        "low": float(low),
        "middle": float(middle),
        "high": float(high),
    }


def _disc(points: Mapping[str, Points], upper: str, lower: str) -> Points:
    front = (points[f"{upper}AI"] + points[f"{lower}AS"]) / 2
    back = (points[f"{upper}PI"] + points[f"{lower}PS"]) / 2
    place: Points = front + 0.35 * (back - front)
    return place


def _centre(points: Mapping[str, Points], body: str) -> Points:
    centre: Points = np.mean([points[f"{body}{end}"] for end in ("AS", "PS", "AI", "PI")], axis=0)
    return centre


def _patch(signal: Map, middle: Points, half: float) -> Map:
    """Return the square about a position (column, row)."""
    left, top = np.rint(middle - half).astype(int)
    side = round(2 * half)
    return signal[top : top + side, left : left + side]
