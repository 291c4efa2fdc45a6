"""Proof that an exported graph computes what the PyTorch network computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from cspine.backends import Array, Backend
from cspine_export.graph.activation_map import with_map
from cspine_export.graph.interface import Interface, Meaning

# Both sides compute in float32 and differ in the order of sums.
LARGEST_RELATIVE_ERROR = 1e-4
LARGEST_CHANGE: Mapping[Meaning | None, float] = {
    "labels": 1e-3,  # pixels where two labels are as likely may fall to either
    "probabilities": 1e-4,
    "positions": 1e-3,
    "classes": 1e-4,
    None: 0.0,
}


Reference = Callable[[torch.Tensor], tuple[torch.Tensor, ...]]


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
        The same divided by the spread of PyTorch's output over all inputs, its largest value less
        its smallest, or by a thousandth of its largest magnitude if that is more.
    meaning
        What the output decides, as :class:`~.graph.interface.Interface` has it.
    change
        Of labels, the largest share of a batch's pixels with another one; of probabilities and
        classes, the largest difference; of positions, the largest part of a map's softmax that
        moved; 0 for an output that decides nothing.
    """

    output: str
    tensors: int
    max_abs: float
    relative: float
    meaning: Meaning | None
    change: float

    @property
    def holds(self) -> bool:
        """Whether the difference is explained by the order of sums."""
        # False for what is no number.
        return bool(
            self.relative <= LARGEST_RELATIVE_ERROR and self.change <= LARGEST_CHANGE[self.meaning]
        )

    def __str__(self) -> str:
        told = f"by {self.relative:.2g} of the output's spread over {self.tensors} batches"
        return f"{told}, {_CHANGES[self.meaning].format(self.change)}" if self.meaning else told


_CHANGES = {
    "labels": "{:.2g} of the pixels labelled otherwise",
    "probabilities": "a probability by {:.2g}",
    "positions": "{:.2g} of a map moved",
    "classes": "a class's probability by {:.2g}",
}


_FINE_NOISE = (0.01, 0.03)  # standard deviations, the least and the most


def random_feeds(interface: Interface, *, seed: int = 0) -> list[dict[str, Array]]:
    """Return made inputs in 0..1 in the shape of a network's input, batches of one and two.

    Each is noise of its own grain, level and contrast: of noise that is all alike a network makes
    outputs that are all alike, and their spread says nothing. Fine noise lies over it, as over what
    any detector gives: a channel without it is flat, and InstanceNorm divides nothing by nothing.
    """
    rng = np.random.default_rng(seed)
    return [
        {interface.input: np.stack([_noise(rng, interface.shape) for _ in range(n)])}
        for n in (1, 2)
    ]


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    grains = tuple(min(size, int(rng.integers(2, 65))) for size in shape[1:])
    coarse = rng.random((shape[0], *grains))
    for axis, (size, grain) in enumerate(zip(shape[1:], grains, strict=True), 1):
        coarse = np.take(coarse, np.arange(size) * grain // size, axis=axis)
    contrast = rng.uniform(0.1, 1)
    grey = rng.uniform(0, 1 - contrast) + contrast * coarse
    fine = rng.normal(0, rng.uniform(*_FINE_NOISE), shape)
    return np.asarray(np.clip(grey + fine, 0, 1), np.float32)


def reference_of(network: nn.Module, interface: Interface) -> Reference:
    """Return what computes in PyTorch, output by output, what the graph shall."""
    if interface.map:
        return with_map(network)

    def run(image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        result = network(image)
        return tuple(result) if isinstance(result, (tuple, list)) else (result,)

    return run


def compare(
    reference: Reference,
    backend: Backend,
    feeds: Iterable[Mapping[str, Array]],
    *,
    interface: Interface,
) -> tuple[Parity, ...]:
    """Run both sides on the same inputs and compare every output."""
    names = interface.all_outputs
    worst = dict.fromkeys(names, 0.0)
    seen: dict[str, list[Array]] = {name: [] for name in names}
    change, tensors = 0.0, 0
    for feed in feeds:
        tensors += 1
        exported = backend.run(feed)
        expected = _one_by_one(reference, torch.from_numpy(feed[interface.input]))
        for name, value in zip(names, expected, strict=True):
            # np.maximum, unlike max, keeps what is no number.
            error = np.abs(value.numpy() - exported[name]).max()
            worst[name] = float(np.maximum(worst[name], error))
            seen[name].append(value.numpy().ravel())
        first = expected[0].numpy()
        change = float(np.maximum(change, _change(first, exported[names[0]], interface.meaning)))
    return tuple(
        Parity(
            name,
            tensors,
            worst[name],
            _relative(worst[name], seen[name]),
            interface.meaning if name == names[0] else None,
            change if name == names[0] else 0.0,
        )
        for name in names
    )


def _one_by_one(reference: Reference, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Run PyTorch on single images: less memory, and no batch on one of the two sides."""
    with torch.inference_mode():
        each = [reference(image[None]) for image in images]
    return tuple(torch.cat(parts) for parts in zip(*each, strict=True))


def _change(expected: Array, got: Array, meaning: Meaning | None) -> float:
    if meaning == "labels":
        return float((expected.argmax(1) != got.argmax(1)).mean())
    if meaning == "probabilities":
        return float(np.abs(_sigmoid(expected) - _sigmoid(got)).max())
    if meaning == "positions":
        # Half of what differs: where a share lies, another one lacks it.
        return float(
            np.abs(_softmax(expected, (2, 3)) - _softmax(got, (2, 3))).sum((2, 3)).max() / 2
        )
    if meaning == "classes":
        return float(np.abs(_softmax(expected, (1,)) - _softmax(got, (1,))).max())
    return 0.0


def _sigmoid(logits: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)))  # which overflows nowhere


def _softmax(values: Array, axes: tuple[int, ...]) -> Array:
    odds = np.exp(values.astype(np.float64) - values.max(axes, keepdims=True))
    return np.asarray(odds / odds.sum(axes, keepdims=True))


def _relative(error: float, values: list[Array]) -> float:
    every = np.concatenate(values)
    # Of an output that hardly varies, float32 itself leaves no more than this to compare.
    scale = max(float(np.ptp(every)), 1e-3 * float(np.abs(every).max()))
    return error / scale if scale > 0 else error
