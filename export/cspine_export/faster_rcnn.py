"""A Faster R-CNN of torchvision as two networks that every backend runs, and the numbers between.

What is exported may be any module that returns tensors of the right shapes: the backbone, the
proposal head, the box head and its predictor. What the host does instead must be the published
class itself, which :mod:`cspine_export.faster_rcnn_parts` sees to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cspine.detection.spec import Anchors, DetectorSpec, Predictions, Proposals, Regions
from cspine.errors import ModelError, missing_extra
from cspine_export.detector_parts import FeaturesNetwork, HeadNetwork
from cspine_export.detectors import Detector
from cspine_export.faster_rcnn_parts import check_parts, check_size
from cspine_export.pyramid import for_one_size

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:
    raise ModelError(missing_extra("torch", "export")) from error
try:
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.ops import MultiScaleRoIAlign
except ImportError as error:
    raise ModelError(missing_extra("torchvision", "zoo")) from error

# Written into RoIHeads.postprocess_detections, where no attribute says it.
SMALLEST_DETECTION_PX = 1e-2


@dataclass(frozen=True)
class Split:
    """A detector in parts, in evaluation mode.

    Attributes
    ----------
    features
        ``image`` (N, channels, rows, columns) in 0..1 to `outputs`.
    outputs
        Names of what it returns, in order: the maps, then ``objectness`` (N, anchors) and
        ``deltas`` (N, anchors, 4).
    head
        ``regions`` (R, channels, rows, columns) to ``class_logits`` (R, labels) and
        ``box_deltas`` (R, 4 labels).
    spec
        What :class:`cspine.detection.faster_rcnn.FasterRcnn` needs besides.
    """

    features: nn.Module
    outputs: tuple[str, ...]
    head: nn.Module
    spec: DetectorSpec


class Normalised(nn.Module):
    """A backbone whose images are in 0..1; its maps by name, also where there is one alone.

    One grey channel is repeated for as many as there are means and deviations.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, transform: Any, backbone: nn.Module) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(transform.image_mean)[:, None, None])
        self.register_buffer("deviation", torch.tensor(transform.image_std)[:, None, None])
        self.backbone = backbone

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the maps, each (N, channels, rows, columns)."""
        maps = self.backbone((image - self.mean) / self.deviation)
        return {"0": maps} if isinstance(maps, Tensor) else dict(maps)


def split(model: Any, *, size_px: tuple[int, int], channels: int = 1) -> Split:
    """Split a detector at its proposals and its RoIAlign.

    Parameters
    ----------
    model
        A ``GeneralizedRCNN`` without masks and keypoints, such as ``fasterrcnn_resnet50_fpn``;
        put into evaluation mode, and otherwise left as it is.
    size_px
        Rows and columns of the images: a size that the model's own transform leaves alone.
    channels
        1, a grey image, or as many as the model has.

    Raises
    ------
    ModelError
        If a part is not what is understood, or returns other tensors than it has to.
    """
    check_parts(model)
    check_size(model.transform, size_px)
    known = len(model.transform.image_mean)
    if channels not in (1, known):
        raise ModelError(
            f"channels: got {channels}, expected 1, a grey image, or the model's {known}"
        )
    model.eval()
    image = torch.zeros((2, channels, *size_px))  # two, so that nothing takes a batch for one
    with torch.no_grad():
        backbone = Normalised(model.transform, model.backbone)
        backbone.backbone = for_one_size(model.backbone, image.expand(-1, known, -1, -1))
        maps = backbone(image)
        anchors = _anchors(model.rpn, maps, size_px)
        regions = _regions(model.roi_heads.box_roi_pool, maps, size_px)
        head = HeadNetwork(model.roi_heads.box_head, model.roi_heads.box_predictor)
        spec = DetectorSpec(
            size_px=size_px,
            anchors=anchors,
            proposals=_proposals(model.rpn),
            regions=regions,
            predictions=_predictions(model.roi_heads, _labels(head, regions)),
        )
    features = FeaturesNetwork(backbone, model.rpn.head, anchors=spec.anchor_count)
    outputs = (*map(_map_name, maps), "objectness", "deltas")
    return Split(features.eval(), outputs, head.eval(), spec)


def joined(parts: Detector, spec: DetectorSpec) -> Any:
    """Return torchvision's ``FasterRCNN`` around parts, which it shares, for their training.

    Parameters
    ----------
    spec
        The numbers of the pipeline file that the parts were made with. What holds in a training
        alone is torchvision's default, and is set on what is returned.
    """
    proposals, regions, predictions = spec.proposals, spec.regions, spec.predictions
    model = FasterRCNN(
        parts.backbone,
        min_size=min(spec.size_px),
        max_size=max(spec.size_px),
        image_mean=[0.0],
        image_std=[1.0],
        rpn_anchor_generator=AnchorGenerator(
            tuple(each.sizes_px for each in spec.anchors),
            tuple(each.aspect_ratios for each in spec.anchors),
        ),
        rpn_head=parts.rpn_head,
        rpn_pre_nms_top_n_test=proposals.before_nms,
        rpn_post_nms_top_n_test=proposals.after_nms,
        rpn_nms_thresh=proposals.nms_threshold,
        rpn_score_thresh=proposals.score_threshold,
        box_roi_pool=MultiScaleRoIAlign(
            list(regions.maps),
            regions.size,
            regions.sampling_ratio,
            canonical_scale=regions.canonical_scale_px,
            canonical_level=regions.canonical_level,
        ),
        box_head=parts.box_head,
        box_predictor=parts.box_predictor,
        box_score_thresh=predictions.score_threshold,
        box_nms_thresh=predictions.nms_threshold,
        box_detections_per_img=predictions.per_image,
        bbox_reg_weights=predictions.weights,
    )
    model.rpn.min_size = proposals.minimum_side_px
    return model


def _map_name(name: str) -> str:
    """Return the graph's name for a map: ``p0`` for the backbone's ``0``, ``pool`` as it is."""
    return f"p{name}" if name.isdecimal() else name


def _anchors(rpn: Any, maps: Mapping[str, Tensor], size_px: tuple[int, int]) -> tuple[Anchors, ...]:
    generator = rpn.anchor_generator
    if not len(maps) == len(generator.sizes) == len(generator.aspect_ratios):
        raise ModelError(
            f"rpn.anchor_generator: got sizes for {len(generator.sizes)} maps and aspect ratios "
            f"for {len(generator.aspect_ratios)}, expected {len(maps)}, as many as the backbone "
            "returns"
        )
    made = tuple(
        Anchors(
            map=_map_name(name),
            grid=(cells.shape[2], cells.shape[3]),
            stride_px=(size_px[0] // cells.shape[2], size_px[1] // cells.shape[3]),
            sizes_px=tuple(map(float, sizes)),
            aspect_ratios=tuple(map(float, ratios)),
        )
        for (name, cells), sizes, ratios in zip(
            maps.items(), generator.sizes, generator.aspect_ratios, strict=True
        )
    )
    logits, deltas = rpn.head(list(maps.values()))
    for anchors, scores, boxes in zip(made, logits, deltas, strict=True):
        shapes = len(anchors.sizes_px) * len(anchors.aspect_ratios)
        _check_shapes(
            f"rpn.head, map {anchors.map!r}",
            (scores, boxes),
            ((2, shapes, *anchors.grid), (2, 4 * shapes, *anchors.grid)),
        )
    return made


def _labels(head: HeadNetwork, regions: Regions) -> int:
    logits, deltas = head(torch.zeros((2, regions.channels, *regions.size)))
    labels = int(logits.shape[-1])
    _check_shapes("roi_heads.box_predictor", (logits, deltas), ((2, labels), (2, 4 * labels)))
    return labels


def _check_shapes(where: str, made: Sequence[Tensor], wanted: Sequence[tuple[int, ...]]) -> None:
    got = [tuple(tensor.shape) for tensor in made]
    if got != list(wanted):
        raise ModelError(
            f"{where}: got {' and '.join(map(str, got))}, expected "
            f"{' and '.join(map(str, wanted))}; give the model the part that it was trained with"
        )


def _proposals(rpn: Any) -> Proposals:
    return Proposals(
        before_nms=rpn.pre_nms_top_n(),
        after_nms=rpn.post_nms_top_n(),
        score_threshold=rpn.score_thresh,
        nms_threshold=rpn.nms_thresh,
        minimum_side_px=rpn.min_size,
        weights=tuple(rpn.box_coder.weights),
    )


def _regions(pool: Any, maps: Mapping[str, Tensor], size_px: tuple[int, int]) -> Regions:
    chosen = {name: cells for name, cells in maps.items() if name in pool.featmap_names}
    if not chosen:
        raise ModelError(
            f"roi_heads.box_roi_pool: got maps {', '.join(pool.featmap_names)}, expected some of "
            f"{', '.join(maps)}, which the backbone returns"
        )
    return Regions(
        maps=tuple(map(_map_name, chosen)),
        # As MultiScaleRoIAlign guesses them: by rows, to the next power of two.
        scales=tuple(2.0 ** round(math.log2(c.shape[2] / size_px[0])) for c in chosen.values()),
        channels=next(iter(chosen.values())).shape[1],
        size=tuple(pool.output_size),
        sampling_ratio=max(pool.sampling_ratio, 0),
        canonical_scale_px=pool.canonical_scale,
        canonical_level=pool.canonical_level,
    )


def _predictions(roi_heads: Any, labels: int) -> Predictions:
    return Predictions(
        labels=labels,
        per_image=roi_heads.detections_per_img,
        score_threshold=roi_heads.score_thresh,
        nms_threshold=roi_heads.nms_thresh,
        minimum_side_px=SMALLEST_DETECTION_PX,
        weights=tuple(roi_heads.box_coder.weights),
    )
