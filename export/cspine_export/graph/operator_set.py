"""A graph of a newer operator set in the words of the one that every target reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
from onnx import helper, numpy_helper

# The newest operator set that TensorRT 8.6, the oldest on a Jetson we serve, reads, with the file
# format that it came with.
OPSET = 17
IR_VERSION = 8

_REDUCTIONS = frozenset(
    {
        "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
        "ReduceMin", "ReduceProd", "ReduceSumSquare",
    }
)  # fmt: skip
# Attributes that came later, each with what it says where it says nothing new.
_LATER: dict[str, Callable[[Any], bool]] = {
    "antialias": lambda value: value == 0,
    "dilations": lambda value: set(value) <= {1},
    "keep_aspect_ratio_policy": lambda value: value == b"stretch",
    "noop_with_empty_axes": lambda value: value == 0,
    "num_outputs": lambda _: True,  # of a Split into equal parts, which its outputs tell
}


class UnusableGraphError(Exception):
    """A graph cannot be used, for a reason that is the same on every machine."""


def lowered(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph in operator set 17, whatever newer one it was written in.

    onnx's own converter leaves attributes behind that the older set has not.

    Raises
    ------
    UnusableGraphError
        Naming the operator that does what none of the older set does.
    """
    if foreign := sorted({o.domain for o in model.opset_import if o.domain not in ("", "ai.onnx")}):
        used = {node.domain for node in model.graph.node}
        if used & set(foreign) or model.functions:
            raise UnusableGraphError(f"operators of {', '.join(foreign)}")
    (written,) = (each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    older = onnx.ModelProto()
    older.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in older.graph.initializer}
    for node in older.graph.node:
        if written > OPSET and _since(node.op_type, written) != _since(node.op_type, OPSET):
            _lower(node, constants)
    del older.opset_import[:]
    older.opset_import.append(helper.make_opsetid("", OPSET))
    older.ir_version = IR_VERSION
    return older


def _since(operator: str, opset: int) -> int:
    try:
        return int(onnx.defs.get_schema(operator, opset).since_version)
    except onnx.defs.SchemaError as error:
        raise UnusableGraphError(f"{operator}, which operator set {opset} has not") from error


def _lower(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> None:
    attributes = list(node.attribute)
    if node.op_type in _REDUCTIONS:
        if len(node.input) > 1:
            if node.input[1] not in constants:
                raise UnusableGraphError(f"{node.op_type} over axes that are computed")
            axes = numpy_helper.to_array(constants[node.input[1]]).tolist()
            attributes.append(helper.make_attribute("axes", axes))
        del node.input[1:]
    schema = onnx.defs.get_schema(node.op_type, OPSET)
    later = [each for each in attributes if each.name not in schema.attributes]
    for each in later:
        says_nothing = _LATER.get(each.name, lambda _: False)
        if not says_nothing(helper.get_attribute_value(each)):
            raise UnusableGraphError(f"{node.op_type} with {each.name}")
    if len(node.input) > schema.max_input:
        raise UnusableGraphError(f"{node.op_type} with {len(node.input)} inputs")
    del node.attribute[:]
    node.attribute.extend(each for each in attributes if each not in later)
