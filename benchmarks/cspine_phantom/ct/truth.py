"""What is true of a slice: where the ring of the canal lies in it, and how much room is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cspine_phantom.ct.disease import Disease, Grade, evidence_of, graded
from cspine_phantom.ct.narrowing import downwards, rooms_mm
from cspine_phantom.ct.necks import Neck
from cspine_phantom.ct.slices import Stack
from cspine_phantom.scene.shapes import Points
from cspine_phantom.truth import Box
from cspine_phantom.volume.canal import CANAL_HALF_MM
from cspine_phantom.volume.lying import Vector

# Bone of the ring about the canal that its box takes in, millimetres of the column.
_BEFORE_MM, _BEHIND_MM, _BESIDE_MM = 4.0, 4.6, 3.0


@dataclass(frozen=True)
class SliceTruth:
    """What is true of one slice.

    Attributes
    ----------
    box
        Of the ring of bone about the canal with what is in it, in columns and rows; the centre of
        the first pixel is (0, 0).
    room_mm
        From front to back of the dural sac in the midline, in the slice and through its thickness.
    grade
        What the reader who gives the truth says of it.
    """

    box: Box
    room_mm: float
    grade: Grade


def slice_truths(neck: Neck, disease: Disease, stack: Stack) -> tuple[SliceTruth, ...]:
    """Return what is true of each slice of an axial stack from C2 to T3."""
    canal, scale = neck.canal, neck.anatomy.scale
    ring = [
        neck.canal.line(depth) for depth in (0 * canal.depth - _BEFORE_MM, canal.depth + _BEHIND_MM)
    ]
    inside = np.linspace(-0.5, 0.5, 5) * stack.thickness_mm / scale
    half_mm = (CANAL_HALF_MM + _BESIDE_MM) * scale
    found = []
    for index in range(len(stack.offsets_mm)):
        origin = stack.origin(index)
        height = neck.height_mm(origin)
        room = scale * float(rooms_mm(canal, neck.cut, height + inside).mean())
        ends = [
            neck.placed(_met(line, neck.cut, height), side_mm=side)
            for line in ring
            for side in (-half_mm, half_mm)
        ]
        found.append(
            SliceTruth(
                box=_box(np.array(ends), stack, origin),
                room_mm=room,
                grade=graded(evidence_of(room), disease.error),
            )
        )
    return tuple(found)


def _met(line: Points, cut: Points, height_mm: float) -> Points:
    """Return where a line from the head down meets the midline of a slice, (2,)."""
    height = line @ downwards(cut)
    last = int(np.flatnonzero(height < height_mm).max())
    part = (height_mm - height[last]) / (height[last + 1] - height[last])
    met: Points = line[last] + part * (line[last + 1] - line[last])
    return met


def _box(points: Points, stack: Stack, origin: Vector) -> Box:
    away = (points - origin) / stack.pixel_mm
    column, row = away @ stack.across, away @ stack.down
    return float(column.min()), float(row.min()), float(column.max()), float(row.max())
