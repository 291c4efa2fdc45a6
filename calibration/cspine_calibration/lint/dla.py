"""What NVIDIA's deep learning accelerator wants besides."""

from __future__ import annotations

from collections.abc import Iterator

from cspine_calibration.graph import COMMUTING
from cspine_calibration.lint.finding import Fault
from cspine_calibration.lint.quantized import ACTIVATIONS, WEIGHTED, QuantizedGraph

_POOLS = frozenset({"AveragePool", "GlobalAveragePool", "MaxPool"})
_COMPUTES = WEIGHTED | ACTIVATIONS | _POOLS | {"Add", "Concat", "Mul", "Sub"}


def open_shapes(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the inputs with a dimension that is not fixed."""
    for value in graph.file.inputs:
        if value.shape is None or not all(isinstance(size, int) for size in value.shape):
            yield Fault(value.name, "its shape is not fixed")


def unscaled_tensors(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the float tensors that an operator of the region reads.

    A region begins where something is quantised: the operators before it and the heads are not
    meant to run there in INT8. The result of an operator that fuses with its activation is none.
    """
    for place, node in enumerate(graph.nodes):
        if node.operator not in _COMPUTES | COMMUTING or not node.outputs:
            continue
        operands = graph.operands(place)
        if not any(graph.dequantizer(name) for name in operands):
            continue
        for name in operands:
            if graph.dequantizer(name) is None:
                yield Fault(graph.name(place), f"it reads {name!r} in float, without a scale")
    for each in graph.quantized:
        if not graph.quantizers(each.output) and each.output not in graph.exposed:
            yield Fault(each.name, f"its output {each.output!r} has no scale")
