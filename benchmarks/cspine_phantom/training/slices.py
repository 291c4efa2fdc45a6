"""Training the judge of MR slices: those about the middle of a stack, as the device cuts them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from cspine.dicom.select import Study
from cspine.findings import Refused
from cspine.spec import PipelineSpec, Slices
from cspine.stages.slices import slice_feeds, slice_maps, study_logit
from cspine.transform import Affine
from cspine_bench.metrics.auc import auc
from cspine_export.architecture import build_network
from cspine_phantom.mr.disease import READER_NOISE, THRESHOLD, Disease, ideal_auc
from cspine_phantom.mr.study import mr_phantom
from cspine_phantom.pool import spread
from cspine_phantom.training.classifier import varied, youden_threshold
from cspine_phantom.training.fit import Tensor, Trained, fit, forward, predict, told
from cspine_phantom.training.recipe import Recipe

Halves = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Stacks:
    """What training looks at: of one patient, or of all.

    Attributes
    ----------
    frames
        The network's input, shape (patients, variants, slices, rows, columns), float16, the slice
        in the middle first; the first variant is as on the device, the others are turned, scaled
        and shifted.
    labels
        What the reader said, shape (patients,), bool.
    readings
        Part of all readers who would say that it is positive, shape (patients,), float32.
    """

    frames: Halves
    labels: npt.NDArray[np.bool_]
    readings: npt.NDArray[np.float32]


def stacks(spec: PipelineSpec, recipe: Recipe) -> tuple[Stacks, Stacks]:
    """Return what the network is fitted to, and what the tuning patients show."""
    count, held, variants = recipe.stacks, recipe.tuning_stacks, recipe.stack_variants
    return (
        gather_stacks(spec, patients=count, seed=recipe.seed, variants=variants),
        gather_stacks(spec, patients=held, seed=recipe.seed + 1, variants=1),
    )


def gather_stacks(spec: PipelineSpec, *, patients: int, seed: int, variants: int) -> Stacks:
    """Simulate patients on all cores and keep what the network sees of them."""
    jobs = [(seed, number) for number in range(patients)]
    seen = list(spread(partial(_stack, spec, variants), jobs, progress=told))
    found = [each for each in seen if each is not None]
    return Stacks(
        np.stack([frames for frames, _ in found]),
        np.array([disease.label for _, disease in found]),
        np.array([positive_readings(disease) for _, disease in found], np.float32),
    )


def positive_readings(disease: Disease) -> float:
    """Return the part of readers who call a patient positive: Phi((E - threshold) / noise)."""
    return 0.5 * math.erfc((THRESHOLD - disease.evidence) / (READER_NOISE * math.sqrt(2)))


def _stack(
    spec: PipelineSpec, variants: int, job: tuple[int, int]
) -> tuple[Halves, Disease] | None:
    """Return what the network sees of one patient, and what is true of that one.

    Nothing, if the device would refuse the study before any network.
    """
    seed, number = job
    stage: Slices = spec.only(Slices)
    case = mr_phantom(seed=seed, number=number, only="sag T2")
    try:
        images = Study(case.datasets).images(spec.accept)
    except Refused:
        return None
    maps = slice_maps(images, stage)
    moves = np.random.default_rng([seed, number, 2])
    frames = np.empty((variants, len(images), *stage.size_px), np.float16)
    for variant in range(variants):
        move = _moved(stage, moves) if variant else None
        seen = tuple(to_image @ move for to_image in maps) if move else maps
        frames[variant] = slice_feeds(images, seen, stage)["image"][:, 0]
    return frames, case.disease


def _moved(stage: Slices, rng: np.random.Generator) -> Affine:
    """Draw where else the neck might have lain in the frame: all slices of a stack alike.

    The scale hardly changes, for how thick a ligament is tells the classes.
    """
    angle, size = np.radians(rng.uniform(-8, 8)), rng.uniform(0.97, 1.03)
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    rows, columns = stage.size_px
    middle = np.array([columns - 1, rows - 1]) / 2
    shift_px = rng.uniform(-8, 8, 2) / stage.spacing_mm
    return Affine(np.column_stack([turn, middle - turn @ middle + shift_px]))


def train_slices(stage: Slices, data: Stacks, held: Stacks, recipe: Recipe) -> Trained:
    """Fit the network; the tuning patients choose the threshold, no weight is fitted to them.

    It is fitted to the part of readers who would call the patient positive, which says more of a
    phantom than what one of them said. The threshold is that of the reader's labels.
    """
    rng = np.random.default_rng([recipe.seed, 7])
    patients, variants, count = data.frames.shape[:3]
    readings = torch.from_numpy(data.readings)

    def step(network: nn.Module, _: int) -> Tensor:
        chosen = rng.integers(0, patients, recipe.stack_batch)
        # Every second one is the slice in the middle, which shows most.
        place = rng.integers(0, count, len(chosen)) * (rng.random(len(chosen)) < 0.5)
        frames = data.frames[chosen, rng.integers(0, variants, len(chosen)), place]
        shown = varied(frames, stage, rng, recipe.noise)
        logits = forward(network, torch.from_numpy(shown[:, None]))[:, 0]
        return functional.binary_cross_entropy_with_logits(logits, readings[chosen])

    torch.manual_seed(recipe.seed)
    network = build_network(stage.architecture)
    network, losses = fit(network, step, recipe.stack_steps, **recipe.pace)
    return network, {"loss": losses, **report(network, stage, held)}


def report(network: nn.Module, stage: Slices, held: Stacks) -> dict[str, float]:
    """Return how patients are told apart who were not fitted to, and the threshold they choose."""
    logits = np.array(
        [study_logit({"logits": predict(network, frames)}, stage) for frames in held.frames[:, 0]]
    )
    truth, scores = held.labels, 1 / (1 + np.exp(-logits))
    threshold = youden_threshold(truth, scores)
    return {
        "tuning_patients": len(truth),
        "tuning_auc": round(auc(truth, logits), 4),
        "tuning_auc_of_the_evidence": round(auc(truth, held.readings), 4),
        "ideal_auc": round(ideal_auc(), 4),
        "tuning_threshold": round(threshold, 4),
        "tuning_sensitivity": round(float((scores[truth] >= threshold).mean()), 4),
        "tuning_specificity": round(float((scores[~truth] < threshold).mean()), 4),
    }
