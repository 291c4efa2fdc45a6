from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from onnx import numpy_helper

from cspine.backends.onnxruntime import OnnxRuntime
from cspine.errors import ModelError
from cspine_calibration.emit import emit
from cspine_calibration.estimate import ESTIMATORS, SCALE_FLOOR, affine, clip_range
from cspine_calibration.fusion import integer_kernels
from cspine_calibration.numeric import compare, sqnr
from cspine_calibration.observe import Observer
from cspine_calibration.table import CalibrationTable, summarize
from cspine_calibration.targets import TARGETS

ORT = ("ort-x64-vnni", "ort-x64-avx2")
# Every pattern at once: a residual block, pooling, a transposed convolution, a concatenation of a
# rectified and a signed tensor, a fully connected layer that is no head, and two heads.
EVERYTHING = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,8,12,12] x) => (float[N,3,12,12] y, float[N,2] z) {
  c1 = Conv<pads = [1, 1, 1, 1]>(x, w1, b1)       r1 = Relu(c1)
  c2 = Conv<pads = [1, 1, 1, 1]>(r1, w2, b2)      a = Add(c2, r1)     r2 = Relu(a)
  p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(r2)
  c3 = Conv(p, w3)                                r3 = Relu(c3)
  u = ConvTranspose<strides = [2, 2]>(r3, w4, b4)
  k = Concat<axis = 1>(r2, u)
  c5 = Conv(k, w5, b5)                            r5 = Relu(c5)
  y = Conv(r5, w6)
  m = GlobalAveragePool(r3)                       f = Flatten(m)
  g1 = Gemm<transB = 1>(f, w7, b7)                r7 = Relu(g1)
  z = Gemm(r7, w8)
}"""
SHAPES = {
    "w1": (16, 8, 3, 3), "b1": (16,), "w2": (16, 16, 3, 3), "b2": (16,), "w3": (32, 16, 1, 1),
    "w4": (32, 16, 2, 2), "b4": (16,), "w5": (16, 32, 1, 1), "b5": (16,), "w6": (3, 16, 1, 1),
    "w7": (24, 32), "b7": (24,), "w8": (24, 2),
}  # fmt: skip


def build(text: str, **weights) -> bytes:
    model = onnx.parser.parse_model(text)
    for name, values in weights.items():
        values = np.asarray(values, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    onnx.checker.check_model(model)
    return model.SerializeToString()


def random_weights(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return {n: rng.normal(size=s) / np.sqrt(max(np.prod(s[1:]), 1)) for n, s in shapes.items()}


def cases(shape=(4, 8, 12, 12), count=3, seed=1):
    rng = np.random.default_rng(seed)
    return [{"x": rng.normal(size=shape).astype(np.float32)} for _ in range(count)]


def calibrated(model: bytes, feeds) -> CalibrationTable:
    observer = Observer(model, threads=1)
    for feed in feeds:
        observer.run(feed)
    return observer.table(set_digest="0" * 64, preprocessing_digest="1" * 64)


@pytest.fixture(scope="module")
def model() -> bytes:
    return build(EVERYTHING, **random_weights(SHAPES))


@pytest.fixture(scope="module")
def table(model) -> CalibrationTable:
    return calibrated(model, cases())


class File:
    """An emitted file, read back without the package's help."""

    def __init__(self, data: bytes) -> None:
        proto = onnx.load_model_from_string(data)
        onnx.checker.check_model(proto, full_check=True)
        self.graph = proto.graph
        self.constants = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
        self.producers = {name: n for n in self.graph.node for name in n.output}
        self.activations = {
            n.input[0]: (self.constants[n.input[1]], self.constants[n.input[2]])
            for n in self.graph.node
            if n.op_type == "QuantizeLinear"
        }

    def node(self, output: str) -> onnx.NodeProto:
        return self.producers[output]

    def weights(self, output: str):
        """Return values, scales and axis of the weights of the node that writes a tensor."""
        dequantize = self.producers[self.node(output).input[1]]
        values, scales, zeros = (self.constants[name] for name in dequantize.input)
        assert not zeros.any()
        return values, scales, dequantize.attribute[0].i


QUANTIZED = {
    "trt": {"x", "r1", "p", "r3", "k", "f"},
    "openvino": {"x", "r1", "c2", "r2", "p", "r3", "u", "k", "r5", "m", "f", "r7"},
}
QUANTIZED.update(dict.fromkeys((*ORT, "ort-arm"), QUANTIZED["openvino"]))


@pytest.mark.parametrize("target", TARGETS)
def test_quantised_tensors(model, table, target):
    file = File(emit(model, table, target=target).model)
    assert set(file.activations) == QUANTIZED[target]


@pytest.mark.parametrize("target", TARGETS)
def test_heads_and_constants_stay_float(model, table, target):
    file = File(emit(model, table, target=target).model)
    source = onnx.load_model_from_string(model).graph
    for name in ("w6", "w8", *(n for n in SHAPES if n.startswith("b"))):
        assert file.constants[name].dtype == np.float32
    assert [v.name for v in file.graph.output] == [v.name for v in source.output]
    assert list(file.graph.input) == list(source.input)
    assert not {"w1", "w2", "w3", "w5", "w7"}.intersection(file.constants)


