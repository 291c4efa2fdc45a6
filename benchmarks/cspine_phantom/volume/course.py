"""The course of the canal along a column, and its size where nothing narrows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cspine_phantom.scene.shapes import Points
from cspine_phantom.volume.canal import Canal, Depth
from cspine_phantom.volume.column import Column
from cspine_phantom.volume.solid import bump, curve, smoothed

_STEP_MM = 1.0

# From the foramen magnum down: before it, the foramen, C1, C2 to T4, millimetres.
_UPPER_DEPTH_MM = (34.0, 32.0, 24.0)
_FAT_MM = (0.3, 0.3, 0.5, 0.6, 0.6, 0.6, 0.6, 0.7, 1.0, 1.6, 2.0, 2.2, 2.2)
_CORD_MM = (11.0, 11.0, 8.6, 8.3, 8.0, 7.9, 8.0, 7.8, 7.2, 6.6, 6.3, 6.2, 6.2)
_AHEAD = (0.2, 0.26, 0.42, 0.46)  # of the spare room before the cord, the last from C2 down


@dataclass(frozen=True)
class Course:
    """The line along the back of the bodies, and what lies so far along it.

    Attributes
    ----------
    wall, outwards, along, bodies, discs, depth, fat, ahead
        As in :class:`~cspine_phantom.volume.canal.Canal`.
    at
        Where the foramen magnum, C1, C2 to T4 are, with the beginning before them.
    cord
        Thickness of a cord of common size.
    """

    wall: Points
    outwards: Points
    along: Depth
    bodies: Depth
    discs: Depth
    at: Depth
    depth: Depth
    fat: Depth
    cord: Depth
    ahead: Depth

    def worn(self, loss: Depth) -> tuple[Depth, Depth]:
        """Return bulge and yellow ligament where each of the nine discs takes so many millimetres.

        In front a disc takes all of it; behind it the yellow ligament is thicker by a part of it,
        but not below T1.
        """
        bulge, yellow = np.zeros_like(self.along), np.zeros_like(self.along)
        for index, place in enumerate(self.discs):
            size = max(loss[index], 0.35)
            bulge += size * np.exp(-0.5 * ((self.along - place) / (2.2 + 0.15 * size)) ** 2)
            thick = 1.6 + (0.38 * loss[index] if index < 6 else 0.0)
            yellow += thick * bump(self.along, place + 1.0, 5.5, edge_mm=4.0)
        return bulge, yellow

    def canal(self, loss: Depth, ossified: Depth, *, rng: np.random.Generator) -> Canal:
        """Return the canal with its cord, none of it bright.

        Parameters
        ----------
        loss
            (9,) millimetres that each disc takes.
        ossified
            Thickness of the ligament along the course.
        """
        bulge, yellow = self.worn(loss)
        return Canal(
            wall=self.wall, outwards=self.outwards, along=self.along, bodies=self.bodies,
            discs=self.discs, depth=self.depth, ligament=yellow, fat=self.fat, bulge=bulge,
            ossified=ossified, cord=smoothed(self.cord * rng.normal(1, 0.05), 5.0),
            ahead=self.ahead,
            side_mm=float(rng.normal(0, 1.2)), half_mm=float(rng.uniform(6.5, 9.0)),
            marrow=bool(rng.random() < 0.4), oedema=(), flow=_streaks(self.bodies, rng),
        )  # fmt: skip


def course(column: Column) -> Course:
    """Return the course of a column's canal."""
    knots = [*column.head(np.array([(-3.0, -7.0), (2.5, -2.5)]))]
    axis = column.poses[0]
    knots += [*axis.place([(8.2, -24.0), (7.8, -18.0), (7.2, -12.5)])]
    places = []
    for index, pose in enumerate(column.poses):
        w, h = pose.half_depth, pose.half_height
        top = -0.3 * h if index == 0 else -0.85 * h
        knots += [*pose.place([(w - 0.4, top), (w - 0.6, 0.1 * h), (w - 0.4, 0.85 * h)])]
        places += [*pose.place([(w - 0.6, 0.0), (w - 0.4, h)])]
    last = column.poses[-1]
    knots += [*last.place([(last.half_depth, last.half_height + 18.0)])]
    wall, along = curve(np.array(knots), step_mm=_STEP_MM, smooth_mm=2.5)
    forward = np.gradient(wall, axis=0)
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    outwards = np.stack([forward[:, 1], -forward[:, 0]], axis=1)

    def place_of(points: Points) -> Depth:
        far = np.linalg.norm(wall[None] - points[:, None], axis=2)
        nearest: Depth = along[far.argmin(axis=1)]
        return nearest

    stations = place_of(np.array(places))
    bodies, lower = stations[::2], stations[1::2]
    upper = place_of(
        np.array([pose.place([(pose.half_depth, -pose.half_height)])[0] for pose in column.poses])
    )
    discs = (lower[:-1] + upper[1:]) / 2
    atlas, foramen = place_of(
        np.stack([axis.place([(7.8, -20.0)])[0], column.head(np.array([(2.5, -2.5)]))[0]])
    )
    at = np.array([0.0, max(foramen, 0.5), atlas, *bodies])
    depth = smoothed(np.interp(along, at, [*_UPPER_DEPTH_MM, *column.canal_mm]), 4.0)
    return Course(
        wall=wall, outwards=outwards, along=along, bodies=bodies, discs=discs, at=at, depth=depth,
        fat=np.interp(along, at, _FAT_MM), cord=np.interp(along, at, _CORD_MM),
        ahead=smoothed(np.interp(along, at[:4], _AHEAD), 4.0),
    )  # fmt: skip


def _streaks(bodies: Depth, rng: np.random.Generator) -> tuple[tuple[float, float, float], ...]:
    """Return place, half length and side (before or behind the cord) of flow voids."""
    count = int(rng.integers(1, 5))
    return tuple(
        (
            float(rng.uniform(bodies[0] - 25, bodies[9])),
            float(rng.uniform(6, 22)),
            float(rng.choice([-1.0, 1.0])),
        )
        for _ in range(count)
    )
