"""Whether a runtime can fuse what is quantised into one integer kernel: operators and additions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cspine_calibration.lint.finding import Fault
from cspine_calibration.lint.linear import Linear
from cspine_calibration.lint.quantized import ACTIVATIONS, QuantizedGraph, Weighted
from cspine_calibration.targets import find_target

_NORMALIZED = "BatchNormalization"
# onnxruntime's integer kernels of these can write float, if no activation follows.
_WRITES_FLOAT = frozenset({"Gemm", "MatMul"})
_INTEGER = find_target("ort-x64-vnni").integer_operators | {"MatMul"}
_ROUNDING = float(np.finfo(np.float32).eps)  # by which onnxruntime lets a range pass a bound
_LEVELS = {"int8": (-128, 127), "uint8": (0, 255)}


def float_input(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the operators with quantised weights and a float input."""
    for each, _ in graph.stored_weights:
        if graph.dequantizer(each.input) is None:
            yield Fault(each.name, f"its weights are quantised, its input {each.input!r} is float")


def quantized_before_activation(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the operators whose result is rounded before its activation."""
    for each, operator in _behind_pair(graph):
        if operator in ACTIVATIONS:
            yield Fault(each.name, f"quantised between it and its {operator}")


def unfolded_normalization(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the quantised operators that a BatchNormalization follows, or follows a pair of."""
    for each in graph.quantized:
        if _NORMALIZED in _readers(graph, graph.nodes[each.node].outputs[0]):
            yield Fault(each.name, "a BatchNormalization follows it")
    for each, operator in _behind_pair(graph):
        if operator == _NORMALIZED:
            yield Fault(each.name, "quantised between it and its BatchNormalization")


def no_integer_kernel(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the quantised operators of a type that onnxruntime computes in float."""
    for each in graph.quantized:
        if each.kind not in _INTEGER:
            yield Fault(each.name, f"there is no integer {each.kind}")


def float_output(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the quantised operators whose output is not quantised, once and for all readers."""
    for each in graph.quantized:
        bare = each.output == graph.nodes[each.node].outputs[0]
        if each.kind not in _INTEGER or (bare and each.kind in _WRITES_FLOAT):
            continue
        # A BatchNormalization that is not folded is told of by its own rule.
        quantizers, readers = graph.quantizers(each.output), _readers(graph, each.output)
        if not quantizers and readers != [_NORMALIZED]:
            yield Fault(each.name, f"its output {each.output!r} is not quantised")
        elif quantizers and (len(readers) > 1 or each.output in graph.outputs):
            yield Fault(each.name, f"its output {each.output!r} is quantised for one reader only")


def uneven_addition(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the additions of which one operand is quantised and the other is not."""
    for place, names in graph.additions():
        quantized = [bool(graph.dequantizers(name)) for name in names]
        if sum(quantized) == 1 and not _exposed(graph, place):
            bare = names[quantized.index(False)]
            yield Fault(graph.name(place), f"its operand {bare!r} is float, the other quantised")


def float_addition(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the additions of quantised operands whose output is not quantised."""
    for place, names in graph.additions():
        if _exposed(graph, place) or not all(graph.dequantizer(name) for name in names):
            continue
        output = _fused(graph, place)
        if not graph.quantizers(output):
            yield Fault(graph.name(place), f"its output {output!r} is not quantised")


def both_branches(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the additions that a convolution could fuse with, were its result not quantised."""
    for place, names in graph.additions():
        if all(graph.dequantizer(name) for name in names) and any(map(graph.bare, names)):
            yield Fault(graph.name(place), "both operands are quantised")


def float_skip(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the additions that fuse with an integer convolution and read a float skip branch."""
    for place, names in graph.additions():
        if not any(graph.dequantizer(name) for name in names) and any(map(graph.bare, names)):
            yield Fault(graph.name(place), "neither operand is quantised")


def unabsorbed_activation(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the activations that the quantisation behind them does not make superfluous."""
    for each in graph.quantized:
        raw = graph.nodes[each.node].outputs[0]
        place = graph.sole_reader(raw)
        if place is None or each.output == raw:
            continue
        for linear in graph.quantizers(each.output):
            ends = span(linear)
            low, high = bounds(graph, place)
            if ends and (ends[0] < low - _ROUNDING or ends[1] > high + _ROUNDING):
                operator = graph.nodes[place].operator
                yield Fault(each.name, f"its {operator} ends at {low:g} to {high:g}, the range "
                            f"behind it at {ends[0]:.4g} to {ends[1]:.4g}")  # fmt: skip


def span(linear: Linear) -> tuple[float, float] | None:
    """Return the smallest and the largest number that an operator can say, if known."""
    levels = _LEVELS.get(linear.integers)
    if linear.step is None or linear.zero is None or levels is None:
        return None
    # As onnxruntime computes it.
    step = np.float32(linear.step)
    low, high = (float(step * np.float32(level - linear.zero)) for level in levels)
    return low, high


def bounds(graph: QuantizedGraph, place: int) -> tuple[float, float]:
    """Return between which numbers the results of a node lie; infinite where it does not say."""
    node = graph.nodes[place]
    if node.operator == "Relu":
        return 0.0, np.inf
    if node.operator in ("Sigmoid", "HardSigmoid", "Softmax"):
        return 0.0, 1.0
    if node.operator == "Tanh":
        return -1.0, 1.0
    if node.operator != "Clip":
        return -np.inf, np.inf
    ends = [graph.constants.array(name) if name else None for name in (*node.inputs, "", "")[1:3]]
    low, high = (
        other if end is None or end.size != 1 else float(end.ravel()[0])
        for end, other in zip(ends, (-np.inf, np.inf), strict=True)
    )
    return low, high


def _readers(graph: QuantizedGraph, tensor: str) -> list[str]:
    """Return the operators that read a tensor."""
    return [graph.nodes[place].operator for place, _ in graph.readers.get(tensor, ())]


def _behind_pair(graph: QuantizedGraph) -> Iterator[tuple[Weighted, str]]:
    """Yield each weighted operator with the operators that read its result dequantised."""
    for each in graph.weighted:
        for linear in graph.quantizers(graph.nodes[each.node].outputs[0]):
            for place, _ in graph.readers.get(linear.output, ()):
                if place in graph.linears:
                    yield from (
                        (each, operator)
                        for operator in _readers(graph, graph.linears[place].output)
                    )


def _fused(graph: QuantizedGraph, place: int) -> str:
    """Return the tensor that leaves a node, or the activation that alone reads it."""
    output = graph.nodes[place].outputs[0]
    follower = graph.sole_reader(output)
    if follower is not None and graph.nodes[follower].operator in ACTIVATIONS:
        return "".join(graph.nodes[follower].outputs[:1])
    return output


def _exposed(graph: QuantizedGraph, place: int) -> bool:
    """Return whether an addition is a head: an output is reached without a weighted operator."""
    return _fused(graph, place) in graph.exposed