@pytest.mark.parametrize("target", TARGETS)
def test_weights_are_symmetric_and_per_output_channel(model, table, target):
    file = File(emit(model, table, target=target).model)
    limit = TARGETS[target].weight_limit
    original = random_weights(SHAPES)
    axes = {"c1": ("w1", 0), "c2": ("w2", 0), "c3": ("w3", 0), "c5": ("w5", 0), "g1": ("w7", 0)}
    if "ConvTranspose" in TARGETS[target].integer_operators:
        axes["u"] = ("w4", 1)
    for output, (name, axis) in axes.items():
        values, scales, found = file.weights(output)
        others = tuple(a for a in range(values.ndim) if a != axis)
        largest = np.abs(original[name].astype(np.float32)).max(axis=others)
        assert (values.dtype, found) == (np.int8, axis)
        np.testing.assert_array_equal(np.abs(values).max(axis=others), limit)
        np.testing.assert_allclose(scales, largest / limit, rtol=1e-6)
        real = values * np.expand_dims(scales, others)
        assert np.all(np.abs(real - original[name]) <= 0.501 * np.expand_dims(scales, others))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_scales_in_the_file_are_the_estimators(model, table, target, estimator):
    file = File(emit(model, table, target=target, estimator=estimator).model)
    grid = TARGETS[target].activation
    shared = {"p": ["r2"], "k": ["r2", "u"], "f": ["m"]}
    if TARGETS[target].share_concat_scale:
        shared |= {name: ["r2", "u"] for name in ("r2", "u", "p", "k")}
    for name, (scale, zero_point) in file.activations.items():
        seen = table.statistics(shared.get(name, [name]))
        form = affine(*clip_range(seen, grid=grid, estimator=estimator), grid=grid)
        assert (float(scale), int(zero_point)) == (form.scale, form.zero_point)
        assert scale.shape == zero_point.shape == ()


def test_tensorrt_file_is_signed_symmetric_and_leaves_conv_outputs_alone(model, table):
    file = File(emit(model, table, target="trt").model)
    assert {(z.dtype, int(z)) for _, z in file.activations.values()} == {(np.dtype(np.int8), 0)}
    # The addition reads the skip branch dequantised and the convolution as it is.
    assert list(file.node("a").input) == ["c2", "r1_dequantized"]
    # The transposed convolution is followed by the concatenation, which has the scale.
    assert list(file.node("k").input) == ["r2", "u"]
    # A head that shares its input with an integer kernel still reads the float.
    assert file.node("m").input[0] == "r3"


@pytest.mark.parametrize("target", [*ORT, "openvino"])
def test_unsigned_files_start_rectified_ranges_at_zero(model, table, target):
    file = File(emit(model, table, target=target).model)
    assert {z.dtype for _, z in file.activations.values()} == {np.dtype(np.uint8)}
    assert all(file.activations[name][1] == 0 for name in ("r1", "r3", "r5", "m", "r7"))
    assert all(file.activations[name][1] > 0 for name in ("x", "c2", "u", "k"))
    assert (file.activations["r2"][1] == 0) != TARGETS[target].share_concat_scale


def test_arm_file_is_signed_with_rectified_ranges_from_the_lowest_integer(model, table):
    file = File(emit(model, table, target="ort-arm").model)
    assert {z.dtype for _, z in file.activations.values()} == {np.dtype(np.int8)}
    assert all(file.activations[name][1] == -128 for name in ("r1", "r2", "r3", "r5"))


@pytest.mark.parametrize("target", ORT)
def test_onnxruntime_runs_every_promise_as_integers(model, table, target):
    emission = emit(model, table, target=target)
    fusion = integer_kernels(emission.model)
    assert fusion.integer["QLinearConv"] == emission.summary.quantized == 4
    assert fusion.integer["QLinearAdd"] == emission.summary.adds == 1
    assert (fusion.integer["QLinearConcat"], fusion.integer["QGemm"]) == (1, 1)
    assert fusion.float_convolutions == ("y",)
    # What is float in the file is float in the runtime, and nothing more.
    assert len(fusion.floating) == len(emission.summary.left) == 3


def test_summary_counts_and_reasons(model, table):
    summary = emit(model, table, target="ort-x64-vnni", estimator="minmax").summary
    assert (summary.target, summary.estimator) == ("ort-x64-vnni", "minmax")
    assert (summary.convolutions, summary.eligible, summary.quantized) == (6, 4, 4)
    assert (summary.adds, summary.dead_channels) == (1, 0)
    assert summary.left == (
        ("u", "ort-x64-vnni has no integer ConvTranspose"),
        ("y", "head: its result reaches an output"),
        ("z", "head: its result reaches an output"),
    )
    assert emit(model, table, target="trt").summary.quantized == 5


