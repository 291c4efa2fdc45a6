"""Integer types, zero points and scales of activations."""

from __future__ import annotations

from collections.abc import Iterator

from cspine_calibration.lint.finding import Fault
from cspine_calibration.lint.linear import Linear, said
from cspine_calibration.lint.quantized import QuantizedGraph


def unsigned_activations(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the activations in UINT8."""
    for tensor, linear in graph.activations:
        if linear.integers == "uint8" and _stands_for_pair(graph, linear):
            read = "is read as INT8 without a word" if linear.zero == 0 else "is refused"
            yield Fault(tensor, f"UINT8 with zero point {said(linear.zero)}, which {read}")


def signed_pairs(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the activations in INT8 of which onnxruntime makes no UINT8."""
    for tensor, copies in _signed(graph):
        if copies > 1:
            yield Fault(tensor, f"INT8, read by {copies} operators, which stay in float")


def signed_alone(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the activations in INT8 of which onnxruntime makes UINT8 by itself."""
    for tensor, copies in _signed(graph):
        if copies <= 1:
            yield Fault(tensor, "INT8, which is made UINT8 at every load")


def unsigned_on_arm(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the activations in UINT8, for a target that has kernels for INT8."""
    for tensor, linear in graph.activations:
        if linear.integers == "uint8" and _stands_for_pair(graph, linear):
            yield Fault(tensor, "UINT8 activations against INT8 weights")


def asymmetric_activations(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the INT8 activations whose zero point is not zero."""
    for tensor, linear in graph.activations:
        if linear.integers == "int8" and linear.zero != 0 and _stands_for_pair(graph, linear):
            yield Fault(tensor, f"INT8 with zero point {said(linear.zero)}")


def per_channel_activations(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the activations with several scales."""
    for tensor, linear in graph.activations:
        several = linear.scale is not None and linear.scale.size != 1
        if linear.scale is not None and several and _stands_for_pair(graph, linear):
            yield Fault(tensor, f"{linear.scale.size} scales")


def _signed(graph: QuantizedGraph) -> Iterator[tuple[str, int]]:
    """Yield each INT8 activation and how many operators read it dequantised."""
    for tensor, linear in graph.activations:
        if linear.integers == "int8" and _stands_for_pair(graph, linear):
            copies = [linear.output] if not linear.quantizes else [
                graph.nodes[place].outputs[0]
                for place, _ in graph.readers.get(linear.output, ())
                if place in graph.linears
            ]  # fmt: skip
            yield tensor, sum(len(graph.readers.get(copy, ())) for copy in copies)


def _stands_for_pair(graph: QuantizedGraph, linear: Linear) -> bool:
    """Return whether a fault of a pair is told of this operator: of the first."""
    pair = graph.pair(linear.output)
    return pair is None or pair[0] is linear
