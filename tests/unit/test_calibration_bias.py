"""Bias correction against the mean of the real thing, computed by ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cspine.backends.onnxruntime import OnnxRuntime
from cspine_calibration.bias import corrected_bias
from cspine_calibration.emit import emit
from cspine_calibration.observe import Observer
from cspine_calibration.read import read_graph
from cspine_calibration.weights import quantize_weights

HEADER = '<ir_version: 8, opset_import: ["" : 17]> g (float[N,8,9,9] x) => (float[N,K,M,L] y) '
UNITS = {
    "plain": ("Conv(x, w, b)", (6, 8, 3, 3), 6),
    "no bias": ("Conv(x, w)", (6, 8, 3, 3), 6),
    "strided": ("Conv<strides = [2, 2]>(x, w, b)", (6, 8, 3, 3), 6),
    "grouped": ("Conv<group = 2>(x, w, b)", (6, 4, 3, 3), 6),
    "depthwise": ("Conv<group = 8>(x, w, b)", (16, 1, 3, 3), 16),
    "transposed": ("ConvTranspose<strides = [2, 2]>(x, w, b)", (8, 6, 2, 2), 6),
    "transposed grouped": ("ConvTranspose<group = 2, strides = [2, 2]>(x, w, b)", (8, 3, 2, 2), 6),
}


def model_of(text: str, **weights) -> bytes:
    model = onnx.parser.parse_model(text)
    for name, values in weights.items():
        tensor = numpy_helper.from_array(np.asarray(values, np.float32), name)
        model.graph.initializer.append(tensor)
    return model.SerializeToString()


def outputs(model: bytes, x):
    return OnnxRuntime(model, threads=1).run({"x": x})["y"]


def still(shape):
    """Return an image that is its channels' mean everywhere, so nothing is lost by averaging."""
    means = np.random.default_rng(2).uniform(0.5, 3, shape[1]).astype(np.float32)
    return np.broadcast_to(means.reshape(1, -1, *[1] * (len(shape) - 2)), shape).copy(), means


def shift_left(body, weights, bias, x, means):
    """Return the mean difference per output channel that rounded weights make, before and after."""
    rng = np.random.default_rng(3)
    header = HEADER if x.ndim == 4 else HEADER.replace("N,8,9,9", "N,8").replace("N,K,M,L", "N,K")
    text = f"{header}{{ y = {body} }}"
    given = {"w": weights, "b": rng.normal(size=bias)} if bias else {"w": weights}
    graph = read_graph(model_of(text, **given))
    (unit,) = graph.units.values()
    rounded = quantize_weights(
        graph, unit, limit=7, input_scale=0.01, half=False
    )  # coarse, to see it
    real = rounded.values * np.expand_dims(
        rounded.scales, tuple(a for a in range(weights.ndim) if a != rounded.axis)
    )
    corrected = corrected_bias(graph, unit, rounded, means=means.tolist())
    axes = (0, *range(2, x.ndim))
    exact = outputs(model_of(text, **given), x).mean(axis=axes)
    raw = outputs(model_of(text, **{**given, "w": real}), x).mean(axis=axes)
    with_bias = text if bias else text.replace("w)", "w, b)")
    mended = outputs(model_of(with_bias, w=real, b=corrected), x).mean(axis=axes)
    return np.abs(raw - exact).max(), np.abs(mended - exact).max()


@pytest.mark.parametrize(("body", "shape", "channels"), UNITS.values(), ids=UNITS)
def test_the_mean_of_a_convolution_is_restored(body, shape, channels):
    weights = np.random.default_rng(1).normal(size=shape)
    before, after = shift_left(body, weights, channels * ("b" in body), *still((2, 8, 9, 9)))
    assert before > 0.05
    assert after < 1e-5


