"""The two networks of a detector's stages, held against the numbers of the pipeline file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import torch
from torch import nn

from cspine.detection.spec import DetectorSpec
from cspine.errors import ModelError
from cspine.spec import Detect, Features
from cspine_export.detector_parts import FeaturesNetwork, HeadNetwork
from cspine_export.detectors import Detector
from cspine_export.graph.interface import Interface


def detector_networks(
    network: nn.Module, features: Features, detect: Detect
) -> dict[str, nn.Module]:
    """Return the networks of both stages by stage id, in evaluation mode.

    Parameters
    ----------
    network
        A :class:`~.detectors.Detector`, or a detector of torchvision.

    Raises
    ------
    ModelError
        If the network is another one than the numbers of the two stages say.
    """
    numbers = detect.detector(features)
    shapes = _shapes(numbers)
    if isinstance(network, Detector):
        _check_made(network.backbone.eval(), features, shapes, outputs=network.backbone.names)
        parts: tuple[nn.Module, nn.Module] = (
            FeaturesNetwork(network.backbone, network.rpn_head, anchors=numbers.anchor_count),
            HeadNetwork(network.box_head, network.box_predictor),
        )
    else:
        from cspine_export.faster_rcnn import split  # which needs torchvision

        found = split(network, size_px=features.size_px)
        _check_numbers(found.spec, numbers, where=f"stages {features.id!r} and {detect.id!r}")
        parts = found.features, found.head
    stages: tuple[Features | Detect, ...] = features, detect
    for stage, part in zip(stages, parts, strict=True):
        _check_made(part.eval(), stage, shapes, outputs=Interface.of(stage).outputs)
    return dict(zip((features.id, detect.id), parts, strict=True))


def _check_numbers(found: DetectorSpec, wanted: DetectorSpec, *, where: str) -> None:
    has, says = (dict(_leaves(msgspec.to_builtins(each))) for each in (found, wanted))
    for name in {**says, **has}:
        if has.get(name) != says.get(name):
            raise ModelError(
                f"{where}: {name}: the pipeline file says {says.get(name)}, the network has "
                f"{has.get(name)}; mend one of the two"
            )


def _leaves(value: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and value of every number of nested tables."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(each, f"{above}.{key}" if above else str(key))
    elif above == "anchors":
        for place, each in enumerate(value):
            yield from _leaves(each, f"anchors[{place}]")
    else:
        yield above, value


def _shapes(numbers: DetectorSpec) -> dict[str, tuple[int, ...]]:
    """Return the shape of one item of every output."""
    regions, labels = numbers.regions, numbers.predictions.labels
    return {
        **{each.map: (regions.channels, *each.grid) for each in numbers.anchors},
        "objectness": (numbers.anchor_count,),
        "deltas": (numbers.anchor_count, 4),
        "class_logits": (labels,),
        "box_deltas": (4 * labels,),
    }


def _check_made(
    part: nn.Module,
    stage: Features | Detect,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    outputs: Sequence[str],
) -> None:
    """Refuse a part that does not take its input, or that returns other shapes."""
    example = Interface.of(stage).example()
    try:
        with torch.inference_mode():
            made = part(example)
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"stage {stage.id!r}: the network does not take {tuple(example.shape)}: "
            f"{str(error).splitlines()[0]}; mend the numbers of its stage or its architecture"
        ) from error
    for name, values in zip(
        outputs, made.values() if isinstance(made, dict) else made, strict=True
    ):
        got, wanted = tuple(values.shape), (len(example), *shapes[name])
        if got != wanted:
            raise ModelError(
                f"stage {stage.id!r}, output {name!r}: the network returns {got}, the pipeline "
                f"file says {wanted}; mend one of the two"
            )
