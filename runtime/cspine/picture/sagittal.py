"""Measurements of the sagittal profile, drawn as the papers draw them."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from cspine.findings import Findings, Measurement
from cspine.picture.canvas import (
    BACKGROUND,
    GREY,
    MARGIN,
    WHITE,
    Canvas,
    Colour,
    integers,
    text,
    text_width,
)
from cspine.transform import Affine, Points

COLOURS: Mapping[str, Colour] = {
    "Borden": (120, 235, 255),
    "CCI": (140, 220, 120),
    "CCL": (235, 150, 220),
    "C0-C7": (255, 200, 110),
    "C1-C7": (120, 160, 255),
    "C2-C7": (240, 240, 170),
}
# An endplate is short: lines across the spine run on by this many times their length.
RUN_ON = 1.1
ALONG = ("CCL",)  # whose lines run along it, from body to body


def draw_measurements(picture: Canvas, findings: Findings, to_display: Affine) -> None:
    """Draw the lines of every measurement of this image, then every landmark over them."""
    for each in _of_this_image(findings):
        _draw_lines(picture, each, to_display)
    for landmark in findings.landmarks:
        place = integers(to_display(np.array(landmark.position_px)))
        cv2.circle(picture, place.tolist(), 5 * 16, BACKGROUND, -1, cv2.LINE_AA, 4)
        cv2.circle(picture, place.tolist(), 3 * 16, WHITE, -1, cv2.LINE_AA, 4)


def list_measurements(panel: Canvas, findings: Findings, y: int) -> int:
    """Write two lines a measurement from a height on, and return the height below them."""
    for each in _of_this_image(findings):
        colour = COLOURS.get(each.name, WHITE)
        cv2.rectangle(panel, (MARGIN, y - 19), (MARGIN + 8, y + 22), colour, -1)
        text(panel, each.name, (MARGIN + 22, y), 26, WHITE, weight=600)
        right = panel.shape[1] - MARGIN - text_width(each.shown, 26, 600)
        text(panel, each.shown, (right, y), 26, colour, weight=600)
        if each.calibration is not None:
            text(panel, each.calibration, (MARGIN + 130, y - 1), 17, GREY)
        text(panel, each.definition, (MARGIN + 22, y + 22), 15, GREY)
        y += 62
    return y


def _of_this_image(findings: Findings) -> list[Measurement]:
    """Return what was measured on the image that findings are of: all but what is of a level."""
    return [each for each in findings.measurements if each.level is None]


def _draw_lines(picture: Canvas, each: Measurement, to_display: Affine) -> None:
    """Draw a chord with the depths from it, or both lines of an angle, and name the last."""
    colour = COLOURS.get(each.name, WHITE)
    drawn: list[Points] = [to_display(np.array(line)) for line in each.lines_px]
    if each.unit == "deg" and each.name not in ALONG:
        drawn = [_run_on(line) for line in drawn]
    for line in drawn:
        cv2.polylines(picture, [integers(line)], False, colour, 2, cv2.LINE_AA, 4)
    rows, columns = picture.shape[:2]
    inside, _, end = cv2.clipLine((0, 0, columns, rows), *np.round(drawn[-1]).astype(int).tolist())
    if not inside:
        return
    x, y = end
    width = text_width(each.name, 20, 600)
    start = (min(max(x - width / 2, 4), columns - width - 4), max(y - 10, 20))
    text(picture, each.name, start, 20, BACKGROUND, weight=600, halo=4)
    text(picture, each.name, start, 20, colour, weight=600)


def _run_on(line: Points) -> Points:
    start, end = line
    longer = (end - start) * RUN_ON
    return np.array([start - longer, end + longer])
