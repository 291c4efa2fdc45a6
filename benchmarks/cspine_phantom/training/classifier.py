"""Training the classifier: one crop a level, as the device cuts it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from cspine.spec import Classifier, Classify, Cord
from cspine.transform import map_grey
from cspine_bench.metrics.auc import auc
from cspine_export.architecture import build_network
from cspine_phantom.training.augment import rescanned
from cspine_phantom.training.fit import Tensor, Trained, fit, forward, predict
from cspine_phantom.training.recipe import Recipe
from cspine_phantom.training.tensors import Halves, Samples

AS_THEY_ARE = 0.3
"""Part of the crops that training shows as their own device made them."""


def train_classifier(stage: Classify, data: Samples, held: Samples, recipe: Recipe) -> Trained:
    """Fit the classifier; the tuning patients choose the threshold, no weight is fitted to them."""
    rng = np.random.default_rng([recipe.seed, 3])
    count = len(data.crops)
    steps = count // recipe.classify_batch * recipe.classify_epochs
    order = np.concatenate([rng.permutation(count) for _ in range(recipe.classify_epochs)])
    labels = torch.from_numpy(data.labels)

    def step(network: nn.Module, number: int) -> Tensor:
        chosen = order[number * recipe.classify_batch :][: recipe.classify_batch]
        variant = rng.integers(0, data.crops.shape[1], len(chosen))
        crops = varied(data.crops[chosen, variant], stage, rng, recipe.noise)
        logits = forward(network, torch.from_numpy(crops[:, None]))[:, 0]
        return functional.binary_cross_entropy_with_logits(logits, labels[chosen])

    torch.manual_seed(recipe.seed)
    network, losses = fit(build_network(stage.architecture), step, steps, **recipe.pace)
    truth = held.labels > 0.5
    logits = predict(network, held.crops[:, 0])[:, 0]
    scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
    threshold = youden_threshold(truth, scores)
    return network, {
        "loss": losses,
        "tuning_levels": len(truth),
        "tuning_auc": round(auc(truth, logits), 4),
        "tuning_threshold": round(threshold, 4),
        "tuning_sensitivity": round(float((scores[truth] >= threshold).mean()), 4),
        "tuning_specificity": round(float((scores[~truth] < threshold).mean()), 4),
        "prevalence": round(float(data.labels.mean()), 4),
    }


def varied(
    crops: Halves, stage: Classifier | Cord, rng: np.random.Generator, noise: float
) -> npt.NDArray[np.float32]:
    """Return crops as other devices would have shown them, in the grey levels of the stage."""
    shown = crops.astype(np.float32)
    for crop in shown:
        if rng.random() < AS_THEY_ARE:
            continue
        low, high = crop.min(), crop.max()
        span = max(high - low, np.float32(1e-6))
        crop[:] = rescanned((crop - low) / span, rng, pixel_mm=stage.spacing_mm, noise=noise)
    return map_grey(shown, stage.grey)


def youden_threshold(truth: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64]) -> float:
    """Return the threshold of the largest sensitivity + specificity, midway between two scores.

    A threshold that equals a score would flip with its last bit.
    """
    order = np.argsort(scores)
    ranked, hits = scores[order], truth[order]
    below = np.cumsum(~hits) / max(1, (~hits).sum()) - np.cumsum(hits) / max(1, hits.sum())
    best = int(below[:-1].argmax())
    return float((ranked[best] + ranked[best + 1]) / 2)
