"""A published Faster R-CNN, trained for minutes on drawn shapes, against itself in two graphs."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("torchvision")

import onnx
import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import FrozenBatchNorm2d

from cspine.backends import Array, open_backend
from cspine.detection.faster_rcnn import Detections, FasterRcnn
from cspine.errors import ModelError
from cspine.session import Session
from cspine_export.faster_rcnn import split
from cspine_export.graph.exported import to_onnx
from cspine_export.graph.interface import Interface

DATA = Path(__file__).parents[1] / "data" / "faster_rcnn"
LABELS = 4  # background, disc, box, triangle
IMAGES = 50
FEWER = 10  # around our graphs too
SIZE = (256, 320)
NAMES = {f"p{number}": str(number) for number in range(4)}
FRESH: dict[str, Any] = {"weights": None, "weights_backbone": None, "num_classes": LABELS}
# What a graph may hold; above all no NonZero, RoiAlign, NonMaxSuppression, If, Loop or Shape.
PLAIN = set(
    "Add Concat Constant Conv Div Flatten Gemm GlobalAveragePool HardSigmoid HardSwish Identity "
    "MaxPool Mul Relu Reshape Resize Sub Transpose".split()
)


class Graphs:
    """A model in two graphs, in ONNX Runtime."""

    def __init__(self, model: nn.Module, *, size: tuple[int, int], channels: int = 1) -> None:
        parts = split(model, size_px=size, channels=channels)
        self.spec = parts.spec
        regions = (self.spec.regions.channels, *self.spec.regions.size)
        self.onnx = (
            exported(parts.features, (channels, *size), "image", *parts.outputs),
            exported(parts.head, regions, "regions", "class_logits", "box_deltas"),
        )
        self.features, self.head = (open_backend("onnxruntime", graph) for graph in self.onnx)

    def detect(self, images: Array) -> tuple[Detections, ...]:
        sessions = {"features": Session("a", self.features), "head": Session("b", self.head)}
        return FasterRcnn(self.spec, **sessions).run(images)


def exported(network: nn.Module, shape: tuple[int, ...], name: str, *outputs: str) -> bytes:
    """Return a graph that is proven against its network."""
    return to_onnx(network, Interface(name, shape, outputs), exporters=["torchscript"]).data


def torchvisions(model: nn.Module, images: Array) -> list[Detections]:
    """Return what torchvision's own forward finds in images (N, channels, rows, columns)."""
    known = len(model.transform.image_mean)
    with torch.inference_mode():
        found = model([torch.from_numpy(image).expand(known, -1, -1) for image in images])
    return [
        Detections(*(answer[name].numpy() for name in ("boxes", "labels", "scores")))
        for answer in found
    ]


class Backbone(nn.Module):
    """The first graph as the backbone of a torchvision model, and, taken apart, as its RPN head."""

    def __init__(self, graphs: Graphs) -> None:
        super().__init__()
        self.graphs = graphs

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        made = self.graphs.features.run({"image": image.float().numpy()})
        self.made = {name: torch.from_numpy(value).to(image) for name, value in made.items()}
        names = [anchors.map for anchors in self.graphs.spec.anchors]
        return {NAMES.get(name, name): self.made[name] for name in names}

    def by_map(self, name: str) -> list[Tensor]:
        anchors = self.graphs.spec.anchors
        parts = self.made[name].split([part.count for part in anchors], 1)
        return [
            part.reshape(len(part), *one.grid, -1).permute(0, 3, 1, 2)
            for part, one in zip(parts, anchors, strict=True)
        ]


class Call(nn.Module):
    """A function in the place of a module."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.forward = function


def around(model: nn.Module, graphs: Graphs) -> nn.Module:
    """Return torchvision's own flow around the two graphs."""
    made = deepcopy(model)
    backbone = Backbone(graphs)

    def predict(regions: Tensor) -> tuple[Tensor, Tensor]:
        outputs = graphs.head.run({"regions": regions.float().numpy()})
        logits, deltas = outputs["class_logits"], outputs["box_deltas"]
        return torch.from_numpy(logits).to(regions), torch.from_numpy(deltas).to(regions)

    channels = graphs.features.inputs[0].shape[1]
    # The graph does it.
    made.transform.image_mean, made.transform.image_std = [0.0] * channels, [1.0] * channels
    made.backbone = backbone
    made.rpn.head = Call(lambda _: (backbone.by_map("objectness"), backbone.by_map("deltas")))
    made.roi_heads.box_head, made.roi_heads.box_predictor = nn.Identity(), Call(predict)
    return made


