"""Arches as slices across them show them: laminae without steps, and transverse processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cspine_phantom.scene.shapes import ellipse, rounded
from cspine_phantom.volume.canal import part_of_depth
from cspine_phantom.volume.column import Column
from cspine_phantom.volume.solid import Drawn, Solid, Solids, shrunk
from cspine_phantom.volume.tissue import LABEL

_HALF_MM = 13.5  # of the laminae; the pillars go on
_THICK_MM = 2.3
_CORTEX_MM = 0.8


@dataclass(frozen=True)
class Laminae:
    """Both laminae of every vertebra, which run from the midline forward to the pillars."""

    column: Column

    def cut(self, side_mm: float) -> list[Drawn]:
        """Return what a sagittal plane so far to the left of the midline meets."""
        if abs(side_mm) >= _HALF_MM:
            return []
        drawn = []
        for pose, canal_mm in zip(self.column.poses, self.column.canal_mm, strict=True):
            back = pose.half_depth + part_of_depth(side_mm) * canal_mm + _THICK_MM
            high = 0.8 * pose.half_height + 0.8
            at = (back, 0.45 * pose.half_height)
            outline = pose.place(ellipse(at, radii=(_THICK_MM + 0.3, high), turn_deg=-12))
            drawn.append(Drawn(outline, LABEL["bone"]))
            drawn.append(Drawn(shrunk(outline, _CORTEX_MM), LABEL["marrow"]))
        return drawn


def transverse(column: Column) -> Sequence[Solid]:
    """Return rings of bone about the vertebral arteries, C2 to C6, and ribs' stumps below."""
    solids = []
    for index, pose in enumerate(column.poses):
        w, h = pose.half_depth, pose.half_height
        long = 7.0 if index < 6 else 5.0
        ring = pose.place(ellipse((0.25 * w, 0.1 * h), radii=(long, 0.55 * h)))
        solids += [
            Solid(ring, LABEL["bone"], middle_mm=16.0, half_mm=6.5, power=3.0),
            Solid(shrunk(ring, 0.9), LABEL["marrow"], middle_mm=16.0, half_mm=5.6, power=3.0),
        ]
        if index < 6:
            hole = pose.place(rounded([(-2.0, -h), (4.5, -h), (4.5, h), (-2.0, h)]))
            solids.append(Solid(hole, LABEL["vein"], middle_mm=15.5, half_mm=2.8, power=2.5))
    return solids


def arched(column: Column) -> tuple[Laminae, Solids]:
    """Return both, in the order in which they are drawn."""
    return Laminae(column), Solids(transverse(column))
