"""The float part of a graph as FP16, in the types that a strongly typed TensorRT reads.

An operator computes in FP16 where that is known to be safe, else in FP32, and casts stand where the
two meet. The network's own inputs and outputs stay FP32, so that no caller needs to know the
precision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from cspine_calibration.graph import COMMUTING, WEIGHTED, Graph

LARGEST = 65504.0
_SMALLEST_NORMAL = 2.0**-14
_LINEAR = frozenset({"QuantizeLinear", "DequantizeLinear"})
# Their results lie within a small factor of their operands, or in a bounded range. What may leave
# FP16's range for certain inputs only, the calibration table tells.
_SAFE = (
    WEIGHTED
    | COMMUTING
    | _LINEAR
    | frozenset(
        "Abs Add AveragePool BatchNormalization Cast Clip Concat Div Dropout Elu Erf Expand Gather "
        "Gelu GlobalMaxPool HardSigmoid HardSwish LeakyRelu MatMul Max Min Mul Neg Pad PRelu Relu "
        "Resize Sigmoid Split Sub Tanh Tile Where".split()
    )
)
_SUMS = frozenset({"GlobalAveragePool", "ReduceMean", "ReduceSum", "CumSum"})
_NORMALISATIONS = frozenset(
    {"GroupNormalization", "InstanceNormalization", "LayerNormalization", "LpNormalization"}
)
# Inputs that are FP32 whatever the first one is: by ONNX, or because a variance vanishes in FP16.
_SINGLE = {"Resize": {1, 2}, "BatchNormalization": {1, 2, 3, 4}}


def narrow(graph: Graph, *, beyond: Collection[str]) -> tuple[bytes, dict[str, str]]:
    """Return the graph with FP16 in it, serialised.

    Parameters
    ----------
    graph
        FP32, quantised or not.
    beyond
        Tensors whose values leave FP16's range.

    Returns
    -------
    bytes
        The model; tensors keep their names, but for those that an output of the network is cast
        from.
    dict
        Why an operator stays in FP32, by the first tensor that it writes.
    """
    singles = _singles(graph)
    reasons = {
        index: reason
        for index, node in enumerate(graph.nodes)
        if singles.intersection(node.input) and (reason := _reason(graph, node, singles, beyond))
    }
    wide = _joined(graph, frozenset(reasons))
    told = {
        graph.nodes[index].output[0]: reason
        for index, reason in reasons.items()
        if graph.nodes[index].op_type not in _LINEAR
    }
    return _Narrowed(graph, singles, wide).serialised(), told


def out_of_range(graph: Graph, names: Iterable[str]) -> frozenset[str]:
    """Return tensors that leave FP16's range, and those that hold the same values.

    Parameters
    ----------
    names
        What was seen to leave it.
    """
    beyond = set(names)
    # What is rectified was as large before.
    beyond.update(before for before, output in graph.bare.items() if output in beyond)
    for index, node in enumerate(graph.nodes):
        if any(node.input[position] in beyond for position in graph.carried(index)):
            beyond.update(node.output)
    return frozenset(beyond | {f"{name}_dequantized" for name in beyond})


def _singles(graph: Graph) -> frozenset[str]:
    """Return the FP32 tensors."""
    inferred = onnx.shape_inference.infer_shapes(graph.model).graph
    values = (*inferred.input, *inferred.output, *inferred.value_info)
    return frozenset(
        {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
        | {name for name, each in graph.constants.items() if each.data_type == TensorProto.FLOAT}
    )


def _joined(graph: Graph, wide: frozenset[int]) -> frozenset[int]:
    """Add to the FP32 operators the conversions whose neighbours are all FP32: no cast between."""
    joined = set(wide)
    for index, node in enumerate(graph.nodes):
        if node.op_type == "QuantizeLinear":
            producer = graph.producers.get(node.input[0])
            if producer is None or producer in joined:
                joined.add(index)
        elif node.op_type == "DequantizeLinear":
            readers = {reader for reader, _ in graph.consumers.get(node.output[0], ())}
            if readers and readers <= wide:
                joined.add(index)
    return frozenset(joined)


def _reason(
    graph: Graph, node: onnx.NodeProto, singles: Collection[str], beyond: Collection[str]
) -> str | None:
    """Return why an operator with FP32 operands stays in FP32; ``None`` if it need not."""
    if node.op_type in _SUMS and not _in_integers(graph, node):
        return "FP32: it sums many numbers"
    if node.op_type in _NORMALISATIONS:
        return "FP32: it sums squares"
    if node.op_type not in _SAFE:
        return f"FP32: {node.op_type} is not known to stay in FP16's range"
    if node.op_type == "Sigmoid" and graph.head(node.output[0]):
        return "FP32: its result reaches an output"
    for name in (*node.input, *node.output):
        if name in beyond:
            return f"FP32: {name!r} leaves FP16's range"
    for position, name in enumerate(node.input):
        kept = position in _SINGLE.get(node.op_type, ())
        # A bias that vanishes is nothing beside what it is added to.
        tiny = position == 2 and node.op_type in WEIGHTED
        constant = name in graph.constants and name in singles and not kept
        if constant and not _fits(graph, name, tiny=tiny):
            return f"FP32: the constant {name!r} leaves FP16's range"
    return None


def _in_integers(graph: Graph, node: onnx.NodeProto) -> bool:
    """Return whether an operator stands between dequantising and quantising."""
    after = graph.sole_consumer(node.output[0])
    before = graph.producer(node.input[0])
    return before == "DequantizeLinear" and after is not None and after.op_type == "QuantizeLinear"


def _fits(graph: Graph, name: str, *, tiny: bool) -> bool:
    """Return whether a constant survives; one small number among large ones may vanish.

    Parameters
    ----------
    tiny
        Whether all of them may.
    """
    values = np.abs(graph.array(name))
    largest = float(values.max(initial=0.0))
    with np.errstate(over="ignore"):
        exact = bool((values.astype(np.float16) == values).all())
    return exact or (0.0 if tiny else _SMALLEST_NORMAL) <= largest <= LARGEST


@dataclass
class _Narrowed:
    """The rewriting of one graph; ``wide`` are the nodes that stay in FP32."""

    graph: Graph
    singles: frozenset[str]
    wide: frozenset[int]

    def serialised(self) -> bytes:
        graph = self.graph
        halves = self._halves()
        nodes: list[onnx.NodeProto] = []
        constants = {tensor.name: tensor for tensor in graph.model.graph.initializer}
        cast: set[str] = set()
        for index, node in enumerate(graph.nodes):
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            for position, name in enumerate(node.input):
                if name not in self.singles:
                    continue
                wanted = self._reads_half(index, position)
                if name in graph.constants:
                    if wanted:
                        copy.input[position] = f"{name}_fp16"
                        constants[f"{name}_fp16"] = numpy_helper.from_array(
                            graph.array(name).astype(np.float16), f"{name}_fp16"
                        )
                elif wanted != (name in halves):
                    kind = TensorProto.FLOAT16 if wanted else TensorProto.FLOAT
                    copy.input[position] = f"{name}_{'fp16' if wanted else 'fp32'}"
                    if copy.input[position] not in cast:
                        cast.add(copy.input[position])
                        nodes.append(self._converted(name, copy.input[position], kind, halves))
                else:
                    copy.input[position] = halves.get(name, name)
            for position, name in enumerate(node.output):
                copy.output[position] = halves.get(name, name)
            if node.op_type == "Cast" and node.output[0] in halves:
                next(a for a in copy.attribute if a.name == "to").i = TensorProto.FLOAT16
            nodes.append(copy)
            nodes.extend(
                _cast(halves[name], name, TensorProto.FLOAT)
                for name in node.output
                if name in halves and name in graph.outputs
            )
        return self._assembled(nodes, constants, halves)

    def _converted(
        self, name: str, destination: str, kind: int, halves: Mapping[str, str]
    ) -> onnx.NodeProto:
        """Return what gives a tensor in the other type: a cast, or dequantising once more.

        Between dequantising and an integer kernel there must be nothing.
        """
        producer = self.graph.producers.get(name)
        if producer is None or self.graph.nodes[producer].op_type != "DequantizeLinear":
            return _cast(halves.get(name, name), destination, kind)
        again = onnx.NodeProto()
        again.CopyFrom(self.graph.nodes[producer])
        again.name, again.output[0] = f"{destination}_Dequantize", destination
        return again

    def _halves(self) -> Mapping[str, str]:
        """Return the FP16 tensors and what each is called."""
        names = (
            name
            for index, node in enumerate(self.graph.nodes)
            if self._is_half(index)
            for name in node.output
            if name in self.singles
        )
        return {name: f"{name}_fp16" if name in self.graph.outputs else name for name in names}

    def _is_half(self, index: int) -> bool:
        node = self.graph.nodes[index]
        return index not in self.wide and bool(self.singles.intersection(node.input))

    def _reads_half(self, index: int, position: int) -> bool:
        kept = _SINGLE.get(self.graph.nodes[index].op_type, ())
        return self._is_half(index) and position not in kept

    def _assembled(
        self,
        nodes: Iterable[onnx.NodeProto],
        constants: Mapping[str, TensorProto],
        halves: Mapping[str, str],
    ) -> bytes:
        model = onnx.ModelProto()
        model.CopyFrom(self.graph.model)
        kept = list(nodes)
        read = {name for node in kept for name in node.input} | self.graph.outputs
        del model.graph.node[:], model.graph.initializer[:]
        model.graph.node.extend(n for n in kept if read.intersection(n.output))
        model.graph.initializer.extend(each for name, each in constants.items() if name in read)
        for value in model.graph.value_info:
            if value.name in halves:
                value.type.tensor_type.elem_type = TensorProto.FLOAT16
        return bytes(model.SerializeToString(deterministic=True))


def _cast(source: str, destination: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [destination], f"{destination}_Cast", to=kind)
