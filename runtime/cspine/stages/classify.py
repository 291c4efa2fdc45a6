"""Classification: one spine-aligned crop per level, all levels of a study in one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cspine.backends import Array
from cspine.errors import BackendError
from cspine.image import Facing, Floats, Image
from cspine.spec import Classify, Grade
from cspine.stages.levels import Disc
from cspine.transform import Affine, Points, map_grey, sample


def crop_map(disc: Disc, *, facing: Facing, stage: Classify | Grade) -> Affine:
    """Return the map from a crop's pixels to the millimetres of the label map.

    Columns run from front to back and rows down the spine, whichever way the face points.
    """
    back = disc.back(facing)
    rows, columns = stage.size_px
    step = stage.spacing_mm
    corner = (
        disc.centre
        + back * (stage.posterior_shift_mm - step * (columns - 1) / 2)
        - disc.down * (step * (rows - 1) / 2)
    )
    return Affine(np.column_stack([back * step, disc.down * step, corner]))


def classify_feeds(
    image: Image, maps: Sequence[Affine], stage: Classify | Grade
) -> dict[str, Array]:
    """Return the network's input: ``image``, float32, shape (levels, 1, rows, columns).

    ``maps`` lead from crops to pixels of the image.
    """
    crops = sample(image, maps, size_px=stage.size_px)
    return {"image": map_grey(crops, stage.grey, unit=image.unit)[:, None]}


def probabilities(outputs: Mapping[str, Array]) -> Floats:
    """Return the probability of the positive class per level, shape (levels,).

    ``outputs["logits"]`` has shape (levels, 1). The sigmoid is taken here, in float64, so that
    it is the same for every backend and precision.

    Raises
    ------
    BackendError
        If a logit is no number: it would pass for a negative.
    """
    logits = outputs["logits"][:, 0].astype(np.float64)
    if np.isnan(logits).any():
        raise BackendError("output 'logits': the model gave what is no number; its answer is void")
    # The logistic function, in the form that overflows for no logit.
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), np.float32)


def crop_corners(to_image: Affine, size_px: tuple[int, int]) -> Points:
    """Return the outer corners of a crop in image pixels, shape (4, 2), clockwise from its top."""
    rows, columns = size_px
    left, top, right, bottom = -0.5, -0.5, columns - 0.5, rows - 0.5
    return to_image([[left, top], [right, top], [right, bottom], [left, bottom]])
