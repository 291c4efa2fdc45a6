"""Heads as products of matrices, where these multiply integers into float.

What a head gives stays in float. A convolution with a float result is computed in float, so what it
reads is dequantised for it alone: of a U-Net a tensor as large as the image, thirty-two channels
deep. A product of matrices is not: its integer kernel sums integers and writes float, and a
convolution by single pixels is such a product once channels come last, as they lie in onnxruntime's
integer kernels anyway. All that is lost is the rounding of the head's own weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from cspine_calibration.eligibility import asked
from cspine_calibration.graph import Graph, Unit
from cspine_calibration.placement import place
from cspine_calibration.targets import Target

_LAST, _FIRST = (0, 2, 3, 1), (0, 3, 1, 2)  # where channels go
_STRIDES = (1, 1)


def with_products(graph: Graph, target: Target, *, keep_float: Sequence[str]) -> Graph:
    """Return an equal graph in which heads that read integers are products of matrices.

    Parameters
    ----------
    target
        One whose products of matrices write float.
    keep_float
        Names of weighted operators that stay as they are, with wildcards.
    """
    edges = place(graph, target).edges
    kept = asked(graph, keep_float)
    heads = {
        node
        for node, unit in graph.units.items()
        if (node, 0) in edges
        and node not in kept
        and graph.head(unit.output)
        and _is_product(graph, unit)
    }
    if not heads:
        return graph
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    del model.graph.node[:]
    for index, node in enumerate(graph.nodes):
        model.graph.node.extend(_product(graph, index) if index in heads else [node])
    model.graph.initializer.extend(
        numpy_helper.from_array(
            np.ascontiguousarray(graph.array(graph.nodes[node].input[1])[:, :, 0, 0].T),
            _matrix(graph.nodes[node]),
        )
        for node in sorted(heads)
    )
    return Graph(model)


def _is_product(graph: Graph, unit: Unit) -> bool:
    """Return whether a unit is a convolution by single pixels over all channels."""
    if unit.kind != "Conv" or unit.weight not in graph.constants:
        return False
    if unit.bias is not None and unit.bias not in graph.constants:
        return False
    attributes = {a.name: helper.get_attribute_value(a) for a in graph.nodes[unit.node].attribute}
    return (
        tuple(graph.constants[unit.weight].dims[2:]) == (1, 1)
        and attributes.get("group", 1) == 1
        and tuple(attributes.get("strides", _STRIDES)) == _STRIDES
        and not any(attributes.get("pads", ()))
    )


def _product(graph: Graph, index: int) -> Iterator[onnx.NodeProto]:
    node = graph.nodes[index]
    (output,) = node.output
    source, product, total = (f"{output}_{part}" for part in ("last", "product", "sum"))
    yield helper.make_node("Transpose", [node.input[0]], [source], source, perm=_LAST)
    yield helper.make_node("MatMul", [source, _matrix(node)], [product], graph.name(index))
    if len(node.input) > 2 and node.input[2]:
        yield helper.make_node("Add", [product, node.input[2]], [total], total)
        product = total
    yield helper.make_node("Transpose", [product], [output], f"{output}_first", perm=_FIRST)


def _matrix(node: onnx.NodeProto) -> str:
    # Named for the output: the heads of a detector share their weights among its maps.
    return f"{node.output[0]}_matrix"
