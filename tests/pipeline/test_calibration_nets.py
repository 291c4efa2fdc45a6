"""The two networks the package is for, as torch exports them, with random weights."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cspine.backends import open_backend
from cspine.backends.capability import tensorrt_module
from cspine.engines.compile import Aim, compile_onnx
from cspine.engines.convolutions import convolutions
from cspine.engines.layers import left_in_float
from cspine.onnxfile import read_onnx
from cspine_calibration.emit import emit
from cspine_calibration.fusion import integer_kernels
from cspine_calibration.lint.lint import lint
from cspine_calibration.numeric import compare
from cspine_calibration.observe import Observer
from cspine_calibration.reference import Reference
from cspine_calibration.table import CalibrationTable
from cspine_calibration.targets import TARGETS

ORT = ("ort-x64-vnni", "ort-x64-avx2")


@dataclass(frozen=True)
class Net:
    model: bytes
    table: CalibrationTable
    shape: tuple[int, ...]
    convolutions: int
    transposed: int
    residuals: int
    heads: int

    def feeds(self, seed: int, count: int = 2) -> list[dict[str, Any]]:
        return [{"x": image(self.shape, seed + number)} for number in range(count)]


def image(shape, seed):
    """Blocks of random grey in three sizes: neither flat nor noise."""
    rng = np.random.default_rng(seed)
    rows, columns = shape[2:]
    layers = [
        np.kron(rng.random((*shape[:2], rows // size, columns // size)), np.ones((size, size)))
        for size in (1, 4, 16)
    ]
    return np.mean(layers, axis=0).astype(np.float32)


def unet():
    from monai.networks.nets import DynUNet

    return DynUNet(
        spatial_dims=2, in_channels=1, out_channels=9, kernel_size=[3] * 6,
        strides=[1, 2, 2, 2, 2, 2], upsample_kernel_size=[2] * 5,
        filters=[16, 32, 64, 96, 128, 128], norm_name="batch", act_name="relu",
    )  # fmt: skip


def classifier():
    import torch
    from monai.networks.nets import ResNet

    class Mapped(torch.nn.Module):
        """A ResNet that also gives its class activation map."""

        def __init__(self):
            super().__init__()
            self.net = ResNet(
                block="basic", layers=[2, 2, 2, 2], block_inplanes=[16, 32, 64, 128],
                spatial_dims=2, n_input_channels=1, conv1_t_size=7, conv1_t_stride=2,
                no_max_pool=True, num_classes=1,
            )  # fmt: skip

        def forward(self, x):
            net = self.net
            x = net.act(net.bn1(net.conv1(x)))
            x = net.layer4(net.layer3(net.layer2(net.layer1(x))))
            cam = torch.nn.functional.conv2d(x, net.fc.weight[:, :, None, None], net.fc.bias)
            return net.fc(torch.flatten(net.avgpool(x), 1)), cam

    return Mapped()


def export(build, shape, outputs) -> bytes:
    import torch

    torch.manual_seed(0)
    net = build().train()
    with torch.no_grad():
        for seed in range(4):
            net(torch.from_numpy(image(shape, 100 + seed)))
    buffer = io.BytesIO()
    torch.onnx.export(
        net.eval(), (torch.zeros(shape),), buffer, dynamo=False, opset_version=17,
        input_names=["x"], output_names=outputs, dynamic_axes={"x": {0: "n"}},
    )  # fmt: skip
    return buffer.getvalue()


def calibrated(model, shape) -> CalibrationTable:
    observer = Observer(model, threads=1)
    for seed in range(4):
        observer.run({"x": image(shape, seed)})
    return observer.table(set_digest="0" * 64, preprocessing_digest="1" * 64)


@pytest.fixture(scope="module", params=["unet", "classifier"])
def net(request) -> Net:
    if request.param == "unet":
        build, shape, outputs, counts = unet, (1, 1, 256, 192), ["y"], (28, 5, 0, 1)
    else:
        build, shape, outputs, counts = classifier, (6, 1, 112, 112), ["y", "cam"], (21, 0, 8, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's and MONAI's own deprecations
        model = export(build, shape, outputs)
    return Net(model, calibrated(model, shape), shape, *counts)


@pytest.mark.parametrize("target", ORT)
def test_onnxruntime_runs_everything_eligible_as_integers(net, target):
    emission = emit(net.model, net.table, target=target)
    summary, fusion = emission.summary, integer_kernels(emission.model)
    # What onnxruntime has no kernel for stays in float, and of heads the result.
    assert summary.convolutions == net.convolutions
    assert summary.quantized == summary.eligible == net.convolutions - net.transposed
    assert fusion.integer["QLinearConv"] == summary.quantized - net.heads
    assert fusion.integer["MatMulIntegerToFloat"] == net.heads
    assert fusion.integer.get("QLinearAdd", 0) == summary.adds == net.residuals
    assert {name for _, name in fusion.floating} == {name for name, _ in summary.left}


def test_tensorrt_file_follows_its_rules(net):
    emission = emit(net.model, net.table, target="trt")
    assert emission.summary.quantized == net.convolutions - net.heads
    assert emission.summary.adds == net.residuals
    graph = onnx.load_model_from_string(emission.model).graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    producers = {name: node for node in graph.node for name in node.output}

    def written_by(name):
        return producers[name].op_type if name in producers else ""

    quantisers = [node for node in graph.node if node.op_type.endswith("izeLinear")]
    for node in quantisers:
        zeros = numpy_helper.to_array(constants[node.input[2]])
        assert zeros.dtype == np.int8
        assert not zeros.any()
        assert numpy_helper.to_array(constants[node.input[1]]).min() > 0
        if node.op_type == "QuantizeLinear" and written_by(node.input[0]) in {"Conv", "Gemm"}:
            # A bare convolution's output is quantised only as the skip branch of an addition.
            copy = node.input[0] + "_dequantized"
            assert {n.op_type for n in graph.node if copy in n.input} == {"Add"}
    for node in graph.node:
        if node.op_type in {"Conv", "ConvTranspose"} and written_by(node.input[1]):
            scales = numpy_helper.to_array(constants[producers[node.input[1]].input[1]])
            axis = producers[node.input[1]].attribute[0].i
            values = constants[producers[node.input[1]].input[0]]
            assert axis == (node.op_type == "ConvTranspose")
            assert scales.shape == (values.dims[axis],)
        if node.op_type in {"Conv", "ConvTranspose"} and len(node.input) > 2:
            assert constants[node.input[2]].data_type == onnx.TensorProto.FLOAT16
        if node.op_type == "Add":
            kinds = sorted(written_by(name) for name in node.input)
            assert kinds == ["Conv", "DequantizeLinear"]
        if node.op_type == "Concat":
            (reader,) = (each for each in graph.node if node.output[0] in each.input)
            scale = numpy_helper.to_array(constants[reader.input[1]])
            skip = next(name for name in node.input if name.endswith("_dequantized"))
            assert numpy_helper.to_array(constants[producers[skip].input[1]]) == scale


@pytest.mark.parametrize("target", TARGETS)
def test_emissions_compute_the_network(net, target):
    emission = emit(net.model, net.table, target=target)
    if target.startswith("trt"):
        candidate = Reference(emission.model)
    else:
        name = "openvino" if target == "openvino" else "onnxruntime"
        candidate = open_backend(name, emission.model, threads=1)
    found = compare(open_backend("onnxruntime", net.model, threads=1), candidate, net.feeds(50))
    # One bit less in the weights is six decibels more of the noise that comes from them.
    assert min(found.values()) > (17 if target == "ort-x64-avx2" else 20)
    assert emit(net.model, net.table, target=target).model == emission.model


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_tensorrt_rtx_parses_and_builds_the_file(net, precision):
    emission = emit(net.model, net.table, target="trt", precision=precision)
    compiled = compile_onnx(
        emission.model,
        where="a network",
        profiles=[{"x": (net.shape,) * 3}],
        precision=precision,
        aim=Aim(compute_capability="8.9"),
    )
    asked = convolutions(read_onnx(emission.model, where="a network"))
    left = left_in_float(asked, compiled.layers)
    # TensorRT-RTX has no integer kernel for transposed convolutions.
    assert {each.operator for each in left} <= {"ConvTranspose"}


@pytest.mark.parametrize("target", TARGETS)
def test_the_linter_finds_no_error_in_an_emission(net, target):
    model = emit(net.model, net.table, target=target).model
    assert [
        each for each in lint(model, target=target, where="m") if each.severity == "error"
    ] == []
    refused = {each.number for each in lint(model, target="trt", where="m")}
    assert ("T1" in refused) == (target in (*ORT, "ort-arm", "openvino"))


def test_tensorrt_rtx_rejects_the_file_of_another_target(net):
    trt = tensorrt_module()
    logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert not parser.parse(emit(net.model, net.table, target="ort-arm").model)
