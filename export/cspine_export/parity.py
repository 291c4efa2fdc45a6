"""Proof that an exported graph computes what the PyTorch network computes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from cspine.backends import Array, Backend, TensorSpec
from cspine.spec import Network

# Both sides compute in float32 and differ only in the order of sums.
LARGEST_RELATIVE_ERROR = 1e-3


@dataclass(frozen=True)
class Parity:
    """The worst disagreement of one output over all inputs tried.

    Attributes
    ----------
    output
        Name of the output.
    tensors
        How many batches were compared.
    max_abs
        Largest absolute difference.
    relative
        The same divided by the standard deviation of PyTorch's output.
    """

    output: str
    tensors: int
    max_abs: float
    relative: float

    @property
    def holds(self) -> bool:
        """Whether the difference is explained by the order of sums."""
        return bool(self.relative <= LARGEST_RELATIVE_ERROR)  # false for what is no number


class Recorder:
    """A backend that keeps what passes through it: how a pipeline yields real inputs."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.feeds: list[dict[str, Array]] = []

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that :meth:`run` must be fed."""
        return self._backend.inputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run, and keep a copy of the feeds."""
        self.feeds.append({name: value.copy() for name, value in feeds.items()})
        return self._backend.run(feeds)

    def close(self) -> None:
        """Release the model."""
        self._backend.close()


def random_feeds(stage: Network, *, seed: int = 0) -> list[dict[str, Array]]:
    """Return noise in the shape of a stage's input, batches of one and three."""
    rng = np.random.default_rng(seed)
    return [{"image": rng.random((n, 1, *stage.size_px), np.float32)} for n in (1, 3)]


def compare(
    network: nn.Module,
    backend: Backend,
    feeds: Iterable[Mapping[str, Array]],
    *,
    outputs: Sequence[str],
) -> tuple[Parity, ...]:
    """Run both sides on the same inputs and compare every output."""
    worst = dict.fromkeys(outputs, 0.0)
    spread: dict[str, list[Array]] = {name: [] for name in outputs}
    tensors = 0
    for feed in feeds:
        tensors += 1
        exported = backend.run(feed)
        with torch.inference_mode():
            result = network(torch.from_numpy(feed["image"]))
        for name, value in zip(outputs, result if len(outputs) > 1 else [result], strict=True):
            reference = value.numpy()
            # np.maximum, unlike max, keeps what is no number.
            error = np.abs(reference - exported[name]).max()
            worst[name] = float(np.maximum(worst[name], error))
            spread[name].append(reference.ravel())
    return tuple(
        Parity(name, tensors, worst[name], _relative(worst[name], spread[name])) for name in outputs
    )


def _relative(error: float, values: list[Array]) -> float:
    scale = float(np.concatenate(values).std())
    return error / scale if scale > 0 else error
