"""Training the screen: films with every fault, and clean ones, as the device sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from cspine.dicom.read import read_image
from cspine.findings import Refused
from cspine.spec import PipelineSpec, Screen
from cspine.stages.frame import frame_feeds, frame_map
from cspine_bench.metrics.auc import auc
from cspine_export.architecture import build_network
from cspine_phantom.faults.film import Fault
from cspine_phantom.pool import spread
from cspine_phantom.study import phantom
from cspine_phantom.training.fit import Tensor, Trained, fit, forward, told
from cspine_phantom.training.recipe import Recipe

SIGNS: dict[Fault, str] = {
    "ap": "frontal",
    "oblique": "oblique",
    "rotated": "rotated",
    "other part": "other part",
    "c7 hidden": "C7 hidden",
    "motion": "motion",
    "grid lines": "grid lines",
    "stitched": "stitched",
    "pasted text": "pasted text",
    "hardware": "hardware",
    "jewellery": "hardware",
    "inverted": "inverted",
    "upside down": "upside down",
    "blank": "blank",
    "clipped": "clipped",
    "low contrast": "low contrast",
}
"""Which sign each fault shows. Mirrored films show none: only their header tells. Films of unseen
parts are never trained on, to show what the screen makes of what it does not know."""

SUBTLE: tuple[Fault, ...] = (
    "rotated", "motion", "grid lines", "stitched", "pasted text", "hardware", "jewellery",
)  # fmt: skip
"""Faults that a few pixels may tell: of these there are four times as many films."""


@dataclass(frozen=True)
class Films:
    """What the screen looks at.

    Attributes
    ----------
    frames
        Shape (films, rows, columns), float16, grey levels as on the device.
    signs
        Shape (films, signs), bool: which are present.
    """

    frames: npt.NDArray[np.float16]
    signs: npt.NDArray[np.bool_]


def films(spec: PipelineSpec, recipe: Recipe) -> tuple[Films, Films]:
    """Return what the screen is fitted to, and what it is reported on."""
    stage: Screen = spec.only(Screen)
    clean, of_each = recipe.screen_clean, recipe.screen_of_each
    return (
        gather_films(stage, seed=recipe.seed + 2, clean=clean, of_each=of_each),
        gather_films(stage, seed=recipe.seed + 3, clean=clean // 4, of_each=of_each // 5),
    )


def gather_films(stage: Screen, *, seed: int, clean: int, of_each: int) -> Films:
    """Simulate films, one a patient: clean ones, then some with each fault, on all cores."""
    plan: list[Fault | None] = [None] * clean
    plan += [fault for fault in SIGNS for _ in range(4 * of_each if fault in SUBTLE else of_each)]
    jobs = [(seed, number, fault) for number, fault in enumerate(plan)]
    frames, signs = [], []
    labels = [sign.label for sign in stage.sign]
    seen = spread(partial(_frame, stage), jobs, progress=told)
    for fault, frame in zip(plan, seen, strict=True):
        if frame is not None:
            frames.append(frame)
            signs.append([fault is not None and SIGNS[fault] == label for label in labels])
    return Films(np.stack(frames), np.array(signs, bool))


def _frame(stage: Screen, job: tuple[int, int, Fault | None]) -> npt.NDArray[np.float16] | None:
    seed, number, fault = job
    try:
        image = read_image(phantom(seed=seed, number=number, fault=fault).dataset)
        feeds = frame_feeds(image, frame_map(image, stage), stage)
    except Refused:
        return None  # blank: refused before any network
    return np.asarray(feeds["image"][0, 0], np.float16)


def train_screen(stage: Screen, data: Films, held: Films, recipe: Recipe) -> Trained:
    """Fit the screen and report on films held back for tuning."""
    rng = np.random.default_rng([recipe.seed, 5])
    count, batch, epochs = len(data.frames), recipe.screen_batch, recipe.screen_epochs
    steps = count // batch * epochs
    order = np.concatenate(
        [rng.permutation(count)[: count // batch * batch] for _ in range(epochs)]
    )

    def step(network: nn.Module, number: int) -> Tensor:
        chosen = order[number * batch :][:batch]
        frames = np.stack([moved(data.frames[i].astype(np.float32), rng) for i in chosen])
        wanted = torch.from_numpy(data.signs[chosen].astype(np.float32))
        logits = forward(network, torch.from_numpy(frames[:, None]))
        return functional.binary_cross_entropy_with_logits(logits, wanted)

    torch.manual_seed(recipe.seed)
    network, losses = fit(build_network(stage.architecture), step, steps, **recipe.pace)
    with torch.inference_mode():
        scores = np.concatenate(
            [
                torch.sigmoid(network(torch.from_numpy(part.astype(np.float32)[:, None]))).numpy()
                for part in np.array_split(held.frames, max(1, len(held.frames) // 64))
            ]
        )
    return network, {"loss": losses, "tuning": _report(stage, held.signs, scores)}


def moved(frame: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Mirror, turn, scale and shift a frame in 0..1 a little, and change its grey levels.

    By less than what would bring a sign about, or take one away.
    """
    shown = frame
    if rng.random() < 0.6:  # the others stay as sharp as they are on the device
        shown = _turned(frame, rng)
    if rng.random() < 0.5:
        shown = shown[:, ::-1]
    shown = np.ascontiguousarray(shown, np.float32)
    shaded = np.clip(shown, 0, 1) ** rng.uniform(0.75, 1.35) * rng.uniform(0.9, 1.0)
    shaded += rng.normal(0, rng.uniform(0, 0.02), shaded.shape)
    return np.asarray(np.clip(shaded, 0, 1), np.float32)


def _turned(frame: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    rows, columns = frame.shape
    turn = cv2.getRotationMatrix2D(
        (columns / 2, rows / 2), rng.uniform(-8, 8), rng.uniform(0.88, 1.1)
    )
    turn[:, 2] += rng.uniform(-1, 1, 2) * (0.08 * columns, 0.03 * rows)
    turned = cv2.warpAffine(frame, turn, (columns, rows), flags=cv2.INTER_LINEAR)
    return np.asarray(turned, np.float32)


def _report(
    stage: Screen, signs: npt.NDArray[np.bool_], scores: npt.NDArray[np.float32]
) -> dict[str, Any]:
    """Return per sign how it is told, at its threshold, and the highest score of a clean film."""
    clean = ~signs.any(axis=1)
    report: dict[str, Any] = {"films": len(signs), "clean": int(clean.sum())}
    for number, sign in enumerate(stage.sign):
        present, score = signs[:, number], scores[:, number]
        report[sign.label] = {
            "auc": round(auc(present, score), 4),
            "told": round(float((score[present] >= sign.threshold).mean()), 4),
            "clean_told": round(float((score[clean] >= sign.threshold).mean()), 4),
            "highest_clean": round(float(score[clean].max()), 4),
            "lowest_present": _lowest(score[present]),
        }
    return report


def _lowest(scores: npt.NDArray[np.float32]) -> Sequence[float]:
    return [round(float(score), 4) for score in np.sort(scores)[:5]]
