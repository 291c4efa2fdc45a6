"""One form for the graphs of both exporters: constants folded, shapes known, nothing to spare.

With every shape in the file but the batch, no tool downstream has to infer them: ONNX Runtime's
symbolic inference fails on U-Nets whose exporter left shape arithmetic in the graph.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from cspine_export.graph.interface import BATCH, Interface
from cspine_export.graph.operator_set import UnusableGraphError

# Quantised weights are constants on purpose.
_KEPT = frozenset({"QuantizeLinear", "DequantizeLinear"})


def tidy(model: onnx.ModelProto, interface: Interface) -> onnx.ModelProto:
    """Return the same graph without what serves no output.

    Raises
    ------
    UnusableGraphError
        If a shape depends on more than the batch, or an output is not named as expected.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    found = tuple(value.name for value in graph.output)
    if found != interface.outputs or [v.name for v in graph.input] != [interface.input]:
        raise UnusableGraphError(f"its outputs are {', '.join(found)}")
    _constants_to_initializers(graph)
    _without_identities(graph)
    _folded(graph)
    _with_known_shapes(made)
    _without_the_unread(graph)
    _each_weight_once(graph)
    _without_notes(made)
    return _inferred(made)


def _constants_to_initializers(graph: onnx.GraphProto) -> None:
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        value = helper.get_attribute_value(node.attribute[0])
        if not isinstance(value, onnx.TensorProto):
            value = numpy_helper.from_array(np.asarray(value))
        tensor = graph.initializer.add()
        tensor.CopyFrom(value)
        tensor.name = node.output[0]
        graph.node.remove(node)


def _folded(graph: onnx.GraphProto) -> None:
    """Compute what follows from constants alone: sizes of paddings, mostly."""
    values = {tensor.name: tensor for tensor in graph.initializer}
    for node in list(graph.node):
        given = [name for name in node.input if name]
        if not given or node.op_type in _KEPT or not all(name in values for name in given):
            continue
        found = ReferenceEvaluator(node).run(
            None, {name: numpy_helper.to_array(values[name]) for name in given}
        )
        for name, value in zip(node.output, found, strict=True):
            values[name] = numpy_helper.from_array(np.asarray(value), name)
            graph.initializer.append(values[name])
        graph.node.remove(node)


def _without_identities(graph: onnx.GraphProto) -> None:
    outputs = {value.name for value in graph.output}
    same: dict[str, str] = {}
    for node in [node for node in graph.node if node.op_type in ("Identity", "Dropout")]:
        if node.output[0] not in outputs:
            same[node.output[0]] = same.get(node.input[0], node.input[0])
            graph.node.remove(node)
    _rename(graph.node, same)


def _with_known_shapes(model: onnx.ModelProto) -> None:
    """Give every Reshape that keeps the batch its shape as a constant, one after the other."""
    while _with_one_more(model):
        pass


def _with_one_more(model: onnx.ModelProto) -> bool:
    shapes = _shapes(onnx.shape_inference.infer_shapes(model, data_prop=True))
    made = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        name = f"{node.output[0]}.shape"
        if node.op_type != "Reshape" or name in made:
            continue
        shape = _reshaped(shapes.get(node.input[0], []), shapes.get(node.output[0], []))
        if shape is None:
            continue
        model.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), name))
        node.input[1] = name
        del node.attribute[:]  # allowzero: here a zero stands for the batch
        return True
    return False


def _reshaped(before: list[int | str], after: list[int | str]) -> list[int] | None:
    """Return the sizes of a Reshape's output, 0 for the batch; ``None`` if they cannot be told."""
    items = [each for each in before[1:] if isinstance(each, int)]
    if before[:1] != [BATCH] or len(items) < len(before) - 1:
        return None
    if not after or isinstance(after[0], int):
        return None
    rest = [each for each in after[1:] if isinstance(each, int)]
    missing = len(after) - 1 - len(rest)
    if missing == 1 and after[0] == BATCH:
        last = math.prod(items) // math.prod(rest)
        return [0, *(each if isinstance(each, int) else last for each in after[1:])]
    return [0, *rest] if missing == 0 and math.prod(rest) == math.prod(items) else None


def _without_the_unread(graph: onnx.GraphProto) -> None:
    needed = {value.name for value in graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(list(graph.node)):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(weights)


def _each_weight_once(graph: onnx.GraphProto) -> None:
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    same: dict[str, str] = {}
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        key = (tensor.data_type, tuple(tensor.dims), values.tobytes())
        if first.setdefault(key, tensor.name) != tensor.name:
            same[tensor.name] = first[key]
            graph.initializer.remove(tensor)
    _rename(graph.node, same)


def _without_notes(model: onnx.ModelProto) -> None:
    """Leave out what is for people: it names files and lines of the machine that exported."""
    del model.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for each in (*model.graph.node, *model.graph.initializer, *model.graph.input,
                 *model.graph.output):  # fmt: skip
        del each.metadata_props[:]
        each.doc_string = ""


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    for value in (*model.graph.input,):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    for name, shape in _shapes(inferred).items():
        if not all(isinstance(each, int) for each in shape[1:]):
            raise UnusableGraphError(f"the shape of {name} cannot be told")
    for value in inferred.graph.output:  # the only axis that is free, whatever inference calls it
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    return inferred


def _shapes(model: onnx.ModelProto) -> dict[str, list[int | str]]:
    """Return the shape of every tensor, by name: sizes, or what stands for an unknown one."""
    return {
        value.name: [
            each.dim_value if each.HasField("dim_value") else each.dim_param
            for each in value.type.tensor_type.shape.dim
        ]
        for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)
    }


def _rename(nodes: Iterable[onnx.NodeProto], names: dict[str, str]) -> None:
    for node in nodes:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
