"""The graph with QuantizeLinear and DequantizeLinear written into it.

Activations of the FP32 graph keep their names; readers are pointed at the dequantised copies. Only
where integers are written and the caller reads them too, the output is the copy; and what is whole
is read as it is.
Whatever the runtime makes of it, a reference implementation of ONNX computes the quantised
network exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from cspine_calibration.estimate import Affine
from cspine_calibration.graph import Graph
from cspine_calibration.placement import Placement
from cspine_calibration.targets import Target
from cspine_calibration.weights import QuantizedWeights


def rewrite(
    graph: Graph,
    placement: Placement,
    *,
    forms: Mapping[str, Affine],
    weights: Mapping[int, QuantizedWeights],
    biases: Mapping[int, npt.NDArray[np.float32]],
    target: Target,
) -> bytes:
    """Return the serialised INT8 model.

    Parameters
    ----------
    forms
        Scale and zero point of every tensor in ``placement.sources``.
    weights
        Integer weights of every unit in ``placement.units``, by node.
    biases
        Biases that take the place of a unit's own or of none, by node.
    target
        Says which integers activations have.
    """
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    nodes: list[onnx.NodeProto] = []
    constants = list(graph.model.graph.initializer)
    # A kernel that writes integers writes nothing else: onnxruntime computes one whose float result
    # is an output in float, and OpenVINO gave zeros to what read on from the levels of a pyramid.
    integers = target.integer_outputs != "none"
    given = graph.outputs & forms.keys() - placement.whole if integers else frozenset()
    unmoved = given | placement.whole

    def quantize(name: str) -> None:
        form = forms[name]
        integer = np.uint8 if placement.grid(name, target).low == 0 else np.int8
        scale, zero_point = f"{name}_scale", f"{name}_zero_point"
        constants.append(numpy_helper.from_array(np.array(form.scale, np.float32), scale))
        constants.append(numpy_helper.from_array(np.array(form.zero_point, integer), zero_point))
        source, copy = (_bare(name), name) if name in given else (name, _reals(name))
        nodes.append(_linear("Quantize", source, _integers(name), scale, zero_point))
        nodes.append(_linear("Dequantize", _integers(name), copy, scale, zero_point))

    quantized = forms.keys() - placement.whole
    for value in graph.model.graph.input:
        if value.name in quantized:
            quantize(value.name)
    for index, node in enumerate(graph.nodes):
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        for position, name in enumerate(node.input):
            if (index, position) in placement.edges and name not in unmoved:
                copy.input[position] = _reals(name)
        if index in weights:
            dequantize, tensors = _requantized(copy, weights[index], biases.get(index))
            constants.extend(tensors)
            nodes.append(dequantize)
        copy.output[:] = [_bare(name) if name in given else name for name in node.output]
        nodes.append(copy)
        for name in node.output:
            if name in quantized:
                quantize(name)

    live = _live(nodes, graph.outputs)
    del model.graph.node[:], model.graph.initializer[:], model.graph.input[:]
    model.graph.node.extend(node for node in nodes if live.intersection(node.output))
    model.graph.initializer.extend(tensor for tensor in constants if tensor.name in live)
    model.graph.input.extend(
        value for value in graph.model.graph.input if value.name in graph.inputs
    )
    return bytes(model.SerializeToString(deterministic=True))


def _live(nodes: Sequence[onnx.NodeProto], outputs: frozenset[str]) -> set[str]:
    """Return the tensors that an output depends on; FP32 weights no longer are."""
    live = set(outputs)
    for node in reversed(nodes):
        if live.intersection(node.output):
            live.update(node.input)
    return live


def _requantized(
    node: onnx.NodeProto, weights: QuantizedWeights, bias: npt.NDArray[np.float32] | None
) -> tuple[onnx.NodeProto, tuple[onnx.TensorProto, ...]]:
    """Point a node at integer weights and, if given, a bias of its own; return what it reads."""
    # Named for the output, which no other node has: two units may share weights or a bias.
    dequantize, tensors = _dequantized(weights, f"{node.output[0]}_weight")
    node.input[1] = dequantize.output[0]
    if bias is None:
        return dequantize, tensors
    name = f"{node.output[0]}_corrected_bias"
    node.input[:] = [*node.input[:2], name]
    return dequantize, (*tensors, numpy_helper.from_array(bias, name))


def _dequantized(
    weights: QuantizedWeights, name: str
) -> tuple[onnx.NodeProto, tuple[onnx.TensorProto, ...]]:
    scale, zero_point = f"{name}_scale", f"{name}_zero_point"
    node = _linear("Dequantize", _integers(name), _reals(name), scale, zero_point)
    node.attribute.append(helper.make_attribute("axis", weights.axis))
    zeros = np.zeros(weights.scales.shape, np.int8)
    return node, (
        numpy_helper.from_array(weights.values, _integers(name)),
        numpy_helper.from_array(weights.scales, scale),
        numpy_helper.from_array(zeros, zero_point),
    )


def _linear(
    verb: str, source: str, destination: str, scale: str, zero_point: str
) -> onnx.NodeProto:
    return helper.make_node(
        f"{verb}Linear", [source, scale, zero_point], [destination], f"{destination}_{verb}"
    )


def _bare(name: str) -> str:
    return f"{name}_bare"


def _integers(name: str) -> str:
    return f"{name}_quantized"


def _reals(name: str) -> str:
    return f"{name}_dequantized"
