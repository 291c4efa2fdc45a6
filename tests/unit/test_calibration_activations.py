"""What lies between convolutions: gates, squeeze and excitation, products of matrices."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from cspine.backends import open_backend
from cspine_calibration.emit import emit
from cspine_calibration.fusion import integer_kernels
from cspine_calibration.lint.lint import lint
from cspine_calibration.numeric import compare
from cspine_calibration.targets import TARGETS
from small_graphs import File, build, calibrated, cases, random_weights

# A block of an EfficientNet: expand, depthwise, squeeze and excite, project, add; then its head.
BLOCK = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,8,12,12] x) => (float[N,2] y) {
  e = Conv(x, w1, b1)   eg = Sigmoid(e)   es = Mul(e, eg)
  d = Conv<pads = [1, 1, 1, 1], group = 16>(es, w2, b2)   dg = Sigmoid(d)   ds = Mul(d, dg)
  m = ReduceMean<axes = [2, 3]>(ds)
  q = Conv(m, w3, b3)   qg = Sigmoid(q)   qs = Mul(q, qg)
  s = Conv(qs, w4, b4)  gate = Sigmoid(s)  z = Mul(ds, gate)
  p = Conv(z, w5)       a = Add(p, x)
  h = Conv(a, w6)       hg = Sigmoid(h)   hs = Mul(h, hg)
  t = GlobalAveragePool(hs)  f = Flatten(t)  l = Gemm<transB = 1>(f, w7)
  y = Sigmoid(l)
}"""
WEIGHTS = {
    "w1": (16, 8, 1, 1), "b1": (16,), "w2": (16, 1, 3, 3), "b2": (16,), "w3": (4, 16, 1, 1),
    "b3": (4,), "w4": (16, 4, 1, 1), "b4": (16,), "w5": (8, 16, 1, 1), "w6": (24, 8, 1, 1),
    "w7": (2, 24),
}  # fmt: skip
# A block of a ConvNeXt, with its tanh in place of what takes ten operators.
LAYERS = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,8,12,12] x) => (float[N,8,12,12] y) {
  c = Conv<pads = [1, 1, 1, 1], group = 8>(x, w1, b1)   n = Transpose<perm = [0, 2, 3, 1]>(c)
  k = MatMul(n, w2)  i = Add(k, b2)  j = Tanh(i)  o = MatMul(j, w3)
  r = Transpose<perm = [0, 3, 1, 2]>(o)  u = Add(r, x)  y = Conv(u, w4)
}"""
LAYERS_WEIGHTS = {
    "w1": (8, 1, 3, 3), "b1": (8,), "w2": (8, 32), "b2": (32,), "w3": (32, 8), "w4": (8, 8, 1, 1),
}  # fmt: skip


@pytest.fixture(scope="module")
def block() -> bytes:
    model = onnx.load_from_string(build(BLOCK, **random_weights(WEIGHTS)))
    return onnx.shape_inference.infer_shapes(model).SerializeToString()  # as exported ones are


@pytest.fixture(scope="module")
def layers() -> bytes:
    return build(LAYERS, **random_weights(LAYERS_WEIGHTS))


def emitted(model: bytes, target: str) -> bytes:
    return emit(model, calibrated(model, cases()), target=target).model


def test_onnxruntime_computes_gates_and_squeezes_of_large_images_as_integers(
    block: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cspine_calibration.silu._SMALL", 12 * 12 * 8)
    found = integer_kernels(emitted(block, "ort-x64-vnni"))
    assert found.integer == {
        "QLinearAdd": 1,
        "QLinearConv": 4,
        "QLinearGlobalAveragePool": 1,  # of the squeeze; the head's pool is float
        "QLinearMul": 4,  # three SiLU, and the excitation
        "QLinearSigmoid": 3,
    }
    # Single pixels gain nothing, and what a head reads stays in float.
    assert [kernel for kernel, _ in found.floating if "Conv" in kernel] == ["Conv", "FusedConv"]


@pytest.mark.parametrize("target", ["ort-x64-vnni", "ort-x64-avx2", "ort-arm"])
def test_a_silu_of_a_small_image_is_one_float_operator_between_integers(
    block: bytes, target: str
) -> None:
    data = emitted(block, target)
    nodes = onnx.load_model_from_string(data).graph.node
    found = {node.output[0]: list(node.input) for node in nodes if node.op_type == "QuickGelu"}
    # Not that of single pixels, which onnxruntime finds by itself.
    assert found == {"es": ["e_dequantized"], "ds": ["d_dequantized"], "hs": ["h_dequantized"]}
    # What reads the squeezed image reads it in float, up to the next convolution.
    assert set(File(data).activations) == {"x", "e", "es", "d", "z", "p", "a", "h"}
    if target != "ort-arm":  # signed activations, which have other kernels there
        assert integer_kernels(data).integer == {"QLinearAdd": 1, "QLinearConv": 4}
    assert "ReduceMean" in {node.op_type for node in nodes}


def test_a_silu_of_unknown_size_is_left_as_it_is(block: bytes) -> None:
    model = onnx.load_model_from_string(block)
    del model.graph.value_info[:]
    found = integer_kernels(emitted(model.SerializeToString(), "ort-x64-vnni"))
    assert found.integer["QLinearSigmoid"] == 3


def test_a_gate_that_others_read_stays() -> None:
    text = BLOCK.replace("z = Mul(ds, gate)", "z0 = Mul(ds, gate)  z = Mul(z0, dg)")
    model = onnx.load_from_string(build(text, **random_weights(WEIGHTS)))
    model = onnx.shape_inference.infer_shapes(model)
    made = onnx.load_model_from_string(emitted(model.SerializeToString(), "ort-x64-vnni"))
    found = {node.output[0] for node in made.graph.node if node.op_type == "QuickGelu"}
    assert found == {"es", "hs"}


def test_openvino_gets_floats_where_floats_are_computed_next(block: bytes) -> None:
    file = File(emitted(block, "openvino"))
    # What convolutions and the addition read: the float operators in between melt into them.
    assert set(file.activations) == {"x", "es", "z", "p", "a"}


@pytest.mark.parametrize("target", [name for name in TARGETS if not name.startswith("trt")])
def test_blocks_compute_the_network_and_pass_the_linter(
    block: bytes, layers: bytes, target: str
) -> None:
    for model in (block, layers):
        data = emitted(model, target)
        pair = [open_backend("onnxruntime", each, threads=1) for each in (model, data)]
        assert min(compare(*pair, cases(seed=2)).values()) > 25
        errors = [each for each in lint(data, target=target, where="m") if each.severity == "error"]
        assert errors == []


@pytest.mark.parametrize("target", ["ort-x64-vnni", "ort-x64-avx2", "ort-arm"])
def test_products_of_matrices_are_integer_and_write_float(layers: bytes, target: str) -> None:
    data = emitted(layers, target)
    assert set(File(data).activations) >= {"n", "j"}
    assert not set(File(data).activations) & {"k", "o", "i"}
    if target == "ort-x64-vnni":
        found = integer_kernels(data)
        assert found.integer["MatMulIntegerToFloat"] == 2
        assert [kernel for kernel, _ in found.floating if "MatMul" in kernel] == []


def test_a_product_of_two_activations_has_no_weights() -> None:
    text = LAYERS.replace("o = MatMul(j, w3)", "v = MatMul(j, w3)  o = MatMul(v, v)")
    text = text.replace("float[N,8,12,12] x", "float[N,8,8,8] x").replace(
        "[N,8,12,12] y", "[N,8,8,8] y"
    )
    model = build(text, **random_weights(LAYERS_WEIGHTS))
    table = calibrated(model, cases((2, 8, 8, 8)))
    summary = emit(model, table, target="ort-x64-vnni").summary
    assert "o" not in {name for name, _ in summary.left}
    assert np.isfinite(summary.convolutions)
