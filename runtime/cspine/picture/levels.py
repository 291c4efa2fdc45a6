"""Levels that were classified, on the radiograph and beside it."""

from __future__ import annotations

import cv2

from cspine.findings import Findings, Level
from cspine.outcome import View
from cspine.picture.canvas import (
    BACKGROUND,
    MARGIN,
    NEGATIVE,
    POSITIVE,
    WHITE,
    Canvas,
    Colour,
    integers,
    text,
    text_width,
)
from cspine.stages.classify import crop_corners
from cspine.transform import Affine

# Columns of the mark across a level and of its name in front of it, as fractions of a crop.
MARK = (0.16, 0.48)
NAME = 0.10


def draw_levels(picture: Canvas, findings: Findings, view: View, to_display: Affine) -> None:
    """Draw every level over the radiograph and its heat."""
    for level, crop in zip(findings.levels, view.crops, strict=False):
        _draw_level(picture, level, to_display @ crop, view.crop_px)


def list_levels(panel: Canvas, findings: Findings, y: int) -> int:
    """Write a line a level from a height on, and return the height below them."""
    for level in findings.levels:
        colour = POSITIVE if level.positive else NEGATIVE
        text(panel, level.label, (MARGIN, y), 26, WHITE, weight=600)
        _bar(panel, level, (MARGIN + 100, y - 20), findings.threshold or 0.0, colour)
        text(panel, f"{level.probability:.2f}", (MARGIN + 270, y), 26, colour, weight=600)
        said = level.decision if level.grade is None else level.grade
        text(panel, said, (MARGIN + 340, y - 1), 17, colour)
        y += 54
    return y


def _draw_level(picture: Canvas, level: Level, crop: Affine, size: tuple[int, int]) -> None:
    """Mark a level across the spine, name it in front of the neck, box it if positive."""
    colour = POSITIVE if level.positive else NEGATIVE
    rows, columns = size
    if level.positive:
        corners = crop_corners(crop, size)
        cv2.polylines(picture, [integers(corners)], True, colour, 1, cv2.LINE_AA, 4)
    middle = (rows - 1) / 2
    ends = crop([[columns * place, middle] for place in MARK])
    cv2.polylines(picture, [integers(ends)], False, colour, 2, cv2.LINE_AA, 4)
    name = f"{level.label}  {level.probability:.2f}"
    x, y = crop([[columns * NAME, middle]])[0]
    width = text_width(name, 22, 600)
    # The front of the crop may lie on either side of the picture.
    start = x - width if ends[0, 0] < ends[1, 0] else x
    start = min(max(start, 4), picture.shape[1] - width - 4)
    text(picture, name, (start, y + 8), 22, BACKGROUND, weight=600, halo=4)
    text(picture, name, (start, y + 8), 22, colour, weight=600)


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
