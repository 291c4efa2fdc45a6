"""The graph in the operators that onnxruntime computes fastest, before anything is quantised.

Between dequantisations its optimiser leaves two things that cost: each reader of a tensor has a
dequantisation of its own, so that a value which a dozen concatenations read is dequantised a dozen
times; and a mean over rows and columns is computed in float where global pooling has an integer
kernel. Heads come last (:mod:`cspine_calibration.products`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx
from onnx import helper

from cspine_calibration.graph import Graph
from cspine_calibration.products import with_products
from cspine_calibration.targets import Target

_REDUCED = 4  # axes of what is pooled over rows and columns


def formed(graph: Graph, target: Target, *, keep_float: Sequence[str] = ()) -> Graph:
    """Return an equal graph as a target wants it before it is quantised.

    For onnxruntime a concatenation begins with the longest one before it that it repeats, means
    over rows and columns are pooling, and heads are products of matrices but for those that
    ``keep_float`` names. Every tensor keeps its name and its values.
    """
    if not target.integer_activations:
        return graph
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    del model.graph.node[:]
    model.graph.node.extend(
        _extended(graph, index, _pooled(graph, index, node))
        for index, node in enumerate(graph.nodes)
    )
    return with_products(Graph(model), target, keep_float=keep_float)


def _pooled(graph: Graph, index: int, node: onnx.NodeProto) -> onnx.NodeProto:
    """Return a mean over rows and columns, kept as axes of one, as global pooling."""
    if node.op_type != "ReduceMean" or not graph.pools_globally(index):
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