def drawn(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Array, Array, list[int]]:
    """Return an image (rows, columns) in 0..1 of up to five shapes, their boxes and labels."""
    rows, columns = size
    image = rng.normal(rng.uniform(0.2, 0.6), 0.05, size)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.5))
    boxes, labels = [], []
    for _ in range(rng.integers(1, 6)):
        height = int(np.exp(rng.uniform(np.log(14), np.log(0.6 * rows))))
        width = min(int(height * rng.uniform(0.6, 1.6)), columns - 2)
        x, y = int(rng.integers(0, columns - width)), int(rng.integers(0, rows - height))
        label, mask = int(rng.integers(1, LABELS)), np.zeros(size, np.uint8)
        if label == 1:
            cv2.ellipse(mask, ((x + width / 2, y + height / 2), (width, height), 0), 1, -1)
        elif label == 2:
            cv2.rectangle(mask, (x, y), (x + width, y + height), 1, -1)
        else:
            corners = [(x, y + height), (x + width, y + height), (x + width // 2, y)]
            cv2.fillPoly(mask, [np.array(corners, np.int32)], 1)
        image[mask > 0] += rng.choice([-1, 1]) * rng.uniform(0.1, 0.4)
        boxes.append((x, y, x + width, y + height))
        labels.append(label)
    return np.clip(image, 0, 1).astype(np.float32), np.array(boxes, np.float32), labels


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """Return the published detector with fresh weights, after a short training.

    It tells shapes from their background and hardly from each other, so that scores are spread.
    """
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    size = (128, 128)
    model = detection.fasterrcnn_resnet50_fpn(
        **FRESH,
        min_size=min(size),
        max_size=max(size),
        box_score_thresh=0.049,  # 0.05 and the tolerance
        box_batch_size_per_image=64,  # of 512: nearly all that is left out is background
        rpn_post_nms_top_n_train=300,
    ).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4)
    for _ in range(100):
        scenes = [drawn(rng, size) for _ in range(4)]
        images = [torch.from_numpy(image).expand(3, -1, -1) for image, _, _ in scenes]
        targets = [
            {"boxes": torch.from_numpy(boxes), "labels": torch.tensor(labels)}
            for _, boxes, labels in scenes
        ]
        optimizer.zero_grad()
        sum(model(images, targets).values()).backward()
        optimizer.step()
    model.transform.min_size, model.transform.max_size = (min(SIZE),), max(SIZE)
    return model.eval()


def partners(found: Detections, among: Detections) -> Array:
    """Return how far each detection above 0.05 is from the nearest of its label.

    Shape (detections, 2): the largest difference of a side in pixels, and of the score; infinite
    where there is none. Nearest is what is nearest in tolerances, half a pixel and 0.001.
    """
    made = []
    for box, label, score in zip(found.boxes, found.labels, found.scores, strict=True):
        if score > 0.05:
            same = among.labels == label
            apart = np.stack(
                [
                    np.abs(among.boxes[same] - box).max(axis=1, initial=0),
                    np.abs(among.scores[same] - score),
                ],
                axis=1,
            )
            apart = np.concatenate([apart, [[np.inf, np.inf]]])
            made.append(apart[(apart / TOLERANCE).max(axis=1).argmin()])
    return np.reshape(made, (-1, 2))


TOLERANCE = np.array([0.5, 1e-3])


def joined(found: Sequence[Detections]) -> Detections:
    fields = ("boxes", "labels", "scores")
    return Detections(*(np.concatenate([getattr(d, name) for d in found]) for name in fields))


class Comparison:
    """Of torchvision's detections with ours, image by image.

    Rounding decides which of two boxes with one score suppresses the other, and whether a box
    that overlaps a better one by just the threshold stays. So what torchvision does not find in
    float64, or with thresholds moved by 0.0001, is not settled, and what it finds then is right.
    """

    def __init__(self, model: nn.Module, double: nn.Module) -> None:
        self._model, self._double = model, double
        self._parts = [(part, part.nms_thresh) for part in (model.rpn, model.roi_heads)]
        self._seen: list[tuple[Array, Array, Array]] = []

    def add(self, image: Array, found: Detections) -> None:
        answers = []
        for step in (0, -1e-4, 1e-4):
            for part, threshold in self._parts:
                part.nms_thresh = threshold + step
            answers += torchvisions(self._model, image)
        answers += torchvisions(self._double, image.astype(np.float64))
        theirs, *aside = answers
        settled = [(partners(theirs, other) <= TOLERANCE).all(axis=1) for other in aside]
        ours = partners(found, joined(answers))
        self._seen.append((partners(theirs, found), np.all(settled, axis=0), ours))

    def done(self) -> tuple[Array, Array, Array]:
        """Return torchvision's, which are settled, and ours, each with their partners."""
        theirs, settled, ours = (np.concatenate(part) for part in zip(*self._seen, strict=True))
        return theirs, settled, ours


def test_a_trained_detector_finds_the_same(
    trained: nn.Module, figures: dict[str, dict[str, Any]]
) -> None:
    graphs = Graphs(trained, size=SIZE)
    double = deepcopy(trained).double()
    whole = Comparison(trained, double)
    host = Comparison(around(trained, graphs), around(double, graphs))
    rng = np.random.default_rng(1)
    for number in range(IMAGES):
        image = drawn(rng, SIZE)[0][None, None]
        (found,) = graphs.detect(image)
        whole.add(image, found)
        if number < FEWER:
            host.add(image, found)
    for name, comparison, tolerance, images in (
        ("torchvision in PyTorch", whole, TOLERANCE, IMAGES),
        ("torchvision around our graphs", host, np.array([1e-2, 1e-5]), FEWER),
    ):
        theirs, settled, ours = comparison.done()
        off = (theirs > TOLERANCE).any(axis=1)
        pixels, score = theirs[settled].max(axis=0)
        figures.setdefault("detector", {})[name] = {
            "against": name,
            "images": images,
            "detections": len(theirs),
            "differ": int(off.sum()),
            "not settled": int((~settled).sum()),
            "ours without a partner": int((ours > TOLERANCE).any(axis=1).sum()),
            "largest difference, pixels": float(pixels),
            "largest difference, score": float(score),
        }
        assert len(theirs) > 200
        assert settled.mean() > 0.99
        assert (theirs[settled] <= tolerance).all()
        assert (ours <= tolerance).all()


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("fasterrcnn_resnet50_fpn", 3),
        ("fasterrcnn_resnet50_fpn_v2", 1),
        ("fasterrcnn_mobilenet_v3_large_fpn", 1),
        ("fasterrcnn_mobilenet_v3_large_320_fpn", 3),
    ],
)
def test_its_kin_find_the_same_around_the_same_graphs(name: str, channels: int) -> None:
    torch.manual_seed(1)
    size = (96, 160)
    model = getattr(detection, name)(**FRESH, min_size=96, max_size=160, rpn_score_thresh=0.0)
    with torch.no_grad():
        for _ in range(2):  # statistics of BatchNorm
            model.train().backbone(torch.rand(4, 3, *size))
        head, predictor = model.rpn.head, model.roi_heads.box_predictor
        # Fresh weights give all anchors one score and leave the order of boxes to rounding.
        for part, gain in ((head.cls_logits, 50), (head.bbox_pred, 10), (predictor.cls_score, 30)):
            part.weight *= gain
    graphs = Graphs(model, size=size, channels=channels)
    images = np.random.default_rng(0).random((2, channels, *size), np.float32)
    host = around(model, graphs)
    for theirs, ours in zip(torchvisions(host, images), graphs.detect(images), strict=True):
        assert len(theirs.scores) > 10
        assert (partners(theirs, ours) <= [1e-2, 1e-5]).all()
        assert (partners(ours, theirs) <= [1e-2, 1e-5]).all()
    made = graphs.features.run({"image": images})
    with torch.inference_mode():
        image = torch.from_numpy(images).expand(-1, 3, -1, -1)
        maps = model.backbone(torch.stack([model.transform.normalize(one) for one in image]))
    for (key, wanted), anchors in zip(maps.items(), graphs.spec.anchors, strict=True):
        assert anchors.map == (key if key == "pool" else f"p{key}")
        spread = float(wanted.std())
        np.testing.assert_allclose(made[anchors.map], wanted, atol=1e-3 * spread, rtol=1e-3)
    for graph in graphs.onnx:
        found = {node.op_type for node in onnx.load_from_string(graph).graph.node}
        assert found <= PLAIN, found - PLAIN


