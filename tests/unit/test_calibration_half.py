"""FP16 where it is safe, FP32 where it is not, casts between, and the interface as it was."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from cspine.errors import ModelError
from cspine.files import sha256
from cspine_calibration.emit import emit
from cspine_calibration.graph import Graph
from cspine_calibration.numeric import sqnr
from cspine_calibration.opset import with_half_scales
from cspine_calibration.reference import Reference
from cspine_calibration.scales import storable
from cspine_calibration.table import CalibrationTable, summarize
from small_graphs import build, calibrated, cases, random_weights

WEIGHTS = random_weights({"w": (16, 4, 3, 3), "b": (16,), "v": (16, 16, 3, 3), "h": (2, 16, 1, 1)})


def network(body: str, **more) -> bytes:
    """Return a network of one convolution, something, and a head."""
    return build(
        '<ir_version: 8, opset_import: ["" : 17]>'
        "g (float[N,4,9,9] x) => (float[N,2,R,C] y)"
        f"{{ c = Conv(x, w, b) {body} y = Conv(t, h) }}",
        **{name: WEIGHTS[name] for name in ("w", "b", "h")},
        **more,
    )


def types(data: bytes) -> dict[str, int]:
    proto = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(data), strict_mode=True)
    values = (*proto.graph.value_info, *proto.graph.output, *proto.graph.input)
    return {value.name: value.type.tensor_type.elem_type for value in values}


def left(data: bytes, table=None) -> dict[str, str]:
    return dict(emit(data, table, target="trt", precision="fp16").summary.left)


def test_all_is_half_but_the_interface() -> None:
    data = network("t = Relu(c)")
    emission = emit(data, None, target="trt", precision="fp16")
    found = types(emission.model)
    assert (found["x"], found["y"]) == (TensorProto.FLOAT, TensorProto.FLOAT)
    assert {found[name] for name in ("x_fp16", "c", "t", "y_fp16")} == {TensorProto.FLOAT16}
    summary = emission.summary
    assert (summary.precision, summary.estimator, summary.left) == ("fp16", None, ())
    assert (summary.convolutions, summary.quantized) == (2, 0)
    feed = cases((2, 4, 9, 9), count=1)[0]
    assert sqnr(Reference(data).run(feed)["y"], Reference(emission.model).run(feed)["y"]) > 50


@pytest.mark.parametrize(
    ("body", "node", "reason"),
    [
        ("t = Softmax<axis = 1>(c)", "t", "Softmax is not known to stay in FP16's range"),
        ("t = Exp(c)", "t", "Exp is not known"),
        ("t = InstanceNormalization(c, n, n)", "t", "it sums squares"),
        ("m = GlobalAveragePool(c) t = Add(c, m)", "m", "it sums many numbers"),
        ("t = Add(c, tiny)", "t", "the constant 'tiny' leaves FP16's range"),
        ("t = Mul(c, huge)", "t", "the constant 'huge' leaves FP16's range"),
    ],
)
def test_what_needs_range_stays_single(body: str, node: str, reason: str) -> None:
    constants = {"n": np.ones(16), "tiny": [1e-6], "huge": [1e6]}
    used = {name: values for name, values in constants.items() if f" {name}" in body}
    data = network(body, **used)
    assert reason in left(data)[node]
    found = types(emit(data, None, target="trt", precision="fp16").model)
    assert found[node] == TensorProto.FLOAT
    assert found["c"] == TensorProto.FLOAT16


def test_scales_of_a_resize_stay_single() -> None:
    data = network("t = Resize(c, , s)", s=[1.0, 1.0, 2.0, 2.0])
    made = emit(data, None, target="trt", precision="fp16").model
    assert types(made)["t"] == TensorProto.FLOAT16
    graph = onnx.load_model_from_string(made).graph
    (scales,) = (each for each in graph.initializer if each.name == "s")
    assert scales.data_type == TensorProto.FLOAT


def test_the_sigmoid_of_a_head_stays_single_and_that_of_a_gate_does_not() -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[N,4,9,9] x) => (float[N,2,7,7] y)'
    body = "{ c = Conv(x, w, b) g = Sigmoid(c) t = Mul(c, g) k = Conv(t, h) y = Sigmoid(k) }"
    data = build(text + body, **{name: WEIGHTS[name] for name in ("w", "b", "h")})
    assert left(data) == {"y": "FP32: its result reaches an output"}


def test_a_tensor_that_was_seen_to_overflow_stays_single() -> None:
    data = network("r = Relu(c) t = MaxPool<kernel_shape = [1, 1]>(r)")
    ends = {"x": 1.0, "r": 70000.0}
    tensors = {name: summarize(np.array([0, end], np.float32)) for name, end in ends.items()}
    table = CalibrationTable(sha256(data), "0" * 64, "1" * 64, 1, tensors, {}, {})
    # What is rectified, pooled and read is as large.
    assert set(left(data, table)) == {"c", "r", "t", "y"}
    assert left(data) == {}


def test_a_tiny_bias_costs_nothing() -> None:
    data = build(
        '<ir_version: 8, opset_import: ["" : 17]>'
        "g (float[N,4,9,9] x) => (float[N,16,7,7] y) { y = Conv(x, w, b) }",
        w=WEIGHTS["w"],
        b=np.full(16, 1e-9),
    )
    assert left(data) == {}


def test_nothing_stands_between_dequantising_and_a_kernel() -> None:
    """A tensor that an FP32 operator reads as well is dequantised twice, not cast."""
    data = build(
        '<ir_version: 8, opset_import: ["" : 17]>'
        "g (float[N,4,9,9] x) => (float[N,2,5,5] y)"
        "{ c = Conv(x, w, b) r = Relu(c) d = Conv(r, v) n = InstanceNormalization(r, o, o)"
        " e = Conv(n, v) f = Add(d, e) y = Conv(f, h) }",
        **WEIGHTS,
        o=np.ones(16),
    )
    table = calibrated(data, cases((2, 4, 9, 9), count=1))
    graph = onnx.load_model_from_string(emit(data, table, target="trt-dla").model).graph
    producers = {name: node.op_type for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type in {"Conv", "InstanceNormalization"} and node.output[0] != "y_fp16":
            assert producers[node.input[0]] == "DequantizeLinear"
    assert types(emit(data, table, target="trt-dla").model)["n"] == TensorProto.FLOAT


def test_a_target_without_half_precision_refuses_it() -> None:
    with pytest.raises(ModelError, match="target 'ort-x64-vnni': no fp16, expected one of int8"):
        emit(network("t = Relu(c)"), None, target="ort-x64-vnni", precision="fp16")


def test_integers_need_a_table() -> None:
    with pytest.raises(ModelError, match="INT8 needs a calibration table"):
        emit(network("t = Relu(c)"), None, target="trt")


@pytest.mark.parametrize("scale", [1.0, 1e-3, 3e-5, 1.1e-7, 1e-8, 65504.0, 0.1])
def test_a_stored_scale_is_the_next_half_number(scale: float) -> None:
    (stored,) = storable([scale], half=True)
    assert stored >= np.float32(scale)
    assert np.float16(stored) == stored
    below = np.nextafter(np.float16(stored), np.float16(0))
    assert below < np.float32(scale)
    assert storable([scale], half=False)[0] == np.float32(scale)


def test_a_newer_operator_set_computes_the_same() -> None:
    data = build(
        '<ir_version: 8, opset_import: ["" : 17]>'
        "g (float[N,4,9,9] x) => (float[N,4,1,1] y)"
        "{ a, b = Split<axis = 1>(x) c = Concat<axis = 1>(b, a)"
        "  y = ReduceMean<axes = [2, 3]>(c) }",
    )
    newer = with_half_scales(Graph(onnx.load_model_from_string(data))).model
    assert newer.opset_import[0].version == 19
    feed = cases((2, 4, 9, 9), count=1)[0]
    expected = Reference(data).run(feed)["y"]
    np.testing.assert_array_equal(Reference(newer.SerializeToString()).run(feed)["y"], expected)
