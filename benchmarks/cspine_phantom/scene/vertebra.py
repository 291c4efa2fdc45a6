"""The outlines of one vertebra in its own frame: x backwards, y downwards, origin mid-body."""

from __future__ import annotations

import numpy as np

from cspine_phantom.scene.shapes import Points, Pose, Shape, rounded


def body(pose: Pose, *, above_mm: float, below_mm: float, front_mm: float) -> Points:
    """Return the body of C3 to T1: waisted, with concave endplates.

    `above_mm` and `below_mm` are how far the lips of its posterior corners reach into the canal,
    `front_mm` how far its lower anterior corner overhangs the disc.
    """
    w, h = pose.half_depth, pose.half_height
    outline = [
        (-w, -h + 1.6), (-w + 0.7, -h + 0.4), (-0.5 * w, -h + 0.5), (0.0, -h + 0.8),
        (0.5 * w, -h + 0.5), *_lip(w, -h, above_mm, -1.0),
        (w - 0.4, -0.4 * h), (w - 0.6, 0.0), (w - 0.4, 0.4 * h),
        *reversed(_lip(w, h, below_mm, 1.0)),
        (0.5 * w, h - 0.9), (0.0, h - 1.5), (-0.5 * w, h - 0.9), (-w + 1.2, h + 0.3),
        (-w - 0.5 - front_mm, h + 0.5 + 0.3 * front_mm), (-w - 0.1, h - 1.8),
        (-w + 0.7, 0.35 * h), (-w + 0.8, -0.3 * h),
    ]  # fmt: skip
    return pose.place(rounded(outline))


def axis(pose: Pose, dens: Pose, *, below_mm: float) -> Points:
    """Return C2: its body with the odontoid, and the lip of the disc C2/3.

    What lies above the foot of the body lies as `dens` does.
    """
    w, h = pose.half_depth, pose.half_height
    above = [
        (w - 0.3, 0.2 * h), (w - 0.4, -0.35 * h), (w - 0.9, -0.75 * h), (6.0, -11.5), (5.2, -15.0),
        (5.9, -19.0), (5.8, -23.0), (3.9, -26.6), (0.9, -27.8), (-2.2, -26.6), (-4.3, -23.0),
        (-4.9, -18.5), (-4.2, -14.0), (-5.6, -10.5), (-w + 0.9, -0.6 * h), (-w + 0.7, 0.1 * h),
    ]  # fmt: skip
    foot = [
        (-w, 0.6 * h), (-w - 0.8, h + 0.6), (-w - 0.2, h + 1.5), (-0.5 * w, h - 0.1),
        (0.1 * w, h - 1.0), (0.55 * w, h - 0.6), *_lip(w, h, below_mm, 1.0),
    ]  # fmt: skip
    return rounded(np.concatenate([dens.place(above), pose.place(foot)]))


def _lip(w: float, y: float, size: float, side: float) -> list[tuple[float, float]]:
    """Return a posterior corner, from the endplate to the posterior wall."""
    return [
        (w - 1.4, y), (w + 0.5 * size, y + side * 0.25 * size), (w + 1.1 * size, y - side * 0.2),
        (w + 0.7 * size, y - side * (1.2 + 0.4 * size)), (w - 0.3, y - side * (2.4 + 0.7 * size)),
    ]  # fmt: skip


def corners(pose: Pose, *, dens: Pose | None) -> dict[str, Points]:
    """Return the four corners of a body, lips apart: AS, PS, AI and PI, (2,) positions each.

    C2, which has a `dens`, has no endplate above: its waist stands for it.
    """
    w, h = pose.half_depth, pose.half_height
    upper, head = (0.9 - h, pose) if dens is None else (-0.45 * h, dens)
    above = head.place([(-w + 0.6, upper), (w - 0.5, upper)])
    below = pose.place([(-w - 0.1, h - 0.3), (w - 0.5, h - 0.7)])
    return dict(zip(("AS", "PS", "AI", "PI"), [*above, *below], strict=True))


def odontoid(dens: Pose) -> dict[str, Points]:
    """Return the posterior superior point of the odontoid and its tip: D and T of C2."""
    return dict(zip(("D", "T"), dens.place([(5.2, -24.0), (0.9, -27.2)]), strict=True))


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
    top, bottom = (-0.5 * h, 0.95 * h) if high else (-0.55 * h, 1.0 * h)
    along = np.array([np.cos(drop), np.sin(drop)])
    across = np.array([-np.sin(drop), np.cos(drop)])
    thick = 5.4 if high else 3.6
    root = np.array([front, 0.45 * h])
    tip = root + along * length_mm
    outline = [
        (front + 0.9, top), (front + 0.1, 0.0), (front, 0.5 * h), (front + 0.5, bottom),
        (front + 2.6, bottom + 1.6),
        tuple(root + along * 0.45 * length_mm + across * (thick + 0.3)),
        tuple(tip + across * (thick + 1.4) - along * 3), tuple(tip + across * 2.4 + along),
        tuple(tip - across * 1.8 + along * 0.5), tuple(tip - across * (thick - 0.2) - along * 3.5),
        tuple(root + along * 0.4 * length_mm - across * (thick - 0.4)),
        (front + 3.6, -0.25 * h), (front + 2.8, top - 0.9),
    ]  # fmt: skip
    return pose.place(rounded(outline))


