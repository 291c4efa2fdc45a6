"""Training images as other patients, devices and readers' settings would have shown them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from cspine.transform import Affine, Points

Floats = npt.NDArray[np.float32]
Pixels = TypeVar("Pixels", Floats, npt.NDArray[np.uint8])


@dataclass(frozen=True)
class Move:
    """How an image is turned, scaled and shifted, then mirrored, then turned over.

    Attributes
    ----------
    size_px
        (rows, columns) of the image.
    turn
        From the pixels of the image to those of the turned one.
    turned_over
        Whether up is down: nothing is to be found there, for what numbers from the top would
        number backwards.
    """

    size_px: tuple[int, int]
    turn: Affine
    mirrored: bool
    turned_over: bool

    def image(self, image: Floats) -> Floats:
        """Move an image."""
        return np.ascontiguousarray(self._flipped(self._warped(image, cv2.INTER_LINEAR)))

    def labels(self, mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Move a label map."""
        return np.ascontiguousarray(self._flipped(self._warped(mask, cv2.INTER_NEAREST)))

    def points(self, points: Points) -> Points:
        """Move points, (x, y) in pixels."""
        rows, columns = self.size_px
        x, y = np.moveaxis(self.turn(points), -1, 0)
        x = columns - 1 - x if self.mirrored else x
        return np.stack([x, rows - 1 - y if self.turned_over else y], axis=-1)

    def _warped(self, pixels: Pixels, flags: int) -> Pixels:
        warped: Any = cv2.warpAffine(pixels, self.turn.matrix, self.size_px[::-1], flags=flags)
        return warped  # type: ignore[no-any-return]

    def _flipped(self, pixels: Pixels) -> Pixels:
        pixels = pixels[:, ::-1] if self.mirrored else pixels
        return pixels[::-1] if self.turned_over else pixels


def draw_move(size_px: tuple[int, int], rng: np.random.Generator, *, upside_down: float) -> Move:
    """Draw a move; a part of them, `upside_down`, turns over."""
    rows, columns = size_px
    angle, size = rng.uniform(-12, 12), rng.uniform(0.85, 1.18)
    turn = np.asarray(cv2.getRotationMatrix2D((columns / 2, rows / 2), angle, size), np.float64)
    turn[:, 2] += rng.uniform(-1, 1, 2) * (0.08 * columns, 0.08 * rows)
    return Move(
        size_px,
        Affine(turn),
        mirrored=rng.random() < 0.5,
        turned_over=rng.random() < upside_down,
    )


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
