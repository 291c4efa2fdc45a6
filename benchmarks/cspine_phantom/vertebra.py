"""The outlines of one vertebra in its own frame: x backwards, y downwards, origin mid-body."""

from __future__ import annotations

import numpy as np

from cspine_phantom.shapes import Points, Pose, Shape, rounded


def body(pose: Pose, *, above_mm: float, below_mm: float, front_mm: float) -> Points:
    """Return the body of C3 to T1: waisted, with concave endplates.

    `above_mm` and `below_mm` are how far the lips of its posterior corners reach into the canal,
    `front_mm` how far its lower anterior corner overhangs the disc.
    """
    w, h = pose.half_depth, pose.half_height
    outline = [
        (-w, -h + 2.0), (-w + 1.0, -h + 0.8), (-0.4 * w, -h + 1.0), (0.1 * w, -h + 1.0),
        (0.6 * w, -h + 0.5), *_lip(w, -h, above_mm, -1.0),
        (w - 0.6, -0.3 * h), (w - 0.7, 0.0), (w - 0.6, 0.35 * h),
        *reversed(_lip(w, h, below_mm, 1.0)),
        (0.5 * w, h - 0.7), (0.0, h - 1.0), (-0.5 * w, h - 0.5), (-w + 1.0, h + 0.5),
        (-w - 0.3 - front_mm, h + 0.6 + 0.3 * front_mm), (-w, h - 1.8),
        (-w + 0.6, 0.3 * h), (-w + 0.6, -0.3 * h),
    ]  # fmt: skip
    return pose.place(rounded(outline))


def axis(pose: Pose, *, below_mm: float) -> Points:
    """Return C2: its body with the odontoid, and the lip of the disc C2/3."""
    w, h = pose.half_depth, pose.half_height
    outline = [
        (w - 0.3, 0.2 * h), (w - 0.6, -0.35 * h), (6.3, -0.9 * h), (6.2, -13.0), (6.5, -18.0),
        (6.0, -23.0), (3.8, -26.4), (0.8, -27.6), (-2.2, -26.4), (-4.1, -23.0), (-4.3, -18.0),
        (-4.0, -13.0), (-5.0, -0.9 * h), (-w + 0.4, -0.4 * h), (-w + 0.4, 0.2 * h),
        (-w, 0.7 * h), (-w - 0.8, h + 0.6), (-w - 0.2, h + 1.4), (-0.5 * w, h - 0.2),
        (0.1 * w, h - 1.0), (0.55 * w, h - 0.6), *_lip(w, h, below_mm, 1.0),
    ]  # fmt: skip
    return pose.place(rounded(outline))


def _lip(w: float, y: float, size: float, side: float) -> list[tuple[float, float]]:
    """Return a posterior corner, from the endplate to the posterior wall."""
    return [
        (w - 1.4, y), (w + 0.5 * size, y + side * 0.25 * size), (w + 1.1 * size, y - side * 0.2),
        (w + 0.7 * size, y - side * (1.2 + 0.4 * size)), (w - 0.4, y - side * (2.4 + 0.7 * size)),
    ]  # fmt: skip


def arch(pose: Pose, *, canal_mm: float, length_mm: float, drop: float, high: bool) -> Points:
    """Return lamina and spinous process; the lamina's front is the spinolaminar line.

    Parameters
    ----------
    canal_mm
        From the posterior wall of the body to the spinolaminar line.
    length_mm
        From the spinolaminar line to the tip.
    drop
        Downward slope of the process, radians.
    high
        Whether this is C2, whose process is broad and whose lamina starts lower.
    """
    w, h = pose.half_depth, pose.half_height
    front = w + canal_mm
    top, bottom = (-0.1 * h, 0.95 * h) if high else (-0.25 * h, 0.95 * h)
    along = np.array([np.cos(drop), np.sin(drop)])
    across = np.array([-np.sin(drop), np.cos(drop)])
    thick = 4.6 if high else 3.2
    root = np.array([front, 0.5 * h])
    tip = root + along * length_mm
    outline = [
        (front + 0.8, top), (front + 0.1, 0.1 * h), (front, 0.5 * h), (front + 0.4, bottom),
        (front + 2.2, bottom + 1.6),
        tuple(root + along * 0.45 * length_mm + across * thick),
        tuple(tip + across * (thick + 1.2) - along * 2), tuple(tip + across * 2.0 + along),
        tuple(tip - across * 2.2 + along * 0.5), tuple(tip - across * (thick - 0.4) - along * 3),
        tuple(root + along * 0.4 * length_mm - across * (thick - 0.9)),
        (front + 3.0, -0.1 * h), (front + 2.4, top - 0.8),
    ]  # fmt: skip
    return pose.place(rounded(outline))


def pillar(pose: Pose) -> Points:
    """Return the articular pillar, whose facets slope; it projects over the front of the canal."""
    w, h = pose.half_depth, pose.half_height
    outline = [
        (w - 1.5, -0.3 * h), (w + 1.2, -1.0 * h), (w + 3.2, -1.45 * h), (w + 5.0, -1.3 * h),
        (w + 10.3, -0.4 * h), (w + 11.0, 0.2 * h), (w + 10.8, 1.0 * h), (w + 9.4, 1.2 * h),
        (w + 4.0, 0.45 * h), (w - 1.0, 0.35 * h),
    ]  # fmt: skip
    return pose.place(rounded(outline))


def uncus(pose: Pose) -> Points:
    """Return the uncinate process, a faint ridge above the back half of the upper endplate."""
    w, h = pose.half_depth, pose.half_height
    outline = [
        (-0.1 * w, -h + 2.5), (0.2 * w, -h - 0.6), (0.55 * w, -h - 2.6), (0.85 * w, -h - 1.8),
        (w - 0.6, -h + 2.0), (0.4 * w, -h + 4.0),
    ]  # fmt: skip
    return pose.place(rounded(outline))


def endplates(pose: Pose, *, above: float, below: float) -> tuple[Shape, Shape]:
    """Return the endplates as bright lines, denser with the severity of their discs."""
    w, h = pose.half_depth, pose.half_height
    upper = [(-0.75 * w, -h + 1.7), (-0.2 * w, -h + 2.0), (0.3 * w, -h + 1.7), (0.85 * w, -h + 0.9)]
    lower = [(-0.85 * w, h - 0.7), (-0.4 * w, h - 1.6), (0.1 * w, h - 2.0), (0.8 * w, h - 1.0)]
    lines = (upper, above), (lower, below)
    first, second = (
        Shape(
            pose.place(line), 0.0, rim=0.06 + 0.035 * float(np.clip(severity, -1.5, 3)),
            rim_mm=1.8, soft_mm=0.3, closed=False,
        )
        for line, severity in lines
    )  # fmt: skip
    return first, second
