"""Published sizes through NVIDIA's own builder, with no GPU: INT8 and FP16, both its runtimes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

pytest.importorskip("timm")
pytest.importorskip("torchvision")
pytest.importorskip("tensorrt_rtx_libs")

import torch
from torchvision.models import detection

from checkpoint_forms import with_statistics
from cspine.compiled import compile_onnx
from cspine.layerlist import left_in_float, quantized_convolutions
from cspine.onnxfile import read_onnx
from cspine.spec import Architecture
from cspine_calibration.emit import emit
from cspine_calibration.observe import Observer
from cspine_calibration.table import CalibrationTable
from cspine_export.architecture import build_network
from cspine_export.faster_rcnn import split
from cspine_export.graph.exported import to_onnx
from cspine_export.graph.interface import Interface
from cspine_export.published import DETECTOR, PUBLISHED

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

_IMAGE = Interface("image", (1, 224, 224), ("logits",))
# Not of the five systems, but of the families that detectors and classifiers are built from today.
MORE = {
    name: Architecture(
        factory=f"timm.models:{factory}", arguments={"in_chans": 1, "num_classes": 1}
    )
    for name, factory in (
        ("ConvNeXt-Tiny", "convnext_tiny"),
        ("MobileNetV3", "mobilenetv3_large_100"),
    )
}
NETWORKS = [*(each.name for each in PUBLISHED), *MORE, "Faster R-CNN, maps", "Faster R-CNN, head"]


@dataclass(frozen=True)
class Net:
    """A network, its table, and the shape that it was calibrated with."""

    name: str
    model: bytes
    table: CalibrationTable
    input: str
    shape: tuple[int, ...]


def exported(name: str) -> bytes:
    """Return a network's graph, with statistics in its normalisations."""
    if name.startswith("Faster R-CNN"):
        model = detection.fasterrcnn_resnet50_fpn(
            weights=None, weights_backbone=None, **DETECTOR.arguments
        )
        parts = split(model.eval(), size_px=(512, 512), channels=1)
        if name.endswith("maps"):
            interface = Interface("image", (1, 512, 512), parts.outputs)
            return to_onnx(parts.features, interface, exporters=["torchscript"]).data
        regions = (parts.spec.regions.channels, *parts.spec.regions.size)
        interface = Interface("regions", regions, ("class_logits", "box_deltas"))
        return to_onnx(parts.head, interface, exporters=["torchscript"]).data
    known = {each.name: (each.architecture, each.interface) for each in PUBLISHED}
    architecture, interface = known.get(name) or (MORE[name], _IMAGE)
    network = with_statistics(build_network(architecture), interface)
    return to_onnx(network, interface, exporters=["torchscript"]).data


@pytest.fixture(scope="module", params=NETWORKS)
def net(request: pytest.FixtureRequest) -> Net:
    torch.manual_seed(11)
    model = exported(request.param)
    observer = Observer(model, threads=1)
    (spec,) = observer.inputs
    shape = (1, *(size or 1 for size in spec.shape[1:]))
    rng = np.random.default_rng(12)
    observer.run({spec.name: rng.random(shape, np.float32)})
    table = observer.table(set_digest="0" * 64, preprocessing_digest="1" * 64)
    observer.close()
    return Net(request.param, model, table, spec.name, shape)


@pytest.mark.parametrize("precision", ["int8", "fp16"])
@pytest.mark.parametrize("target", ["trt", "trt-rtx"])
def test_the_emission_builds_and_is_what_it_says(
    net: Net, target: str, precision: Any, figures: dict[str, dict[str, Any]]
) -> None:
    emission = emit(net.model, net.table, target=target, precision=precision)
    compiled = compile_onnx(
        emission.model,
        where=net.name,
        shapes={net.input: (net.shape,) * 3},
        integers=precision == "int8",
        compute_capability="8.9",
    )
    file = read_onnx(emission.model, where=net.name)
    left = left_in_float(file, compiled.layers)
    kinds = [each.inputs[0].dtype for each in compiled.layers if each.convolves]
    figures.setdefault("rtx", {})[f"{net.name}, {target}, {precision}"] = {
        "megabytes": round(len(emission.model) / 1e6, 1),
        "engine_megabytes": round(len(compiled.plan) / 1e6, 1),
        "convolutions": emission.summary.convolutions,
        "quantized": len(quantized_convolutions(file)),
        "kernels": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "left_in_float": [node.name for node in left],
    }
    # TensorRT-RTX has no integer kernel for transposed convolutions.
    assert {node.op_type for node in left} <= {"ConvTranspose"}
    assert target == "trt" or not left
    assert len(quantized_convolutions(file)) == emission.summary.quantized
    assert "Float" not in kinds
    if precision == "int8" and emission.summary.convolutions:
        assert emission.summary.quantized > emission.summary.convolutions / 2
