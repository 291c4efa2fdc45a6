"""Where a classifier looked, over what it looked at."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from cspine.outcome import View
from cspine.picture.canvas import Canvas
from cspine.transform import Affine


def draw_heat(picture: Canvas, positive: Sequence[bool], view: View, to_display: Affine) -> None:
    """Draw the activation maps of the positive crops, all on one scale."""
    if view.heat is None:
        return
    rows, columns = picture.shape[:2]
    total = np.zeros((rows, columns), np.float32)
    for is_positive, crop, heat in zip(positive, view.crops, view.heat, strict=True):
        if is_positive:
            smooth = cv2.resize(heat, view.crop_px[::-1], interpolation=cv2.INTER_CUBIC)
            matrix = (to_display @ crop).matrix
            moved = cv2.warpAffine(smooth, matrix, (columns, rows), flags=cv2.INTER_LINEAR)
            np.maximum(total, moved, out=total)
    if total.max() <= 0:
        return
    total = np.clip(total / total.max(), 0, 1)
    colours = cv2.applyColorMap((total * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    # Weak evidence stays transparent so that the bone beneath it is still read.
    alpha = (0.6 * total**1.5)[..., None]
    picture[:] = (picture * (1 - alpha) + colours * alpha).astype(np.uint8)
