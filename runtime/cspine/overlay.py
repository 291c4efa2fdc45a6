"""A picture of the findings that a clinician reads at a glance."""

from __future__ import annotations

from math import ceil

import cv2
import numpy as np
import numpy.typing as npt

from cspine.backends import Array
from cspine.findings import Findings, Level
from cspine.image import Floats
from cspine.outcome import View
from cspine.stages.classify import crop_corners
from cspine.transform import Affine, Points, scaling

Canvas = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]  # blue, green, red, as OpenCV has them

HEIGHT = 1100
PANEL = 520
MARGIN = 28

WHITE: Colour = (240, 240, 240)
GREY: Colour = (150, 150, 150)
POSITIVE: Colour = (80, 110, 255)
NEGATIVE: Colour = (180, 200, 120)
WARNING: Colour = (90, 200, 255)
BACKGROUND: Colour = (24, 22, 20)

# Columns of the mark across a level and of its name in front of it, as fractions of a crop.
MARK = (0.16, 0.48)
NAME = 0.10


def overlay_png(findings: Findings, view: View) -> bytes:
    """Draw findings over the radiograph; the same findings give the same bytes.

    The image is shown at one scale in both directions, its grey levels between the 1st and the
    99.5th percentile. Heat is shown at positive levels only, on one scale for the whole study.
    """
    rows, columns = view.image.shape
    aspect = view.image.spacing.column_mm / view.image.spacing.row_mm
    width = round(HEIGHT * columns * aspect / rows)
    to_display = scaling(width / columns, HEIGHT / rows)
    picture = _grey(view.image.levels(), (width, HEIGHT))
    _draw_heat(picture, findings, view, to_display)
    for level, crop in zip(findings.levels, view.crops, strict=True):
        _draw_level(picture, level, to_display @ crop, view.crop_px)
    canvas = np.full((HEIGHT, width + PANEL, 3), BACKGROUND, np.uint8)
    canvas[:, :width] = picture
    _draw_panel(canvas[:, width:], findings, view.title)
    done, png = cv2.imencode(".png", canvas)
    if not done:
        raise RuntimeError("OpenCV could not encode the overlay")
    return png.tobytes()


def _grey(pixels: Floats, size: tuple[int, int]) -> Canvas:
    low, high = np.percentile(pixels, [1, 99.5])
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    shown = np.clip((small - low) / max(float(high - low), 1e-6), 0, 1) ** 1.1
    return np.asarray(cv2.cvtColor((shown * 235).astype(np.uint8), cv2.COLOR_GRAY2BGR), np.uint8)


def _draw_heat(picture: Canvas, findings: Findings, view: View, to_display: Affine) -> None:
    rows, columns = picture.shape[:2]
    total = np.zeros((rows, columns), np.float32)
    for level, crop, heat in zip(findings.levels, view.crops, view.heat, strict=True):
        if level.positive:
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


def _draw_level(picture: Canvas, level: Level, crop: Affine, size: tuple[int, int]) -> None:
    """Mark a level across the spine, name it in front of the neck, box it if positive."""
    colour = POSITIVE if level.positive else NEGATIVE
    rows, columns = size
    if level.positive:
        corners = crop_corners(crop, size)
        cv2.polylines(picture, [_integers(corners)], True, colour, 1, cv2.LINE_AA, 4)
    middle = (rows - 1) / 2
    ends = crop([[columns * place, middle] for place in MARK])
    cv2.polylines(picture, [_integers(ends)], False, colour, 2, cv2.LINE_AA, 4)
    text = f"{level.label}  {level.probability:.2f}"
    x, y = crop([[columns * NAME, middle]])[0]
    width = _text_width(text, 22, 600)
    # The front of the crop may lie on either side of the picture.
    start = x - width if ends[0, 0] < ends[1, 0] else x
    start = min(max(start, 4), picture.shape[1] - width - 4)
    _text(picture, text, (start, y + 8), 22, BACKGROUND, weight=600, halo=4)
    _text(picture, text, (start, y + 8), 22, colour, weight=600)


def _draw_panel(panel: Canvas, findings: Findings, title: str) -> None:
    y = 60
    for line in _wrapped(title, 28, PANEL - 3 * MARGIN):
        _text(panel, line, (MARGIN, y), 28, WHITE, weight=600)
        y += 36
    _text(panel, "predicted, not seen", (MARGIN, y), 22, GREY)
    y += 62
    for level in findings.levels:
        colour = POSITIVE if level.positive else NEGATIVE
        _text(panel, level.label, (MARGIN, y), 26, WHITE, weight=600)
        _bar(panel, level, (MARGIN + 100, y - 20), findings.threshold, colour)
        _text(panel, f"{level.probability:.2f}", (MARGIN + 270, y), 26, colour, weight=600)
        _text(panel, level.decision, (MARGIN + 340, y - 1), 17, colour)
        y += 54
    for item in findings.withheld:
        _text(panel, item.label, (MARGIN, y), 26, GREY, weight=600)
        _text(panel, f"withheld: {item.code}", (MARGIN + 100, y), 18, WARNING)
        y += 54
    identity, spacing = findings.identity, findings.spacing
    y += 6
    for note in findings.notes:
        for line in _wrapped(note, 16, PANEL - 2 * MARGIN):
            _text(panel, line, (MARGIN, y), 16, WARNING)
            y += 22
    lines = [
        f"threshold {findings.threshold:.2f}; heat and box at positive levels",
        f"pixel spacing: {spacing.flag}" if spacing else "",
        f"{identity.pipeline}, {identity.backend}, {identity.precision}",
        f"bundle {identity.bundle[:16]}",
    ]
    y = HEIGHT - 196
    for line in filter(None, lines):
        _text(panel, line, (MARGIN, y), 17, GREY)
        y += 26
    _text(panel, "NOT FOR DIAGNOSIS", (MARGIN, HEIGHT - 62), 34, WARNING, weight=700)
    _text(panel, "Research software; no regulator has cleared it.", (MARGIN, HEIGHT - 30), 17, GREY)


def _bar(
    panel: Canvas, level: Level, corner: tuple[int, int], threshold: float, colour: Colour
) -> None:
    x, y = corner
    width, height = 150, 22
    cv2.rectangle(panel, (x, y), (x + width, y + height), (60, 56, 52), -1)
    filled = round(width * level.probability)
    cv2.rectangle(panel, (x, y), (x + filled, y + height), colour, -1)
    mark = x + round(width * threshold)
    cv2.line(panel, (mark, y - 4), (mark, y + height + 4), WHITE, 2)


def _text(
    canvas: Canvas,
    text: str,
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
            cv2.putText(canvas, text, (x + dx, y + dy), colour, face, size, weight)


def _text_width(text: str, size: int, weight: int) -> int:
    box = cv2.getTextSize((1, 1), text, (0, 0), cv2.FontFace("sans"), size, weight)
    return ceil(box[2])


def _wrapped(text: str, size: int, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _text_width(longer, size, 400) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _integers(points: Points) -> Array:
    """Return points in the sixteenths of a pixel that OpenCV draws with."""
    return np.round(points * 16).astype(np.int32)
