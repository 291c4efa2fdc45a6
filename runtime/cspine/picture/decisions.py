"""The answer to a question about a study, and what each slice says."""

from __future__ import annotations

import cv2
import numpy as np

from cspine.findings import Decision, Findings
from cspine.picture.canvas import (
    BACKGROUND,
    GREY,
    MARGIN,
    NEGATIVE,
    POSITIVE,
    WHITE,
    Canvas,
    integers,
    text,
)
from cspine.transform import Affine

WIDTH, HEIGHT = 464, 22
ROW = 26
LEAST_ROW = 18  # whose numbers can be read
ROWS = 12 * ROW  # the height that all slices have together


def draw_boxes(picture: Canvas, findings: Findings, to_display: Affine) -> None:
    """Outline what was judged of the slice that is shown, and write its grade over it."""
    for each in findings.decisions:
        shown = each.slices[0]
        colour = POSITIVE if each.positive else NEGATIVE
        corners = to_display(np.array(shown.box_px))
        cv2.polylines(picture, [integers(corners)], True, colour, 1, cv2.LINE_AA, 4)
        if shown.grade is not None:
            x, y = corners.min(axis=0)
            said = f"{shown.grade}  {shown.probability:.2f}"
            text(picture, said, (x, y - 10), 22, BACKGROUND, weight=600, halo=4)
            text(picture, said, (x, y - 10), 22, colour, weight=600)


def list_decisions(panel: Canvas, findings: Findings, y: int) -> int:
    """Write every decision from a height on, and return the height below them."""
    for each in findings.decisions:
        colour = POSITIVE if each.positive else NEGATIVE
        text(panel, each.decision, (MARGIN, y), 28, colour, weight=600)
        y += 24
        _bar(panel, each, (MARGIN, y), findings.threshold or 0.0)
        text(panel, f"{each.question}  {each.probability:.2f}", (MARGIN, y + 52), 22, WHITE)
        y = _list_slices(panel, each, _list_classes(panel, each, y + 96))
    return y


def _list_classes(panel: Canvas, decision: Decision, y: int) -> int:
    """Write the probability of each class on one line."""
    if not decision.classes:
        return y
    classes = "   ".join(f"{each.label} {each.probability:.2f}" for each in decision.classes)
    text(panel, classes, (MARGIN, y - 14), 19, WHITE)
    return y + 24


def _list_slices(panel: Canvas, decision: Decision, y: int) -> int:
    """Write what each slice says, the one that is shown first; of many, bars alone."""
    order = (
        "slices, the one in the middle first"
        if decision.grade is None
        else "slices, the worst first, then from the feet upwards"
    )
    text(panel, order, (MARGIN, y), 17, GREY)
    row = min(ROW, ROWS // len(decision.slices))
    for number, each in enumerate(decision.slices, 1):
        y += row
        filled = round(300 * each.probability)
        top = y - min(12, row - 2)
        cv2.rectangle(panel, (MARGIN + 30, top), (MARGIN + 30 + filled, y), GREY, -1)
        if row >= LEAST_ROW:
            text(panel, f"{number}", (MARGIN, y), 17, GREY)
            text(panel, f"{each.probability:.2f}", (MARGIN + 350, y), 17, GREY)
    return y + 2 * ROW


def _bar(panel: Canvas, each: Decision, corner: tuple[int, int], threshold: float) -> None:
    x, y = corner
    cv2.rectangle(panel, (x, y), (x + WIDTH, y + HEIGHT), (60, 56, 52), -1)
    end = (x + round(WIDTH * each.probability), y + HEIGHT)
    cv2.rectangle(panel, (x, y), end, POSITIVE if each.positive else NEGATIVE, -1)
    mark = x + round(WIDTH * threshold)
    cv2.line(panel, (mark, y - 4), (mark, y + HEIGHT + 4), WHITE, 2)