def spinolaminar(pose: Pose, *, canal_mm: float, high: bool) -> Points:
    """Return the line where the laminae meet: cortex seen along its length."""
    w, h = pose.half_depth, pose.half_height
    front = w + canal_mm + 0.5
    bottom = 0.95 * h if high else h
    return pose.place(
        [(front + 0.6, -0.45 * h), (front, 0.0), (front, 0.5 * h), (front + 0.5, bottom)]
    )


def pillar(pose: Pose) -> Points:
    """Return the articular pillar: a rhomboid whose facets slope down to the back by 45 degrees.

    It projects over the back of the body and the front of the canal.
    """
    w, h = pose.half_depth, pose.half_height
    top, deep = -h - 3.4, 2 * h + 3.2
    outline = [
        (w - 0.6, top + 3.6), (w + 0.9, top + 0.5), (w + 2.6, top + 0.2), (w + 7.0, top + 4.2),
        (w + 11.2, top + 8.6), (w + 11.8, top + 11.0), (w + 11.4, top + deep + 3.0),
        (w + 10.2, top + deep + 4.4), (w + 6.0, top + deep + 0.6), (w + 1.4, top + deep - 4.0),
        (w - 0.2, top + deep - 6.4), (w - 0.8, top + 0.55 * deep),
    ]  # fmt: skip
    return pose.place(rounded(outline))


def facets(pose: Pose, *, wear: float) -> tuple[Shape, Shape]:
    """Return the two subchondral lines of the pillar, denser where the joints are worn."""
    w, h = pose.half_depth, pose.half_height
    top, deep = -h - 3.4, 2 * h + 3.2
    upper = [(w + 1.6, top + 0.6), (w + 5.5, top + 3.6), (w + 11.2, top + 9.2)]
    lower = [(w + 0.8, top + deep - 5.0), (w + 5.6, top + deep - 0.2), (w + 10.6, top + deep + 4.4)]
    first, second = (
        Shape(pose.place(line), 0.0, rim=0.16 + 0.05 * wear, rim_mm=1.0, soft_mm=0.25, closed=False)
        for line in (upper, lower)
    )
    return first, second


def lamina(pose: Pose, *, canal_mm: float) -> Points:
    """Return the laminae between pillar and spinolaminar line: thin, seen along their slope."""
    w, h = pose.half_depth, pose.half_height
    outline = [
        (w + 9.6, -0.35 * h), (w + canal_mm - 1.5, -0.6 * h), (w + canal_mm + 1.2, -0.2 * h),
        (w + canal_mm + 1.4, 0.95 * h), (w + canal_mm - 1.0, 1.35 * h), (w + 9.8, 1.2 * h),
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


def transverse(pose: Pose) -> Points:
    """Return the transverse processes, a faint ring over the body's upper half."""
    w, h = pose.half_depth, pose.half_height
    outline = [(-0.15 * w, -0.5 * h), (0.35 * w, -0.75 * h), (0.75 * w, -0.3 * h),
               (0.6 * w, 0.35 * h), (0.1 * w, 0.45 * h), (-0.25 * w, 0.0)]  # fmt: skip
    return pose.place(rounded(outline))


def endplates(pose: Pose, *, above: float, below: float) -> tuple[Shape, Shape]:
    """Return the endplates as bright lines, denser with the severity of their discs."""
    w, h = pose.half_depth, pose.half_height
    upper = [(-0.8 * w, -h + 0.9), (-0.2 * w, -h + 1.2), (0.3 * w, -h + 1.2), (0.9 * w, -h + 0.6)]
    lower = [(-0.9 * w, h - 0.3), (-0.4 * w, h - 1.4), (0.1 * w, h - 1.8), (0.85 * w, h - 0.7)]
    lines = (upper, above), (lower, below)
    first, second = (
        Shape(
            pose.place(line), 0.0, rim=0.15 + 0.035 * float(np.clip(severity, -1.5, 3)),
            rim_mm=1.1 + 0.25 * float(np.clip(severity, -1, 3)), soft_mm=0.2, closed=False,
        )
        for line, severity in lines
    )  # fmt: skip
    return first, second
