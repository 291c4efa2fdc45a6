"""Emissions mean what they say: NumPy and ONNX Runtime, its optimiser off, compute the same.

Compared are the integers inside. Two exact sums in another order may fall to either side of a
rounding step, so an integer may differ by one step, and seldom does. NumPy goes on from ONNX
Runtime's integers, so that it is one step wherever a tensor lies; an output is float and follows
from the same integers.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

import quantized_numpy
from cspine_calibration.emit import emit
from cspine_calibration.numeric import sqnr
from cspine_calibration.reference import Reference
from cspine_calibration.targets import TARGETS
from small_graphs import (
    DIVIDES_IN_HALF,
    EVERYTHING,
    SHAPES,
    build,
    calibrated,
    cases,
    random_weights,
)

EMISSIONS = [(name, each) for name, row in TARGETS.items() for each in row.precisions]
# Steps of a chain from `a` to `b`, 16 channels each way; weights are named by the step's number.
STEPS = {
    "conv": "{b} = Conv<pads = [1, 1, 1, 1]>({a}, w{n}, b{n})",
    "relu": "c{n} = Conv({a}, p{n}, b{n}) {b} = Relu(c{n})",
    "depthwise": "c{n} = Conv<pads = [1, 1, 1, 1], group = 16>({a}, d{n}) {b} = Relu(c{n})",
    "residual": "c{n} = Conv<pads = [1, 1, 1, 1]>({a}, w{n}, b{n}) s{n} = Add(c{n}, {a})"
    " {b} = Relu(s{n})",
    "dense": "c{n} = Conv({a}, p{n}) r{n} = Relu(c{n}) k{n} = Concat<axis = 1>({a}, r{n})"
    " {b} = Conv(k{n}, k32{n})",
    "silu": "c{n} = Conv({a}, p{n}, b{n}) g{n} = Sigmoid(c{n}) {b} = Mul(c{n}, g{n})",
    "down and up": "q{n} = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>({a})"
    " {b} = ConvTranspose<strides = [2, 2]>(q{n}, u{n}, b{n})",
}
WEIGHTS = {
    "w": (16, 16, 3, 3), "p": (16, 16, 1, 1), "d": (16, 1, 3, 3), "k32": (16, 32, 1, 1),
    "u": (16, 16, 2, 2), "b": (16,),
}  # fmt: skip


def chain(names: list[str], *, seed: int) -> bytes:
    """Return a network of steps between a first layer and a head."""
    body = ["a0 = Conv<pads = [1, 1, 1, 1]>(x, first)"]
    for n, name in enumerate(names):
        body.append(STEPS[name].format(a=f"a{n}", b=f"a{n + 1}", n=n))
    body.append(f"y = Conv(a{len(names)}, last)")
    shapes = {"first": (16, 4, 3, 3), "last": (3, 16, 1, 1)}
    shapes |= {f"{key}{n}": shape for key, shape in WEIGHTS.items() for n in range(len(names))}
    text = " ".join(body)
    return build(
        '<ir_version: 8, opset_import: ["" : 17]>'
        f"g (float[N,4,8,8] x) => (float[N,3,8,8] y) {{ {text} }}",
        **{
            name: values
            for name, values in random_weights(shapes, seed).items()
            if f" {name})" in text or f" {name}," in text
        },
    )


def observed(model: bytes) -> tuple[bytes, list[str]]:
    """Return a model that also gives its quantised activations, and their names."""
    proto = onnx.load_model_from_string(model)
    names = [node.output[0] for node in proto.graph.node if node.op_type == "QuantizeLinear"]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return proto.SerializeToString(), names


def check(model: bytes, feeds: list[dict], target: str, precision: str) -> None:
    emission = emit(model, calibrated(model, feeds), target=target, precision=precision)
    probed, names = observed(emission.model)
    found = Reference(probed).run(feeds[0])
    integers = {name: found[name] for name in names}
    expected = quantized_numpy.run(emission.model, feeds[0], instead=integers)
    assert bool(names) == (precision == "int8")
    for name in names:
        apart = np.abs(found[name].astype(int) - expected[name])
        assert apart.max() <= 1, name
        # ONNX Runtime has few FP16 kernels here and rounds to FP16 between fewer operators.
        if not (TARGETS[target].half and DIVIDES_IN_HALF):
            assert np.mean(apart) < (0.05 if TARGETS[target].half else 0.005), name
    for value in onnx.load_model_from_string(model).graph.output:
        assert found[value.name].dtype == np.float32
        assert sqnr(expected[value.name], found[value.name]) > (55 if TARGETS[target].half else 90)


@pytest.mark.parametrize(("target", "precision"), EMISSIONS)
def test_a_graph_of_every_pattern(target: str, precision: str) -> None:
    model = build(EVERYTHING, **random_weights(SHAPES))
    check(model, cases((2, 8, 12, 12), count=2), target, precision)


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    names=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=4),
    seed=st.integers(0, 100),
)
@pytest.mark.parametrize(("target", "precision"), EMISSIONS)
def test_chains_of_any_steps(target: str, precision: str, names: list[str], seed: int) -> None:
    check(chain(names, seed=seed), cases((2, 4, 8, 8), count=2), target, precision)


def test_a_scale_that_is_off_is_seen() -> None:
    model, feeds = chain(["relu", "residual"], seed=0), cases((2, 4, 8, 8), count=1)
    data = emit(model, calibrated(model, feeds), target="trt-8").model
    proto = onnx.load_model_from_string(data)
    (scale,) = (t for t in proto.graph.initializer if t.name == "a1_scale")
    wrong = numpy_helper.to_array(scale) * np.float32(0.5)  # half of the range is clipped
    scale.CopyFrom(numpy_helper.from_array(wrong, scale.name))
    other = proto.SerializeToString()
    expected, found = (quantized_numpy.run(each, feeds[0])["y"] for each in (data, other))
    assert sqnr(expected, found) < 30
