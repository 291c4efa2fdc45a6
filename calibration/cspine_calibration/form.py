"""The graph in the operators that a runtime computes fastest, before anything is quantised.

In a dense block each concatenation repeats the one before it. OpenVINO gathers a pixel from as many
places as a concatenation has operands, and onnxruntime dequantises a value for each of its readers,
so both are quicker with the longest concatenation so far and what is new.

For onnxruntime a mean over rows and columns is global pooling, which has an integer kernel, a small
SiLU is one operator of floats (:mod:`cspine_calibration.silu`), and heads are products of matrices
(:mod:`cspine_calibration.products`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import onnx
from onnx import helper

from cspine_calibration.graph import Graph
from cspine_calibration.products import with_products
from cspine_calibration.silu import is_silu, with_silu
from cspine_calibration.targets import Target

_REDUCED = 4  # axes of what is pooled over rows and columns


def formed(graph: Graph, target: Target, *, keep_float: Sequence[str] = ()) -> Graph:
    """Return an equal graph as a target wants it before it is quantised.

    For onnxruntime and OpenVINO a concatenation begins with the longest one before it that it
    repeats. For onnxruntime means over rows and columns are pooling as well, SiLU of small tensors
    are one operator, and heads are products of matrices but for those that ``keep_float`` names.
    Every tensor that is left keeps its name and its values.
    """
    if target.chained_concats:
        graph = _with(graph, _extended)
    if not target.integer_activations:
        return graph
    graph = _with(with_silu(graph), _pooled)
    return with_products(graph, target, keep_float=keep_float)


def _with(graph: Graph, form: Callable[[Graph, int, onnx.NodeProto], onnx.NodeProto]) -> Graph:
    """Return a graph with another form of each node; the graph itself if none has one."""
    nodes = [form(graph, index, node) for index, node in enumerate(graph.nodes)]
    if all(new is old for new, old in zip(nodes, graph.nodes, strict=True)):
        return graph
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return Graph(model)


def _pooled(graph: Graph, index: int, node: onnx.NodeProto) -> onnx.NodeProto:
    """Return a mean over rows and columns, kept as axes of one, as global pooling.

    That of a small SiLU stays: it is float, and its layout is then free, as pooling's is not.
    """
    if node.op_type != "ReduceMean" or not graph.pools_globally(index):
        return node
    source = graph.producers.get(node.input[0])
    if source is not None and is_silu(graph.nodes[source]):
        return node
    keeps = [each.i for each in node.attribute if each.name == "keepdims"]
    if keeps == [0] or graph.rank(node.input[0]) != _REDUCED:
        return node
    return helper.make_node("GlobalAveragePool", [node.input[0]], node.output, node.name)


def _extended(graph: Graph, index: int, node: onnx.NodeProto) -> onnx.NodeProto:
    """Return a concatenation that begins with the longest earlier one which it begins with."""
    if node.op_type != "Concat":
        return node
    known = max(_prefixes(graph, index, node), key=lambda other: len(other.input), default=None)
    if known is None:
        return node
    rest: Sequence[str] = node.input[len(known.input) :]
    return helper.make_node(
        "Concat",
        [known.output[0], *rest],
        node.output,
        node.name,
        axis=helper.get_node_attr_value(node, "axis"),
    )


def _prefixes(graph: Graph, index: int, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    axis = helper.get_node_attr_value(node, "axis")
    for other, position in graph.consumers.get(node.input[0], ()):
        earlier = graph.nodes[other]
        length = len(earlier.input)
        if (
            other < index
            and position == 0
            and earlier.op_type == "Concat"
            and length < len(node.input)
            and list(earlier.input) == list(node.input[:length])
            and helper.get_node_attr_value(earlier, "axis") == axis
        ):
            yield earlier
