"""Localisation: one network labels every pixel of a frame in the middle of the image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from cspine.backends import Array
from cspine.image import Image
from cspine.spec import Segment
from cspine.transform import Affine, frame, map_grey, sample


def segment_frame(image: Image, stage: Segment) -> Affine:
    """Return the map from the network's pixels to the image's."""
    rows, columns = image.pixels.shape
    return frame(
        (rows, columns),
        spacing_mm=image.spacing_mm,
        size_px=stage.size_px,
        to_mm=stage.spacing_mm,
    )


def segment_feeds(image: Image, to_image: Affine, stage: Segment) -> dict[str, Array]:
    """Return the network's input: ``image``, float32, shape (1, 1, rows, columns)."""
    tensor = sample(image.pixels, [to_image], size_px=stage.size_px)
    return {"image": map_grey(tensor, stage.grey)[:, None]}


def label_map(outputs: Mapping[str, Array]) -> npt.NDArray[np.uint8]:
    """Return the label of each pixel, shape (rows, columns), indexing the stage's labels.

    ``outputs["logits"]`` has shape (1, labels, rows, columns).
    """
    return np.asarray(outputs["logits"][0].argmax(axis=0), np.uint8)
