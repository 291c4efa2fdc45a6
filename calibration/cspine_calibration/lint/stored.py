"""Stored weights: their axis, their scales, their integers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cspine_calibration.lint.finding import Fault
from cspine_calibration.lint.linear import said
from cspine_calibration.lint.quantized import QuantizedGraph


def wrong_axis(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the weights whose scales do not run over output channels."""
    for each, linear in graph.stored_weights:
        shape = graph.weight_shape(each.weight)
        if linear.per_tensor or linear.blocked or linear.scale is None or not shape:
            continue
        axis, expected = (_wrapped(a, len(shape)) for a in (linear.axis, each.output_axis))
        if axis != expected:
            yield Fault(each.name, f"its weights have {linear.scale.size} scales along axis "
                        f"{axis}, output channels are axis {expected}")  # fmt: skip
        elif linear.scale.size != shape[axis]:
            yield Fault(each.name, f"its weights have {linear.scale.size} scales, "
                        f"axis {axis} has {shape[axis]}")  # fmt: skip


def asymmetric_weights(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the weights that are unsigned or whose zero points are not zero."""
    for each, linear in graph.stored_weights:
        zeros = linear.zero_point
        unsigned = linear.integers == "uint8"
        if unsigned or (zeros is not None and bool((zeros != 0).any())):
            kind = "UINT8" if unsigned else "INT8"
            yield Fault(each.name, f"weights in {kind} with zero point {said(linear.zero)}")


def per_tensor_weights(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the weights with one scale for several output channels."""
    for each, linear in graph.stored_weights:
        shape = graph.weight_shape(each.weight)
        if linear.scale is not None and linear.scale.size == 1 and shape and len(shape) > 1:
            channels = shape[_wrapped(each.output_axis, len(shape))]
            if channels > 1:
                yield Fault(each.name, f"one scale for the weights of {channels} channels")


def float_weights(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the weights that are stored in float and quantised in the graph."""
    for each, _ in graph.stored_weights:
        pair = graph.pair(each.weight)
        if pair and pair[0].quantizes and graph.constants.hold(pair[0].input):
            yield Fault(each.name, "its weights are stored in float before QuantizeLinear")


def lowest_weights(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the weights that use -128."""
    for each, linear in graph.stored_weights:
        values = graph.constants.array(linear.input)
        if values is not None and values.dtype == np.int8 and bool((values == -128).any()):
            yield Fault(each.name, "-128 among its weights")


def _wrapped(axis: int, rank: int) -> int:
    return axis + rank if axis < 0 else axis
