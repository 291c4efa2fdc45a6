"""Training the localiser: every pixel of a film, as the device sees it, gets its label."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from cspine.spec import Segment
from cspine_export.architecture import build_network
from cspine_phantom.training.augment import draw_move, rescanned
from cspine_phantom.training.fit import Tensor, Trained, fit, forward, predict
from cspine_phantom.training.recipe import Recipe
from cspine_phantom.training.tensors import Halves


class Masked(Protocol):
    """Images and their label maps, shape (images, rows, columns)."""

    @property
    def images(self) -> Halves:
        """What the network looks at."""
        ...

    @property
    def masks(self) -> npt.NDArray[np.uint8]:
        """What it is to say."""
        ...


def train_localiser(stage: Segment, data: Masked, held: Masked, recipe: Recipe) -> Trained:
    """Fit the localiser and report its Dice on the tuning patients, label by label."""
    rng = np.random.default_rng([recipe.seed, 2])
    classes = len(stage.labels)

    def step(network: nn.Module, _: int) -> Tensor:
        images, masks = [], []
        for i in rng.integers(0, len(data.images), recipe.segment_batch):
            move = draw_move(stage.size_px, rng, upside_down=recipe.upside_down)
            image = move.image(data.images[i].astype(np.float32))
            images.append(rescanned(image, rng, pixel_mm=stage.spacing_mm, noise=recipe.noise))
            mask = move.labels(data.masks[i]).astype(np.int64)
            masks.append(np.zeros_like(mask) if move.turned_over else mask)
        wanted = torch.from_numpy(np.stack(masks))
        logits = forward(network, torch.from_numpy(np.stack(images)[:, None]))
        return functional.cross_entropy(logits, wanted) + _dice_loss(logits, wanted, classes)

    torch.manual_seed(recipe.seed)
    network = build_network(stage.architecture)
    network, losses = fit(network, step, recipe.segment_steps, **recipe.pace)
    seen = predict(network, held.images).argmax(1)
    overlap = [
        [_dice(found == k, mask == k) for k in range(1, classes)]
        for found, mask in zip(seen, held.masks, strict=True)
    ]
    means = np.nanmean(np.array(overlap), axis=0)
    named = {
        label: round(float(mean), 4) for label, mean in zip(stage.labels[1:], means, strict=True)
    }
    return network, {"loss": losses, "tuning_dice": named}


def _dice_loss(logits: Tensor, masks: Tensor, classes: int) -> Tensor:
    wanted = functional.one_hot(masks, classes).movedim(-1, 1).float()
    given = logits.softmax(1)
    both = (given * wanted).sum((0, 2, 3))
    return 1 - (2 * both / ((given + wanted).sum((0, 2, 3)) + 1e-6))[1:].mean()


def _dice(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else float("nan")
