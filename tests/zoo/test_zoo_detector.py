"""Our small detector: torchvision's whole ``FasterRCNN`` around its parts, against two stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

pytest.importorskip("torchvision")

import torch

from cspine.backends import Array, open_backend
from cspine.detection.faster_rcnn import FasterRcnn
from cspine.detection.spec import DetectorSpec
from cspine.errors import ModelError
from cspine.fields import Architecture
from cspine.pipeline_file import load_spec, parse_spec, shipped_spec
from cspine.session import Session
from cspine.spec import Detect, Features, PipelineSpec
from cspine_export.architecture import build_network
from cspine_export.faster_rcnn import joined, split
from cspine_export.graph.exported import to_onnx
from cspine_export.graph.interface import Interface
from cspine_export.stage_network import networks_of

TOY = Path(__file__).parents[1] / "data" / "pipelines" / "graded-stack.toml"


def parts(spec: PipelineSpec) -> tuple[Any, DetectorSpec]:
    """Return a detector that finds something everywhere, and its numbers."""
    torch.manual_seed(3)
    stage: Detect = spec.only(Detect)
    numbers = spec.detector_of(stage)
    assert numbers is not None
    detector: Any = build_network(stage.architecture, detector=numbers).train()
    with torch.no_grad():
        for _ in range(30):  # statistics of BatchNorm
            detector.backbone(torch.rand(4, 1, *numbers.size_px))
        detector.rpn_head.cls_logits.weight *= 50
        detector.rpn_head.bbox_pred.weight *= 10
        detector.box_predictor.cls_score.weight *= 20
    return detector.eval(), numbers


@pytest.mark.parametrize("path", [TOY, shipped_spec("ct-stenosis")])
def test_two_stages_find_what_torchvision_finds(path: Path) -> None:
    spec = load_spec(path)
    detector, numbers = parts(spec)
    # So that many are found, of every size.
    limits = msgspec.structs.replace(numbers.predictions, score_threshold=0.05)
    numbers = msgspec.structs.replace(numbers, predictions=limits)
    model = joined(detector, numbers).eval()
    features, detect = spec.only(Features), spec.only(Detect)
    networks = networks_of(detector, detect, spec)
    sessions = [
        Session(
            stage.id,
            open_backend(
                "onnxruntime",
                to_onnx(networks[stage.id], Interface.of(stage), exporters=["torchscript"]).data,
            ),
        )
        for stage in (features, detect)
    ]
    ours = FasterRcnn(numbers, features=sessions[0], head=sessions[1])
    images = np.random.default_rng(1).random((4, 1, *numbers.size_px), np.float32)
    images[:, :, 20:60, 10:40] *= 0.3
    with torch.inference_mode():
        theirs = model(list(torch.from_numpy(images)))
    found = 0
    for wanted, got in zip(theirs, ours.run(images), strict=True):
        assert_same(wanted, got.boxes, got.scores)
        found += len(got.scores)
    assert found > 20


def assert_same(wanted: dict[str, torch.Tensor], boxes: Array, scores: Array) -> None:
    np.testing.assert_allclose(scores, wanted["scores"].numpy(), atol=1e-4)
    np.testing.assert_allclose(boxes, wanted["boxes"].numpy(), atol=2e-2)


def test_a_detector_that_was_joined_is_split_into_the_same_numbers() -> None:
    spec = load_spec(TOY)
    detector, numbers = parts(spec)
    again = split(joined(detector, numbers), size_px=numbers.size_px)
    assert again.spec == numbers
    image = torch.rand(2, 1, *numbers.size_px)
    own = networks_of(detector, spec.only(Detect), spec)
    with torch.inference_mode():
        for wanted, got in zip(own["features"](image), again.features(image), strict=True):
            torch.testing.assert_close(got, wanted)


def published(**arguments: Any) -> tuple[PipelineSpec, Any]:
    """Return a pipeline whose detector is one of torchvision, with its numbers, and the network."""
    architecture = Architecture(
        factory="torchvision.models.detection:fasterrcnn_mobilenet_v3_large_fpn",
        arguments={"num_classes": 2, "min_size": 96, "max_size": 96},
    )
    network = build_network(architecture).eval()
    numbers = split(network, size_px=(96, 96)).spec
    spec = load_spec(TOY)
    stages = [
        msgspec.structs.replace(stage, size_px=(96, 96), anchors=numbers.anchors)
        if isinstance(stage, Features)
        else msgspec.structs.replace(
            stage,
            proposals=numbers.proposals,
            regions=numbers.regions,
            predictions=msgspec.structs.replace(numbers.predictions, **arguments),
            architecture=architecture,
        )
        if isinstance(stage, Detect)
        else stage
        for stage in spec.stage
    ]
    return msgspec.structs.replace(spec, stage=stages), network


def test_one_of_torchvision_serves_by_name() -> None:
    spec, network = published()
    assert list(networks_of(network, spec.only(Detect), spec)) == ["features", "detect"]


def test_numbers_that_its_network_does_not_have_are_named() -> None:
    spec, network = published(per_image=3)
    with pytest.raises(ModelError) as caught:
        networks_of(network, spec.only(Detect), spec)
    assert str(caught.value) == (
        "stages 'features' and 'detect': predictions.per_image: the pipeline file says 3, the "
        "network has 100; mend one of the two"
    )


def test_a_pipeline_file_says_the_numbers_to_the_last() -> None:
    text = TOY.read_text().replace("nms_threshold = 0.7", "nms_threshold = 0.6")
    spec = parse_spec(text.encode(), where="p.toml")
    detector, _ = parts(load_spec(TOY))
    numbers = spec.detector_of(spec.only(Detect))
    assert numbers is not None
    assert split(joined(detector, numbers), size_px=(96, 64)).spec.proposals.nms_threshold == 0.6
