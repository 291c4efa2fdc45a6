"""The cord on axial slices: one network places the ends of its diameters, all levels at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cspine.backends import Array
from cspine.image import Image
from cspine.spec import Cord
from cspine.stages.axial import Cut, Cuts
from cspine.stages.landmarks import Placed, place
from cspine.transform import Affine, map_grey, sample


@dataclass(frozen=True)
class Cords:
    """The points of the cord on the slice of each level, in the order of the cuts."""

    cuts: Cuts
    placed: tuple[Placed, ...]


def cord_map(cut: Cut, image: Image, stage: Cord) -> Affine:
    """Return the map from a frame's pixels to the slice's: the canal is in its middle."""
    rows, columns = stage.size_px
    x, y = stage.spacing_mm / image.spacing.column_mm, stage.spacing_mm / image.spacing.row_mm
    left, top = cut.canal - (x * (columns - 1) / 2, y * (rows - 1) / 2)
    return Affine(np.array([[x, 0, left], [0, y, top]]))


def cord_feeds(
    images: Sequence[Image], cuts: Sequence[Cut], maps: Sequence[Affine], stage: Cord
) -> dict[str, Array]:
    """Return the network's input: ``image``, float32, shape (levels, 1, rows, columns)."""
    frames = [
        sample(images[cut.image], [to_image], size_px=stage.size_px)
        for cut, to_image in zip(cuts, maps, strict=True)
    ]
    return {"image": map_grey(np.concatenate(frames), stage.grey)[:, None]}


def place_cords(
    outputs: Mapping[str, Array], maps: Sequence[Affine], stage: Cord
) -> tuple[Placed, ...]:
    """Return the points of each level in pixels of its slice.

    ``outputs["logits"]`` has shape (levels, 4, rows, columns), a map each for the points in the
    order of :data:`cspine.cord.CORD`.

    Raises
    ------
    BackendError
        If a map holds what is no number.
    """
    return tuple(
        place({"logits": logits[None]}, to_image, stage)
        for logits, to_image in zip(outputs["logits"], maps, strict=True)
    )
