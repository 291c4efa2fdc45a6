"""The architectures of the five published systems, at the size that they were published with.

What a paper leaves open (widths of a U-Net, the network behind the landmarks) is filled with the
library's default or with what fits. ``docs/architectures.md`` is generated from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cspine.fields import Architecture
from cspine_export.graph.interface import Interface

COMPRESSION, STENOSIS_MR, STENOSIS_CT = "xray-compression", "mr-stenosis", "ct-stenosis"
SAGITTAL, OPLL = "xray-sagittal", "mr-opll"
KANG_GRADES = 4
VERTEBRAE = 9  # C2 to T1, posterior elements, background
LANDMARKS = 34


@dataclass(frozen=True)
class Published:
    """One architecture.

    Attributes
    ----------
    name
        As the papers have it.
    systems
        The pipelines that use it.
    """

    name: str
    systems: tuple[str, ...]
    architecture: Architecture
    interface: Interface


def _timm(name: str, factory: str, *systems: str, classes: int = 1) -> Published:
    architecture = Architecture(
        factory=f"timm.models:{factory}", arguments={"in_chans": 1, "num_classes": classes}
    )
    interface = Interface("image", (1, 224, 224), ("logits",), map=True)
    return Published(name, systems, architecture, interface)


def _monai(
    name: str, network: str, arguments: Mapping[str, Any], *systems: str, interface: Interface
) -> Published:
    architecture = Architecture(
        factory=f"monai.networks.nets:{network}", arguments={"spatial_dims": 2, **arguments}
    )
    return Published(name, systems, architecture, interface)


_MASKS = Interface("image", (1, 512, 512), ("logits",), meaning="labels")
_HEAT_MAPS = Interface("image", (1, 512, 512), ("logits",))
_FILTERS = [32, 64, 128, 256, 512, 512]
_U_NET = {
    "in_channels": 1,
    "kernel_size": [3] * 6,
    "strides": [1, 2, 2, 2, 2, 2],
    "upsample_kernel_size": [2] * 5,
    "filters": _FILTERS,
    "act_name": "relu",
}

PUBLISHED: tuple[Published, ...] = (
    _timm("ResNet-18", "resnet18", COMPRESSION),
    _timm("ResNet-26d", "resnet26d", STENOSIS_CT),
    _timm("ResNet-34", "resnet34", OPLL),
    _timm("ResNet-50", "resnet50", OPLL),
    _timm("ResNet-101", "resnet101", OPLL, STENOSIS_CT),
    _timm("EfficientNet-B0", "efficientnet_b0", STENOSIS_CT),
    _timm("EfficientNet-B5", "efficientnet_b5", STENOSIS_MR, classes=KANG_GRADES),
    _timm("DenseNet-121", "densenet121", STENOSIS_CT),
    _monai(
        "U-Net, BatchNorm",
        "DynUNet",
        {**_U_NET, "out_channels": VERTEBRAE, "norm_name": "batch"},
        COMPRESSION,
        interface=_MASKS,
    ),
    _monai(
        "U-Net, InstanceNorm",
        "DynUNet",
        {**_U_NET, "out_channels": VERTEBRAE, "norm_name": "instance"},
        COMPRESSION,
        interface=_MASKS,
    ),
    _monai(
        "heat-map landmark network",
        "DynUNet",
        {**_U_NET, "out_channels": LANDMARKS, "norm_name": "batch"},
        SAGITTAL,
        interface=_HEAT_MAPS,
    ),
)
# Split into two networks and the runtime's host code: ``cspine_export.faster_rcnn``.
DETECTOR = Architecture(
    factory="torchvision.models.detection:fasterrcnn_resnet50_fpn",
    arguments={"num_classes": 2, "min_size": 512, "max_size": 512},
)
