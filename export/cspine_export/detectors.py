"""A small Faster R-CNN: a ResNet of MONAI, a feature pyramid, and heads as narrow as is asked.

Its parts are what a graph holds, and no more. They need no torchvision; a training puts them into
torchvision's ``FasterRCNN`` with :func:`cspine_export.faster_rcnn.joined`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cspine.detection.spec import DetectorSpec
from cspine.errors import ModelError, missing_extra

try:
    import torch
    from monai.networks.nets.resnet import ResNet
    from torch import Tensor, nn
    from torch.nn import functional
except ImportError as error:
    raise ModelError(missing_extra("torch", "export")) from error

_LEVELS = 4  # of a ResNet


class Pyramid(nn.Module):
    """The last levels of a ResNet as maps of as many channels each (Lin et al. 2017), by name.

    After them comes the coarsest once more, every other cell of it.
    """

    def __init__(self, body: nn.Module, planes: Sequence[int], channels: int, names: Any) -> None:
        super().__init__()
        self.body = body
        self.out_channels = channels
        self.names = tuple(names)
        kept = planes[_LEVELS - len(self.names) + 1 :]
        self.lateral = nn.ModuleList(nn.Conv2d(each, channels, 1) for each in kept)
        self.smooth = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in kept)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the maps, the finest first."""
        body: Any = self.body
        values = body.maxpool(body.act(body.bn1(body.conv1(image))))
        levels = []
        for level in (body.layer1, body.layer2, body.layer3, body.layer4):
            values = level(values)
            levels.append(values)
        levels = levels[_LEVELS - len(self.lateral) :]
        top = self.lateral[-1](levels[-1])
        maps = [self.smooth[-1](top)]
        for index in reversed(range(len(levels) - 1)):
            top = self.lateral[index](levels[index]) + functional.interpolate(top, scale_factor=2.0)
            maps.insert(0, self.smooth[index](top))
        maps.append(functional.max_pool2d(maps[-1], kernel_size=1, stride=2))
        return dict(zip(self.names, maps, strict=True))


class ProposalHead(nn.Module):
    """What of each anchor is likely, with the same weights on every map."""

    def __init__(self, channels: int, shapes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.cls_logits = nn.Conv2d(channels, shapes, 1)
        self.bbox_pred = nn.Conv2d(channels, 4 * shapes, 1)
        for layer in (self.conv, self.cls_logits, self.bbox_pred):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(torch.as_tensor(layer.bias))

    def forward(self, maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return logits and deltas, map by map."""
        seen = [functional.relu(self.conv(each)) for each in maps]
        return [self.cls_logits(each) for each in seen], [self.bbox_pred(each) for each in seen]


class BoxHead(nn.Module):
    """Two linear layers over a region."""

    def __init__(self, values: int, width: int) -> None:
        super().__init__()
        self.fc6 = nn.Linear(values, width)
        self.fc7 = nn.Linear(width, width)

    def forward(self, regions: Tensor) -> Tensor:
        """Return (R, width) of regions (R, channels, rows, columns)."""
        return functional.relu(self.fc7(functional.relu(self.fc6(regions.flatten(1)))))


class BoxPredictor(nn.Module):
    """The logit of each label, and its box."""

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(width, labels)
        self.bbox_pred = nn.Linear(width, 4 * labels)

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits and box deltas."""
        return self.cls_score(seen), self.bbox_pred(seen)


class Detector(nn.Module):
    """The parts of a Faster R-CNN that are learned."""

    def __init__(
        self, backbone: Pyramid, rpn_head: nn.Module, box_head: nn.Module, box_predictor: nn.Module
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.rpn_head = rpn_head
        self.box_head = box_head
        self.box_predictor = box_predictor


def faster_rcnn(
    *,
    detector: DetectorSpec,
    block: str,
    layers: list[int],
    block_inplanes: list[int],
    representation: int,
) -> Detector:
    """Return a detector of one grey channel in 0..1, with fresh weights.

    Parameters
    ----------
    detector
        The numbers of the pipeline file: how many maps, anchors and labels there are, and of what
        size a region is.
    block, layers, block_inplanes
        Of the ResNet, as MONAI has them.
    representation
        How wide the box head is.

    Raises
    ------
    ValueError
        If the numbers are none that such a network has.
    """
    shapes = {len(each.sizes_px) * len(each.aspect_ratios) for each in detector.anchors}
    if len(shapes) != 1:
        raise ValueError(f"anchors: got {sorted(shapes)} a cell, expected as many on every map")
    if not 2 <= len(detector.anchors) <= _LEVELS + 1:
        raise ValueError(
            f"anchors: got {len(detector.anchors)} maps, expected 2 to {_LEVELS + 1}: the last "
            "levels of a ResNet and one that is coarser"
        )
    channels = detector.regions.channels
    expansion = {"basic": 1, "bottleneck": 4}[block]
    body = ResNet(
        block=block,
        layers=layers,
        block_inplanes=block_inplanes,
        spatial_dims=2,
        n_input_channels=1,
        conv1_t_size=7,
        conv1_t_stride=2,
        feed_forward=False,
    )
    values = channels * detector.regions.size[0] * detector.regions.size[1]
    names = [anchors.map for anchors in detector.anchors]
    planes = [expansion * each for each in block_inplanes]
    return Detector(
        Pyramid(body, planes, channels, names),
        ProposalHead(channels, shapes.pop()),
        BoxHead(values, representation),
        BoxPredictor(representation, detector.predictions.labels),
    )
