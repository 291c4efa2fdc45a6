"""Reference training: both checkpoints of a pipeline from phantoms, on a laptop's CPU.

The networks and the preprocessing are those of the pipeline file; everything else is the recipe
below. One seed fixes the phantoms, the weights and the order of batches; sums over threads keep
the last digits of the weights from being the same on every machine.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save
from torch import nn
from torch.nn import functional

from cspine.files import write_atomic
from cspine.spec import Classify, PipelineSpec, Segment
from cspine_bench.auc import auc
from cspine_export.architecture import build_network
from cspine_export.checkpoint import tied_names
from cspine_phantom.tensors import Samples, gather

Tensor = torch.Tensor


@dataclass(frozen=True)
class Recipe:
    """How the reference checkpoints are trained."""

    seed: int = 20261121
    train_patients: int = 1600
    frontal_films: int = 160
    upside_down: float = 0.15
    tuning_patients: int = 150
    variants: int = 4
    segment_steps: int = 1800
    segment_batch: int = 8
    classify_epochs: int = 9
    classify_batch: int = 48
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2


def train(spec: PipelineSpec, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Train the localiser and the classifier and write ``STAGE.safetensors`` and ``train.json``.

    The tuning patients choose the threshold that is reported; no weight is fitted to them.
    """
    started = time.monotonic()
    data = gather(
        spec,
        patients=recipe.train_patients,
        seed=recipe.seed,
        variants=recipe.variants,
        frontal=recipe.frontal_films,
    )
    held = gather(spec, patients=recipe.tuning_patients, seed=recipe.seed + 1, variants=1)
    segment, classify = spec.only(Segment), spec.only(Classify)
    localiser, segment_log = _localiser(segment, data, held, recipe)
    _save(localiser, folder / f"{segment.id}.safetensors")
    classifier, classify_log = _classifier(classify, data, held, recipe)
    _save(classifier, folder / f"{classify.id}.safetensors")
    log = {
        "pipeline": spec.name,
        "recipe": asdict(recipe),
        "torch": torch.__version__,
        "minutes": round((time.monotonic() - started) / 60, 1),
        segment.id: segment_log,
        classify.id: classify_log,
    }
    write_atomic(folder / "train.json", json.dumps(log, indent=2).encode() + b"\n")
    return log


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
        logits = _forward(network, images)
        return functional.cross_entropy(logits, masks) + _dice_loss(logits, masks, classes)

    torch.manual_seed(recipe.seed)
    network, losses = _fit(build_network(stage.architecture), step, recipe.segment_steps, recipe)
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
        logits = _forward(network, torch.from_numpy(crops[:, None]))[:, 0]
        return functional.binary_cross_entropy_with_logits(logits, labels[chosen])

    steps = per_epoch * recipe.classify_epochs
    torch.manual_seed(recipe.seed)
    network, losses = _fit(build_network(stage.architecture), step, steps, recipe)
    with torch.inference_mode():
        crops = torch.from_numpy(held.crops[:, 0].astype(np.float32)[:, None])
        scores = torch.sigmoid(network(crops)[:, 0]).numpy()
    return network, {
        "loss": losses,
        "tuning_auc": round(auc(held.labels > 0.5, scores), 4),
        "tuning_threshold": round(youden_threshold(held.labels > 0.5, scores), 4),
        "prevalence": round(float(data.labels.mean()), 4),
    }


def _fit(
    network: nn.Module, step: Callable[[nn.Module, int], Tensor], steps: int, recipe: Recipe
) -> tuple[nn.Module, list[float]]:
    """Run AdamW under a one-cycle schedule; return the network in evaluation mode and its loss."""
    network = network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=recipe.learning_rate, total_steps=steps
    )
    losses: list[float] = []
    window: list[float] = []
    for number in range(steps):
        loss = step(network, number)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        window.append(float(loss.detach()))
        if (number + 1) % 100 == 0 or number + 1 == steps:
            losses.append(round(sum(window) / len(window), 4))
            window.clear()
            print(f"  step {number + 1} of {steps}, loss {losses[-1]}", file=sys.stderr, flush=True)
    return network.eval().to(memory_format=torch.contiguous_format), losses  # type: ignore[call-overload]


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


def _forward(network: nn.Module, images: Tensor) -> Tensor:
    """Run in bfloat16 where the CPU gains from it; losses stay float32."""
    with torch.autocast("cpu", torch.bfloat16):
        outputs: Tensor = network(images.contiguous(memory_format=torch.channels_last))
    return outputs.float()


def _dice_loss(logits: Tensor, masks: Tensor, classes: int) -> Tensor:
    wanted = functional.one_hot(masks, classes).movedim(-1, 1).float()
    given = logits.softmax(1)
    both = (given * wanted).sum((0, 2, 3))
    return 1 - (2 * both / ((given + wanted).sum((0, 2, 3)) + 1e-6))[1:].mean()


def _dice(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else float("nan")


def _save(network: nn.Module, path: Path) -> None:
    """Write the weights as float16 safetensors, each tensor once; counters keep their type."""
    state = network.state_dict()
    once = {name: state[name] for name in dict.fromkeys(tied_names(state).values())}
    write_atomic(
        path,
        save(
            {
                name: value.half() if value.is_floating_point() else value
                for name, value in once.items()
            }
        ),
    )
