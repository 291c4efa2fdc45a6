"""For OpenVINO: what is concatenated, what is moved, and average pools."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import openvino as ov
import pytest

from cspine_calibration.emit import emit
from cspine_calibration.lint.lint import lint
from cspine_calibration.numeric import sqnr
from cspine_calibration.reference import Reference
from small_graphs import File, build, calibrated, cases, random_weights

DENSE = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,8,12,12] x) => (float[N,4,1,1] y) {
  s0 = Conv<pads = [1, 1, 1, 1]>(x, w1) s = Relu(s0)
  a0 = BatchNormalization(s, g8, g8, g8, g8) a = Relu(a0)
  d = Conv<pads = [1, 1, 1, 1]>(a, w2)
  k = Concat<axis = 1>(s, d)
  n = BatchNormalization(k, g16, g16, g16, g16) r = Relu(n)
  e = Conv<pads = [1, 1, 1, 1]>(r, w3)
  k2 = Concat<axis = 1>(s, d, e)
  n2 = BatchNormalization(k2, g24, g24, g24, g24) r2 = Relu(n2)
  t = Conv(r2, w4) p = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(t)
  q0 = Conv(p, w5) q = Relu(q0)
  v0 = Conv<strides = [2, 2]>(t, w6) v = Relu(v0)
  h = Add(q, v) i = Relu(h) y0 = GlobalAveragePool(i) y = Conv(y0, w7)
}"""
WEIGHTS = {
    "w1": (8, 8, 3, 3), "w2": (8, 8, 3, 3), "w3": (8, 16, 3, 3), "w4": (16, 24, 1, 1),
    "w5": (8, 16, 1, 1), "w6": (8, 16, 1, 1), "w7": (4, 8, 1, 1),
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> bytes:
    ones = {f"g{count}": np.ones(count) for count in (8, 16, 24)}
    return build(DENSE, **random_weights(WEIGHTS), **ones)


@pytest.fixture(scope="module")
def made(model: bytes) -> bytes:
    return emit(model, calibrated(model, cases()), target="openvino").model


def test_what_is_joined_has_one_symmetric_scale(made: bytes) -> None:
    file = File(made)
    forms = {name: file.activations[name] for name in ("s", "d", "e")}
    assert {zero.dtype for _, zero in forms.values()} == {np.dtype(np.int8)}
    assert {int(zero) for _, zero in forms.values()} == {0}
    assert len({float(scale) for scale, _ in forms.values()}) == 1
    # The result is quantised once it is normalised and rectified, not before.
    assert {"k", "k2"}.isdisjoint(file.activations)
    assert {file.activations[name][1].dtype for name in ("r", "r2")} == {np.dtype(np.uint8)}


def test_every_reader_of_a_joined_tensor_takes_the_integers(made: bytes) -> None:
    graph = onnx.load_model_from_string(made).graph
    joined = [list(node.input) for node in graph.node if node.op_type == "Concat"]
    assert joined == [
        ["s_dequantized", "d_dequantized"],
        ["k", "e_dequantized"],  # what is joined already is joined as it is
    ]


def test_an_average_pool_takes_the_integers_that_another_reader_needs(made: bytes) -> None:
    (pool,) = (
        n for n in onnx.load_model_from_string(made).graph.node if n.op_type == "AveragePool"
    )
    assert list(pool.input) == ["t_dequantized"]


def test_the_linter_has_nothing_against_it(made: bytes) -> None:
    found = lint(made, target="openvino", where="joins")
    assert [each for each in found if each.severity == "error"] == []


@pytest.mark.parametrize("target", ["ort-x64-vnni", "trt"])
def test_other_runtimes_leave_joins_in_float(model: bytes, target: str) -> None:
    file = File(emit(model, calibrated(model, cases()), target=target).model)
    assert "d" not in file.activations or file.activations["d"][1].dtype == np.uint8


@pytest.mark.parametrize("fixed", [False, True])
def test_openvino_computes_it_with_shapes_open_and_fixed(
    model: bytes, made: bytes, fixed: bool
) -> None:
    answers = [answer(compiled(data, fixed=fixed)) for data in (model, made)]
    assert sqnr(*answers) > 20


# Signed tensors that are pooled and flattened on their way.
MOVED = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,8,12,12] x) => (float[N,4] y) {
  c1 = Conv<pads = [1, 1, 1, 1]>(x, w1) p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(c1)
  c2 = Conv(p, w2) f = Flatten(c2)
  g1 = Gemm(f, w3) r = Relu(g1) y = Gemm(r, w4)
}"""
MOVING = {"w1": (16, 8, 3, 3), "w2": (2, 16, 1, 1), "w3": (72, 16), "w4": (16, 4)}
# A U-Net's: the rectified skip and the signed result of a transposed convolution have one scale.
SKIP = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,8,12,12] x) => (float[N,4,12,12] y) {
  c1 = Conv<pads = [1, 1, 1, 1]>(x, w1) r1 = Relu(c1)
  c2 = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(r1, w2) r2 = Relu(c2)
  u = ConvTranspose<strides = [2, 2]>(r2, w3)
  k = Concat<axis = 1>(r1, u)
  c3 = Conv<pads = [1, 1, 1, 1]>(k, w4) r3 = Relu(c3) y = Conv(r3, w5)
}"""
SKIPPED = {
    "w1": (16, 8, 3, 3), "w2": (16, 16, 3, 3), "w3": (16, 16, 2, 2), "w4": (16, 32, 3, 3),
    "w5": (4, 16, 1, 1),
}  # fmt: skip


