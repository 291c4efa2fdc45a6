"""Two exposures joined into one film, and joined badly."""

from __future__ import annotations

import cv2
import numpy as np

from cspine_phantom.imaging.presentation import WHITE, Picture
from cspine_phantom.imaging.radiograph import LabelMap


def stitched(
    picture: Picture, mask: LabelMap, *, pitch_mm: float, rng: np.random.Generator
) -> Picture:
    """Return a film whose lower part does not follow from the upper one.

    A seam crosses the neck. Below it the film is lighter or darker, and it is shifted to a side,
    of another scale, or a strip of the neck is missing or shown twice.
    """
    _, top, _, high = cv2.boundingRect(mask)
    seam = round(top + rng.uniform(0.2, 0.8) * high)
    rows, columns = picture.shape
    shift, scale, strip = 0.0, 1.0, 0.0
    for kind in rng.choice(3, int(rng.integers(1, 3)), replace=False):
        away = rng.uniform(3, 25) * rng.choice([-1, 1])
        match int(kind):
            case 0:
                shift = 0.8 * away / pitch_mm
            case 1:
                scale = 1 + 0.008 * away
            case _:
                strip = away / pitch_mm
    start = round(np.clip(seam + strip, 0, rows - 1))
    lower = picture[start:]
    if shift or scale != 1:
        matrix = np.array([[scale, 0, shift + (1 - scale) * columns / 2], [0, scale, 0]])
        lower = np.asarray(cv2.warpAffine(lower, matrix, (columns, len(lower))), np.uint16)
    contrast, lift = rng.normal(1, 0.15), rng.choice([-1, 1]) * rng.uniform(0.02, 0.14) * WHITE
    graded = np.clip(lower * np.float32(contrast) + np.float32(lift), 0, WHITE).astype(np.uint16)
    graded[lower == 0] = 0
    joined: Picture = np.concatenate([picture[:seam], graded])
    if rng.random() < 0.35:  # the edge of a plate or of a shutter
        thick = max(1, round(rng.uniform(0.3, 1.6) / pitch_mm))
        joined[seam : seam + thick] = WHITE if rng.random() < 0.4 else 0
    return joined
