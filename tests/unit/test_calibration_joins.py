"""DenseNet's joins for OpenVINO: what is concatenated and then normalised, and average pools."""

from __future__ import annotations

import numpy as np
import onnx
import openvino as ov
import pytest

from cspine_calibration.emit import emit
from cspine_calibration.lint.lint import lint
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
        ["s_dequantized", "d_dequantized", "e_dequantized"],
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
    core = ov.Core()
    answers = []
    for data in (model, made):
        read = core.read_model(data)
        if fixed:
            read.reshape([4, 8, 12, 12])
        compiled = core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        answers.append(next(iter(compiled(cases()[0]).values())))
    noise = np.square(answers[1] - answers[0]).sum()
    assert 10 * np.log10(np.square(answers[0]).sum() / noise) > 20
