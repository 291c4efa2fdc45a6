"""The FP32 graph as quantisation sees it: units, residual additions, heads.

A *unit* is a weighted operator together with the activation fused into it, for the tensor that
leaves the pair is the one a fused integer kernel writes. Nodes are named by their place in the
graph's topological order, as ONNX keeps them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import onnx

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
# Every output value is an input value, so quantising before or after is the same.
COMMUTING = frozenset(
    {
        "DepthToSpace",
        "Flatten",
        "Identity",
        "MaxPool",
        "Reshape",
        "Slice",
        "SpaceToDepth",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)
_FUSED = frozenset({"Relu", "Clip"})
_THRESHOLDED = frozenset({"Sigmoid", "Softmax"})
# They look at a tensor's shape, so nothing of its values reaches what follows them.
_VALUELESS = frozenset({"Shape", "Size"})
_GLOBAL = frozenset({"GlobalAveragePool", "GlobalMaxPool"})
_REDUCTIONS = frozenset({"ReduceMean", "ReduceMax"})
_ROWS_AND_COLUMNS = ({2, 3}, {-2, -1})
_MATRIX = 2


@dataclass(frozen=True)
class Unit:
    """A weighted operator: what it reads, and the tensor that really leaves it."""

    node: int
    name: str
    kind: str
    input: str
    weight: str
    bias: str | None
    output: str


@dataclass(frozen=True)
class Residual:
    """An addition of two activations, with the activation fused into it.

    Attributes
    ----------
    inputs
        Both operands.
    conv
        Which operand (0 or 1) is the bare result of a unit that nothing else reads, so that the
        unit can fuse with the addition; the deeper one if both are. ``None`` if neither is.
    """

    node: int
    name: str
    inputs: tuple[str, str]
    conv: int | None
    output: str


class Graph:
    """A read-only view of one ONNX model.

    Parameters
    ----------
    model
        The FP32 model; it must not be changed while the view is in use.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.nodes: tuple[onnx.NodeProto, ...] = tuple(model.graph.node)
        self.outputs = frozenset(value.name for value in model.graph.output)
        self.constants: dict[str, onnx.TensorProto] = {
            tensor.name: tensor for tensor in model.graph.initializer
        }
        self.producers: dict[str, int] = {}
        self.consumers: Mapping[str, list[tuple[int, int]]] = defaultdict(list)
        for index, node in enumerate(self.nodes):
            self.producers.update(dict.fromkeys(node.output, index))
            for position, name in enumerate(node.input):
                self.consumers[name].append((index, position))
            self._fold(node)
        self.inputs = frozenset(v.name for v in model.graph.input) - set(self.constants)

    def _fold(self, node: onnx.NodeProto) -> None:
        """Record a constant that is written as a node."""
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            self.constants[node.output[0]] = node.attribute[0].t
        elif node.op_type == "Identity" and node.input[0] in self.constants:
            self.constants[node.output[0]] = self.constants[node.input[0]]

    def array(self, name: str) -> npt.NDArray[np.float32]:
        """Return a constant's values."""
        return np.asarray(onnx.numpy_helper.to_array(self.constants[name]))

    def name(self, node: int) -> str:
        """Return a node's name, or that of its output if it has none."""
        return str(self.nodes[node].name or self.nodes[node].output[0])

    def rank(self, tensor: str) -> int | None:
        """Return how many axes the file says a tensor has; ``None`` if it does not say."""
        return self._ranks.get(tensor)

    def size(self, tensor: str) -> int | None:
        """Return how many values of an image a tensor has; ``None`` if the file does not say."""
        sizes = self._sizes.get(tensor, ())
        return math.prod(sizes) if sizes and all(sizes) else None

    @cached_property
    def _sizes(self) -> Mapping[str, tuple[int, ...]]:
        """Axes but the first, with zero for what is open."""
        return {
            value.name: tuple(each.dim_value for each in value.type.tensor_type.shape.dim[1:])
            for value in self.model.graph.value_info
        }

    @cached_property
    def _ranks(self) -> Mapping[str, int]:
        stated = (*self.model.graph.value_info, *self.model.graph.input, *self.model.graph.output)
        return {
            value.name: len(value.type.tensor_type.shape.dim)
            for value in stated
            if value.type.tensor_type.HasField("shape")
        }

    def producer(self, tensor: str) -> str:
        """Return the operator that writes a tensor; empty for an input."""
        index = self.producers.get(tensor)
        return "" if index is None else str(self.nodes[index].op_type)

    def sole_consumer(self, tensor: str) -> onnx.NodeProto | None:
        """Return the only node that reads a tensor; ``None`` if others do or the caller does."""
        readers = self.consumers.get(tensor, [])
        if len(readers) != 1 or tensor in self.outputs:
            return None
        return self.nodes[readers[0][0]]

    @cached_property
    def units(self) -> Mapping[int, Unit]:
        """Every weighted operator, by node."""
        return {
            index: Unit(
                node=index,
                name=self.name(index),
                kind=node.op_type,
                input=node.input[0],
                weight=node.input[1],
                bias=node.input[2] if len(node.input) > 2 and node.input[2] else None,
                output=self._fused_output(node),
            )
            for index, node in enumerate(self.nodes)
            if node.op_type in WEIGHTED and self._has_weights(node)
        }

    def _has_weights(self, node: onnx.NodeProto) -> bool:
        """Return whether a product of matrices is one with weights, not of two activations."""
        return node.op_type != "MatMul" or (
            node.input[1] in self.constants
            and len(self.constants[node.input[1]].dims) == _MATRIX
            and node.input[0] not in self.constants
        )

    @cached_property
    def residuals(self) -> Mapping[int, Residual]:
        """Every addition of two activations, by node."""
        return {
            index: Residual(
                node=index,
                name=self.name(index),
                inputs=(node.input[0], node.input[1]),
                conv=self._conv_branch(node),
                output=self._fused_output(node),
            )
            for index, node in enumerate(self.nodes)
            if node.op_type == "Add" and not any(name in self.constants for name in node.input)
        }

    def head(self, tensor: str) -> str | None:
        """Return why a unit's output must stay in float, or ``None`` if it need not.

        A head's result decides: it reaches an output of the graph without passing another weighted
        operator, or goes through a sigmoid or softmax. A sigmoid whose result only scales another
        activation, as in SiLU and in squeeze and excitation, is a gate and decides nothing. Nor
        does a feature map that is an output for another network to read, and that this one reads
        on from.
        """
        if tensor in self._exposed:
            return "head: its result reaches an output"
        for follower in self._followers(tensor):
            if follower.op_type in _THRESHOLDED and not self._scales(follower):
                return f"head: it feeds a {follower.op_type}"
        return None

    def decides(self, tensor: str) -> bool:
        """Return whether a tensor is what a head gives, or what a head reads."""
        readers = (self.producers[node.output[0]] for node in self._followers(tensor))
        return self.head(tensor) is not None or any(
            reader in self.units and self.head(self.units[reader].output) for reader in readers
        )

    def feeds_weighted(self, tensor: str) -> bool:
        """Return whether a weighted operator reads a tensor, as it is or moved about."""
        return any(node.op_type in WEIGHTED for node in self._followers(tensor))

    def _scales(self, node: onnx.NodeProto) -> bool:
        """Return whether a node's result does nothing but multiply."""
        readers = self.consumers.get(node.output[0], ())
        return bool(readers) and all(self.nodes[index].op_type == "Mul" for index, _ in readers)

    def carried(self, node: int) -> tuple[int, ...]:
        """Return which inputs' values a node passes on as they are; none if it computes."""
        op_type, names = self.nodes[node].op_type, self.nodes[node].input
        if op_type == "Concat" and not any(name in self.constants for name in names):
            return tuple(range(len(names)))
        return (0,) if op_type in COMMUTING else ()

    def _fused_output(self, node: onnx.NodeProto) -> str:
        follower = self.sole_consumer(node.output[0])
        if follower is not None and follower.op_type in _FUSED:
            return str(follower.output[0])
        return str(node.output[0])

    def _conv_branch(self, addition: onnx.NodeProto) -> int | None:
        fusible = [
            position
            for position, name in enumerate(addition.input)
            if self.producer(name) in WEIGHTED and self.sole_consumer(name) is addition
        ]
        return max(fusible, key=lambda p: self._depth[addition.input[p]], default=None)

    def _followers(self, tensor: str) -> Iterator[onnx.NodeProto]:
        """Yield the nodes that read a tensor, as it is or moved about."""
        for index, _ in self.consumers.get(tensor, []):
            node = self.nodes[index]
            yield node
            if node.op_type in COMMUTING:
                yield from self._followers(node.output[0])

    @cached_property
    def bare(self) -> Mapping[str, str]:
        """What leaves each unit and addition, by the tensor before its fused activation."""
        units = [(unit.node, unit.output) for unit in self.units.values()]
        additions = [(each.node, each.output) for each in self.residuals.values()]
        named = ((self.nodes[node].output[0], output) for node, output in (*units, *additions))
        return {before: output for before, output in named if before != output}

    @cached_property
    def points(self) -> frozenset[str]:
        """Tensors of one pixel an image: what global pooling gives and what is made of that."""
        found: set[str] = set()
        for index, node in enumerate(self.nodes):
            computed = {name for name in node.input if name and name not in self.constants}
            if self.pools_globally(index) or (computed and computed <= found):
                found.update(node.output)
        return frozenset(found)

    def pools_globally(self, index: int) -> bool:
        """Return whether a node leaves one pixel of each channel."""
        node = self.nodes[index]
        if node.op_type not in _REDUCTIONS:
            return node.op_type in _GLOBAL
        axes = [list(each.ints) for each in node.attribute if each.name == "axes"]
        if len(node.input) > 1 and node.input[1] in self.constants:
            axes = [self.array(node.input[1]).tolist()]
        return bool(axes) and set(axes[0]) in _ROWS_AND_COLUMNS

    @cached_property
    def activations(self) -> frozenset[str]:
        """What is computed from the inputs and fused into nothing, but for what heads give."""
        reached = set(self.inputs)
        for node in self.nodes:
            if node.op_type not in _VALUELESS and reached.intersection(node.input):
                reached.add(node.output[0])
        return frozenset(name for name in reached - set(self.bare) if not self.head(name))

    @cached_property
    def _exposed(self) -> frozenset[str]:
        """The tensors from which an output is reached without a weighted operator."""
        exposed = {name for name in self.outputs if not self._is_feature_map(name)}
        for node in reversed(self.nodes):
            if node.op_type not in WEIGHTED | _VALUELESS and exposed.intersection(node.output):
                exposed.update(node.input)
        return frozenset(exposed)

    def _is_feature_map(self, output: str) -> bool:
        """Return whether the network computes on from an output, and nothing was condensed to it.

        The scores of a cascade are read on from as well, but they have fewer channels than what
        they are made of.
        """
        return self.feeds_weighted(output) and not self._condensed(output)

    def _condensed(self, tensor: str) -> bool:
        """Return whether a tensor may be what a layer with fewer outputs than inputs gives."""
        waiting, seen = [tensor], {tensor}
        while waiting:
            index = self.producers.get(waiting.pop())
            if index is None:
                return True
            if index in self.units:
                if self._narrows(self.units[index]):
                    return True
                continue
            fused = self.nodes[index].op_type in _FUSED
            sources = (0, 1) if index in self.residuals else (0,) if fused else self.carried(index)
            if not sources:
                return True
            fresh = {self.nodes[index].input[position] for position in sources} - seen
            seen |= fresh
            waiting.extend(fresh)
        return False

    def _narrows(self, unit: Unit) -> bool:
        """Return whether a unit writes fewer channels than it reads, or cannot be told."""
        if unit.kind not in {"Conv", "ConvTranspose"} or unit.weight not in self.constants:
            return True
        groups = next((a.i for a in self.nodes[unit.node].attribute if a.name == "group"), 1)
        ours, theirs = self.constants[unit.weight].dims[:2]
        written, read = (ours, theirs * groups) if unit.kind == "Conv" else (theirs * groups, ours)
        return bool(written < read)

    @cached_property
    def _depth(self) -> Mapping[str, int]:
        """How many weighted operators lie on the longest way to a tensor."""
        depth: dict[str, int] = defaultdict(int)
        for node in self.nodes:
            deepest = max((depth[name] for name in node.input), default=0)
            for name in node.output:
                depth[name] = deepest + (node.op_type in WEIGHTED)
        return depth
