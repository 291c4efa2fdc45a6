"""What a graph costs: operators, parameters, floating-point operations.

FLOPs are two for each multiply-add of Conv, ConvTranspose, Gemm and MatMul, at a batch of one
image; biases, activations, additions and pools are left out. So a ResNet-50 at 224 × 224, published
with 4.09 billion multiply-adds, has 8.18 GFLOPs. Precision does not change the figure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from cspine.errors import ModelError
from cspine.onnxfile import Node, OnnxFile
from cspine.onnxtensor import Constant, dtype_name
from cspine.shapes.infer import infer
from cspine.shapes.tensor import Tensor

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_FLOATS = frozenset({"float32", "float16", "bfloat16", "float64"})
_INTEGERS = frozenset({"int4", "uint4", "int8", "uint8", "int16", "uint16"})
_UINT8 = 2  # TensorProto.DataType; what QuantizeLinear writes where nothing else is said
# What joins values, or moves them and computes nothing.
_MOVING = frozenset({
    "Concat", "DepthToSpace", "Flatten", "Identity", "MaxPool", "Reshape", "Slice", "SpaceToDepth",
    "Squeeze", "Transpose", "Unsqueeze",
})  # fmt: skip
# Inputs that steer an operator and are no weights.
_SETTINGS = {
    "DequantizeLinear": (1, 2),
    "QuantizeLinear": (1, 2),
    "Resize": (1, 2),
}


@dataclass(frozen=True)
class Complexity:
    """What a graph costs.

    Attributes
    ----------
    operators
        How many of each type, the most frequent first.
    parameters
        Elements of the weights and biases: constants of one dimension or more in floating point, or
        in integers that are dequantised. Scales and zero points are none.
    weights
        Bytes of these by element type.
    batch
        Images of one run that the FLOPs are of: 1, or what the file fixes.
    flops
        Of one run, as above; ``None`` where ``gaps`` says what was not understood.
    integer_flops
        Those whose input and weights are dequantised from integers of at most 16 bits, and moved
        or joined since at the most, so that a runtime may compute them in integers; ``None`` as
        ``flops``.
    gaps
        Operators and inputs that were not understood, and why.
    """

    operators: dict[str, int]
    parameters: int
    weights: dict[str, int]
    batch: int
    flops: int | None
    integer_flops: int | None
    gaps: tuple[str, ...]

    @property
    def integer_share(self) -> float | None:
        """Share of the FLOPs that may run in integers, from 0 to 1."""
        if self.flops is None or self.integer_flops is None:
            return None
        return self.integer_flops / self.flops if self.flops else 0.0


def complexity(model: OnnxFile) -> Complexity:
    """Count what a graph costs."""
    shapes = infer(model)
    counts = None if shapes.gaps else _counts(model, shapes.tensors)
    weights = _weights(model)
    sizes: Counter[str] = Counter()
    for each in weights:
        sizes[each.dtype] += each.size
    return Complexity(
        operators=dict(Counter(node.operator for node in model.nodes).most_common()),
        parameters=sum(each.elements for each in weights),
        weights=dict(sizes.most_common()),
        batch=shapes.batch,
        flops=None if counts is None else counts[0],
        integer_flops=None if counts is None else counts[1],
        gaps=shapes.gaps,
    )


def weighted_flops(model: OnnxFile) -> list[tuple[Node, int]]:
    """Return the FLOPs of each weighted operator, in the graph's order.

    Raises
    ------
    ModelError
        If a shape is not understood.
    """
    shapes = infer(model)
    if shapes.gaps:
        raise ModelError(f"FLOPs of the model are unknown: {shapes.gaps[0]}")
    return _flops(model, shapes.tensors)


def _flops(model: OnnxFile, tensors: Mapping[str, Tensor]) -> list[tuple[Node, int]]:
    return [
        (node, 2 * _multiply_adds(node, tensors))
        for node in model.nodes
        if node.op_type in WEIGHTED
    ]


def _counts(model: OnnxFile, tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return FLOPs in all and those in integers."""
    written = {name: node for node in model.nodes for name in node.outputs}
    counts = _flops(model, tensors)
    return sum(flops for _, flops in counts), sum(
        flops
        for node, flops in counts
        if all(_from_integers(name, written, model) for name in node.inputs[:2])
    )


def _multiply_adds(node: Node, tensors: Mapping[str, Tensor]) -> int:
    left, right = (tensors[name] for name in node.inputs[:2])
    if node.op_type == "ConvTranspose":  # each value is spread over its window, borders included
        return left.elements * prod(right.shape[1:])
    out = tensors[node.outputs[0]].elements
    if node.op_type == "Conv":
        return out * prod(right.shape[1:])
    transposed = node.op_type == "Gemm" and node.integer("transA", 0)
    return out * left.shape[0 if transposed else -1]


def _from_integers(name: str, written: Mapping[str, Node], model: OnnxFile) -> bool:
    """Return whether a tensor is dequantised from narrow integers, moved or joined since or not."""
    node = written.get(name)
    if node is not None and node.operator in _MOVING:
        moved = node.inputs if node.operator == "Concat" else node.inputs[:1]
        return all(_from_integers(each, written, model) for each in moved)
    if node is None or node.operator != "DequantizeLinear":
        return False
    source = node.inputs[0]
    if source in model.constants:
        return model.constants[source].dtype in _INTEGERS
    if source in written and written[source].operator == "QuantizeLinear":
        return _quantized_to(written[source], model) in _INTEGERS
    return source in model.stated and model.stated[source].dtype in _INTEGERS


def _quantized_to(node: Node, model: OnnxFile) -> str:
    zero_point = node.inputs[2] if len(node.inputs) > 2 else ""
    if zero_point in model.constants:
        return model.constants[zero_point].dtype
    return dtype_name(node.integer("output_dtype", 0) or _UINT8)


def _weights(model: OnnxFile) -> list[Constant]:
    settings = {
        node.inputs[place]
        for node in model.nodes
        for place in _SETTINGS.get(node.operator, ())
        if place < len(node.inputs)
    }
    dequantised = {
        name
        for node in model.nodes
        if node.operator == "DequantizeLinear"
        for name in node.inputs[:1]
    }
    return [
        each
        for name, each in model.constants.items()
        if each.shape and (name in dequantised or (each.dtype in _FLOATS and name not in settings))
    ]
