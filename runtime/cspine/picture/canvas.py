"""What a picture is drawn with: colours, text, and the radiograph in grey."""

from __future__ import annotations

from math import ceil

import cv2
import numpy as np
import numpy.typing as npt

from cspine.backends import Array
from cspine.image import Floats
from cspine.transform import Points

Canvas = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]  # blue, green, red, as OpenCV has them

WHITE: Colour = (240, 240, 240)
GREY: Colour = (150, 150, 150)
POSITIVE: Colour = (80, 110, 255)
NEGATIVE: Colour = (180, 200, 120)
WARNING: Colour = (90, 200, 255)
BACKGROUND: Colour = (24, 22, 20)

PANEL = 520
MARGIN = 28


def grey(pixels: Floats, size: tuple[int, int]) -> Canvas:
    """Return levels as a grey picture of a size (columns, rows), clipped to most of their range."""
    low, high = np.percentile(pixels, [1, 99.5])
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    shown = np.clip((small - low) / max(float(high - low), 1e-6), 0, 1) ** 1.1
    return np.asarray(cv2.cvtColor((shown * 235).astype(np.uint8), cv2.COLOR_GRAY2BGR), np.uint8)


def text(
    canvas: Canvas,
    words: str,
    place: tuple[float, float],
    size: int,
    colour: Colour,
    *,
    weight: int = 400,
    halo: int = 0,
) -> None:
    """Write text whose baseline starts at a place; a halo is the text, spread by its radius."""
    x, y = round(place[0]), round(place[1])
    for dx in range(-halo // 2, halo // 2 + 1, 2) if halo else (0,):
        for dy in range(-halo // 2, halo // 2 + 1, 2) if halo else (0,):
            face = cv2.FontFace("sans")
            cv2.putText(canvas, words, (x + dx, y + dy), colour, face, size, weight)


def text_width(words: str, size: int, weight: int) -> int:
    """Return how many pixels words take in a row."""
    box = cv2.getTextSize((1, 1), words, (0, 0), cv2.FontFace("sans"), size, weight)
    return ceil(box[2])


def wrapped(words: str, size: int, width: int) -> list[str]:
    """Break words into lines of at most a width in pixels."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size, 400) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def integers(points: Points) -> Array:
    """Return points in the sixteenths of a pixel that OpenCV draws with."""
    return np.round(points * 16).astype(np.int32)
