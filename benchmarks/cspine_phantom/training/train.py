"""Reference training: the checkpoints of a pipeline from phantoms, on a laptop's CPU.

The networks and the preprocessing are those of the pipeline file; everything else is the recipe.
One seed fixes the phantoms, the weights and the order of batches; sums over threads keep the last
digits of the weights from being the same on every machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cspine.errors import ModelError, did_you_mean
from cspine.files import write_atomic
from cspine.spec import Classify, PipelineSpec, Screen, Segment
from cspine_phantom.training.classifier import train_classifier
from cspine_phantom.training.fit import save_weights
from cspine_phantom.training.localiser import train_localiser
from cspine_phantom.training.recipe import Recipe
from cspine_phantom.training.screening import gather_films, train_screen
from cspine_phantom.training.tensors import gather

LOG = "train.json"

Trained = tuple[nn.Module, dict[str, Any]]


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
    known = [stage.id for stage in spec.networks]
    for name in stages:
        if name not in known:
            raise ModelError(
                f"no network stage {name!r} in {spec.name}{did_you_mean(name, known)}; "
                f"it has {', '.join(known)}"
            )
    wanted = set(stages or known)
    segment, classify, screen = spec.only(Segment), spec.only(Classify), spec.screen
    facts = {"pipeline": spec.name, "recipe": asdict(recipe), "torch": torch.__version__}
    log = _note(folder, facts)
    if screen and screen.id in wanted:
        log = _kept(folder, screen.id, lambda: _screen(screen, recipe))
    if wanted & {segment.id, classify.id}:
        data = gather(
            spec,
            patients=recipe.train_patients,
            seed=recipe.seed,
            variants=recipe.variants,
            frontal=recipe.frontal_films,
            hidden=recipe.hidden_films,
        )
        held = gather(spec, patients=recipe.tuning_patients, seed=recipe.seed + 1, variants=1)
        if segment.id in wanted:
            log = _kept(folder, segment.id, lambda: train_localiser(segment, data, held, recipe))
        if classify.id in wanted:
            log = _kept(folder, classify.id, lambda: train_classifier(classify, data, held, recipe))
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


def _screen(stage: Screen, recipe: Recipe) -> Trained:
    clean, of_each = recipe.screen_clean, recipe.screen_of_each
    return train_screen(
        stage,
        gather_films(stage, seed=recipe.seed + 2, clean=clean, of_each=of_each),
        gather_films(stage, seed=recipe.seed + 3, clean=clean // 4, of_each=of_each // 5),
        seed=recipe.seed,
        epochs=recipe.screen_epochs,
        batch=recipe.screen_batch,
        **recipe.pace,
    )
