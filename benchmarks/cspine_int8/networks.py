"""What is quantised: the published networks in FP32, what calibrates them and what tests them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from cspine.backends import Array, open_backend
from cspine.backends.recorder import Recorder
from cspine.detection.faster_rcnn import FasterRcnn
from cspine.fields import Architecture
from cspine.session import Session
from cspine_export.architecture import build_network
from cspine_export.faster_rcnn import Normalised, split
from cspine_export.graph.exported import to_onnx
from cspine_export.graph.interface import Interface
from cspine_export.published import DETECTOR, PUBLISHED, Published
from cspine_int8.seeded import grains, with_statistics

Feeds = tuple[Mapping[str, Array], ...]

_SEED = 11
_CALIBRATION_SEED, _TEST_SEED = 1000, 5000  # no image of one is an image of the other
_SIDE = 224  # of what is classified; what is segmented has 512
_LEVELS = 6  # crops of one neck, which go through a classifier as one batch
_REGIONS = 100  # the first of an image's, which are the likeliest


@dataclass(frozen=True)
class Subject:
    """One network.

    Attributes
    ----------
    name
        As the papers have it.
    model
        The FP32 ONNX file.
    calibration, test
        Batches; those of the test are what is timed.
    """

    name: str
    model: bytes
    calibration: Feeds
    test: Feeds


def subjects() -> Mapping[str, Callable[[], Subject]]:
    """Return what makes each network, by name."""
    made: dict[str, Callable[[], Subject]] = {
        published.name: partial(_seeded, published)
        for published in (*PUBLISHED, *_OTHERS)
        if published.name not in _LEFT_OUT
    }
    made["Faster R-CNN, features"] = partial(_detector, "Faster R-CNN, features")
    made["Faster R-CNN, box head"] = partial(_detector, "Faster R-CNN, box head")
    return made


# The U-Net with BatchNorm under another name, with more channels at the end.
_LEFT_OUT = frozenset({"heat-map landmark network"})


def _other(name: str, factory: str) -> Published:
    architecture = Architecture(
        factory=f"timm.models:{factory}", arguments={"in_chans": 1, "num_classes": 1}
    )
    return Published(name, (), architecture, Interface("image", (1, _SIDE, _SIDE), ("logits",)))


# Of no published system, but of the next one: what has no BatchNorm, and what has hard swishes.
_OTHERS = (
    _other("ConvNeXt-Tiny", "convnext_tiny"),
    _other("MobileNetV3", "mobilenetv3_large_100"),
)


def _seeded(published: Published) -> Subject:
    torch.manual_seed(_SEED)
    interface = published.interface
    network = with_statistics(build_network(published.architecture), interface)
    classifies = interface.shape[1] == _SIDE
    count, batch = (48, _LEVELS) if classifies else (8, 1)
    return Subject(
        published.name,
        to_onnx(network, interface).data,
        _batches(interface, seed=_CALIBRATION_SEED, count=count, batch=batch),
        _batches(interface, seed=_TEST_SEED, count=count // 2, batch=batch),
    )


def _batches(interface: Interface, *, seed: int, count: int, batch: int) -> Feeds:
    images = grains(interface, seed=seed, count=count)
    return tuple(
        {interface.input: np.stack(images[first : first + batch])}
        for first in range(0, count, batch)
    )


def _detector(part: str) -> Subject:
    """Return one of a detector's two networks, fed with what it is fed in the whole."""
    torch.manual_seed(_SEED)
    side = DETECTOR.arguments["min_size"]
    image = Interface("image", (1, side, side), ("maps",))
    model: Any = build_network(
        Architecture(
            factory=DETECTOR.factory,
            arguments={**DETECTOR.arguments, "weights": None, "weights_backbone": None},
        )
    )
    with_statistics(_OneTensor(Normalised(model.transform, model.backbone)), image)
    parts = split(model.eval(), size_px=(side, side))
    regions = (parts.spec.regions.channels, *parts.spec.regions.size)
    of_features = Interface("image", image.shape, parts.outputs)
    of_head = Interface("regions", regions, ("class_logits", "box_deltas"))
    features = to_onnx(parts.features, of_features, exporters=["torchscript"]).data
    calibration = _batches(image, seed=_CALIBRATION_SEED, count=8, batch=1)
    test = _batches(image, seed=_TEST_SEED, count=4, batch=1)
    if part == "Faster R-CNN, features":
        return Subject(part, features, calibration, test)
    head = to_onnx(parts.head, of_head, exporters=["torchscript"]).data
    backends = open_backend("onnxruntime", features), Recorder(open_backend("onnxruntime", head))
    detector = FasterRcnn(
        parts.spec, features=Session("features", backends[0]), head=Session("head", backends[1])
    )
    for feed in (*calibration, *test):
        detector.run(np.asarray(feed["image"]))
    seen = tuple(_first(feed["regions"]) for feed in backends[1].feeds)
    for backend in backends:
        backend.close()
    return Subject(part, head, seen[: len(calibration)], seen[len(calibration) :])


def _first(regions: Array) -> Mapping[str, Array]:
    return {"regions": np.ascontiguousarray(regions[:_REGIONS])}


class _OneTensor(torch.nn.Module):
    """A backbone of which one map is returned, so that it can be run for its statistics."""

    def __init__(self, backbone: Normalised) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the map of the coarsest scale."""
        maps: dict[str, torch.Tensor] = self.backbone(image)
        return list(maps.values())[-1]
