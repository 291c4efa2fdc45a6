"""Grading: one of several classes, in order of severity, for each crop of a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cspine.backends import Array
from cspine.errors import BackendError
from cspine.findings import ClassScore
from cspine.image import Image
from cspine.spec import Grade
from cspine.stages.classify import classify_feeds
from cspine.stages.detect import Region
from cspine.transform import Affine, Points

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Crop:
    """What is graded.

    Attributes
    ----------
    image
        Of which image or slice, as an index.
    to_image
        The map from the crop's pixels to the image's.
    corners
        Shape (4, 2): (x, y) of what the answer is about, in pixels of the image.
    """

    image: int
    to_image: Affine
    corners: Points


@dataclass(frozen=True)
class Graded:
    """What the network said of each crop; ``labels`` are of levels, and empty for slices."""

    crops: tuple[Crop, ...]
    labels: tuple[str, ...]
    outputs: Mapping[str, Array]
    stage: Grade

    @property
    def log_probabilities(self) -> Doubles:
        """Natural logarithm of each class's probability, shape (crops, classes)."""
        return log_softmax(self.outputs["logits"])

    @property
    def logits(self) -> dict[str, float]:
        """The log-odds of a positive class at each level, which findings round and squash."""
        found = log_odds(self.log_probabilities, self.stage)
        return dict(zip(self.labels, found.tolist(), strict=False))


def region_crop(region: Region, image: Image, stage: Grade) -> Crop:
    """Return the crop of the stage's size in millimetres about a region; front is up."""
    rows, columns = stage.size_px
    x, y = stage.spacing_mm / image.spacing.column_mm, stage.spacing_mm / image.spacing.row_mm
    down = stage.posterior_shift_mm / image.spacing.row_mm
    centre_x, centre_y = region.centre
    left, top = centre_x - x * (columns - 1) / 2, centre_y + down - y * (rows - 1) / 2
    matrix = np.array([[x, 0, left], [0, y, top]])
    return Crop(region.image, Affine(matrix), region.corners)


def grade_feeds(images: Sequence[Image], crops: Iterable[Crop], stage: Grade) -> dict[str, Array]:
    """Return the network's input: ``image``, float32, shape (crops, 1, rows, columns)."""
    cut = [classify_feeds(images[crop.image], [crop.to_image], stage)["image"] for crop in crops]
    return {"image": np.concatenate(cut)}


def log_softmax(logits: Array) -> Doubles:
    """Return the logarithm of the softmax of each row, in float64.

    Taken here so that it is the same for every backend and precision.

    Raises
    ------
    BackendError
        If a logit is no finite number: the largest of the others would pass for the answer.
    """
    if not np.isfinite(logits).all():
        raise BackendError("output 'logits': the model gave what is no number; its answer is void")
    exact = logits.astype(np.float64)
    return np.asarray(exact - np.logaddexp.reduce(exact, axis=1, keepdims=True))


def log_odds(log_probabilities: Doubles, stage: Grade) -> Doubles:
    """Return for each row the logarithm of the odds that a positive class holds."""
    positive, negative = (
        np.logaddexp.reduce(
            log_probabilities[:, [stage.classes.index(each) for each in of]], axis=1
        )
        for of in (stage.positive, stage.negative)
    )
    return np.asarray(positive - negative)


def probability(odds: Doubles) -> Doubles:
    """Return the probability that a logarithm of odds stands for."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * odds)))  # which overflows for none


def said(log_probabilities: Doubles, stage: Grade) -> tuple[str, tuple[ClassScore, ...]]:
    """Return the most probable class of one row, and the probability of each, for the findings."""
    scores = np.exp(log_probabilities)
    classes = (
        ClassScore(label=label, probability=round(score, 4))
        for label, score in zip(stage.classes, scores.tolist(), strict=True)
    )
    return stage.classes[int(scores.argmax())], tuple(classes)
