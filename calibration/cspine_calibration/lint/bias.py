"""Biases that are dequantised."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cspine_calibration.lint.finding import Fault
from cspine_calibration.lint.linear import Linear
from cspine_calibration.lint.quantized import QuantizedGraph, Weighted

_FITS = 1e-3  # relative; a bias scale computed in another order than ours still fits


def integer_bias(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the biases in INT32 that are dequantised."""
    for each, linear in _biases(graph):
        if _bias_integers(graph, linear) == "int32":
            yield Fault(each.name, f"its bias {each.bias!r} is INT32 through DequantizeLinear")


def narrow_bias(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the biases that are dequantised from fewer bits than INT32 has."""
    for each, linear in _biases(graph):
        integers = _bias_integers(graph, linear)
        if integers != "int32":
            yield Fault(each.name, f"its bias {each.bias!r} is {(integers or 'quantised').upper()}")


def any_bias(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the biases that are dequantised."""
    yield from integer_bias(graph)
    yield from narrow_bias(graph)


def misfit_bias(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the INT32 biases whose scales are not input scale times weight scales."""
    for each, linear in _biases(graph):
        pair, weights = graph.dequantizer(each.input), graph.dequantizer(each.weight)
        if pair is None or weights is None or _bias_integers(graph, linear) != "int32":
            continue
        step, scales, found = pair.step, weights.scale, linear.scale
        if step is None or scales is None or found is None:
            continue
        expected = step * scales.astype(np.float64).ravel()
        fits = found.size in (1, expected.size)
        if not fits or not np.allclose(found.ravel(), expected, rtol=_FITS, atol=0):
            yield Fault(each.name, f"its INT32 bias {each.bias!r} has other scales than input "
                        "times weights")  # fmt: skip


def _biases(graph: QuantizedGraph) -> Iterator[tuple[Weighted, Linear]]:
    for each in graph.weighted:
        linear = graph.dequantizer(each.bias)
        if linear is not None:
            yield each, linear


def _bias_integers(graph: QuantizedGraph, linear: Linear) -> str:
    return linear.integers or graph.constants.dtype(linear.input)