@pytest.mark.parametrize("target", TARGETS)
def test_emission_is_a_function(model, table, target):
    again = CalibrationTable.from_bytes(table.to_bytes())
    assert emit(model, table, target=target) == emit(model, again, target=target)


def test_table_of_another_model_is_refused(model, table):
    with pytest.raises(ModelError, match="belongs to model eeeeeeeeeeee, got model"):
        emit(model, replace(table, model_digest="e" * 64), target="trt")


def test_table_without_a_tensor_is_refused(model, table):
    tensors = {name: seen for name, seen in table.tensors.items() if name != "r3"}
    with pytest.raises(ModelError, match="tensor 'r3' was not observed"):
        emit(model, replace(table, tensors=tensors), target="trt")


def test_unknown_names_are_refused(model, table):
    with pytest.raises(ModelError, match="unknown target 'tensorrt', expected one of ort-x64-vnni"):
        emit(model, table, target="tensorrt")
    with pytest.raises(ModelError, match="unknown estimator 'entropy'"):
        emit(model, table, target="trt", estimator="entropy")


TINY = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,4,9,9] x) => (float[N,2,5,5] y) {
  c = Conv(x, w, b)  r = Relu(c)
  d = Conv(r, v)     s = Relu(d)
  y = Conv(s, h)
}"""


def convolve(x, w):
    windows = sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w)


@pytest.mark.parametrize("target", TARGETS)
def test_numpy_computes_what_the_file_says(target):
    weights = random_weights(
        {"w": (16, 4, 3, 3), "b": (16,), "v": (16, 16, 3, 3), "h": (2, 16, 1, 1)}
    )
    model = build(TINY, **weights)
    feeds = cases((2, 4, 9, 9))
    table = calibrated(model, feeds)
    row = TARGETS[target]

    def activation(name, values):
        ends = clip_range(table.tensors[name], grid=row.activation, estimator="minmax")
        form = affine(*ends, grid=row.activation)
        steps = np.rint(values / form.scale) + form.zero_point
        clipped = np.clip(steps, row.activation.low, row.activation.high)
        return (clipped - form.zero_point) * form.scale

    def weight(name):
        scales = np.abs(weights[name]).max(axis=(1, 2, 3), keepdims=True) / row.weight_limit
        return np.rint(weights[name] / scales) * scales

    x = activation("x", feeds[0]["x"])
    r = np.maximum(convolve(x, weight("w")) + weights["b"][:, None, None], 0)
    s = np.maximum(convolve(activation("r", r), weight("v")), 0)
    # Only a target that keeps integers between operators quantises what the head reads.
    expected = convolve(activation("s", s) if row.quantize_outputs else s, weights["h"])

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    data = emit(model, table, target=target, estimator="minmax").model
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (found,) = session.run(["y"], feeds[0])
    # Sums in another order may fall to the other side of a rounding step now and then.
    assert np.mean(np.abs(found - expected) > 1e-4) < 0.02
    assert sqnr(expected, found) > 50


@pytest.mark.parametrize("target", TARGETS)
def test_dead_channel_keeps_its_bias(target):
    weights = random_weights({"w": (16, 4, 3, 3), "v": (16, 16, 3, 3), "h": (2, 16, 1, 1)})
    weights["w"][3] = 0.0
    weights["w"][5] *= 1e-12
    weights["b"] = np.linspace(-1, 3, 16)
    weights["b"][[3, 5]] = 3.0
    model = build(TINY, **weights)
    feeds = cases((2, 4, 9, 9))
    emission = emit(model, calibrated(model, feeds), target=target)
    assert emission.summary.dead_channels == 1
    file = File(emission.model)
    _, scales, _ = file.weights("c")
    input_scale = float(file.activations["x"][0])
    assert scales.min() >= np.float32(SCALE_FLOOR)
    assert np.all(np.abs(weights["b"]) / (scales.astype(np.float64) * input_scale) < 2**31)
    found = compare(OnnxRuntime(model, threads=1), OnnxRuntime(emission.model, threads=1), feeds)
    assert found["y"] > 25


def test_units_may_share_weights():
    model = build(TINY.replace("Conv(s, h)", "Conv(t, h)").replace(
        "s = Relu(d)", "s = Relu(d)  e = Conv<pads = [1, 1, 1, 1]>(s, v)  t = Relu(e)"),
        **random_weights({"w": (16, 4, 3, 3), "b": (16,), "v": (16, 16, 3, 3), "h": (2, 16, 1, 1)}),
    )  # fmt: skip
    feeds = cases((2, 4, 9, 9))
    emission = emit(model, calibrated(model, feeds), target="ort-x64-vnni")
    assert emission.summary.quantized == 3
    found = compare(OnnxRuntime(model, threads=1), OnnxRuntime(emission.model, threads=1), feeds)
    assert found["y"] > 25


def test_digest_is_of_the_bytes(model, table):
    assert table.model_digest == hashlib.sha256(model).hexdigest()
    assert summarize(np.concatenate([feed["x"] for feed in cases()])) == table.tensors["x"]
