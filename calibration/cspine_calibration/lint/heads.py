"""What had better stay in float: results that decide, operators that need range, narrow shapes."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from cspine_calibration.eligibility import suits_tensor_cores
from cspine_calibration.lint.finding import Fault
from cspine_calibration.lint.quantized import WEIGHTED, QuantizedGraph, Weighted

_THRESHOLDED = frozenset({"Sigmoid", "Softmax"})
_RANGES = frozenset({"InstanceNormalization", "LayerNormalization", "Resize", "Sigmoid", "Softmax"})


def quantized_heads(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the quantised operators whose result decides."""
    for each in graph.quantized:
        reached = set(graph.followers(each.output))
        fed = {graph.nodes[n].operator for n in reached if not _is_gate(graph, n)} & _THRESHOLDED
        if each.output in graph.exposed and not _is_feature_map(graph, each, reached):
            yield Fault(each.name, "a head: its result reaches an output")
        elif fed:
            yield Fault(each.name, f"a head: it feeds a {min(fed)}")


def quantized_ranges(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the operators that need range and read a quantised tensor."""
    for place, node in enumerate(graph.nodes):
        if node.operator in _RANGES and node.inputs and graph.dequantizer(node.inputs[0]):
            yield Fault(graph.name(place), f"{node.operator} reads {node.inputs[0]!r} quantised")


def narrow_channels(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the quantised convolutions of a shape that tensor cores cannot serve."""
    for each in graph.quantized:
        shape = graph.weight_shape(each.weight)
        if each.kind != "Conv" or not shape or len(shape) < 3 or not prod(shape):
            continue
        writes, reads, *kernel = shape
        if not suits_tensor_cores(
            (writes, reads), kernel, grouped=each.group > 1, first=_is_first(graph, each.input)
        ):
            yield Fault(each.name, f"{reads} to {writes} channels do not suit tensor cores")


def _is_feature_map(graph: QuantizedGraph, each: Weighted, reached: set[int]) -> bool:
    """Return whether the network reads on from a result that has no fewer channels than its input.

    Another network may read it besides, so it is an output as well.
    """
    shape = graph.weight_shape(each.weight)
    if not shape or len(shape) < 3 or not any(graph.nodes[n].operator in WEIGHTED for n in reached):
        return False
    grouped = shape[1] * each.group
    return shape[0] >= grouped if each.kind == "Conv" else grouped >= shape[0]


def _is_gate(graph: QuantizedGraph, place: int) -> bool:
    """Return whether a node's result only scales other tensors, as in SiLU."""
    output = "".join(graph.nodes[place].outputs[:1])
    readers = [graph.nodes[reader].operator for reader in graph.followers(output)]
    return output not in graph.outputs and set(readers) == {"Mul"}


def _is_first(graph: QuantizedGraph, tensor: str) -> bool:
    """Return whether a tensor is an input of the network, maybe quantised."""
    pair = graph.pair(tensor)
    source = pair[0].input if pair else tensor
    return source in {value.name for value in graph.file.inputs}
