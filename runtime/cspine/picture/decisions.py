"""The answer to a question about a study, and what each slice says."""

from __future__ import annotations

import cv2

from cspine.findings import Decision, Findings
from cspine.outcome import View
from cspine.picture.canvas import GREY, MARGIN, NEGATIVE, POSITIVE, WHITE, Canvas, integers, text
from cspine.stages.classify import crop_corners
from cspine.transform import Affine

WIDTH, HEIGHT = 464, 22
ROW = 26


def draw_frame(picture: Canvas, findings: Findings, view: View, to_display: Affine) -> None:
    """Outline what was looked at of the slice that is shown."""
    for each, crop in zip(findings.decisions, view.crops, strict=False):
        colour = POSITIVE if each.positive else NEGATIVE
        corners = integers(crop_corners(to_display @ crop, view.crop_px))
        cv2.polylines(picture, [corners], True, colour, 1, cv2.LINE_AA, 4)


def list_decisions(panel: Canvas, findings: Findings, y: int) -> int:
    """Write every decision from a height on, and return the height below them."""
    for each in findings.decisions:
        colour = POSITIVE if each.positive else NEGATIVE
        text(panel, each.decision, (MARGIN, y), 28, colour, weight=600)
        y += 24
        _bar(panel, each, (MARGIN, y), findings.threshold or 0.0)
        text(panel, f"{each.question}  {each.probability:.2f}", (MARGIN, y + 52), 22, WHITE)
        y = _list_slices(panel, each, y + 96)
    return y


def _list_slices(panel: Canvas, decision: Decision, y: int) -> int:
    """Write what each slice says, the one in the middle first."""
    text(panel, "slices, the one in the middle first", (MARGIN, y), 17, GREY)
    for number, each in enumerate(decision.slices, 1):
        y += ROW
        text(panel, f"{number}", (MARGIN, y), 17, GREY)
        filled = round(300 * each.probability)
        cv2.rectangle(panel, (MARGIN + 30, y - 12), (MARGIN + 30 + filled, y), GREY, -1)
        text(panel, f"{each.probability:.2f}", (MARGIN + 350, y), 17, GREY)
    return y + 2 * ROW


def _bar(panel: Canvas, each: Decision, corner: tuple[int, int], threshold: float) -> None:
    x, y = corner
    cv2.rectangle(panel, (x, y), (x + WIDTH, y + HEIGHT), (60, 56, 52), -1)
    end = (x + round(WIDTH * each.probability), y + HEIGHT)
    cv2.rectangle(panel, (x, y), end, POSITIVE if each.positive else NEGATIVE, -1)
    mark = x + round(WIDTH * threshold)
    cv2.line(panel, (mark, y - 4), (mark, y + HEIGHT + 4), WHITE, 2)
