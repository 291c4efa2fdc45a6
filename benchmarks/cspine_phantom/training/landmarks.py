"""Training the landmarks: where each named point lies on a film, to a part of a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cspine.dicom.read import read_image
from cspine.spec import Landmarks, PipelineSpec
from cspine.stages.frame import frame_feeds, frame_map
from cspine.stages.landmarks import decode
from cspine.transform import Points
from cspine_export.architecture import build_network
from cspine_phantom.faults.film import Fault
from cspine_phantom.pool import spread
from cspine_phantom.study import phantom
from cspine_phantom.training.augment import draw_move, rescanned
from cspine_phantom.training.fit import Tensor, Trained, fit, forward, told
from cspine_phantom.training.recipe import Recipe

AS_THEY_ARE = 0.2
"""Part of the films that training shows as their own device made them, and where it did."""

RARE = 0.005
"""Part of the points that are seen, and of those that are not, that may lie beyond the middle of
the two from which the least confidence is taken."""


@dataclass(frozen=True)
class Frames:
    """What the network looks at, and what it is to say.

    Attributes
    ----------
    images
        Shape (films, rows, columns), float16, grey levels as on the device.
    points
        Shape (films, points, 2), float64: (x, y) in pixels of the frame, the centre of the first
        one being (0, 0); NaN where the film does not show the point.
    """

    images: npt.NDArray[np.float16]
    points: Points


def films(spec: PipelineSpec, recipe: Recipe) -> tuple[Frames, Frames]:
    """Return what the network is fitted to, and what the tuning patients show."""
    stage: Landmarks = spec.only(Landmarks)
    others: tuple[tuple[Fault, int], ...] = (
        ("c7 hidden", recipe.hidden_films),
        ("ap", recipe.frontal_films),
        ("other part", recipe.other_films),
    )
    fitted: list[Fault | None] = [None] * recipe.train_patients
    fitted += [fault for fault, count in others for _ in range(count)]
    held: list[Fault | None] = [None] * recipe.tuning_patients
    held += [fault for fault, count in others for _ in range(count // 4)]
    return (
        gather_frames(stage, seed=recipe.seed, faults=fitted),
        gather_frames(stage, seed=recipe.seed + 1, faults=held),
    )


def gather_frames(stage: Landmarks, *, seed: int, faults: Sequence[Fault | None]) -> Frames:
    """Simulate films, one a patient and one with each fault of a list, on all cores."""
    jobs = [(seed, number, fault) for number, fault in enumerate(faults)]
    found = list(spread(partial(_frame, stage), jobs, progress=told))
    images, points = zip(*found, strict=True)
    return Frames(np.stack(images), np.stack(points))


def _frame(
    stage: Landmarks, job: tuple[int, int, Fault | None]
) -> tuple[npt.NDArray[np.float16], Points]:
    seed, number, fault = job
    study = phantom(seed=seed, number=number, fault=fault)
    image = read_image(study.dataset)
    to_image = frame_map(image, stage)
    frame = frame_feeds(image, to_image, stage)["image"][0, 0].astype(np.float16)
    unseen = np.full(2, np.nan)
    points = np.array([study.points.get(name, unseen) for name in stage.points])
    return frame, to_image.inverse(points)


def train_landmarks(stage: Landmarks, data: Frames, held: Frames, recipe: Recipe) -> Trained:
    """Fit the network and report how far off its points are on the tuning patients."""
    rng = np.random.default_rng([recipe.seed, 6])
    sigma_px = recipe.landmark_sigma_mm / stage.spacing_mm

    def step(network: nn.Module, _: int) -> Tensor:
        images, points = [], []
        for i in rng.integers(0, len(data.images), recipe.landmark_batch):
            image, places = _varied(data.images[i], data.points[i], stage, rng, recipe)
            images.append(image)
            points.append(places)
        across, down = wanted(np.stack(points), size_px=stage.size_px, sigma_px=sigma_px)
        logits = forward(network, torch.from_numpy(np.stack(images)[:, None]))
        return place_loss(logits, torch.from_numpy(across), torch.from_numpy(down))

    torch.manual_seed(recipe.seed)
    network = build_network(stage.architecture)
    network, losses = fit(network, step, recipe.landmark_steps, **recipe.pace)
    return network, {"loss": losses, "tuning": _report(stage, network, held)}


def _varied(
    image: npt.NDArray[np.float16],
    points: Points,
    stage: Landmarks,
    rng: np.random.Generator,
    recipe: Recipe,
) -> tuple[npt.NDArray[np.float32], Points]:
    """Return a film as another device would have shown another patient, and its points.

    There is nothing to be found on those that are turned over.
    """
    shown = image.astype(np.float32)
    if rng.random() < AS_THEY_ARE:
        return shown, points
    move = draw_move(stage.size_px, rng, upside_down=recipe.upside_down)
    shown = rescanned(move.image(shown), rng, pixel_mm=stage.spacing_mm, noise=recipe.noise)
    return shown, np.full_like(points, np.nan) if move.turned_over else move.points(points)


def wanted(
    points: Points, *, size_px: tuple[int, int], sigma_px: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return how likely each column and each row is that of a point.

    The product of both is what the softmax of its map should be: a Gaussian about a point that is
    seen, the same everywhere for one that is not, be it hidden or beyond the frame.

    Parameters
    ----------
    points
        Shape (N, points, 2), see :class:`Frames`.

    Returns
    -------
    across, down
        Shapes (N, points, columns) and (N, points, rows), float32; the sum of each line is 1.
    """
    size = np.array(size_px[::-1])
    seen = np.asarray(((points > -0.5) & (points < size - 0.5)).all(axis=-1))
    axes = []
    for axis, length in enumerate(size.tolist()):
        off = (np.arange(length) - np.where(seen, points[..., axis], 0)[..., None]) / sigma_px
        weights = np.where(seen[..., None], np.exp(-0.5 * off**2), 1.0)
        axes.append((weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32))
    return axes[0], axes[1]


