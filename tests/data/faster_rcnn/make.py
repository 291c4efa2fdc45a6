"""Makes the files beside it: a tiny Faster R-CNN in two graphs, and what torchvision says of it.

Run with: python tests/data/faster_rcnn/make.py
"""

from __future__ import annotations

import io
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign, batched_nms

from cspine_export.faster_rcnn import Split, split

HERE = Path(__file__).parent
SIZE = (96, 128)  # its coarsest map has 2 x 2 cells, whose strides are no powers of two
CHANNELS = 8


def detector() -> FasterRCNN:
    """Return a detector of a few thousand random weights that finds something everywhere."""
    torch.manual_seed(0)
    stages = [(3, 4, 4), (4, 6, 2), (6, 8, 2), (8, 8, 2)]
    body = nn.Sequential(
        OrderedDict(
            (f"layer{n}", nn.Sequential(nn.Conv2d(i, o, 3, step, 1), nn.ReLU()))
            for n, (i, o, step) in enumerate(stages)
        )
    )
    backbone = BackboneWithFPN(
        body, {f"layer{n}": str(n) for n in range(4)}, [o for _, o, _ in stages], CHANNELS
    )
    model = FasterRCNN(
        backbone,
        min_size=min(SIZE),
        max_size=max(SIZE),
        rpn_anchor_generator=AnchorGenerator(
            ((12,), (24,), (40,), (64,), (96,)), ((0.5, 1.0, 2.0),) * 5
        ),
        rpn_pre_nms_top_n_test=60,
        rpn_post_nms_top_n_test=50,
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2, canonical_scale=24),
        box_head=TwoMLPHead(CHANNELS * 49, 16),
        box_predictor=FastRCNNPredictor(16, 4),
        box_detections_per_img=60,
    ).eval()
    for part, gain in (
        (model.backbone, 4.0),
        (model.rpn.head.cls_logits, 40.0),
        (model.rpn.head.bbox_pred, 6.0),
        (model.roi_heads.box_predictor, 0.25),
    ):
        for weight in part.parameters():
            weight.data *= gain
    return model


def to_onnx(network: nn.Module, example: torch.Tensor, *, names: tuple[str, ...]) -> bytes:
    """Return a graph with one input, the first of the names, and a dynamic batch."""
    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            written,
            dynamo=False,
            opset_version=17,
            do_constant_folding=True,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={name: {0: "batch"} for name in names},
        )
    return written.getvalue()


def graphs(parts: Split) -> dict[str, bytes]:
    """Return the two graphs of a detector by the names of their files."""
    shape = (parts.spec.regions.channels, *parts.spec.regions.size)
    return {
        "features.onnx": to_onnx(
            parts.features,
            torch.rand(2, 1, *parts.spec.size_px),
            names=("image", *parts.outputs),
        ),
        "head.onnx": to_onnx(
            parts.head, torch.rand(2, *shape), names=("regions", "class_logits", "box_deltas")
        ),
    }


def flow(model: FasterRCNN) -> dict[str, np.ndarray]:
    """Return what a detector makes of two images, step by step."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 1, *SIZE), np.uint8)
    images[:, :, 30:70, 40:90] //= 3
    seen: dict[str, Any] = {}

    def keep(name: str) -> Any:
        return lambda _module, _inputs, output: seen.__setitem__(name, output)

    for name, module in (
        ("anchors", model.rpn.anchor_generator),
        ("proposals", model.rpn),
        ("regions", model.roi_heads.box_roi_pool),
        ("head", model.roi_heads.box_predictor),
    ):
        module.register_forward_hook(keep(name))
    batch = torch.from_numpy(images.astype(np.float32) / 255).expand(-1, 3, -1, -1)
    found = model(list(batch))
    made = {
        "images": images,
        "anchors": seen["anchors"][0],
        "regions": seen["regions"][::7],
        "class_logits": seen["head"][0],
        "box_deltas": seen["head"][1],
    }
    for at, (boxes, answer) in enumerate(zip(seen["proposals"][0], found, strict=True)):
        made[f"proposals{at}"] = boxes
        made |= {f"{name}{at}": answer[name] for name in ("boxes", "labels", "scores")}
    return {name: np.asarray(value) for name, value in made.items()}


def pieces() -> dict[str, np.ndarray]:
    """Return what the functions of torchvision make of drawn boxes, deltas and maps."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator)

    # Boxes beyond every border, of no size, and of just the size that lies between two maps.
    starts, sides = draw(60, 2) * 150 - 40, torch.exp(draw(60, 2) * 5)
    boxes = torch.cat([starts, starts + sides], 1)
    exact = torch.tensor([16.0, 32.0, 64.0, 128.0, 0.0])
    boxes[:5] = torch.stack([exact * 0, exact * 0, exact, exact], 1)
    shapes = [(1, 3, 24 >> k, 32 >> k) for k in (0, 1, 2)]
    maps = [torch.randint(-99, 100, shape, generator=generator) for shape in shapes]
    named = {str(k): values.float() for k, values in enumerate(maps)}
    made: dict[str, Any] = {"roi_boxes": boxes}
    for k, values in enumerate(maps):
        made[f"roi_map{k}"] = values[0].to(torch.int8)
    for ratio in (0, 1, 2, 3):
        pool = MultiScaleRoIAlign(["0", "1", "2"], (5, 4), ratio, canonical_scale=64)
        made[f"roi_aligned{ratio}"] = pool(named, [boxes], [SIZE])
    crowd = torch.cat([draw(400, 2) * 60, draw(400, 2) * 30 + 4], 1)
    crowd[:, 2:] += crowd[:, :2]
    made["nms_boxes"], made["nms_scores"] = crowd, draw(400)
    made["nms_groups"] = torch.randint(0, 3, (400,), generator=generator)
    for percent in (10, 30, 50, 70):
        made[f"nms_kept{percent}"] = batched_nms(
            crowd, made["nms_scores"], made["nms_groups"], percent / 100
        )
    deltas = (draw(60, 8) - 0.5) * 60
    made["deltas"] = deltas
    made["decoded"] = BoxCoder((10.0, 10.0, 5.0, 5.0)).decode(deltas, [boxes])
    return {name: np.asarray(value) for name, value in made.items()}


def main() -> None:
    """Write the files."""
    model = detector()
    parts = split(model, size_px=SIZE)
    for name, graph in graphs(parts).items():
        (HERE / name).write_bytes(graph)
    (HERE / "spec.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(parts.spec), indent=1) + b"\n"
    )
    with torch.no_grad():
        np.savez_compressed(HERE / "golden.npz", **flow(model), **pieces())


if __name__ == "__main__":
    main()
