"""Backbones of torchvision for images of one size, so that their graphs are as plain as can be."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any

from cspine.errors import ModelError, missing_extra

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional
except ImportError as error:
    raise ModelError(missing_extra("torch", "export")) from error
try:
    from torchvision.models.detection.backbone_utils import BackboneWithFPN
    from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d
except ImportError as error:
    raise ModelError(missing_extra("torchvision", "zoo")) from error


class Pyramid(nn.Module):
    """A backbone with a feature pyramid that enlarges its maps by whole factors.

    The published one enlarges to the size of the next map, which an exporter writes as a dozen
    nodes that compute a size.

    Parameters
    ----------
    backbone
        A ``BackboneWithFPN``; its parts are used, not copied.
    factors
        (rows, columns) from each level of its body but the first to the finer one before it.
    """

    body: nn.Module
    fpn: Any

    def __init__(self, backbone: Any, factors: Sequence[tuple[float, float]]) -> None:
        super().__init__()
        self.body = backbone.body
        self.fpn = backbone.fpn
        self._factors = factors

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the maps by name, the finest first."""
        levels = self.body(image)
        names, values = list(levels), list(levels.values())
        lateral, smooth = self.fpn.inner_blocks, self.fpn.layer_blocks
        top = lateral[-1](values[-1])
        maps = [smooth[-1](top)]
        for index in reversed(range(len(self._factors))):
            larger = functional.interpolate(top, scale_factor=self._factors[index])
            top = lateral[index](values[index]) + larger
            maps.insert(0, smooth[index](top))
        if self.fpn.extra_blocks is not None:
            maps, names = self.fpn.extra_blocks(maps, values, names)
        return dict(zip(names, maps, strict=True))


def for_one_size(backbone: Any, image: Tensor) -> Any:
    """Return a copy of a backbone that is run on images like `image` alone.

    Frozen normalisation becomes the common one with the same numbers, which exporters fold into
    the convolution before it. A pyramid that is not the published one stays as it is.
    """
    made = deepcopy(backbone)
    for module in list(made.modules()):
        for name, child in module.named_children():
            if isinstance(child, FrozenBatchNorm2d):
                setattr(module, name, _thawed(child))
    if type(made) is not BackboneWithFPN or type(made.fpn) is not FeaturePyramidNetwork:
        return made
    sizes = [level.shape[2:] for level in made.body(image).values()]
    steps = list(pairwise(sizes))
    if any(fine[axis] % coarse[axis] for fine, coarse in steps for axis in (0, 1)):
        return made
    return Pyramid(made, [(f[0] / c[0], f[1] / c[1]) for f, c in steps])


def _thawed(frozen: FrozenBatchNorm2d) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(len(frozen.weight), eps=frozen.eps).eval()
    with torch.no_grad():
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(made, name).copy_(getattr(frozen, name))
    return made
