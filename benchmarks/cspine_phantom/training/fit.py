"""Fitting a network to batches, whatever it is for, and keeping its weights."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save
from torch import nn

from cspine.files import write_atomic
from cspine_export.checkpoint import tied_names

Tensor = torch.Tensor

Trained = tuple[nn.Module, dict[str, Any]]
"""A network in evaluation mode, and what its log says of it."""


def told(number: int, total: int) -> None:
    """Say on stderr, now and then, how many phantoms there are."""
    if number % 100 == 0 or number == total:
        print(f"  {number} of {total} phantoms", file=sys.stderr, flush=True)


def fit(
    network: nn.Module,
    step: Callable[[nn.Module, int], Tensor],
    steps: int,
    *,
    learning_rate: float,
    weight_decay: float,
) -> tuple[nn.Module, list[float]]:
    """Run AdamW under a one-cycle schedule; return the network in evaluation mode and its loss."""
    network = network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=learning_rate, total_steps=steps
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


def forward(network: nn.Module, images: Tensor) -> Tensor:
    """Run in bfloat16 where the CPU gains from it; losses stay float32."""
    with torch.autocast("cpu", torch.bfloat16):
        outputs: Tensor = network(images.contiguous(memory_format=torch.channels_last))
    return outputs.float()


def predict(network: nn.Module, images: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    """Return the network's outputs for images of shape (N, rows, columns), in float32."""
    with torch.inference_mode():
        parts = [
            network(torch.from_numpy(part.astype(np.float32)[:, None])).numpy()
            for part in np.array_split(images, max(1, len(images) // 32))
        ]
    return np.concatenate(parts)


def save_weights(network: nn.Module, path: Path) -> None:
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
