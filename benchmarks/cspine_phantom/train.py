"""Reference training: the checkpoints of a pipeline from phantoms, on a laptop's CPU.

The networks and the preprocessing are those of the pipeline file; everything else is the recipe
below. One seed fixes the phantoms, the weights and the order of batches; sums over threads keep
the last digits of the weights from being the same on every machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from cspine.files import write_atomic
from cspine.spec import Classify, PipelineSpec, Screen, Segment
from cspine_bench.auc import auc
from cspine_export.architecture import build_network
from cspine_phantom.fit import Tensor, fit, forward, save_weights
from cspine_phantom.screening import gather_films, train_screen
from cspine_phantom.tensors import Samples, gather


@dataclass(frozen=True)
class Recipe:
    """How the reference checkpoints are trained."""

    seed: int = 20261121
    train_patients: int = 1600
    frontal_films: int = 160
    hidden_films: int = 240
    upside_down: float = 0.15
    tuning_patients: int = 150
    variants: int = 4
    segment_steps: int = 1800
    segment_batch: int = 8
    classify_epochs: int = 9
    classify_batch: int = 48
    screen_clean: int = 1800
    screen_of_each: int = 260
    screen_epochs: int = 10
    screen_batch: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2


def train(
    spec: PipelineSpec, recipe: Recipe, folder: Path, *, stages: Sequence[str] = ()
) -> dict[str, Any]:
    """Train the networks and write ``STAGE.safetensors`` for each, and ``train.json``.

    The tuning patients choose the thresholds that are reported; no weight is fitted to them.

    Parameters
    ----------
    stages
        Train only these; the log keeps what it says of the others.
    """
    wanted = set(stages or [stage.id for stage in spec.networks])
    segment, classify, screen = spec.only(Segment), spec.only(Classify), spec.screen
    log: dict[str, Any] = {"pipeline": spec.name}
    path = folder / "train.json"
    if path.exists():
        log = json.loads(path.read_bytes())
    log |= {"recipe": asdict(recipe), "torch": torch.__version__}
    if screen and screen.id in wanted:
        network, log[screen.id] = _timed(lambda: _screen(screen, recipe))
        save_weights(network, folder / f"{screen.id}.safetensors")
    if wanted & {segment.id, classify.id}:
        data, held = _studies(spec, recipe)
        if segment.id in wanted:
            network, log[segment.id] = _timed(lambda: _localiser(segment, data, held, recipe))
            save_weights(network, folder / f"{segment.id}.safetensors")
        if classify.id in wanted:
            network, log[classify.id] = _timed(lambda: _classifier(classify, data, held, recipe))
            save_weights(network, folder / f"{classify.id}.safetensors")
    write_atomic(path, json.dumps(log, indent=2).encode() + b"\n")
    return log


def _timed(
    training: Callable[[], tuple[nn.Module, dict[str, Any]]],
) -> tuple[nn.Module, dict[str, Any]]:
    started = time.monotonic()
    network, log = training()
    return network, {"minutes": round((time.monotonic() - started) / 60, 1), **log}


def _studies(spec: PipelineSpec, recipe: Recipe) -> tuple[Samples, Samples]:
    data = gather(
        spec,
        patients=recipe.train_patients,
        seed=recipe.seed,
        variants=recipe.variants,
        frontal=recipe.frontal_films,
        hidden=recipe.hidden_films,
    )
    return data, gather(spec, patients=recipe.tuning_patients, seed=recipe.seed + 1, variants=1)


def _screen(stage: Screen, recipe: Recipe) -> tuple[nn.Module, dict[str, Any]]:
    return train_screen(
        stage,
        gather_films(
            stage,
            seed=recipe.seed + 2,
            clean=recipe.screen_clean,
            of_each=recipe.screen_of_each,
        ),
        gather_films(
            stage,
            seed=recipe.seed + 3,
            clean=recipe.screen_clean // 4,
            of_each=recipe.screen_of_each // 5,
        ),
        seed=recipe.seed,
        epochs=recipe.screen_epochs,
        batch=recipe.screen_batch,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
    )


def _localiser(
    stage: Segment, data: Samples, held: Samples, recipe: Recipe
) -> tuple[nn.Module, dict[str, Any]]:
    rng = np.random.default_rng([recipe.seed, 2])
    classes = len(stage.labels)

    def step(network: nn.Module, _: int) -> Tensor:
        chosen = rng.integers(0, len(data.images), recipe.segment_batch)
        pairs = [
            augment(data.images[i].astype(np.float32), data.masks[i], rng, recipe) for i in chosen
        ]
        images = torch.from_numpy(np.stack([image for image, _ in pairs])[:, None])
        masks = torch.from_numpy(np.stack([mask for _, mask in pairs]).astype(np.int64))
        logits = forward(network, images)
        return functional.cross_entropy(logits, masks) + _dice_loss(logits, masks, classes)

    torch.manual_seed(recipe.seed)
    network, losses = fit(
        build_network(stage.architecture), step, recipe.segment_steps, **_pace(recipe)
    )
    overlap = []
    with torch.inference_mode():
        for image, mask in zip(held.images, held.masks, strict=True):
            tensor = torch.from_numpy(image.astype(np.float32)[None, None])
            seen = network(tensor)[0].argmax(0).numpy()
            overlap.append([_dice(seen == k, mask == k) for k in range(1, classes)])
    dice = np.nanmean(np.array(overlap), axis=0)
    named = {
        label: round(float(value), 4) for label, value in zip(stage.labels[1:], dice, strict=True)
    }
    return network, {"loss": losses, "tuning_dice": named}


def _classifier(
    stage: Classify, data: Samples, held: Samples, recipe: Recipe
) -> tuple[nn.Module, dict[str, Any]]:
    rng = np.random.default_rng([recipe.seed, 3])
    count = len(data.crops)
    per_epoch = count // recipe.classify_batch
    order = np.concatenate([rng.permutation(count) for _ in range(recipe.classify_epochs)])
    labels = torch.from_numpy(data.labels)

    def step(network: nn.Module, number: int) -> Tensor:
        chosen = order[number * recipe.classify_batch :][: recipe.classify_batch]
        variant = rng.integers(0, data.crops.shape[1], len(chosen))
        crops = data.crops[chosen, variant].astype(np.float32)
        crops += rng.normal(0, rng.uniform(0, 0.1), crops.shape).astype(np.float32)
        logits = forward(network, torch.from_numpy(crops[:, None]))[:, 0]
        return functional.binary_cross_entropy_with_logits(logits, labels[chosen])

    steps = per_epoch * recipe.classify_epochs
    torch.manual_seed(recipe.seed)
    network, losses = fit(build_network(stage.architecture), step, steps, **_pace(recipe))
    with torch.inference_mode():
        crops = torch.from_numpy(held.crops[:, 0].astype(np.float32)[:, None])
        scores = torch.sigmoid(network(crops)[:, 0]).numpy()
    return network, {
        "loss": losses,
        "tuning_auc": round(auc(held.labels > 0.5, scores), 4),
        "tuning_threshold": round(youden_threshold(held.labels > 0.5, scores), 4),
        "prevalence": round(float(data.labels.mean()), 4),
    }


def _pace(recipe: Recipe) -> dict[str, float]:
    return {"learning_rate": recipe.learning_rate, "weight_decay": recipe.weight_decay}


def augment(
    image: npt.NDArray[np.float32],
    mask: npt.NDArray[np.uint8],
    rng: np.random.Generator,
    recipe: Recipe,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Mirror, turn, scale and shift an image in 0..1 with its mask, and change its grey levels.

    Some images are put upside down and their label maps emptied: there is nothing to be found on
    them, for a localiser that numbers from the top would number them backwards.
    """
    rows, columns = image.shape
    turn = cv2.getRotationMatrix2D(
        (columns / 2, rows / 2), rng.uniform(-12, 12), rng.uniform(0.85, 1.18)
    )
    turn[:, 2] += rng.uniform(-1, 1, 2) * (0.08 * columns, 0.08 * rows)
    moved = cv2.warpAffine(image, turn, (columns, rows), flags=cv2.INTER_LINEAR)
    labels = cv2.warpAffine(mask, turn, (columns, rows), flags=cv2.INTER_NEAREST)
    if rng.random() < 0.5:
        moved, labels = moved[:, ::-1], labels[:, ::-1]
    if rng.random() < recipe.upside_down:
        moved, labels = moved[::-1], np.zeros_like(labels)
    gain, lift = rng.uniform(0.8, 1.2), rng.uniform(-0.1, 0.1)
    shaded = np.clip(moved, 0, 1) ** rng.uniform(0.6, 1.6) * gain + lift
    shaded += rng.normal(0, rng.uniform(0, 0.05), shaded.shape)
    return np.asarray(np.clip(shaded, 0, 1), np.float32), np.ascontiguousarray(labels)


def youden_threshold(truth: npt.NDArray[np.bool_], scores: npt.NDArray[np.float32]) -> float:
    """Return the threshold of the largest sensitivity + specificity, midway between two scores.

    A threshold that equals a score would flip with its last bit.
    """
    order = np.argsort(scores)
    ranked, hits = scores[order].astype(float), truth[order]
    below = np.cumsum(~hits) / max(1, (~hits).sum()) - np.cumsum(hits) / max(1, hits.sum())
    best = int(below[:-1].argmax())
    return float((ranked[best] + ranked[best + 1]) / 2)


def _dice_loss(logits: Tensor, masks: Tensor, classes: int) -> Tensor:
    wanted = functional.one_hot(masks, classes).movedim(-1, 1).float()
    given = logits.softmax(1)
    both = (given * wanted).sum((0, 2, 3))
    return 1 - (2 * both / ((given + wanted).sum((0, 2, 3)) + 1e-6))[1:].mean()


def _dice(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else float("nan")