@pytest.mark.parametrize("body", ["Gemm(x, w, b)", "Gemm<transB = 1>(x, w, b)", "Gemm(x, w)"])
def test_the_mean_of_a_fully_connected_layer_is_restored(body):
    shape = (6, 8) if "transB" in body else (8, 6)
    weights = np.random.default_rng(1).normal(size=shape)
    before, after = shift_left(body, weights, 6 * ("b" in body), *still((3, 8)))
    assert before > 0.05
    assert after < 1e-5


CHAIN = (
    HEADER
    + """{
  c = Conv(x, w, b)  r = Relu(c)  d = Conv<group = 16>(r, v)  s = Relu(d)
  p = MaxPool<kernel_shape = [2, 2]>(s)
  e = Conv(p, u, b)  t = Relu(e)  y = Conv(t, h)
}"""
)
SHAPES = {
    "w": (16, 8, 3, 3),
    "b": (16,),
    "v": (16, 1, 3, 3),
    "u": (16, 16, 1, 1),
    "h": (2, 16, 1, 1),
}


@pytest.fixture(scope="module")
def chain() -> bytes:
    rng = np.random.default_rng(0)
    return model_of(
        CHAIN, **{n: rng.normal(size=s) / np.sqrt(np.prod(s[1:])) for n, s in SHAPES.items()}
    )


def feeds(seed, count=4):
    rng = np.random.default_rng(seed)
    return [{"x": rng.uniform(0, 1, (2, 8, 9, 9)).astype(np.float32)} for _ in range(count)]


def calibrated(model):
    observer = Observer(model, threads=1)
    for feed in feeds(1):
        observer.run(feed)
    return observer.table(set_digest="0" * 64, preprocessing_digest="1" * 64)


@pytest.mark.parametrize("target", ["ort-x64-vnni", "ort-x64-avx2", "trt-8"])
def test_the_mean_of_what_other_images_give_is_closer(chain, target):
    table = calibrated(chain)
    # What a pooling hands on has a mean of its own.
    assert set(table.means) == {"x", "r", "p"}

    def mean_of(model):
        backend = OnnxRuntime(model, threads=1)
        return np.mean([backend.run(feed)["y"] for feed in feeds(2)], axis=(0, 1, 3, 4))

    exact = mean_of(chain)
    # A head's own rounding is not made up for.
    plain, mended = (
        np.abs(mean_of(emit(chain, each, target=target, keep_float=["y"]).model) - exact).max()
        for each in (replace(table, means={}), table)
    )
    assert mended < 0.7 * plain


def test_a_unit_without_a_bias_gets_one_and_a_shared_bias_is_split(chain):
    graph = onnx.load_model_from_string(emit(chain, calibrated(chain), target="trt-8").model).graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    found = {n.output[0]: constants[n.input[2]] for n in graph.node if len(n.input) == 3
             and n.op_type == "Conv"}  # fmt: skip
    assert set(found) == {"c", "d", "e"}
    assert all(bias.dtype == np.float32 and bias.shape == (16,) for bias in found.values())
    assert not np.array_equal(found["c"], found["e"])
    assert "b" not in constants


def test_a_computed_bias_and_a_scaled_gemm_are_left_alone():
    rng = np.random.default_rng(0)
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[N,32] x) => (float[N,2] y) {
      c = Gemm<alpha = 2.0>(x, w, b)  r = Relu(c)  k = Relu(b)  d = Gemm(r, v, k)  s = Relu(d)
      y = Gemm(s, h)
    }"""
    shapes = {"w": (32, 32), "b": (32,), "v": (32, 32), "h": (32, 2)}
    model = model_of(text, **{n: rng.normal(size=s) for n, s in shapes.items()})
    observer = Observer(model, threads=1)
    observer.run({"x": rng.normal(size=(8, 32)).astype(np.float32)})
    table = observer.table(set_digest="0" * 64, preprocessing_digest="1" * 64)
    graph = onnx.load_model_from_string(emit(model, table, target="trt-8").model).graph
    assert [list(n.input)[2:] for n in graph.node if n.op_type == "Gemm"] == [["b"], ["k"], []]
