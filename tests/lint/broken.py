"""Graphs that are broken in one way each, and the one rule that each breaks.

What a runtime makes of them was observed with the versions that the tests install; the tests in
``tests/pipeline/test_lint_runtimes.py`` observe it again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from onnx import TensorProto, helper

from drawing import CHANNELS, STEP, Drawing

Draw = Callable[[Drawing], str]


@dataclass(frozen=True)
class Broken:
    """A graph and what is wrong with it.

    ``runtime`` is what the target's own runtime does: TensorRT refuses or accepts it,
    ONNX Runtime loses the named kernel, the output is wrong, the process dies; or nothing that this
    machine can show (empty).
    """

    name: str
    target: str
    number: str
    severity: Literal["error", "warning"]
    model: bytes = field(repr=False)
    runtime: Literal[
        "refuses", "accepts", "QLinearConv", "QLinearAdd", "QGemm", "wrong", "dies", ""
    ]


CASES: list[Broken] = []
FORMS = {
    "trt": (np.int8, 0),
    "ort-x64-vnni": (np.uint8, 128),
    "ort-x64-avx2": (np.uint8, 128),
    "ort-arm": (np.int8, 3),
    "openvino": (np.uint8, 128),
}


def sound(target: str) -> bytes:
    """Return a graph as a target wants it: two convolutions, an addition, a head."""
    d = Drawing(*FORMS[target])
    x = d.stored("x")
    skip = d.node("Relu", d.conv(x))
    skip = d.stored(skip, zero=d.rectified)
    branch = d.conv(skip)
    if target == "trt":
        return d.model(d.head(d.node("Relu", d.node("Add", branch, skip))))
    added = d.node("Relu", d.node("Add", d.stored(branch), skip))
    return d.model(d.head(d.stored(added, zero=d.rectified)))


def case(
    target: str,
    number: str,
    runtime: str = "",
    *,
    severity: str = "error",
    batch: int | str = "n",
    form: tuple[type[np.integer], int] | None = None,
) -> Callable[[Draw], Draw]:
    """Draw a case for a target, in the form of activations that it wants unless told otherwise."""

    def draw(function: Draw) -> Draw:
        d = Drawing(*(form or FORMS[target]))
        model = d.model(function(d), batch=batch)
        name = f"{target}: {' '.join(function.__name__.split('_'))}"
        CASES.append(Broken(name, target, number, severity, model, runtime))
        return function

    return draw


def closed(d: Drawing, tensor: str) -> str:
    """End a graph behind a quantised convolution as its target wants it."""
    tensor = d.node("Relu", tensor)
    return d.head(tensor if d.zero == 0 else d.stored(tensor, zero=d.rectified))


def normalized(d: Drawing, tensor: str) -> str:
    statistics = [np.full(CHANNELS, value, np.float32) for value in (1.1, 0.1, 0.2, 0.9)]
    return d.node("BatchNormalization", tensor, *map(d.constant, statistics))


# TensorRT


@case("trt", "T1", "accepts", form=(np.uint8, 0))
def unsigned_from_zero(d: Drawing) -> str:
    return closed(d, d.conv(d.stored(d.node("Relu", "x"))))


@case("trt", "T1", "refuses", form=(np.uint8, 128))
def unsigned_about_its_middle(d: Drawing) -> str:
    return d.head(d.node("Relu", d.conv(d.stored("x"))))


@case("trt", "T1", "refuses", form=(np.int8, 3))
def zero_point_of_three(d: Drawing) -> str:
    return d.head(d.node("Relu", d.conv(d.stored("x"))))


@case("trt", "T1", "accepts")
def activation_per_channel(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x", scale=np.linspace(0.04, 0.06, CHANNELS), axis=1)))


@case("trt", "T1", "dies")
def scale_computed_in_the_graph(d: Drawing) -> str:
    scale = d.node("Mul", d.node("ReduceMax", "x", keepdims=0), d.constant(np.float32(1 / 127)))
    integer = d.node("QuantizeLinear", "x", scale, d.constant(np.int8(0)))
    return closed(d, d.conv(d.node("DequantizeLinear", integer, scale, d.constant(np.int8(0)))))


@case("trt", "T2", "accepts")
def weights_along_the_input_channels(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x"), d.weights(axis=1)))


@case("trt", "T2", "accepts")
def transposed_weights_along_axis_0(d: Drawing) -> str:
    return closed(d, d.node("ConvTranspose", d.stored("x"), d.weights()))


@case("trt", "T2", "accepts")
def matrix_along_the_input_channels(d: Drawing) -> str:
    x = d.stored(d.node("Flatten", d.node("GlobalAveragePool", "x")))
    hidden = d.node("Relu", d.node("Gemm", x, d.weights((CHANNELS, CHANNELS), axis=0)))
    return d.node("Gemm", hidden, d.constant(np.ones((CHANNELS, 2), np.float32)))


@case("trt", "T2", "refuses")
def asymmetric_weights(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x"), d.weights(zero=5)))


@case("trt", "T2", "refuses")
def unsigned_weights(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x"), d.weights(integers=np.uint8, zero=128)))


@case("trt", "T2", "accepts", severity="warning")
def one_scale_for_all_weights(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x"), d.weights(scale=0.002)))


@case("trt", "T3", "accepts", severity="warning")
def weights_stored_in_float(d: Drawing) -> str:
    weights = d.rng.normal(size=(CHANNELS, CHANNELS, 3, 3)).astype(np.float32)
    scale = np.abs(weights).max(axis=(1, 2, 3)) / 127
    stored = d.stored(d.constant(weights), scale=scale, axis=0)
    return closed(d, d.conv(d.stored("x"), stored))


def bias_in(d: Drawing, integers: type[np.integer], *, factor: float = 1.0) -> str:
    """Draw a convolution whose bias is dequantised, from scales of inputs times weights."""
    scale = np.full(CHANNELS, 0.002, np.float32)
    values = d.rng.integers(-100, 100, CHANNELS).astype(integers)
    step = scale * np.float32(STEP * factor)
    zeros = d.constant(np.zeros(CHANNELS, integers))
    bias = d.node("DequantizeLinear", d.constant(values), d.constant(step), zeros, axis=0)
    return d.conv(d.stored("x"), d.weights(scale=scale), bias)


@case("trt", "T4", "refuses")
def bias_in_int32(d: Drawing) -> str:
    return closed(d, bias_in(d, np.int32))


@case("trt", "T4", "accepts", severity="warning")
def bias_in_int8(d: Drawing) -> str:
    return closed(d, bias_in(d, np.int8))


@case("trt", "T5", "refuses")
def scale_of_zero(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x", scale=0.0)))


@case("trt", "T5", "refuses")
def negative_scale(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x", scale=-STEP)))


@case("trt", "T5", "refuses")
def dead_channel_of_scale_zero(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x"), d.weights(scale=[0.0] + [0.002] * (CHANNELS - 1))))


@case("trt", "T5", "accepts", severity="warning")
def subnormal_scale(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x"), d.weights(scale=[1e-40] + [0.002] * (CHANNELS - 1))))


@case("trt", "T6", "accepts")
def weights_only(d: Drawing) -> str:
    return closed(d, d.conv("x"))


@case("trt", "T6", "accepts")
def quantised_before_relu(d: Drawing) -> str:
    return closed(d, d.stored(d.conv(d.stored("x"))))


@case("trt", "T6", "accepts")
def quantised_before_normalisation(d: Drawing) -> str:
    return closed(d, normalized(d, d.stored(d.conv(d.stored("x")))))


@case("trt", "T6", "accepts")
def normalisation_not_folded(d: Drawing) -> str:
    return closed(d, normalized(d, d.conv(d.stored("x"))))


@case("trt", "T7", "accepts")
def both_branches_quantised(d: Drawing) -> str:
    x = d.stored("x")
    return closed(d, d.node("Add", d.stored(d.conv(x)), x))


@case("trt", "T7", "accepts", severity="warning")
def skip_branch_in_float(d: Drawing) -> str:
    return closed(d, d.node("Add", d.conv(d.stored("x")), "x"))


@case("trt", "T8", "accepts")
def unequal_scales_at_a_concatenation(d: Drawing) -> str:
    x = d.stored("x")
    other = d.stored(d.node("Relu", d.conv(x)), scale=0.08)
    joined = d.stored(d.node("Concat", x, other, axis=1), scale=0.07)
    return closed(d, d.conv(joined, d.weights((CHANNELS, 2 * CHANNELS, 3, 3))))


@case("trt", "T9", "accepts", severity="warning")
def rescaled_in_a_pool(d: Drawing) -> str:
    pooled = d.node("MaxPool", d.stored("x"), kernel_shape=[2, 2], strides=[2, 2])
    return closed(d, d.conv(d.stored(pooled, scale=0.04)))


@case("trt", "T10", "accepts", severity="warning")
def quantised_head(d: Drawing) -> str:
    return d.node("Relu", d.conv(d.stored("x")))


@case("trt", "T10", "accepts", severity="warning")
def quantised_head_before_a_sigmoid(d: Drawing) -> str:
    return d.head(d.node("Sigmoid", d.conv(d.stored("x"))))


@case("trt", "T10", "accepts", severity="warning")
def softmax_of_integers(d: Drawing) -> str:
    return d.head(d.node("Softmax", d.stored(d.node("Relu", d.conv(d.stored("x")))), axis=1))


@case("trt", "T10", "accepts", severity="warning")
def narrow_convolution(d: Drawing) -> str:
    narrow = d.node("Conv", "x", d.constant(np.ones((12, CHANNELS, 1, 1), np.float32)))
    narrow = d.node("Relu", d.node("Conv", d.stored(narrow), d.weights((12, 12, 1, 1))))
    return d.node("Conv", narrow, d.constant(np.ones((2, 12, 1, 1), np.float32)))


@case("trt", "T11", "refuses")
def integer_operators(d: Drawing) -> str:
    scale, zero = d.constant(np.float32(STEP)), d.constant(np.int8(0))
    integer = d.node("QuantizeLinear", "x", scale, zero)
    values = d.rng.integers(-64, 64, (CHANNELS, CHANNELS, 1, 1)).astype(np.int8)
    weights = d.constant(values), d.constant(np.float32(0.01)), zero
    written = d.node("QLinearConv", integer, scale, zero, *weights, scale, zero)
    return closed(d, d.node("DequantizeLinear", written, scale, zero))


@case("trt", "T11", "refuses")
def dynamic_quantisation(d: Drawing) -> str:
    integer = d.node("DynamicQuantizeLinear", "x")
    d.nodes[-1].output.extend(["dynamic_scale", "dynamic_zero"])
    values = d.rng.integers(-64, 64, (CHANNELS, CHANNELS, 1, 1)).astype(np.int8)
    product = d.node("ConvInteger", integer, d.constant(values), "dynamic_zero")
    return d.head(d.node("Mul", d.node("Cast", product, to=TensorProto.FLOAT), "dynamic_scale"))


@case("trt", "T11", "refuses", form=(np.int16, 0))
def sixteen_bits(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x")))


@case("trt", "T11", "refuses")
def pairs_of_another_domain(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x", domain="com.microsoft")))


@case("trt", "T12", "refuses")
def half_precision_beside_single(d: Drawing) -> str:
    half = d.node("Cast", "x", to=TensorProto.FLOAT16)
    convolved = d.conv(d.stored(half, dtype=np.float16))
    return closed(d, d.node("Cast", convolved, to=TensorProto.FLOAT))


# ONNX Runtime on x86-64


@case("ort-x64-vnni", "O1", "QLinearAdd", form=(np.int8, 1))
def signed_skip_branch(d: Drawing) -> str:
    x = d.stored("x")
    return d.head(d.stored(d.node("Add", d.stored(d.conv(x)), x)))


@case("ort-x64-vnni", "O1", severity="warning", form=(np.int8, 1))
def signed_chain(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x")))


@case("ort-x64-vnni", "O1", "QLinearConv")
def input_per_channel(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x", scale=np.full(CHANNELS, STEP), axis=1)))


@case("ort-x64-vnni", "O1", severity="warning")
def weights_with_a_zero_point(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x"), d.weights(zero=5)))


@case("ort-x64-vnni", "O1", severity="warning")
def weights_per_tensor(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x"), d.weights(scale=0.002)))


@case("ort-x64-vnni", "O2", "QLinearConv")
def float_input(d: Drawing) -> str:
    return closed(d, d.conv("x"))


@case("ort-x64-vnni", "O2", "QLinearConv")
def float_output(d: Drawing) -> str:
    return d.head(d.node("LeakyRelu", d.conv(d.stored("x"))))


@case("ort-x64-vnni", "O2", "QLinearConv")
def output_read_in_float_too(d: Drawing) -> str:
    convolved = d.conv(d.stored("x"))
    return d.head(d.node("Sub", d.node("Sin", d.stored(convolved)), convolved))


@case("ort-x64-vnni", "O2", "QLinearConv")
def output_quantised_twice(d: Drawing) -> str:
    convolved = d.conv(d.stored("x"))
    return d.head(d.node("Sub", d.stored(convolved), d.stored(convolved)))


@case("ort-x64-vnni", "O2", "QLinearAdd")
def one_float_operand(d: Drawing) -> str:
    return d.head(d.stored(d.node("Add", d.stored(d.conv(d.stored("x"))), "x")))


@case("ort-x64-vnni", "O2", "QLinearAdd")
def addition_not_quantised(d: Drawing) -> str:
    x = d.stored("x")
    return d.head(d.node("Add", d.stored(d.conv(x)), x))


@case("ort-x64-vnni", "O2", "QGemm")
def rectified_matrix_product(d: Drawing) -> str:
    x = d.stored(d.node("Flatten", d.node("GlobalAveragePool", "x")))
    hidden = d.node("Relu", d.node("Gemm", x, d.weights((CHANNELS, CHANNELS), axis=1)))
    return d.node("Gemm", hidden, d.constant(np.ones((CHANNELS, 2), np.float32)))


@case("ort-x64-vnni", "O3", "QLinearConv")
def rectified_range_from_below_zero(d: Drawing) -> str:
    return d.head(d.stored(d.node("Relu", d.conv(d.stored("x"))), zero=100))


@case("ort-x64-vnni", "O3", "QLinearConv")
def clipped_range_above_its_end(d: Drawing) -> str:
    ends = d.constant(np.float32(0)), d.constant(np.float32(6))
    clipped = d.node("Clip", d.conv(d.stored("x")), *ends)
    return d.head(d.stored(clipped, zero=0, scale=6.1 / 255))


@case("ort-x64-vnni", "O3")
def rounded_before_relu(d: Drawing) -> str:
    return closed(d, d.stored(d.conv(d.stored("x"))))


@case("ort-x64-vnni", "O4", "QLinearConv")
def bias_of_another_scale(d: Drawing) -> str:
    return closed(d, bias_in(d, np.int32, factor=3.0))


@case("ort-x64-vnni", "O4", "QLinearConv")
def bias_of_eight_bits(d: Drawing) -> str:
    return closed(d, bias_in(d, np.int8))


@case("ort-x64-avx2", "O5")
def weights_of_the_full_range(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x"), d.weights(limit=127)))


@case("ort-x64-avx2", "O5", severity="warning")
def weights_of_the_full_range_beside_small_ones(d: Drawing) -> str:
    values = d.rng.integers(-64, 65, (CHANNELS, CHANNELS, 3, 3))
    values[:, ::2], values[:, 1::2] = np.clip(values[:, ::2], -20, 20), 0
    values[:, 0, 0, 0] = values[:, 0, 2, 2] = 127
    return closed(d, d.conv(d.stored("x"), d.weights(values=values)))


@case("ort-x64-vnni", "O6")
def rounded_before_normalisation(d: Drawing) -> str:
    return closed(d, normalized(d, d.stored(d.conv(d.stored("x")))))


@case("ort-x64-vnni", "O7", "QLinearConv")
def weights_along_axis_1(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x"), d.weights(axis=1)))


@case("ort-x64-vnni", "O7", "wrong")
def matrix_along_axis_0(d: Drawing) -> str:
    x = d.stored(d.node("Flatten", d.node("GlobalAveragePool", "x")))
    hidden = d.node("Gemm", x, d.weights((CHANNELS, CHANNELS), axis=0))
    return d.node("Gemm", hidden, d.constant(np.ones((CHANNELS, 2), np.float32)))


@case("ort-x64-vnni", "O7")
def transposed_convolution_quantised(d: Drawing) -> str:
    weights = d.weights((CHANNELS, CHANNELS, 2, 2), axis=1)
    return closed(d, d.node("ConvTranspose", d.stored("x"), weights, strides=[2, 2]))


@case("ort-x64-vnni", "O7", severity="warning")
def pool_between_two_scales(d: Drawing) -> str:
    pooled = d.node("MaxPool", d.stored("x"), kernel_shape=[2, 2], strides=[2, 2])
    return closed(d, d.conv(d.stored(pooled, scale=0.04)))


@case("ort-x64-vnni", "G1")
def no_scale_at_all(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x", scale=0.0)))


@case("ort-x64-vnni", "G1")
def infinite_scale(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x", scale=np.inf)))


@case("ort-x64-vnni", "G2", severity="warning")
def read_with_another_scale(d: Drawing) -> str:
    parameters = d.constant(np.float32(STEP)), d.constant(np.uint8(128))
    integer = d.node("QuantizeLinear", "x", *parameters)
    other = d.constant(np.float32(2 * STEP))
    return closed(d, d.conv(d.node("DequantizeLinear", integer, other, parameters[1])))


@case("ort-x64-vnni", "G3", severity="warning")
def branches(d: Drawing) -> str:
    value = helper.make_tensor_value_info("chosen", TensorProto.FLOAT, None)
    node = helper.make_node("Relu", ["x"], ["chosen"])
    branch = helper.make_graph([node], "branch", [], [value])
    yes = d.constant(np.array(True))
    return closed(d, d.conv(d.stored(d.node("If", yes, then_branch=branch, else_branch=branch))))


@case("ort-arm", "O1", severity="warning", form=(np.uint8, 128))
def unsigned_on_arm(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x")))


# OpenVINO


@case("openvino", "V1")
def input_with_many_scales(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x", scale=np.linspace(0.04, 0.06, CHANNELS), axis=1)))


@case("openvino", "V1")
def wrong_axis(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x"), d.weights(axis=1)))


@case("openvino", "V1", severity="warning")
def lowest_weight(d: Drawing) -> str:
    values = np.zeros((CHANNELS, CHANNELS, 3, 3))
    values[0, 0, 0, 0] = -128
    return closed(d, d.conv(d.stored("x"), d.weights(values=values)))


@case("openvino", "V1", severity="warning")
def shifted_weights(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x"), d.weights(zero=5)))


@case("openvino", "V2")
def concatenation_of_unequal_scales(d: Drawing) -> str:
    x = d.stored("x")
    other = d.stored(d.conv(x), scale=0.08)
    joined = d.stored(d.node("Concat", x, other, axis=1), scale=0.07)
    return closed(d, d.conv(joined, d.weights((CHANNELS, 2 * CHANNELS, 3, 3))))


@case("openvino", "V2")
def addition_of_integers_and_floats(d: Drawing) -> str:
    return d.head(d.stored(d.node("Add", d.stored(d.conv(d.stored("x"))), "x")))


@case("openvino", "V2")
def float_into_integers(d: Drawing) -> str:
    return closed(d, d.conv("x"))


@case("openvino", "V2")
def joined_of_two_scales(d: Drawing) -> str:
    x = d.stored("x")
    joined = d.node("Concat", x, d.stored(d.conv(x), scale=0.08), axis=1)
    return closed(d, d.conv(joined, d.weights((CHANNELS, 2 * CHANNELS, 3, 3))))


@case("openvino", "V2")
def joined_of_integers_and_floats(d: Drawing) -> str:
    joined = d.node("Concat", d.stored("x"), "x", axis=1)
    return closed(d, d.conv(joined, d.weights((CHANNELS, 2 * CHANNELS, 3, 3))))


@case("openvino", "V3", severity="warning")
def full_range(d: Drawing) -> str:
    return closed(d, d.conv(d.stored("x"), d.weights(limit=127)))


@case("openvino", "V4", severity="warning")
def quantised_bias(d: Drawing) -> str:
    return closed(d, bias_in(d, np.int32))


@case("openvino", "V5", "wrong", form=(np.int8, 0))
def signed_concatenation(d: Drawing) -> str:
    joined = d.stored(d.node("Concat", "x", d.node("Relu", "x"), axis=1))
    convolved = d.conv(joined, d.weights((CHANNELS, 2 * CHANNELS, 3, 3)))
    return d.head(convolved)


@case("openvino", "V5", "wrong", form=(np.int8, 0))
def concatenation_of_signed(d: Drawing) -> str:
    x = d.stored("x")
    joined = d.node("Concat", x, d.stored(d.node("Relu", x)), axis=1)
    return d.head(d.conv(joined, d.weights((CHANNELS, 2 * CHANNELS, 3, 3))))


@case("openvino", "V6", "dies", batch=2)
def rectified_concatenation(d: Drawing) -> str:
    joined = d.stored(d.node("Concat", "x", d.node("Relu", "x"), axis=1))
    again = d.stored(d.node("Relu", joined), zero=d.rectified)
    return d.node("Conv", again, d.constant(np.ones((2, 2 * CHANNELS, 1, 1), np.float32)))
