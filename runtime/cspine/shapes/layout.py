"""Shapes of what moves, joins, cuts or stretches tensors and computes nothing.

Values are followed where exporters compute shapes from shapes: Shape, Gather, Concat, Reshape.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, prod

import numpy as np

from cspine.onnxtensor import SMALL
from cspine.shapes.tensor import (
    Call,
    DataDependentError,
    Shape,
    Tensor,
    broadcast,
    normal_axes,
    normal_axis,
)

_LARGEST_SCALE = 1024


def concat(call: Call) -> Sequence[Tensor]:
    """Return the shape, and values, of tensors one after the other."""
    parts = [call.input(place) for place in range(len(call.inputs))]
    first = call.input(0)
    axis = call.axis(0, rank=first.rank)
    rest = {(*part.shape[:axis], *part.shape[axis + 1 :]) for part in parts}
    if len(rest) > 1 or any(part.rank != first.rank for part in parts):
        raise ValueError(f"its inputs differ in another axis than {axis}")
    shape = list(first.shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    known = [array for part in parts if (array := part.array) is not None]
    if len(known) == len(parts) and sum(array.size for array in known) <= SMALL:
        return [Tensor.of(np.concatenate(known, axis))]
    return [Tensor(tuple(shape))]


def reshape(call: Call) -> Sequence[Tensor]:
    """Return the shape asked for; 0 copies an axis and -1 takes what is left."""
    data = call.input(0)
    asked = list(call.constant(1))
    if not call.node.integer("allowzero", 0):
        for axis, size in enumerate(asked):
            if size == 0:
                asked[axis] = data.shape[normal_axis(axis, rank=data.rank)]
    if asked.count(-1) == 1 and (rest := -prod(asked)):
        asked[asked.index(-1)] = data.elements // rest
    if min(asked, default=0) < 0 or prod(asked) != data.elements:
        raise ValueError(f"{data.shape} cannot take the shape {tuple(asked)}")
    return [Tensor(tuple(asked), data.values)]


def flatten(call: Call) -> Sequence[Tensor]:
    """Return two axes: those before one and the rest."""
    shape = call.input(0).shape
    axis = call.node.integer("axis", 1)
    axis = axis if axis == len(shape) else normal_axis(axis, rank=len(shape))
    return [Tensor((prod(shape[:axis]), prod(shape[axis:])), call.input(0).values)]


def transpose(call: Call) -> Sequence[Tensor]:
    """Return the shape with its axes in another order, by default backwards."""
    data = call.input(0)
    stated = call.node.integers("perm")
    order = tuple(reversed(range(data.rank))) if stated is None else stated
    if sorted(order) != list(range(data.rank)):
        raise ValueError(f"its perm is {order} for {data.rank} dimensions")
    array = data.array
    if array is not None:
        return [Tensor.of(array.transpose(order))]
    return [Tensor(tuple(data.shape[axis] for axis in order))]


def squeeze(call: Call) -> Sequence[Tensor]:
    """Return the shape without axes of size 1."""
    data = call.input(0)
    asked = call.setting("axes", 1)
    ones = [axis for axis, size in enumerate(data.shape) if size == 1]
    axes = ones if asked is None else normal_axes(asked, rank=data.rank)
    if not set(axes) <= set(ones) or asked == ():  # of no axes, runtimes make different things
        raise ValueError(f"its axes {tuple(axes)} of {data.shape} are not 1")
    kept = tuple(size for axis, size in enumerate(data.shape) if axis not in axes)
    return [Tensor(kept, data.values)]


def unsqueeze(call: Call) -> Sequence[Tensor]:
    """Return the shape with more axes of size 1."""
    data = call.input(0)
    asked = call.setting("axes", 1)
    if asked is None:
        raise ValueError("it has no axes")
    rank = data.rank + len(asked)
    axes = normal_axes(asked, rank=rank)
    rest = iter(data.shape)
    shape = tuple(1 if axis in axes else next(rest) for axis in range(rank))
    return [Tensor(shape, data.values)]


def cut(call: Call) -> Sequence[Tensor]:
    """Return the shape, and values, of a Slice."""
    data = call.input(0)
    starts, ends = call.setting("starts", 1), call.setting("ends", 2)
    if starts is None or ends is None:
        raise ValueError("it has no starts or ends")
    asked = call.setting("axes", 3)
    axes = normal_axes(range(len(starts)) if asked is None else asked, rank=data.rank)
    steps = call.setting("steps", 4) or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise ValueError("its starts, ends, axes and steps do not fit together")
    taken = [range(size) for size in data.shape]
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        taken[axis] = _range(data.shape[axis], start, end, step=step)
    array = data.array
    if array is not None:
        return [Tensor.of(array[np.ix_(*taken)])]
    return [Tensor(tuple(map(len, taken)))]


def _range(size: int, start: int, end: int, *, step: int) -> range:
    """Return what a slice takes; unlike Python's, a start before the first is the first."""
    start, end = (place + size if place < 0 else place for place in (start, end))
    last = size if step > 0 else size - 1
    first = 0 if step > 0 else -1
    return range(min(max(start, 0), last), min(max(end, first), last), step)


