"""What a disease makes of a canal: ossified ligament, bulging discs, and the cord between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cspine_phantom.mr.disease import Disease
from cspine_phantom.volume.canal import Canal, Depth
from cspine_phantom.volume.column import Column
from cspine_phantom.volume.course import course
from cspine_phantom.volume.solid import bump, smoothed

_BRIGHT = 0.26  # half of what is bright of a cord, in its thickness


def canal(column: Column, disease: Disease, *, rng: np.random.Generator) -> Canal:
    """Return the canal of a column and what a disease has made of it."""
    way = course(column)
    along = way.along
    loss = _losses(disease, rng)
    ossified = _ossified(disease, along, way.bodies, way.discs, rng)
    return _marked(way.canal(loss, ossified, rng=rng), rng)


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


def _marked(made: Canal, rng: np.random.Generator) -> Canal:
    """Return the canal with a bright cord where it is pressed flat, in some."""
    front, back = made.cord_at(0.0)
    left = (back - front) / made.cord
    inside = (made.along > made.bodies[1]) & (made.along < made.bodies[6])
    flattest = np.where(inside, left, 2.0).argmin()
    bright = rng.random() < np.clip(2.5 * (0.9 - left[flattest]), 0, 0.8)
    return replace(made, oedema=((float(made.along[flattest]), _BRIGHT),) if bright else ())
