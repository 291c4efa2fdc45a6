"""Operators and element types that a strongly typed TensorRT refuses."""

from __future__ import annotations

from collections.abc import Iterator

from cspine_calibration.lint.finding import Fault
from cspine_calibration.lint.linear import DEQUANTIZE, QUANTIZE
from cspine_calibration.lint.quantized import QuantizedGraph

_REFUSED = frozenset({"ConvInteger", "DynamicQuantizeLinear", "MatMulInteger"})
_WIDE = ("int16", "uint16")
_FLOATS = frozenset({"float16", "float32", "float64", "bfloat16"})
# All activations and weights of these must be of one type.
_SAME = frozenset(
    {
        *("Add", "Concat", "Conv", "ConvTranspose", "Div", "Gemm"),
        *("MatMul", "Max", "Min", "Mul", "PRelu", "Sub", "Sum"),
    }
)
# Operators whose result is not of the type of their first operand, or not in floating point.
_RETYPED = frozenset({"ArgMax", "ArgMin", "NonZero", "Shape", "Size"})


def foreign_operators(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the quantised operators in a form other than Q/DQ of ONNX itself."""
    for place, node in enumerate(graph.nodes):
        name = node.op_type
        quantizing = name in (QUANTIZE, DEQUANTIZE) or name.startswith(("QLinear", "QGemm"))
        if (quantizing and node.operator not in (QUANTIZE, DEQUANTIZE)) or name in _REFUSED:
            yield Fault(graph.name(place), f"operator {node.operator}")


def wide_integers(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the operators on integers of 16 bits."""
    for linear in graph.linears.values():
        if linear.integers in _WIDE:
            yield Fault(linear.output, f"quantised to {linear.integers.upper()}")


def mixed_types(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the operators whose floating-point operands are of several types."""
    types = float_types(graph)
    for place, node in enumerate(graph.nodes):
        if node.operator in _SAME:
            found = {name: types[name] for name in node.inputs if name in types}
            if len(set(found.values())) > 1:
                said = ", ".join(f"{name!r} {dtype}" for name, dtype in found.items())
                yield Fault(graph.name(place), f"its operands differ: {said}")


def float_types(graph: QuantizedGraph) -> dict[str, str]:
    """Return the floating-point type of every tensor, as far as the operators tell.

    Sound for files whose nodes stand in topological order, as ONNX wants them.
    """
    types = {value.name: value.dtype for value in graph.file.inputs}
    types |= {name: held.dtype for name, held in graph.file.constants.items()}
    types = {name: dtype for name, dtype in types.items() if dtype in _FLOATS}
    for place, node in enumerate(graph.nodes):
        name = "".join(node.outputs[:1])
        dtype = graph.casts.get(place) or _written(node.operator, node.inputs, types)
        if name and dtype in _FLOATS:
            types.setdefault(name, dtype)
    return types


def _written(operator: str, inputs: tuple[str, ...], types: dict[str, str]) -> str:
    if operator in _RETYPED or operator == QUANTIZE:
        return ""
    if operator == DEQUANTIZE:  # as its scale
        return types.get("".join(inputs[1:2]), "")
    position = 1 if operator == "Where" else 0
    return types.get("".join(inputs[position : position + 1]), "")
