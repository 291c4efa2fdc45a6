"""What tells the label but is not the spine: site, device, header and background.

Where such a thing scores well, a model can be right for the wrong reason. Every score here is
cross-fitted: patients are halved, and each half is scored by what the other taught.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine.image import Image
from cspine_bench.metrics.auc import auc, auc_interval
from cspine_bench.metrics.interval import Interval
from cspine_phantom.imaging.attenuation import Map
from cspine_phantom.study import Phantom

AROUND_MM = 20.0
"""How far about the column nothing is left of the picture."""

SIZE = (60, 52)
"""Rows and columns of a background picture."""

PIXEL_MM = 4.0

Features = NDArray[np.float64]

_COMPONENTS = 16
_RIDGE = 1.0


@dataclass(frozen=True)
class Leak:
    """How well something tells the labels: its area under the ROC curve, clustered by patient."""

    auc: float
    interval: Interval


def background(case: Phantom, image: Image) -> Map:
    """Return the picture around the column, of `SIZE`, the face on the left, C5 in the middle.

    It has mean 0 and deviation 1 outside the column and `AROUND_MM` about it, where it is 0; the
    bounds of that follow the column, so they are part of what is tried.
    """
    pixel_mm = image.spacing.row_mm
    mirror = -1.0 if case.face == "right" else 1.0
    middle = np.mean([case.points[f"C5{corner}"] for corner in ("AS", "PS", "AI", "PI")], axis=0)
    # A pixel of the small picture to one of the image: read in the middle of what it stands for.
    scale = PIXEL_MM / pixel_mm
    rows, columns = SIZE
    turn = np.array([[mirror * scale, 0.0], [0.0, scale]])
    matrix = np.column_stack([turn, middle - turn @ [columns / 2, rows / 2]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def reduced(picture: Map) -> Map:
        soft = cv2.blur(picture, (round(scale), round(scale)))
        found: Map = cv2.warpAffine(soft, matrix, (columns, rows), flags=flags)
        return found

    small = reduced(image.levels())
    found = reduced((case.mask > 0).astype(np.float32)) > 0
    reach = 2 * round(AROUND_MM / PIXEL_MM) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    near = cv2.dilate(found.astype(np.uint8), disc) > 0
    small -= small[~near].mean()
    small /= small[~near].std()
    small[near] = 0
    return small


def one_hot(values: Sequence[str]) -> Features:
    """Return (n, kinds) indicators."""
    kinds = sorted(set(values))
    return np.array([[value == kind for kind in kinds] for value in values], np.float64)


def leak(features: Features, labels: NDArray[np.bool_]) -> Leak:
    """Return how well features of patients tell the labels of their levels.

    A logistic regression on the leading principal components, with a weight for every level's
    prevalence, both learnt on the other half of the patients.

    Parameters
    ----------
    features
        (patients, any number).
    labels
        (patients, levels).

    Raises
    ------
    ModelError
        If all labels are one.
    """
    patients, levels = labels.shape
    scores = np.zeros(labels.shape)
    for half in (0, 1):
        held = np.arange(patients) % 2 == half
        scores[held] = _scores(features[~held], labels[~held], features[held])
    clusters = np.repeat(np.arange(patients), levels)
    return Leak(
        auc(labels.ravel(), scores.ravel()),
        auc_interval(labels.ravel(), scores.ravel(), clusters=clusters),
    )


def _scores(known: Features, labels: NDArray[np.bool_], asked: Features) -> Features:
    """Return (patients, 1) log odds of what is asked, of mean 0.

    What a half's prevalence adds to all its scores is taken off: a half with more positives leaves
    fewer to the other, and together they would seem to tell the labels the wrong way round.
    """
    mean = known.mean(axis=0)
    _, _, components = np.linalg.svd(known - mean, full_matrices=False)
    basis: Features = components[:_COMPONENTS].T
    inner, outer = (known - mean) @ basis, (asked - mean) @ basis
    spread = np.maximum(inner.std(axis=0), 1e-9)
    weights = _logistic(inner / spread, labels)
    scores: Features = ((outer / spread) @ weights)[:, None]
    return scores - float(scores.mean())


def _logistic(features: Features, labels: NDArray[np.bool_]) -> Features:
    """Return the weights of features, shared by all levels, by Newton's method with a ridge."""
    patients, levels = labels.shape
    count = features.shape[1]
    design = np.concatenate(
        [np.repeat(features, levels, axis=0), np.tile(np.eye(levels), (patients, 1))], axis=1
    )
    truth = labels.ravel().astype(np.float64)
    ridge = np.diag([_RIDGE] * count + [1e-6] * levels)
    weights = np.zeros(count + levels)
    for _ in range(12):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (truth - chance) - ridge @ weights
        curve = (design * (chance * (1 - chance))[:, None]).T @ design + ridge
        weights += np.linalg.solve(curve, slope)
    found: Features = weights[:count]
    return found
