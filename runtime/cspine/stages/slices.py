"""Slices: one network judges those about the middle of a stack, and they answer together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cspine.backends import Array
from cspine.image import Floats, Image
from cspine.spec import Features, Slices
from cspine.stages.classify import probabilities
from cspine.stages.frame import frame_feeds, frame_map
from cspine.transform import Affine


def slice_maps(images: Sequence[Image], stage: Slices | Features) -> tuple[Affine, ...]:
    """Return per slice the map from the network's pixels to its own: a frame in its middle."""
    return tuple(frame_map(image, stage) for image in images)


def slice_feeds(
    images: Sequence[Image], maps: Sequence[Affine], stage: Slices
) -> dict[str, Floats]:
    """Return the network's input: ``image``, float32, shape (slices, 1, rows, columns).

    Raises
    ------
    Refused
        ``LOW_QUALITY`` if the frame of a slice is blank.
    """
    frames = [
        frame_feeds(image, to_image, stage)["image"]
        for image, to_image in zip(images, maps, strict=True)
    ]
    return {"image": np.concatenate(frames)}


def study_logit(outputs: Mapping[str, Array], stage: Slices) -> float:
    """Return the logit of the study from those of its slices, shape (slices, 1).

    Taken in float64, so that it is the same for every backend and precision.

    Raises
    ------
    BackendError
        If a logit is no number.
    """
    probabilities(outputs)  # which asks that
    logits = outputs["logits"][:, 0].astype(np.float64)
    return float(logits.mean() if stage.aggregate == "mean" else logits.max())
