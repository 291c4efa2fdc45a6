"""Training the grade of a canal on CT: one crop of a slice, as the device cuts it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from cspine.spec import Grade, Worst
from cspine.stages.grade import log_odds, log_softmax, probability
from cspine.stages.worst import worst_run
from cspine_bench.metrics.auc import auc
from cspine_export.architecture import build_network
from cspine_phantom.ct.disease import CLASSES, POSITIVE, ideal_accuracy, ideal_auc
from cspine_phantom.training.augment import rescanned
from cspine_phantom.training.canals import Canals, Floats, Halves, Pair
from cspine_phantom.training.classifier import AS_THEY_ARE, youden_threshold
from cspine_phantom.training.fit import Tensor, Trained, fit, forward, predict
from cspine_phantom.training.recipe import Recipe

_CLOSE = 0.5  # of a batch: crops that readers would not all call alike


def train_grades(stage: Grade, data: Pair, held: Pair, recipe: Recipe) -> Trained:
    """Fit the network; the tuning patients choose the threshold, no weight is fitted to them.

    It is fitted to the part of readers who would give each class, which says more of a phantom than
    what one of them said. The threshold is of the study, whose reader's label it is held against.
    """
    rng = np.random.default_rng([recipe.seed, 9])
    seen = data.seen
    readings = torch.from_numpy(seen.readings)
    close = np.flatnonzero(seen.readings.max(axis=1) < 0.98)

    def step(network: nn.Module, _: int) -> Tensor:
        half = round(_CLOSE * recipe.grading_batch)
        chosen = np.concatenate(
            [rng.choice(close, half), rng.integers(0, len(seen.crops), recipe.grading_batch - half)]
        )
        crops = seen.crops[chosen, rng.integers(0, seen.crops.shape[1], len(chosen))]
        shown = _varied(crops, stage, rng, recipe.noise)
        logits = forward(network, torch.from_numpy(shown[:, None]))
        return -(readings[chosen] * logits.log_softmax(1)).sum(1).mean()

    torch.manual_seed(recipe.seed)
    network = build_network(stage.architecture)
    network, losses = fit(network, step, recipe.grading_steps, **recipe.pace)
    worst: Worst = held.spec.only(Worst)
    return network, {"loss": losses, **report(network, stage, worst, held.seen)}


def _varied(crops: Halves, stage: Grade, rng: np.random.Generator, noise: float) -> Floats:
    """Return crops, in 0..1 by their window, as other scanners would have shown them."""
    shown: Floats = crops.astype(np.float32)
    for place, crop in enumerate(shown):
        flipped = crop[:, ::-1] if rng.random() < 0.5 else crop
        if rng.random() >= AS_THEY_ARE:
            # Hounsfield units are the same everywhere; sharpness and noise are not.
            flipped = rescanned(flipped, rng, pixel_mm=stage.spacing_mm, noise=noise)
        shown[place] = flipped
    return shown


def report(network: nn.Module, stage: Grade, worst: Worst, held: Canals) -> dict[str, float]:
    """Return how studies are told apart that were not fitted to, and the threshold they choose."""
    logits = predict(network, held.crops[:, 0])
    said = log_softmax(logits)
    means = [
        worst_run(said[held.patients == patient], stage, worst)[1]
        for patient in range(len(held.grades))
    ]
    odds = log_odds(np.concatenate(means), stage)
    truth = np.isin(held.grades, [CLASSES.index(each) for each in POSITIVE])
    scores = probability(odds)
    threshold = youden_threshold(truth, scores)
    return {
        "tuning_patients": len(truth),
        "tuning_auc": round(auc(truth, odds), 4),
        "ideal_auc": round(ideal_auc(), 4),
        "tuning_threshold": round(threshold, 4),
        "tuning_accuracy": round(float(np.mean((scores >= threshold) == truth)), 4),
        "ideal_accuracy": round(ideal_accuracy(), 4),
        "tuning_sensitivity": round(float((scores[truth] >= threshold).mean()), 4),
        "tuning_specificity": round(float((scores[~truth] < threshold).mean()), 4),
    }
