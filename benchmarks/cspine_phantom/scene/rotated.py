"""A lateral of a patient who is turned or leans: both sides of every bone show, side by side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cspine_phantom.scene.shapes import Points, Scene, Shape


def rotated(scene: Scene, *, rng: np.random.Generator) -> Scene:
    """Return the lateral `scene` with every bone drawn twice, each at half its weight.

    A turned patient's sides lie apart from front to back, a leaning one's from head to foot. The
    truth's outlines stay where they were, but nothing may be answered on such a film.
    """
    if rng.random() < 0.5:  # turned: by 12 to 25 degrees, over some 25 mm between the sides
        apart = np.array([rng.uniform(5.0, 10.0), rng.uniform(-1.0, 1.0)])
    else:
        apart = np.array([rng.uniform(-1.5, 1.5), rng.uniform(3.5, 6.5)])
    shapes: list[Shape] = []
    for shape in scene.shapes:
        shapes.extend([shape] if shape.density < 0 else _sides(shape, apart))
    return replace(scene, shapes=tuple(shapes))


def _sides(shape: Shape, apart: Points) -> tuple[Shape, Shape]:
    half = replace(shape, density=shape.density / 2, rim=0.6 * shape.rim, label=0)
    first = replace(half, outline=shape.outline - apart / 2)
    return first, replace(half, outline=shape.outline + apart / 2)