def test_frozen_normalisation_melts_into_convolutions() -> None:
    torch.manual_seed(2)
    backbone = detection.backbone_utils.resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, norm_layer=FrozenBatchNorm2d
    )
    for module in backbone.modules():
        if isinstance(module, FrozenBatchNorm2d):
            for numbers in (module.weight, module.bias, module.running_mean, module.running_var):
                numbers.uniform_(0.5, 1.5)
    model = detection.FasterRCNN(backbone, num_classes=2, min_size=64, max_size=64).eval()
    parts = split(model, size_px=(64, 64))
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        wanted = model.backbone(model.transform.normalize(image[0].expand(3, -1, -1))[None])
        found = parts.features(image)
    torch.testing.assert_close(found[0], wanted["0"], rtol=1e-4, atol=1e-4)
    graph = onnx.load_from_string(exported(parts.features, (1, 64, 64), "image", *parts.outputs))
    kinds = [node.op_type for node in graph.graph.node]
    assert not {"Mul", "BatchNormalization"} & set(kinds)
    assert any(isinstance(module, FrozenBatchNorm2d) for module in model.modules())  # untouched


def small(**changes: Any) -> nn.Module:
    return detection.fasterrcnn_mobilenet_v3_large_fpn(
        **FRESH, **{"min_size": 64, "max_size": 96} | changes
    )


