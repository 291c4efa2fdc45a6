"""The axial slice where the cord is most compressed, with its diameters, and the ratios below."""

from __future__ import annotations

import cv2
import numpy as np

from cspine.findings import Findings, Measurement
from cspine.image import Image
from cspine.picture.canvas import BACKGROUND, GREY, MARGIN, WHITE, Canvas, integers, text
from cspine.stages.ratio import NAME, SMALLEST
from cspine.transform import Affine, sample

SIDE = 480  # pixels of the square that is shown of the slice
SIDE_MM = 60.0
WIDTH = SIDE + 2 * MARGIN
ROW = 40
AP, TRANSVERSE = (120, 235, 255), (140, 220, 120)


def draw_axial(panel: Canvas, findings: Findings, image: Image) -> None:
    """Draw a slice about its cord, and write every ratio under it.

    ``panel`` is of :data:`WIDTH` columns.
    """
    (smallest,) = (each for each in findings.measurements if each.name == SMALLEST)
    text(panel, f"axial, {smallest.level}", (MARGIN, 52), 26, WHITE, weight=600)
    square = panel[72 : 72 + SIDE, MARGIN : MARGIN + SIDE]
    to_image = _about(np.mean(smallest.lines_px, axis=(0, 1)), image)
    square[:] = _grey(image, to_image)
    for line, colour in zip(smallest.lines_px, (AP, TRANSVERSE), strict=True):
        ends = integers(to_image.inverse(line))
        cv2.polylines(square, [ends], False, BACKGROUND, 5, cv2.LINE_AA, 4)
        cv2.polylines(square, [ends], False, colour, 2, cv2.LINE_AA, 4)
    y = 72 + SIDE + 44
    text(panel, "compression ratio of the cord, AP / transverse", (MARGIN, y), 18, GREY)
    for each in findings.measurements:
        if each.name.startswith(NAME):
            y += ROW
            _write(panel, each, y, lowest=each.level == smallest.level)


def _about(middle: object, image: Image) -> Affine:
    """Return the map from the square's pixels to the slice's, about a position (x, y)."""
    step = SIDE_MM / SIDE
    x, y = step / image.spacing.column_mm, step / image.spacing.row_mm
    left, top = np.asarray(middle, float) - np.array([x, y]) * (SIDE - 1) / 2
    return Affine(np.array([[x, 0, left], [0, y, top]]))


def _grey(image: Image, to_image: Affine) -> Canvas:
    (levels,) = sample(image, [to_image], size_px=(SIDE, SIDE))
    low, high = np.percentile(levels, [1, 99.5])
    shown = np.clip((levels - low) / max(float(high - low), 1e-6), 0, 1)
    return np.asarray(cv2.cvtColor((shown * 235).astype(np.uint8), cv2.COLOR_GRAY2BGR), np.uint8)


def _write(panel: Canvas, each: Measurement, y: int, *, lowest: bool) -> None:
    weight = 700 if lowest else 400
    text(panel, f"{each.level}", (MARGIN, y), 24, WHITE, weight=weight)
    text(panel, each.shown, (MARGIN + 120, y), 24, WHITE, weight=weight)
    if each.tilt_deg is not None:
        text(panel, f"slice tilted {each.tilt_deg:.0f} deg", (MARGIN + 220, y - 1), 17, GREY)
