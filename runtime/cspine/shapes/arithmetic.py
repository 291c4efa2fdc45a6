"""Shapes of what computes on elements, matrices and axes, and of constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from cspine.onnxtensor import SMALL
from cspine.shapes.tensor import Call, Rule, Tensor, broadcast, normal_axes

_INTEGERS = (6, 7)  # TensorProto.DataType: INT32 and INT64
_LARGEST_VALUE = (1 << 31) - 1  # beyond, 32 bits overflow


def same(call: Call) -> Sequence[Tensor]:
    """Return the shape of the first input for the first output; others are seldom read."""
    return [Tensor(call.input(0).shape)]


def quantize(call: Call) -> Sequence[Tensor]:
    """Return the shape of the input; the integers' type must be said in a way that can be read."""
    call.node.integer("output_dtype", 0)
    return same(call)


def identity(call: Call) -> Sequence[Tensor]:
    """Return the input, values and all."""
    return [call.input(0)]


def cast(call: Call) -> Sequence[Tensor]:
    """Return the input, with its values if they are integers before and after."""
    data = call.input(0)
    fit = data.values is not None and all(
        isinstance(value, int) and abs(value) <= _LARGEST_VALUE for value in data.values
    )
    return [data if fit and call.node.integer("to", 0) in _INTEGERS else Tensor(data.shape)]


def elementwise(call: Call) -> Sequence[Tensor]:
    """Return the shape that all inputs are stretched to."""
    return [Tensor(_together(call))]


def integer(operation: Callable[[int, int], int]) -> Rule:
    """Return the rule of an operator of two inputs that shapes are computed with, too."""

    def rule(call: Call) -> Sequence[Tensor]:
        shape = _together(call)
        left, right = call.input(0).array, call.input(1).array
        if left is None or right is None or len(call.inputs) != 2 or prod(shape) > SMALL:
            return [Tensor(shape)]
        pairs = zip(
            *(each.reshape(-1).tolist() for each in np.broadcast_arrays(left, right)), strict=True
        )
        values = tuple(_whole(operation, *pair) for pair in pairs)
        known = tuple(value for value in values if value is not None)
        return [Tensor(shape, known if len(known) == len(values) else None)]

    return rule


def matmul(call: Call) -> Sequence[Tensor]:
    """Return the shape of a product of matrices, as NumPy's ``matmul``."""
    left, right = call.input(0).shape, call.input(1).shape
    if not left or not right:
        raise ValueError("it multiplies a number")
    rows, columns = left if len(left) > 1 else (1, *left), right if len(right) > 1 else (*right, 1)
    if rows[-1] != columns[-2]:
        raise ValueError(f"{left} and {right} cannot be multiplied")
    ends = (rows[-2],) * (len(left) > 1) + (columns[-1],) * (len(right) > 1)
    return [Tensor((*broadcast(rows[:-2], columns[:-2]), *ends))]


def gemm(call: Call) -> Sequence[Tensor]:
    """Return the shape of a product of two matrices, either of which may be transposed."""
    left, right = call.input(0).shape, call.input(1).shape
    left = left[::-1] if call.node.integer("transA", 0) else left
    right = right[::-1] if call.node.integer("transB", 0) else right
    if len(left) != 2 or len(right) != 2 or left[1] != right[0]:
        raise ValueError(f"{left} and {right} cannot be multiplied")
    return [Tensor((left[0], right[1]))]


def reduction(call: Call) -> Sequence[Tensor]:
    """Return the shape with axes reduced to one, or left out; by default all of them."""
    data = call.input(0)
    asked = call.setting("axes", 1)
    if not asked and call.node.integer("noop_with_empty_axes", 0):
        return [Tensor(data.shape)]
    axes = normal_axes(asked or range(data.rank), rank=data.rank)
    return [_reduced(call, data, axes)]


def arg(call: Call) -> Sequence[Tensor]:
    """Return the shape of ArgMax and ArgMin."""
    data = call.input(0)
    return [_reduced(call, data, (call.axis(0, rank=data.rank),))]


def shape(call: Call) -> Sequence[Tensor]:
    """Return the shape of a shape, and its values."""
    data = call.input(0)
    start, end = call.node.integer("start", 0), call.node.integer("end", data.rank)
    return [_known(data.shape[slice(start, end)])]


def size(call: Call) -> Sequence[Tensor]:
    """Return a number, the count of elements."""
    return [Tensor((), (call.input(0).elements,))]


def constant(call: Call) -> Sequence[Tensor]:
    """Return what a Constant holds, of a tensor or of integers."""
    node = call.node
    if (held := node.tensor("value")) is not None:
        return [Tensor(held.shape, held.values())]
    if (values := node.integers("value_ints")) is not None:
        return [_known(values)]
    if node.has("value_int"):
        return [Tensor((), (node.integer("value_int", 0),))]
    if node.has("value_float"):
        return [Tensor(())]
    raise ValueError("its value is of a type that is not understood")


def filled(call: Call) -> Sequence[Tensor]:
    """Return the shape that a ConstantOfShape is asked for, and what fills it."""
    asked = call.constant(0)
    held = call.node.tensor("value")
    values = held.values() if held is not None else None
    if values is None or len(values) != 1 or prod(asked) > SMALL:
        return [Tensor(asked)]
    return [Tensor(asked, values * max(prod(asked), 0))]


def _known(values: tuple[int, ...]) -> Tensor:
    return Tensor((len(values),), values)


def _together(call: Call) -> tuple[int, ...]:
    return broadcast(*(call.input(place).shape for place in range(len(call.inputs))))


def _reduced(call: Call, data: Tensor, axes: tuple[int, ...]) -> Tensor:
    keep_axes = call.node.integer("keepdims", 1)
    return Tensor(
        tuple(
            1 if axis in axes else size
            for axis, size in enumerate(data.shape)
            if keep_axes or axis not in axes
        )
    )


def _whole(operation: Callable[[int, int], int], left: float, right: float) -> int | None:
    """Return what an operation makes of two integers, ``None`` where it is not to be relied on."""
    if not isinstance(left, int) or not isinstance(right, int):
        return None
    if operation.__name__ == "floordiv" and (left < 0 or right < 1):
        return None  # ONNX rounds towards zero
    found = operation(left, right)
    return found if abs(found) <= _LARGEST_VALUE else None