def derived_rpn(model: Any) -> None:
    model.rpn.__class__ = type("MyProposals", (RegionProposalNetwork,), {})


def with_masks(model: Any) -> None:
    for part in ("roi_pool", "head", "predictor"):
        setattr(model.roi_heads, f"mask_{part}", nn.Identity())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (derived_rpn, "rpn: got MyProposals, expected torchvision's RegionProposalNetwork itself"),
        (with_masks, "roi_heads: got a mask head, expected boxes alone; set roi_heads.mask_roi"),
        (
            lambda model: setattr(model.rpn.box_coder, "bbox_xform_clip", 3.0),
            "rpn.box_coder.bbox_xform_clip: got 3, expected 4.13517, the only limit",
        ),
        (
            lambda model: setattr(model.rpn.anchor_generator, "sizes", ((8,), (16,))),
            "rpn.anchor_generator: got sizes for 2 maps and aspect ratios for 3, expected 3",
        ),
        (
            lambda model: setattr(model.rpn.anchor_generator, "sizes", ((8,), (16,), (32,))),
            "rpn.head, map 'p0': got (2, 15, 2, 3) and (2, 60, 2, 3), expected (2, 3, 2, 3) and",
        ),
        (
            lambda model: setattr(model.roi_heads.box_roi_pool, "featmap_names", ["c4"]),
            "roi_heads.box_roi_pool: got maps c4, expected some of 0, 1, pool",
        ),
        (
            lambda model: setattr(model.roi_heads.box_predictor, "bbox_pred", nn.Linear(1024, 4)),
            "roi_heads.box_predictor: got (2, 4) and (2, 4), expected (2, 4) and (2, 16)",
        ),
    ],
)
def test_a_part_that_is_not_understood_is_named(change: Callable[[Any], object], told: str) -> None:
    model = small()
    change(model)
    with pytest.raises(ModelError) as caught:
        split(model, size_px=(64, 96))
    assert told in str(caught.value)


def test_another_kind_of_detector_is_refused() -> None:
    model = detection.retinanet_resnet50_fpn(**FRESH)
    with pytest.raises(ModelError, match="the detector: got RetinaNet, expected torchvision's"):
        split(model, size_px=(64, 96))


@pytest.mark.parametrize(
    ("size", "told"),
    [
        ((64, 100), "got 64 x 100, expected multiples of 32, which the model's transform"),
        ((128, 192), "got 128 x 192, which the model's transform makes 64 x 96; expected a size"),
        ((64, 128), "makes 48 x 96; expected a size that it leaves alone: give another, or make "
         "the model with min_size=64 and max_size=128"),
    ],
)  # fmt: skip
def test_images_that_the_transform_would_change_are_refused(
    size: tuple[int, int], told: str
) -> None:
    with pytest.raises(ModelError) as caught:
        split(small(), size_px=size)
    assert told in str(caught.value)


def test_a_transform_of_fixed_size_says_which() -> None:
    model = small()
    model.transform.fixed_size = (96, 64)  # width, height
    assert split(model, size_px=(64, 96)).spec.size_px == (64, 96)
    with pytest.raises(ModelError, match="got 96 x 64, which the model's transform makes 64 x 96"):
        split(model, size_px=(96, 64))


def test_as_many_channels_as_the_model_has() -> None:
    with pytest.raises(ModelError, match="channels: got 2, expected 1, a grey image, or the"):
        split(small(), size_px=(64, 96), channels=2)


def test_the_golden_values_are_those_of_this_torchvision() -> None:
    make = runpy.run_path(str(DATA / "make.py"))
    golden = np.load(DATA / "golden.npz")
    with torch.no_grad():
        made = make["flow"](make["detector"]()) | make["pieces"]()
    assert made.keys() == set(golden)
    for name in golden:
        np.testing.assert_allclose(made[name], golden[name], rtol=1e-3, atol=2e-3, err_msg=name)
