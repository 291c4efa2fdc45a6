"""From the levels of a sagittal slice to the axial slices through them, in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cspine.codes import Code
from cspine.findings import Withheld
from cspine.image import Image
from cspine.plane import Plane
from cspine.spec import Axial
from cspine.stages.levels import Disc, Spine
from cspine.transform import Affine, Points

SAME_PLACE_MM = 0.1  # slices nearer than this are two of the same place
PARALLEL = float(np.cos(np.radians(1)))


@dataclass(frozen=True)
class Cut:
    """An axial slice through a disc.

    Attributes
    ----------
    level
        Name of the level.
    image
        Place of the slice among the images of the study.
    canal
        (2,) position (x, y) of the spinal canal in its pixels.
    tilt_deg
        Between the slice and the plane of the disc, which is at a right angle to the spine there.
    """

    level: str
    image: int
    canal: Points
    tilt_deg: float


@dataclass(frozen=True)
class Cuts:
    """The axial slices through the levels of a spine, and the levels without one."""

    found: tuple[Cut, ...]
    withheld: tuple[Withheld, ...]


def find_cuts(spine: Spine, from_mm: Affine, images: Sequence[Image], stage: Axial) -> Cuts:
    """Find for each level the axial slice that its disc lies in.

    It is the one nearest to the middle of the disc, if nearer than half of the spacing of the
    slices that are parallel to it.

    Parameters
    ----------
    spine, from_mm
        The levels of the first image, and the map from their millimetres to its pixels.
    images
        A sagittal slice, then axial ones in any order, of which there may be none.
    """
    sagittal, *others = (image.plane for image in images)
    axial = [plane for plane in others if plane and sagittal and _related(plane, sagittal)]
    if sagittal is None or len(axial) < max(len(others), 1):
        reason = "There are no axial slices in the coordinates of the sagittal one."
        unseen = (_withheld(name, "INCOMPLETE_SET", reason) for name in spine.names)
        return Cuts((), (*unseen, *spine.withheld))
    found, withheld = [], []
    for disc in spine.discs:
        centre, down, canal = _in_patient(disc, spine, from_mm, sagittal, stage)
        off = [abs(float(plane.to_pixels(centre)[2])) for plane in axial]
        nearest = int(np.argmin(off))
        if off[nearest] >= _spacing_mm(axial[nearest], axial) / 2:
            reason = "No axial slice lies within half of their spacing of the disc."
            withheld.append(_withheld(disc.label, "INCOMPLETE_SET", reason))
            continue
        cosine = abs(float(axial[nearest].normal @ down))
        tilt = float(np.degrees(np.arccos(min(cosine, 1.0))))
        found.append(Cut(disc.label, nearest + 1, axial[nearest].to_pixels(canal)[:2], tilt))
    return Cuts(tuple(found), (*withheld, *spine.withheld))


def _related(plane: Plane, sagittal: Plane) -> bool:
    """Return whether both state that they share their coordinates."""
    return plane.frame_of_reference == sagittal.frame_of_reference != ""


def _spacing_mm(plane: Plane, planes: Sequence[Plane]) -> float:
    """Return the least distance of neighbours among the slices parallel to one; 0 of a single one.

    The least, for slices may be missing.
    """
    parallel = [each for each in planes if abs(float(each.normal @ plane.normal)) > PARALLEL]
    places = sorted(float(plane.to_pixels(each.origin_mm)[2]) for each in parallel)
    steps = (upper - lower for lower, upper in pairwise(places))
    return min((step for step in steps if step > SAME_PLACE_MM), default=0.0)


def _in_patient(
    disc: Disc, spine: Spine, from_mm: Affine, sagittal: Plane, stage: Axial
) -> npt.NDArray[np.float64]:
    """Return a disc's middle, the unit vector down the spine, and the canal behind it, in mm."""
    back = disc.back(spine.facing)
    flat = np.array([disc.centre, disc.centre + disc.down, disc.centre + back * stage.canal_mm])
    centre, below, canal = sagittal.to_patient(from_mm(flat))
    down = (below - centre) / np.linalg.norm(below - centre)
    return np.stack([centre, down, canal])


def _withheld(level: str, code: Code, reason: str) -> Withheld:
    return Withheld(label=level, code=code, reason=reason)
