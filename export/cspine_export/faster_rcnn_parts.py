"""Which parts a Faster R-CNN may have: those whose work the host does are torchvision's own."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import Any

from cspine.detection.boxes import LARGEST_LOG_SCALE
from cspine.errors import ModelError, missing_extra

try:
    from torchvision.models.detection._utils import BoxCoder
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
    from torchvision.models.detection.roi_heads import RoIHeads
    from torchvision.models.detection.rpn import RegionProposalNetwork
    from torchvision.models.detection.transform import GeneralizedRCNNTransform
    from torchvision.ops import MultiScaleRoIAlign
except ImportError as error:
    raise ModelError(missing_extra("torchvision", "zoo")) from error

# A derived class may do something else, so each is the class itself.
PARTS = {
    "transform": GeneralizedRCNNTransform,
    "rpn": RegionProposalNetwork,
    "rpn.anchor_generator": AnchorGenerator,
    "rpn.box_coder": BoxCoder,
    "roi_heads": RoIHeads,
    "roi_heads.box_roi_pool": MultiScaleRoIAlign,
    "roi_heads.box_coder": BoxCoder,
}


def check_parts(model: Any) -> None:
    """Refuse a model with a part whose work the host would do in another way.

    Raises
    ------
    ModelError
        Naming the part.
    """
    if getattr(type(model), "forward", None) is not GeneralizedRCNN.forward:
        raise ModelError(
            f"the detector: got {type(model).__name__}, expected torchvision's GeneralizedRCNN "
            "or what is derived from it with the same forward, such as FasterRCNN"
        )
    for name, kind in PARTS.items():
        part = attrgetter(name)(model)
        if type(part) is not kind:
            raise ModelError(
                f"{name}: got {type(part).__name__}, expected torchvision's {kind.__name__} "
                "itself, because the host does its work; make the model with that one"
            )
        if kind is BoxCoder and not math.isclose(
            part.bbox_xform_clip, LARGEST_LOG_SCALE, rel_tol=1e-6
        ):
            raise ModelError(
                f"{name}.bbox_xform_clip: got {part.bbox_xform_clip:.6g}, expected "
                f"{LARGEST_LOG_SCALE:.6g}, the only limit that the host knows"
            )
    for what, there in (
        ("mask", model.roi_heads.has_mask()),
        ("keypoint", model.roi_heads.has_keypoint()),
    ):
        if there:
            raise ModelError(
                f"roi_heads: got a {what} head, expected boxes alone; set roi_heads."
                f"{what}_roi_pool to None to leave it out"
            )


def check_size(transform: Any, size_px: tuple[int, int]) -> None:
    """Refuse images that the transform would resize or pad: a graph takes them as they are.

    Raises
    ------
    ModelError
        If the size is not one that stays.
    """
    rows, columns = size_px
    if rows % transform.size_divisible or columns % transform.size_divisible:
        raise ModelError(
            f"size: got {rows} x {columns}, expected multiples of {transform.size_divisible}, "
            "which the model's transform does not pad"
        )
    if transform.fixed_size is not None:
        wanted = (transform.fixed_size[1], transform.fixed_size[0])
    else:
        factor = min(transform.min_size[-1] / min(size_px), transform.max_size / max(size_px))
        wanted = (int(rows * factor), int(columns * factor))
    if wanted != size_px:
        raise ModelError(
            f"size: got {rows} x {columns}, which the model's transform makes "
            f"{wanted[0]} x {wanted[1]}; expected a size that it leaves alone: give another, or "
            f"make the model with min_size={min(size_px)} and max_size={max(size_px)}"
        )
