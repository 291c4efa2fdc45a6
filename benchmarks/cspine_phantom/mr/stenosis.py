"""What a disease makes of a canal: ossified ligament, bulging discs, and the cord between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cspine_phantom.mr.canal import Canal, Depth
from cspine_phantom.mr.column import Column
from cspine_phantom.mr.disease import Disease
from cspine_phantom.mr.solid import bump, curve, smoothed
from cspine_phantom.scene.shapes import Points

_STEP_MM = 1.0

# From the foramen magnum down: before it, the foramen, C1, C2 to T4, millimetres.
_UPPER_DEPTH_MM = (34.0, 32.0, 24.0)
_FAT_MM = (0.3, 0.3, 0.5, 0.6, 0.6, 0.6, 0.6, 0.7, 1.0, 1.6, 2.0, 2.2, 2.2)
_CORD_MM = (11.0, 11.0, 8.6, 8.3, 8.0, 7.9, 8.0, 7.8, 7.2, 6.6, 6.3, 6.2, 6.2)
_AHEAD = (0.2, 0.26, 0.42, 0.46)  # of the spare room before the cord, the last from C2 down


def canal(column: Column, disease: Disease, *, rng: np.random.Generator) -> Canal:
    """Return the canal of a column and what a disease has made of it."""
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
    at = [0.0, max(foramen, 0.5), atlas, *bodies]
    depth = smoothed(np.interp(along, at, [*_UPPER_DEPTH_MM, *column.canal_mm]), 4.0)
    loss = _losses(disease, rng)
    ossified = _ossified(disease, along, bodies, discs, rng)
    bulge, yellow = np.zeros_like(along), np.zeros_like(along)
    for index, place in enumerate(discs):
        size = max(loss[index], 0.35)
        bulge += size * np.exp(-0.5 * ((along - place) / (2.2 + 0.15 * size)) ** 2)
        thick = 1.6 + (0.38 * loss[index] if index < 6 else 0.0)
        yellow += thick * bump(along, place + 1.0, 5.5, edge_mm=4.0)
    fat = np.interp(along, at, _FAT_MM)
    cord = np.interp(along, at, np.array(_CORD_MM) * rng.normal(1, 0.05))
    made = Canal(
        wall=wall, outwards=outwards, along=along, bodies=bodies, discs=discs, depth=depth,
        ligament=yellow, fat=fat, bulge=bulge, ossified=ossified, cord=smoothed(cord, 5.0),
        ahead=smoothed(np.interp(along, at[:4], _AHEAD), 4.0),
        side_mm=float(rng.normal(0, 1.2)), half_mm=float(rng.uniform(6.5, 9.0)),
        marrow=bool(rng.random() < 0.4), oedema=None, flow=_streaks(bodies, rng),
    )  # fmt: skip
    return _marked(made, rng)


def _losses(disease: Disease, rng: np.random.Generator) -> Depth:
    """Return how much of the canal each disc's level loses in front: most at the worst one."""
    part = rng.uniform(0.1, 0.4, 9)
    part[1:5] = rng.uniform(0.3, 0.95, 4)
    part[6:] = rng.uniform(0.02, 0.12, 3)
    part[disease.worst] = 1.0
    losses: Depth = part * disease.lost_mm
    return losses


def _ossified(
    disease: Disease, along: Depth, bodies: Depth, discs: Depth, rng: np.random.Generator
) -> Depth:
    """Return the thickness of the ligament along the canal.

    Its largest is the disease's, and so is its reach in bodies; the four patterns differ in where
    it goes on between them.
    """
    # The same draws whatever the evidence, so that nothing else follows from it.
    starts, sizes, joins = rng.random(2), rng.uniform(0.8, 1.0, 9), rng.uniform(0.75, 1.0, 9)
    joined = rng.random(9) < {"continuous": 1.0, "mixed": 0.5}.get(disease.pattern, 0.0)
    middle = disease.worst + int(starts[0] < 0.5)
    first = max(middle - (disease.reach - 1) // 2 - int(starts[1] < 0.5), 0)
    sizes[middle] = 1.0
    if disease.pattern == "localised":
        shape = bump(along, discs[disease.worst], 10.0, edge_mm=3.0)
    else:
        half = 6.0 if disease.pattern == "segmental" else 6.8
        chosen = range(first, min(first + disease.reach, 7))
        bumps = [sizes[i] * bump(along, bodies[i], half, edge_mm=2.5) for i in chosen]
        bumps += [
            joins[i] * bump(along, discs[i], 7.5, edge_mm=2.5) for i in chosen[:-1] if joined[i]
        ]
        shape = np.max(bumps, axis=0)
    grown: Depth = disease.thickness_mm * smoothed(shape / shape.max(), 1.5)
    return grown


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


def _marked(made: Canal, rng: np.random.Generator) -> Canal:
    """Return the canal with a bright cord where it is pressed flat, in some."""
    front, back = made.cord_at(0.0)
    left = (back - front) / made.cord
    inside = (made.along > made.bodies[1]) & (made.along < made.bodies[6])
    flattest = np.where(inside, left, 2.0).argmin()
    bright = rng.random() < np.clip(2.5 * (0.9 - left[flattest]), 0, 0.8)
    return replace(made, oedema=float(made.along[flattest]) if bright else None)