def place_loss(logits: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Return the mean divergence of the maps' softmax from what is wanted: 0 where they are equal.

    Kullback and Leibler's. No map of what is wanted is ever laid out: it is the product of two
    lines.

    Parameters
    ----------
    logits
        Shape (N, points, rows, columns).
    across, down
        See :func:`wanted`.
    """
    expected = ((logits @ across[..., None])[..., 0] * down).sum(-1)
    known: Tensor = torch.special.xlogy(across, across).sum(-1)
    known = known + torch.special.xlogy(down, down).sum(-1)
    return (logits.flatten(2).logsumexp(2) - expected + known).mean()


def _report(stage: Landmarks, network: nn.Module, held: Frames) -> dict[str, Any]:
    """Return how far off the points are that are seen, and what confidence tells them."""
    errors, confidence = [], []
    for image, points in zip(held.images, held.points, strict=True):
        with torch.inference_mode():
            logits = network(torch.from_numpy(image.astype(np.float32)[None, None]))[0].numpy()
        found, share = decode(logits, reach_px=stage.reach_mm / stage.spacing_mm)
        errors.append(np.linalg.norm(found - points, axis=1) * stage.spacing_mm)
        confidence.append(share)
    error, share = np.array(errors), np.array(confidence)
    seen = np.isfinite(error)
    low, high = np.quantile(share[seen], RARE), np.quantile(share[~seen], 1 - RARE)
    least = float((low + high) / 2)
    worst = dict(zip(stage.points, np.nanmean(error, axis=0).tolist(), strict=True))
    return {
        "films": len(error),
        "seen": int(seen.sum()),
        "error_mm": round(float(error[seen].mean()), 3),
        "within_3_mm": round(float((error[seen] <= 3).mean()), 4),
        "of_each_mm": {name: round(value, 3) for name, value in worst.items()},
        "confidence": {
            "rarely_less_if_seen": round(float(low), 4),
            "rarely_more_if_not": round(float(high), 4),
            "middle": round(least, 4),
            "seen_above": round(float((share[seen] >= least).mean()), 4),
            "unseen_below": round(float((share[~seen] < least).mean()), 4),
        },
    }
