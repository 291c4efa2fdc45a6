"""Seeded weights with the statistics of training, and images that are neither flat nor noise."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from cspine.backends import Array
from cspine_export.graph.interface import Interface
from cspine_export.parity import random_feeds

_IMAGES = 12
_LEAST_VARIANCE = 0.2  # of the layer's mean


def with_statistics(network: nn.Module, interface: Interface) -> nn.Module:
    """Give a fresh network scales and statistics of BatchNorm as training leaves them.

    With scales of one, as fresh networks have them, forty blocks of an EfficientNet amplify the
    rounding of float32 until PyTorch disagrees with itself.

    Parameters
    ----------
    network
        Changed in place, and left in evaluation mode.
    interface
        Its input; if it asks for a map, the last layer is fitted to tell images apart.
    """
    normalisations = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    for module in normalisations:
        nn.init.uniform_(module.weight, 0.1, 0.5)
        module.momentum = 1.0
    images = torch.stack(
        [torch.from_numpy(image) for image in grains(interface, seed=100, count=_IMAGES)]
    )
    with torch.no_grad():
        # One batch: a layer's statistics are those of what the layers before it give with theirs.
        # Of a mean over batches they are not, and a deep network leaves every range.
        network.train()(images)
        for module in normalisations:
            # A channel that hardly varied would amplify another image beyond all bounds.
            variance = module.get_buffer("running_var")
            variance.clamp_(min=_LEAST_VARIANCE * float(variance.mean()))
        if interface.map:
            _fit_head(network.eval(), images)
    return network.eval()


def grains(interface: Interface, *, seed: int, count: int) -> list[Array]:
    """Return made images, of grains, levels and contrasts that vary."""
    feeds = (random_feeds(interface, seed=seed + number)[-1] for number in range((count + 1) // 2))
    return [np.asarray(image) for feed in feeds for image in feed[interface.input]][:count]


def _fit_head(network: nn.Module, images: Tensor) -> None:
    """Let the last layer tell images apart, as a trained one does; a fresh one answers alike."""
    head = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    pooled: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda _, given: pooled.append(given[0]))
    network(images)
    handle.remove()
    centred = pooled[0] - pooled[0].mean(0)
    _, spread, axes = torch.linalg.svd(centred, full_matrices=False)
    count = head.out_features
    head.weight.copy_(axes[:count] / spread[:count, None] * len(images) ** 0.5)
    head.bias.copy_(-(head.weight @ pooled[0].mean(0)))