GRAPHS = [(SKIP, SKIPPED), (MOVED, MOVING)]


@pytest.fixture(scope="module", params=GRAPHS, ids=["concatenated", "moved"])
def pair(request: pytest.FixtureRequest) -> tuple[bytes, bytes]:
    """Return a graph and what is emitted of it for OpenVINO."""
    text, shapes = request.param
    model = build(text, **random_weights(shapes))
    return model, emit(model, calibrated(model, cases()), target="openvino").model


def test_nothing_that_is_moved_is_rounded_twice(pair: tuple[bytes, bytes]) -> None:
    assert {"k", "p", "f"}.isdisjoint(File(pair[1]).activations)
    graph = compiled(pair[1], fixed=False).get_runtime_model()
    facts = [node.get_rt_info() for node in graph.get_ordered_ops()]
    kinds = Counter(str(each["layerType"].astype(str)) for each in facts)
    # Of the input, and nowhere else.
    assert (kinds["FakeQuantize"], kinds["Convert"]) == (1, 0)
    kernels = {"Convolution", "Deconvolution", "Concatenation", "FullyConnected", "Pooling"}
    precisions = [
        str(each["runtimePrecision"].astype(str))
        for each in facts
        if str(each["layerType"].astype(str)) in kernels
    ]
    # The head multiplies integers if it is a convolution, and is float throughout if it is none.
    floats = ["f32"] if kinds["FullyConnected"] else []
    assert sorted(precisions) == [*floats, *["u8"] * (len(precisions) - len(floats))]
    assert len(precisions) in {5, 6}


@pytest.mark.parametrize("fixed", [False, True])
def test_what_is_moved_keeps_its_integers(pair: tuple[bytes, bytes], fixed: bool) -> None:
    answers = [answer(compiled(data, fixed=fixed)) for data in pair]
    assert sqnr(*answers) > 25
    assert sqnr(Reference(pair[1]).run(cases()[0])["y"], answers[1]) > 45


def compiled(model: bytes, *, fixed: bool) -> ov.CompiledModel:
    core = ov.Core()
    read = core.read_model(model)
    if fixed:
        read.reshape([4, 8, 12, 12])
    return core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def answer(network: ov.CompiledModel) -> np.ndarray:
    return next(iter(network(cases()[0]).values()))
