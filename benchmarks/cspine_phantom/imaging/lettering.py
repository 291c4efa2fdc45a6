"""Letters as patches of a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine_phantom.imaging.presentation import Picture

Cover = NDArray[np.uint8]
"""(rows, columns) of how much of each pixel is covered, 0 to 255."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CAPITAL = 21  # pixels, at a scale of one


def lettered(
    lines: Sequence[str], *, height_mm: float, pitch_mm: float, stroke: float = 0.14
) -> Cover:
    """Return lines of text whose capitals are `height_mm` high, in strokes of a part of that."""
    height = height_mm / pitch_mm
    scale, thick = height / _CAPITAL, max(1, round(stroke * height))
    wide = max(cv2.getTextSize(line, _FONT, scale, thick)[0][0] for line in lines)
    pad, leading = thick + 2, round(1.7 * height)
    rows = leading * (len(lines) - 1) + round(1.4 * height) + 2 * pad
    cover = np.zeros((rows, wide + 2 * pad), np.uint8)
    for number, line in enumerate(lines):
        place = (pad, pad + round(height) + leading * number)
        cv2.putText(cover, line, place, _FONT, scale, 255, thick, cv2.LINE_AA)
    return cover


def stamp(picture: Picture, cover: Cover, *, at: tuple[int, int], level: float) -> None:
    """Paint `level` on a picture through `cover`, in place; `at` is its first column and row.

    What would leave the picture is moved inside if it fits, and cut off if it does not.
    """
    column, row = (
        int(np.clip(start, 0, max(whole - part, 0)))
        for start, whole, part in zip(at, picture.shape[::-1], cover.shape[::-1], strict=True)
    )
    box = picture[row : row + cover.shape[0], column : column + cover.shape[1]]
    weight = cover[: box.shape[0], : box.shape[1]] * np.float32(1 / 255)
    box[:] = np.rint(box + weight * (np.float32(level) - box)).astype(np.uint16)
