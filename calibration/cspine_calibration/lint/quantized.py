"""A quantised graph as the rules see it: quantised tensors, weighted operators, who reads what.

Files may come from anyone. They are read by :mod:`cspine.onnxfile`, which follows nothing hostile;
nothing here recurses, and a cycle ends every walk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cspine.errors import ModelError
from cspine.onnxfile import Node, OnnxFile, read_onnx
from cspine.onnxtensor import dtype_name
from cspine_calibration.graph import COMMUTING
from cspine_calibration.lint.constants import Constants
from cspine_calibration.lint.linear import DEQUANTIZE, QUANTIZE, Linear, read_linear
from cspine_calibration.targets import MOVED_AS_FLOAT

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
ACTIVATIONS = frozenset({"Relu", "Clip"})
_DOMAINS = ("", "ai.onnx", "com.microsoft")  # of the two operators; they mean the same
_JOINING = (COMMUTING - MOVED_AS_FLOAT) | {"Concat"}
_MOVING = COMMUTING | {"Cast", QUANTIZE, DEQUANTIZE}


@dataclass(frozen=True)
class Weighted:
    """A weighted operator.

    Attributes
    ----------
    node, name, kind
        Its place in the graph, what to call it, its type.
    input, weight, bias
        Its tensors; ``bias`` is empty if it has none.
    output
        The tensor that leaves it, or the activation that alone reads it.
    output_axis
        The axis of the weights that runs over output channels.
    group
        How many groups its channels have.
    """

    node: int
    name: str
    kind: str
    input: str
    weight: str
    bias: str
    output: str
    output_axis: int
    group: int


class QuantizedGraph:
    """A read-only view of one ONNX file.

    Raises
    ------
    ValueError
        If an attribute is of another type than ONNX says.
    """

    def __init__(self, file: OnnxFile) -> None:
        self.file = file
        self.nodes: Sequence[Node] = file.nodes
        self.outputs = frozenset(value.name for value in file.outputs)
        self.written: dict[str, int] = {}
        self.readers: Mapping[str, list[tuple[int, int]]] = defaultdict(list)
        self.constants = Constants(file)
        for place, node in enumerate(file.nodes):
            self.written.update((name, place) for name in node.outputs if name)
            for position, name in enumerate(node.inputs):
                if name:
                    self.readers[name].append((place, position))
        self.casts = {
            place: dtype_name(node.integer("to", 0))
            for place, node in enumerate(file.nodes)
            if node.operator == "Cast"
        }
        self.linears = {
            place: self._linear(place, node)
            for place, node in enumerate(file.nodes)
            if node.op_type in (QUANTIZE, DEQUANTIZE) and node.domain in _DOMAINS
        }
        self.weighted = tuple(
            self._weighted(place, node)
            for place, node in enumerate(file.nodes)
            if node.operator in WEIGHTED and len(node.inputs) > 1 and node.outputs
        )

    def name(self, place: int) -> str:
        """Return a node's name, or that of its output if it has none."""
        node = self.nodes[place]
        return node.name or next(filter(None, node.outputs), node.op_type)

    def weight_shape(self, tensor: str) -> tuple[int, ...] | None:
        """Return the shape of the constant that a tensor is dequantised from."""
        pair = self.pair(tensor)
        return self.constants.shape(pair[0].input) if pair else None

    def sole_reader(self, tensor: str) -> int | None:
        """Return the only node that reads a tensor; ``None`` if others do or the caller does."""
        readers = self.readers.get(tensor, [])
        return readers[0][0] if len(readers) == 1 and tensor not in self.outputs else None

    def dequantizer(self, tensor: str) -> Linear | None:
        """Return the DequantizeLinear that writes a tensor."""
        found = self.linears.get(self.written.get(tensor, -1))
        return found if found is not None and not found.quantizes else None

    def dequantizers(self, tensor: str) -> list[Linear]:
        """Return every DequantizeLinear that a tensor is moved from; none if some of it is float.

        Concatenations are followed, and what OpenVINO moves as integers.
        """
        found: list[Linear] = []
        waiting, seen = [tensor], {tensor}
        while waiting:
            name = waiting.pop()
            linear = self.dequantizer(name)
            if linear is not None:
                found.append(linear)
                continue
            place = self.written.get(name)
            node = None if place is None else self.nodes[place]
            if node is None or node.operator not in _JOINING:
                return []
            fresh = set(node.inputs if node.operator == "Concat" else node.inputs[:1]) - seen
            seen |= fresh
            waiting.extend(fresh)
        return found

    def quantizers(self, tensor: str) -> list[Linear]:
        """Return every QuantizeLinear that reads a tensor."""
        return [
            self.linears[place]
            for place, position in self.readers.get(tensor, [])
            if position == 0 and place in self.linears and self.linears[place].quantizes
        ]

    def pair(self, tensor: str) -> tuple[Linear, Linear] | None:
        """Return the pair that a tensor comes out of, first operator first.

        Integers that the file holds, or is fed, have one operator; it then stands for both.
        """
        last = self.dequantizer(tensor)
        if last is None:
            return None
        found = self.linears.get(self.written.get(last.input, -1))
        return (found if found is not None and found.quantizes else last, last)

    @cached_property
    def activations(self) -> tuple[tuple[str, Linear], ...]:
        """Each operator on an activation, with the tensor it is about, in graph order."""
        found: list[tuple[str, Linear]] = []
        for linear in self.linears.values():
            pair = self.pair(linear.output)
            origin = pair[0] if pair else linear
            if not self.constants.hold(origin.input):
                found.append((origin.input if origin.quantizes else linear.output, linear))
        return tuple(found)

    @cached_property
    def stored_weights(self) -> tuple[tuple[Weighted, Linear], ...]:
        """Each weighted operator whose weights are dequantised, with the last operator on them."""
        found = ((each, self.dequantizer(each.weight)) for each in self.weighted)
        return tuple((each, linear) for each, linear in found if linear is not None)

    @cached_property
    def quantized(self) -> tuple[Weighted, ...]:
        """The weighted operators whose weights and input are dequantised, moved since or not."""
        return tuple(each for each, _ in self.stored_weights if self.dequantizers(each.input))

    def operands(self, place: int) -> tuple[str, ...]:
        """Return the inputs of a node that are activations: no constants, quantised or not."""
        return tuple(
            name
            for name in self.nodes[place].inputs
            if name and not self.constants.hold(name) and not self._stored(name)
        )

    def additions(self) -> Iterator[tuple[int, tuple[str, str]]]:
        """Yield every addition of two activations and its operands."""
        for place, node in enumerate(self.nodes):
            names = self.operands(place)
            if node.operator == "Add" and len(names) == 2 and node.outputs:
                yield place, (names[0], names[1])

    def bare(self, tensor: str) -> Weighted | None:
        """Return the quantised operator whose result a tensor is, before or behind a pair.

        Only where nothing else reads the result, so that the operator can fuse with its reader.
        """
        pair = self.pair(tensor)
        source = tensor if pair is None else pair[0].input
        if self.sole_reader(source) is None:
            return None
        return self._by_node.get(self.written.get(source, -1))

    @cached_property
    def _by_node(self) -> Mapping[int, Weighted]:
        return {each.node: each for each in self.quantized}

    @cached_property
    def exposed(self) -> frozenset[str]:
        """The tensors from which an output is reached without a weighted operator."""
        found = set(self.outputs)
        waiting = list(found)
        while waiting:
            place = self.written.get(waiting.pop())
            if place is None or self.nodes[place].operator in WEIGHTED | {"Shape", "Size"}:
                continue
            fresh = set(self.operands(place)) - found
            found |= fresh
            waiting.extend(fresh)
        return frozenset(found)

    def followers(self, tensor: str) -> Iterator[int]:
        """Yield the nodes that a tensor reaches as it is, quantised or moved about."""
        seen, waiting = {tensor}, [tensor]
        while waiting:
            for place, position in self.readers.get(waiting.pop(), ()):
                node = self.nodes[place]
                moves = node.operator == "Concat" or (position == 0 and node.op_type in _MOVING)
                if not moves:
                    yield place
                fresh = [name for name in node.outputs[:1] if moves and name not in seen]
                seen.update(fresh)
                waiting.extend(fresh)

    def _stored(self, tensor: str) -> bool:
        """Return whether a tensor is dequantised from a constant."""
        pair = self.pair(tensor)
        return pair is not None and self.constants.hold(pair[0].input)

    def _linear(self, place: int, node: Node) -> Linear:
        names = (*node.inputs, "", "", "")
        held = self.constants.dtype(names[2]) or (
            self.constants.dtype(names[0]) if node.op_type == DEQUANTIZE else ""
        )
        return read_linear(
            place,
            node,
            scale=self.constants.array(names[1]),
            zero_point=self.constants.array(names[2]) if names[2] else np.zeros((), np.int8),
            integers=held,
        )

    def _weighted(self, place: int, node: Node) -> Weighted:
        follower = self.sole_reader(node.outputs[0])
        output = ""
        if follower is not None and self.nodes[follower].operator in ACTIVATIONS:
            output = "".join(self.nodes[follower].outputs[:1])
        axis = {"Conv": 0, "ConvTranspose": 1, "MatMul": -1}.get(node.op_type)
        if axis is None:
            axis = 0 if node.integer("transB", 0) else 1
        return Weighted(
            node=place,
            name=self.name(place),
            kind=node.op_type,
            input=node.inputs[0],
            weight=node.inputs[1],
            bias=node.inputs[2] if len(node.inputs) > 2 else "",
            output=output or node.outputs[0],
            output_axis=axis,
            group=node.integer("group", 1),
        )


def read_quantized(model: bytes, *, where: str) -> QuantizedGraph:
    """Read a serialised ONNX model.

    Raises
    ------
    ModelError
        Naming ``where``, if the bytes are no ONNX model, are cut, or contradict themselves.
    """
    file = read_onnx(model, where=where)
    try:
        return QuantizedGraph(file)
    except ValueError as error:
        raise ModelError(f"{where}: not an ONNX model: {error}; export or emit it again") from error
