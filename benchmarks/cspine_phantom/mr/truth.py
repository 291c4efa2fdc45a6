"""What is true of the slices of a study that is to be graded: bones, discs and the cord."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cspine.plane import Plane
from cspine_phantom.mr.section import section
from cspine_phantom.mr.series import Frame, Series
from cspine_phantom.patients import LEVELS
from cspine_phantom.volume.anatomy import Anatomy, LabelMap
from cspine_phantom.volume.lying import Lying, Vector

_STEP_MM = 0.6  # between the planes of a label map of bones
_ALMOST_MM = 1e-6


@dataclass(frozen=True)
class Cord:
    """The cord in the axial slice of one disc.

    Attributes
    ----------
    frame
        Index of the slice in its series.
    points_mm
        Front, back, left and right of the cord in the patient's coordinates, (3,) each.
    off_mm
        From the middle of the disc to the slice's plane.
    tilt_deg
        Between slice and disc.
    """

    frame: int
    points_mm: dict[str, Vector]
    off_mm: float
    tilt_deg: float

    @property
    def depth_mm(self) -> float:
        """Anteroposterior diameter."""
        return float(np.linalg.norm(self.points_mm["front"] - self.points_mm["back"]))

    @property
    def width_mm(self) -> float:
        """Transverse diameter."""
        return float(np.linalg.norm(self.points_mm["left"] - self.points_mm["right"]))

    @property
    def ratio(self) -> float:
        """Compression ratio: depth over width."""
        return self.depth_mm / self.width_mm


def disc_centres(anatomy: Anatomy, lying: Lying) -> dict[str, Vector]:
    """Return the middles of the six discs in the patient's coordinates, (3,) each."""
    return {
        level: lying.place(np.array([0.0, *at]))
        for level, (at, _) in zip(LEVELS, anatomy.discs, strict=True)
    }


def cords(anatomy: Anatomy, lying: Lying, series: Series) -> dict[str, Cord]:
    """Return the cord at every level whose disc an axial slice meets.

    Of a disc the nearest slice counts, if the disc's middle is no farther from its plane than half
    of the spacing. None counts of a series before which the patient was moved: it cannot be told
    where its slices lie against the discs.
    """
    if series.moved:
        return {}
    found = {}
    normals = np.array([np.cross(frame.across, frame.down) for frame in series.frames])
    origins = np.array([frame.origin_mm for frame in series.frames])
    centres = disc_centres(anatomy, lying)
    for level, (_, rise) in zip(LEVELS, anatomy.discs, strict=True):
        off = np.abs(((centres[level] - origins) * normals).sum(axis=1))
        nearest = int(off.argmin())
        if off[nearest] > series.spacing_mm / 2 + _ALMOST_MM:
            continue
        along = lying.direct(np.array([0.0, np.sin(rise), np.cos(rise)]))
        cosine = min(abs(float(along @ normals[nearest])), 1.0)
        points = section(anatomy, lying, series.frames[nearest]).points()
        found[level] = Cord(
            frame=nearest,
            points_mm={name: lying.place(point) for name, point in points.items()},
            off_mm=float(off[nearest]),
            tilt_deg=float(np.degrees(np.arccos(cosine))),
        )
    return found


def middle_of(series: Series, lying: Lying) -> Frame:
    """Return the sagittal slice whose middle is the nearest to the midline of the neck."""

    def off(frame: Frame) -> float:
        rows, columns = frame.pixels.shape
        middle = frame.origin_mm + 0.5 * series.pixel_mm * (
            (columns - 1) * frame.across + (rows - 1) * frame.down
        )
        return abs(float(lying.placed_back(middle)[0]))

    return min(series.frames, key=off)


def bones(anatomy: Anatomy, lying: Lying, plane: Plane, *, shape: tuple[int, int]) -> LabelMap:
    """Return the label map of a sagittal slice: C2 to T1 as 1 to 7, their arches as 8.

    Parameters
    ----------
    plane
        Where the slice lies in the patient.
    shape
        (rows, columns) of its pixels.
    """
    skeleton = replace(anatomy, parts=anatomy.bones)
    rows, columns = (np.arange(size) * mm for size, mm in zip(shape, plane.spacing_mm, strict=True))
    places: NDArray[np.float64] = (
        lying.placed_back(plane.origin_mm)
        + rows[:, None, None] * lying.directed_back(plane.down)
        + columns[:, None] * lying.directed_back(plane.across)
    )
    steps = np.rint(places[..., 0] / _STEP_MM).astype(np.intp)
    at = np.rint(anatomy.pixel(places[..., 1:])).astype(np.intp)
    labels = np.zeros(shape, np.uint8)
    for number in np.unique(steps):
        drawn = skeleton.plane(float(number * _STEP_MM))
        here = steps == number
        column, row = (
            np.clip(at[here, axis], 0, size - 1) for axis, size in enumerate(drawn.shape[::-1])
        )
        labels[here] = drawn[row, column]
    return labels
