"""Training images as other patients, devices and readers' settings would have shown them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def moved(
    image: Floats, mask: npt.NDArray[np.uint8], rng: np.random.Generator, *, upside_down: float
) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """Mirror, turn, scale and shift an image in 0..1 with its label map.

    A part of the images, `upside_down`, is turned over and the label maps emptied: there is
    nothing to be found on them, for a localiser that numbers from the top would number them
    backwards.
    """
    rows, columns = image.shape
    turn = cv2.getRotationMatrix2D(
        (columns / 2, rows / 2), rng.uniform(-12, 12), rng.uniform(0.85, 1.18)
    )
    turn[:, 2] += rng.uniform(-1, 1, 2) * (0.08 * columns, 0.08 * rows)
    shown = cv2.warpAffine(image, turn, (columns, rows), flags=cv2.INTER_LINEAR)
    labels = cv2.warpAffine(mask, turn, (columns, rows), flags=cv2.INTER_NEAREST)
    if rng.random() < 0.5:
        shown, labels = shown[:, ::-1], labels[:, ::-1]
    if rng.random() < upside_down:
        shown, labels = shown[::-1], np.zeros_like(labels)
    return np.ascontiguousarray(shown, np.float32), np.ascontiguousarray(labels, np.uint8)


def rescanned(image: Floats, rng: np.random.Generator, *, pixel_mm: float, noise: float) -> Floats:
    """Return an image in 0..1 as another device would have shown it, clipped to 0..1.

    Devices differ in their curve of greys, in how much they lift local contrast, in how sharp
    they are and make their edges, and in the strength and grain of their noise. Lengths are those
    of the patient, so that a crop and a whole image are changed alike.

    Parameters
    ----------
    pixel_mm
        Pixel spacing of `image`.
    noise
        Largest standard deviation of the noise, a part of white.
    """
    shown = np.clip(image, 0, 1) ** np.float32(rng.uniform(0.6, 1.6))
    steep = np.float32(rng.uniform(-0.7, 0.7))  # the curve rises everywhere between -2 and 1
    shown += steep * shown * (1 - shown) * (2 * shown - 1)
    shown = shown * np.float32(rng.uniform(0.8, 1.1)) + np.float32(rng.uniform(-0.1, 0.06))
    if rng.random() < 0.5:
        shown = _lifted(shown, rng.uniform(-0.3, 0.8), rng.uniform(2, 10) / pixel_mm)
    match int(rng.integers(3)):
        case 0:
            shown = cv2.GaussianBlur(shown, (0, 0), rng.uniform(0.2, 0.6) / pixel_mm)
        case 1:
            shown = _lifted(shown, rng.uniform(0.2, 1.2), rng.uniform(0.4, 1.0) / pixel_mm)
    shown += _grain(shown.shape, rng, pixel_mm) * np.float32(rng.uniform(0, noise))
    return np.asarray(np.clip(shown, 0, 1), np.float32)


def _lifted(image: Floats, amount: float, sigma_px: float) -> Floats:
    """Add a part of what a blur would take away."""
    detail = image - cv2.GaussianBlur(image, (0, 0), sigma_px)
    return np.asarray(image + np.float32(amount) * detail, np.float32)


def _grain(shape: tuple[int, ...], rng: np.random.Generator, pixel_mm: float) -> Floats:
    """Return noise of standard deviation 1, white or of a grain of up to 0.6 mm."""
    noise: npt.NDArray[Any] = rng.standard_normal(shape, np.float32)
    if rng.random() < 0.5:
        noise = cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.2, 0.6) / pixel_mm)
    return np.asarray(noise / noise.std(), np.float32)
