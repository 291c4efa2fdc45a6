"""A picture of the findings that a clinician reads at a glance."""

from __future__ import annotations

import cv2
import numpy as np

from cspine.findings import Findings
from cspine.outcome import View
from cspine.picture.axial import WIDTH, draw_axial
from cspine.picture.canvas import (
    BACKGROUND,
    GREY,
    MARGIN,
    PANEL,
    WARNING,
    WHITE,
    Canvas,
    grey,
    text,
    text_width,
    wrapped,
)
from cspine.picture.decisions import draw_boxes, list_decisions
from cspine.picture.heat import draw_heat
from cspine.picture.levels import draw_levels, list_levels
from cspine.picture.sagittal import draw_measurements, list_measurements
from cspine.transform import scaling

HEIGHT = 1100
SMALL_PRINT = HEIGHT - 196  # where it begins
MANY = 5  # lines that fit in the large writing beside the levels


def overlay_png(findings: Findings, view: View) -> bytes:
    """Draw findings over the radiograph; the same findings give the same bytes.

    The image is shown at one scale in both directions, its grey levels between the 1st and the
    99.5th percentile. Heat is shown at positive levels only, on one scale for the whole study.
    """
    rows, columns = view.image.shape
    aspect = view.image.spacing.column_mm / view.image.spacing.row_mm
    width = round(HEIGHT * columns * aspect / rows)
    to_display = scaling(width / columns, HEIGHT / rows)
    picture = grey(view.image.levels(), (width, HEIGHT))
    positive = [each.positive for each in findings.levels]
    positive += [each.positive for each in findings.decisions]
    draw_heat(picture, positive, view, to_display)
    draw_levels(picture, findings, view, to_display)
    draw_boxes(picture, findings, to_display)
    draw_measurements(picture, findings, to_display)
    beside = WIDTH if view.axial else 0
    canvas = np.full((HEIGHT, width + beside + PANEL, 3), BACKGROUND, np.uint8)
    canvas[:, :width] = picture
    if view.axial:
        draw_axial(canvas[:, width : width + beside], findings, view.axial)
    _draw_panel(canvas[:, width + beside :], findings, view.title)
    done, png = cv2.imencode(".png", canvas)
    if not done:
        raise RuntimeError("OpenCV could not encode the overlay")
    return png.tobytes()


def _draw_panel(panel: Canvas, findings: Findings, title: str) -> None:
    y = 60
    for line in wrapped(title, 28, PANEL - 3 * MARGIN):
        text(panel, line, (MARGIN, y), 28, WHITE, weight=600)
        y += 36
    text(panel, _nature(findings), (MARGIN, y), 22, GREY)
    y = list_decisions(panel, findings, y + 62)
    y = list_measurements(panel, findings, list_levels(panel, findings, y))
    _write_notes(panel, findings, _list_withheld(panel, findings, y) + 6)
    y = SMALL_PRINT
    for line in filter(None, _small_print(findings)):
        text(panel, line, (MARGIN, y), 17, GREY)
        y += 26
    text(panel, "NOT FOR DIAGNOSIS", (MARGIN, HEIGHT - 62), 34, WARNING, weight=700)
    text(panel, "Research software; no regulator has cleared it.", (MARGIN, HEIGHT - 30), 17, GREY)


def _list_withheld(panel: Canvas, findings: Findings, y: int) -> int:
    """Write a line for each thing that is withheld, narrower if there are many."""
    size, step = (26, 54) if len(findings.withheld) <= MANY else (18, 30)
    for item in findings.withheld:
        text(panel, item.label, (MARGIN, y), size, GREY, weight=600)
        beside = max(110, text_width(item.label, size, 600) + 14)
        text(panel, f"withheld: {item.code}", (MARGIN + beside, y), 18, WARNING)
        y += step
    return y


def _write_notes(panel: Canvas, findings: Findings, y: int) -> None:
    """Write the notes as far as there is room, and say so if there is not enough."""
    lines = [line for note in findings.notes for line in wrapped(note, 16, PANEL - 2 * MARGIN)]
    room = (SMALL_PRINT - 12 - y) // 22
    if len(lines) > room:
        lines = [*lines[: max(room - 1, 0)], "More notes are in the findings."]
    for line in lines:
        text(panel, line, (MARGIN, y), 16, WARNING)
        y += 22


def _nature(findings: Findings) -> str:
    if findings.threshold is None:
        return "measured between placed points"
    return "predicted, not seen"


def _small_print(findings: Findings) -> tuple[str, ...]:
    identity, spacing, threshold = findings.identity, findings.spacing, findings.threshold
    return (
        f"threshold {threshold:.2f}; heat where the answer is positive"
        if threshold is not None
        else "lordosis positive",
        f"pixel spacing: {spacing.flag}" if spacing else "",
        f"{identity.pipeline}, {identity.backend}, {identity.precision}",
        f"bundle {identity.bundle[:16]}",
    )