def split(call: Call) -> Sequence[Tensor]:
    """Return the shapes of the parts along an axis, which are equal where no sizes are given."""
    data = call.input(0)
    axis = call.axis(0, rank=data.rank)
    count, size = len(call.node.outputs), data.shape[axis]
    sizes = call.setting("split", 1)
    if not count:
        raise ValueError("it has no outputs")
    if sizes is None:
        part = -(-size // count)
        sizes = (*[part] * (count - 1), size - part * (count - 1))
    if len(sizes) != count or sum(sizes) != size:
        raise ValueError(f"its parts {sizes} do not make {size}")
    return [Tensor((*data.shape[:axis], part, *data.shape[axis + 1 :])) for part in sizes]


def gather(call: Call) -> Sequence[Tensor]:
    """Return the shape, and values, of what lies at some indices of an axis."""
    data, indices = call.input(0), call.input(1)
    axis = call.axis(0, rank=data.rank)
    shape = (*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :])
    array = data.array
    if array is None or indices.values is None or prod(shape) > SMALL:
        return [Tensor(shape)]
    places = [normal_axis(place, rank=data.shape[axis]) for place in call.constant(1)]
    return [Tensor.of(np.take(array, places, axis).reshape(shape))]


def expand(call: Call) -> Sequence[Tensor]:
    """Return the shape that data and the shape asked for are stretched to."""
    return [Tensor(broadcast(call.input(0).shape, call.constant(1)))]


def pad(call: Call) -> Sequence[Tensor]:
    """Return the shape with borders; negative ones cut."""
    data = call.input(0)
    pads = call.setting("pads", 1)
    asked = call.constant(3) if call.optional(3) is not None else tuple(range(data.rank))
    axes = normal_axes(asked, rank=data.rank)
    if pads is None or len(pads) != 2 * len(axes):
        raise ValueError(f"its pads {pads} do not fit {len(axes)} axes")
    shape = list(data.shape)
    for place, axis in enumerate(axes):
        shape[axis] += pads[place] + pads[place + len(axes)]
    return [Tensor(tuple(shape))]


def resize(call: Call) -> Sequence[Tensor]:
    """Return the shape of an image made larger or smaller, by sizes or by factors."""
    data = call.input(0)
    if call.node.has("axes") or call.node.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ValueError("its axes or keep_aspect_ratio_policy are not understood")
    if call.optional(3) is not None:
        sizes: Shape = call.constant(3)
    else:
        # Operator set 10 has no region of interest between data and factors.
        factors = call.input(1 if len(call.inputs) == 2 else 2).values
        if factors is None:
            raise DataDependentError("its factors are computed from the data")
        if len(factors) != data.rank or not all(0 < each <= _LARGEST_SCALE for each in factors):
            raise ValueError(f"its factors {factors} do not fit {data.shape}")
        sizes = tuple(map(_scaled, data.shape, factors))
    if len(sizes) != data.rank or min(sizes, default=1) < 1:
        raise ValueError(f"its sizes {sizes} do not fit {data.shape}")
    return [Tensor(sizes)]


def _scaled(size: int, factor: float) -> int:
    single, double = floor(np.float32(size) * np.float32(factor)), floor(size * factor)
    if single != double:
        raise ValueError(f"{size} times its factor {factor} depends on a runtime's precision")
    return double


def depth_to_space(call: Call) -> Sequence[Tensor]:
    """Return the shape with channels moved into space."""
    (batch, channels, rows, columns), block = _blocks(call)
    if channels % block**2:
        raise ValueError(f"{channels} channels are no blocks of {block}")
    return [Tensor((batch, channels // block**2, rows * block, columns * block))]


def space_to_depth(call: Call) -> Sequence[Tensor]:
    """Return the shape with space moved into channels."""
    (batch, channels, rows, columns), block = _blocks(call)
    if rows % block or columns % block:
        raise ValueError(f"{rows} × {columns} are no blocks of {block}")
    return [Tensor((batch, channels * block**2, rows // block, columns // block))]


def _blocks(call: Call) -> tuple[Shape, int]:
    shape, block = call.input(0).shape, call.node.integer("blocksize", 0)
    if len(shape) != 4 or block < 1:
        raise ValueError(f"blocks of {block} do not fit {shape}")
    return shape, block
