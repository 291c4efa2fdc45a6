"""Operators that pass values on: whether what goes in and what comes out have one scale."""

from __future__ import annotations

from collections.abc import Iterator

from cspine_calibration.graph import COMMUTING
from cspine_calibration.lint.finding import Fault
from cspine_calibration.lint.linear import Linear
from cspine_calibration.lint.quantized import QuantizedGraph

# With one operand that is no constant these are folded into the quantisation around them.
_SCALING = frozenset({"Add", "BatchNormalization", "Clip", "Mul", "Relu", "Sub"})


def uneven_concatenation(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the concatenations around which quantised tensors have several scales."""
    for place, node in enumerate(graph.nodes):
        if node.operator != "Concat" or not node.outputs:
            continue
        inputs = [found for name in node.inputs if (found := graph.dequantizer(name))]
        behind = graph.quantizers(node.outputs[0])
        # Where the result is not quantised, floats are joined and no scale has to fit another.
        around = [_form(each) for each in (*inputs, *behind) if behind]
        different = dict.fromkeys(each for each in around if each is not None)
        if len(different) > 1:
            scales = ", ".join(f"{step:.4g}" for step, _ in different)
            yield Fault(graph.name(place), f"{len(different)} scales or zero points meet: {scales}")


def rescaled_in_passing(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the operators that only move values, with another scale behind than before."""
    for place, node in enumerate(graph.nodes):
        if node.operator not in COMMUTING or not node.inputs or not node.outputs:
            continue
        before = graph.dequantizer(node.inputs[0])
        for behind in graph.quantizers(node.outputs[0]):
            forms = (_form(before) if before else None, _form(behind))
            if None not in forms and forms[0] != forms[1]:
                yield Fault(graph.name(place), f"its {node.operator} rescales between two scales")


def uneven_input(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the operators with quantised weights whose input is float, or joined of several scales.

    What is moved, or joined with one scale, from dequantised tensors is as good as quantised.
    """
    for each, _ in graph.stored_weights:
        forms = {_form(linear) for linear in graph.dequantizers(each.input)}
        if not forms:
            yield Fault(each.name, f"its weights are quantised, its input {each.input!r} is float")
        elif len(forms) > 1:
            yield Fault(each.name, f"its input {each.input!r} is joined of {len(forms)} scales")


def signed_concatenation(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the concatenations whose INT8 result a convolution reads.

    It is as wrong where the inputs are quantised and the result is not.
    """
    for place, node in enumerate(graph.nodes):
        if node.operator != "Concat" or not node.outputs:
            continue
        read = {graph.nodes[reader].operator for reader in graph.followers(node.outputs[0])}
        said = graph.quantizers(node.outputs[0]) or graph.dequantizers(node.outputs[0])
        if read & {"Conv", "ConvTranspose"} and any(each.integers == "int8" for each in said):
            yield Fault(graph.name(place), "its result is INT8 for a convolution")


def requantized_concatenation(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the concatenations quantised twice with nothing but scaling or a ReLU in between."""
    for place, node in enumerate(graph.nodes):
        if node.operator == "Concat" and node.outputs and _scaled_to_next(graph, node.outputs[0]):
            yield Fault(graph.name(place), "its result is quantised, scaled or rectified, and "
                        "quantised again")  # fmt: skip


def _scaled_to_next(graph: QuantizedGraph, tensor: str) -> bool:
    """Return whether a pair on a tensor is followed, over scaling at most, by another one."""
    waiting = [
        graph.linears[place].output
        for linear in graph.quantizers(tensor)
        for place, _ in graph.readers.get(linear.output, ())
        if place in graph.linears
    ]
    seen = set(waiting)
    while waiting:
        name = waiting.pop()
        if graph.quantizers(name):
            return True
        for place, _ in graph.readers.get(name, ()):
            node = graph.nodes[place]
            if node.operator in _SCALING and len(graph.operands(place)) == 1:
                fresh = set(node.outputs) - seen
                seen |= fresh
                waiting.extend(fresh)
    return False


def _form(linear: Linear) -> tuple[float, int] | None:
    """Return scale and zero point where both are known."""
    if linear.step is None or linear.zero is None:
        return None
    return linear.step, linear.zero
