"""The shapes of a graph's tensors at a batch of one image, or the reason why there are none.

Every operator of the graphs that we export has a rule here. What has none is a *gap*, and so is an
operator whose rule needs what only the data tells, unless the file itself states the shape. What a
file states and its operators contradict is a gap as well: neither is believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import add, floordiv, mul, sub

from cspine.onnxfile import Node, OnnxFile
from cspine.onnxtensor import ValueInfo
from cspine.shapes import arithmetic, layout, window
from cspine.shapes.tensor import Call, DataDependentError, Rule, Shape, Tensor

_SAME = (
    "Abs BatchNormalization Ceil Clip CumSum DequantizeLinear Dropout Elu Erf Exp Floor Gelu "
    "HardSigmoid HardSwish InstanceNormalization GroupNormalization LayerNormalization LeakyRelu "
    "Log LogSoftmax LRN Mish Neg Not Reciprocal Relu Round Selu Sigmoid Sign "
    "Softmax Softplus Softsign Sqrt Tanh ThresholdedRelu"
).split()
_ELEMENTWISE = (
    "And Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Or Pow PRelu Sum Where Xor"
).split()
_REDUCTIONS = (
    "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd "
    "ReduceSum ReduceSumSquare"
).split()
RULES: dict[str, Rule] = {
    **dict.fromkeys(_SAME, arithmetic.same),
    **dict.fromkeys(_ELEMENTWISE, arithmetic.elementwise),
    **dict.fromkeys(_REDUCTIONS, arithmetic.reduction),
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), window.pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"), window.global_pool),
    **dict.fromkeys(("ArgMax", "ArgMin"), arithmetic.arg),
    "Add": arithmetic.integer(add),
    "Cast": arithmetic.cast,
    "Concat": layout.concat,
    "Constant": arithmetic.constant,
    "ConstantOfShape": arithmetic.filled,
    "Conv": window.conv,
    "ConvTranspose": window.conv_transpose,
    "DepthToSpace": layout.depth_to_space,
    "Div": arithmetic.integer(floordiv),
    "Expand": layout.expand,
    "Flatten": layout.flatten,
    "Gather": layout.gather,
    "Gemm": arithmetic.gemm,
    "Identity": arithmetic.identity,
    "MatMul": arithmetic.matmul,
    "Mul": arithmetic.integer(mul),
    "Pad": layout.pad,
    "QuantizeLinear": arithmetic.quantize,
    "Reshape": layout.reshape,
    "Resize": layout.resize,
    "Shape": arithmetic.shape,
    "Size": arithmetic.size,
    "Slice": layout.cut,
    "SpaceToDepth": layout.space_to_depth,
    "Split": layout.split,
    "Squeeze": layout.squeeze,
    "Sub": arithmetic.integer(sub),
    "Transpose": layout.transpose,
    "Unsqueeze": layout.unsqueeze,
}


@dataclass(frozen=True)
class Shapes:
    """What is known of the tensors of a graph.

    Attributes
    ----------
    batch
        Images of one run: 1, or what the file fixes.
    tensors
        By name; a tensor behind a gap is not in it.
    gaps
        What was not understood, each once: the operator or input, and why.
    """

    batch: int
    tensors: dict[str, Tensor]
    gaps: tuple[str, ...]


def infer(model: OnnxFile) -> Shapes:
    """Return the shapes at a batch of one.

    The batch is the first axis of each input. One that is open is taken for 1, and so is every
    other axis of its name.
    """
    first = model.inputs[0].shape if model.inputs else None
    batch = first[0] if first else 1
    walk = _Walk(model, batch=batch)
    for value in model.inputs:
        walk.feed(value)
    for node in model.nodes:
        walk.step(node)
    return Shapes(batch if isinstance(batch, int) else 1, walk.tensors, tuple(walk.gaps))


class _Walk:
    """What is known so far; ``behind`` are the tensors that a gap hides."""

    def __init__(self, model: OnnxFile, *, batch: int | str | None) -> None:
        self.tensors = {
            name: Tensor(each.shape, each.values()) for name, each in model.constants.items()
        }
        self.gaps: dict[str, None] = {}
        self._model = model
        self._batch = batch
        self._behind: set[str] = set()

    def feed(self, value: ValueInfo) -> None:
        """Take an input of the graph."""
        unnamed = value.shape and value.shape[0] is None and not isinstance(self._batch, int)
        shape = (1, *(value.shape or ())[1:]) if unnamed else value.shape
        tensor = self._closed(shape)
        if tensor is None:
            self._behind.add(value.name)
            self.gaps[f"input {value.name!r}: more than its batch is open"] = None
        else:
            self.tensors[value.name] = tensor

    def step(self, node: Node) -> None:
        """Take an operator, and either know its outputs or say why not."""
        read = [name for name in node.inputs if name]
        hidden = not self._behind.isdisjoint(read)
        found: Sequence[Tensor] = ()
        if not self._understood(node):
            self.gaps[f"{node.operator}: it has no rule"] = None
            hidden = True
        elif not hidden:
            try:
                found = self._outputs(node, read)
            except ValueError as error:
                stated = all(map(self._stated, filter(None, node.outputs)))
                if not isinstance(error, DataDependentError) or not stated:
                    self._gap(node, str(error))
                    hidden = True
        for place, name in enumerate(node.outputs):
            if name:
                self._take(node, name, found[place] if place < len(found) else None, hidden=hidden)

    def _understood(self, node: Node) -> bool:
        return node.operator in RULES and node.op_type not in self._model.functions

    def _outputs(self, node: Node, read: Iterable[str]) -> Sequence[Tensor]:
        for name in read:
            if name not in self.tensors:
                raise ValueError(f"its input {name!r} is not known")
        return RULES[node.op_type](
            Call(node, [self.tensors[name] if name else None for name in node.inputs])
        )

    def _take(self, node: Node, name: str, tensor: Tensor | None, *, hidden: bool) -> None:
        stated = self._model.stated.get(name)
        if tensor and stated and not _agree(tensor.shape, stated.shape):
            self._gap(node, f"it gives {tensor.shape} where the file states {stated.shape}")
            self._behind.add(name)
        elif known := tensor or self._stated(name):
            self.tensors[name] = known
        elif hidden:
            self._behind.add(name)

    def _stated(self, name: str) -> Tensor | None:
        stated = self._model.stated.get(name)
        return self._closed(stated.shape) if stated else None

    def _closed(self, shape: tuple[int | str | None, ...] | None) -> Tensor | None:
        """Return a shape that the file states if nothing but the batch is open in it."""
        if shape is None:
            return None
        sizes = [1 if isinstance(size, str) and size == self._batch else size for size in shape]
        closed = tuple(size for size in sizes if isinstance(size, int))
        try:
            return Tensor(closed) if len(closed) == len(sizes) else None
        except ValueError:  # larger than any device holds
            return None

    def _gap(self, node: Node, reason: str) -> None:
        name = node.name or next(iter(node.outputs), "")
        self.gaps[f"{node.operator} {name!r}: {reason}"] = None


def _agree(shape: Shape, stated: tuple[int | str | None, ...] | None) -> bool:
    return stated is None or (
        len(shape) == len(stated)
        and all(
            size == told or not isinstance(told, int)
            for size, told in zip(shape, stated, strict=True)
        )
    )
