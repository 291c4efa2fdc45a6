"""Reference training: the checkpoints of a pipeline from phantoms, on a laptop's CPU.

The networks and the preprocessing are those of the pipeline file; everything else is the recipe.
One seed fixes the phantoms, the weights and the order of batches; sums over threads keep the last
digits of the weights from being the same on every machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from cspine.accept import Film, Stack, Stacks
from cspine.errors import ModelError, did_you_mean
from cspine.files import write_atomic
from cspine.spec import (
    Classify,
    Cord,
    Detect,
    Grade,
    Landmarks,
    PipelineSpec,
    Screen,
    Segment,
    Slices,
)
from cspine_phantom.training import (
    canals,
    detector,
    graded,
    grades,
    landmarks,
    screening,
    slices,
    tensors,
)
from cspine_phantom.training.classifier import train_classifier
from cspine_phantom.training.fit import Trained, save_weights
from cspine_phantom.training.localiser import train_localiser
from cspine_phantom.training.recipe import Recipe

LOG = "train.json"


@dataclass(frozen=True)
class Trainer:
    """How the network of one kind of stage is trained.

    Attributes
    ----------
    films
        Simulates what it is fitted to and what it is tuned on; stages of which this is the same
        share them.
    fit
        Called with the stage, both, and the recipe.
    """

    films: Callable[[PipelineSpec, Recipe], tuple[Any, Any]]
    fit: Callable[[Any, Any, Any, Recipe], Trained]


TRAINERS: dict[tuple[type, type], Trainer] = {
    (Film, Screen): Trainer(screening.films, screening.train_screen),
    (Film, Segment): Trainer(tensors.films, train_localiser),
    (Film, Classify): Trainer(tensors.films, train_classifier),
    (Film, Landmarks): Trainer(landmarks.films, landmarks.train_landmarks),
    (Stack, Slices): Trainer(slices.stacks, slices.train_slices),
    (Stack, Detect): Trainer(canals.canals, detector.train_detector),
    (Stack, Grade): Trainer(canals.canals, grades.train_grades),
    (Stacks, Segment): Trainer(graded.studies, graded.train_bones),
    (Stacks, Grade): Trainer(graded.studies, graded.train_grades),
    (Stacks, Cord): Trainer(graded.studies, graded.train_cords),
}
"""By what a pipeline accepts and the kind of stage."""


def train(
    spec: PipelineSpec, recipe: Recipe, folder: Path, *, stages: Sequence[str] = ()
) -> dict[str, Any]:
    """Train the networks and write ``STAGE.safetensors`` for each, and ``train.json``.

    The tuning patients choose the thresholds that are reported; no weight is fitted to them.

    Parameters
    ----------
    stages
        Train only these; the log keeps what it says of the others.

    Returns
    -------
    dict
        What the log then says.

    Raises
    ------
    ModelError
        If the pipeline has no such network.
    OSError
        If the folder cannot be written.
    """
    known = [stage.id for stage in spec.trainings]
    for name in stages:
        if name not in known:
            raise ModelError(
                f"no network stage {name!r} in {spec.name}{did_you_mean(name, known)}; "
                f"it has {', '.join(known)}"
            )
    facts = {"pipeline": spec.name, "recipe": asdict(recipe), "torch": torch.__version__}
    log = _note(folder, facts)
    chosen = [stage for stage in spec.trainings if stage.id in (stages or known)]
    trainers = {stage.id: TRAINERS[type(spec.accept), type(stage)] for stage in chosen}
    for films in dict.fromkeys(trainer.films for trainer in trainers.values()):
        data, held = films(spec, recipe)
        for stage in chosen:
            trainer = trainers[stage.id]
            if trainer.films is films:
                log = _kept(folder, stage.id, partial(trainer.fit, stage, data, held, recipe))
    return log


def _kept(folder: Path, name: str, training: Callable[[], Trained]) -> dict[str, Any]:
    """Train one network, keep its weights and note how it went."""
    started = time.monotonic()
    network, figures = training()
    minutes = (time.monotonic() - started) / 60
    path = folder / f"{name}.safetensors"
    save_weights(network, path)
    size = {
        "parameters": sum(weights.numel() for weights in network.parameters()),
        "megabytes": round(path.stat().st_size / 1e6, 2),
    }
    return _note(folder, {name: {"minutes": round(minutes, 1), **size, **figures}})


def _note(folder: Path, entries: dict[str, Any]) -> dict[str, Any]:
    """Add to the log, which is read anew: another stage may have been trained meanwhile."""
    path = folder / LOG
    log: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    log |= entries
    write_atomic(path, json.dumps(log, indent=2).encode() + b"\n")
    return log
