"""Shapes of what slides a window over an image: convolutions and pools.

Formulas are those of the ONNX operators Conv, ConvTranspose, MaxPool, AveragePool and LpPool. Axes
are batch, channels, then one or more of space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cspine.shapes.tensor import Call, Shape, Tensor


@dataclass(frozen=True)
class _Window:
    """Attributes of a window by axis of space; ``span`` is the kernel with its holes."""

    kernel: Shape
    strides: Shape
    span: Shape
    pads: tuple[tuple[int, int], ...]
    auto_pad: str


def conv(call: Call) -> Sequence[Tensor]:
    """Return the shape of a convolution."""
    image, weight = call.input(0), call.input(1)
    window = _window(call, kernel=weight.shape[2:], rank=image.rank)
    _groups(call, image, weight, transposed=False)
    return [Tensor((image.shape[0], weight.shape[0], *_slid(image.shape[2:], window)))]


def conv_transpose(call: Call) -> Sequence[Tensor]:
    """Return the shape of a transposed convolution; its weights are (in, out / group, ...)."""
    image, weight = call.input(0), call.input(1)
    window = _window(call, kernel=weight.shape[2:], rank=image.rank)
    group = _groups(call, image, weight, transposed=True)
    space = image.shape[2:]
    stated = call.node.integers("output_shape")
    added = _sizes(call, "output_padding", default=0, count=len(space), least=0)
    if window.auto_pad.startswith("SAME"):
        raise ValueError("of its auto_pad, runtimes make different things")
    if stated is not None:
        if len(stated) != len(space):
            raise ValueError(f"its output_shape {stated} has another rank")
        sizes = stated
    else:
        sizes = tuple(
            stride * (size - 1) + more + span - sum(pads)
            for size, stride, more, span, pads in zip(
                space, window.strides, added, window.span, window.pads, strict=True
            )
        )
    return [Tensor((image.shape[0], weight.shape[1] * group, *_positive(sizes)))]


def _groups(call: Call, image: Tensor, weight: Tensor, *, transposed: bool) -> int:
    """Return the number of groups, if weights and image fit each other in so many."""
    group = call.node.integer("group", 1)
    if (
        weight.rank != image.rank
        or group < 1
        or image.shape[1] != (weight.shape[0] if transposed else weight.shape[1] * group)
        or weight.shape[0] % group
    ):
        raise ValueError(f"weights {weight.shape} in {group} groups do not fit {image.shape}")
    return group


def pool(call: Call) -> Sequence[Tensor]:
    """Return the shape of a pool, once for each output: values, and where they were."""
    image = call.input(0)
    kernel = call.node.integers("kernel_shape")
    if kernel is None:
        raise ValueError("it has no kernel_shape")
    window = _window(call, kernel=kernel, rank=image.rank)
    sizes = _slid(image.shape[2:], window)
    if call.node.integer("ceil_mode", 0):
        sizes = _slid(image.shape[2:], window, ceil=True)
    return [Tensor((*image.shape[:2], *sizes))] * len(call.node.outputs)


def global_pool(call: Call) -> Sequence[Tensor]:
    """Return the shape of one value for each channel."""
    image = call.input(0)
    if image.rank < 3:
        raise ValueError(f"it cannot pool {image.shape}")
    return [Tensor((*image.shape[:2], *[1] * (image.rank - 2)))]


def _window(call: Call, *, kernel: Shape, rank: int) -> _Window:
    if rank < 3 or len(kernel) != rank - 2:
        raise ValueError(f"a kernel {kernel} does not fit an image of {rank} dimensions")
    if call.node.integers("kernel_shape") not in (None, kernel):
        raise ValueError(f"its kernel_shape is not that of its weights, {kernel}")
    _positive(kernel)
    count = len(kernel)
    pads = _sizes(call, "pads", default=0, count=2 * count, least=0)
    holes = _sizes(call, "dilations", default=1, count=count, least=1)
    auto_pad = call.node.text("auto_pad", "NOTSET")
    if auto_pad not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise ValueError(f"its auto_pad is {auto_pad}")
    if auto_pad == "VALID":
        pads = (0,) * (2 * count)
    return _Window(
        kernel=kernel,
        strides=_sizes(call, "strides", default=1, count=count, least=1),
        span=tuple((size - 1) * hole + 1 for size, hole in zip(kernel, holes, strict=True)),
        pads=tuple(zip(pads[:count], pads[count:], strict=True)),
        auto_pad=auto_pad,
    )


def _sizes(call: Call, name: str, *, default: int, count: int, least: int) -> Shape:
    sizes = call.node.integers(name)
    if sizes is None:
        return (default,) * count
    if len(sizes) != count or min(sizes) < least:
        raise ValueError(f"its {name} are {sizes}")
    return sizes


def _slid(space: Shape, window: _Window, *, ceil: bool = False) -> Shape:
    """Return how often a window fits along each axis."""
    if ceil and window.auto_pad != "NOTSET":
        raise ValueError("its ceil_mode and auto_pad exclude each other")
    if window.auto_pad.startswith("SAME"):
        return tuple(-(-size // step) for size, step in zip(space, window.strides, strict=True))
    sizes = []
    for size, span, step, pads in zip(space, window.span, window.strides, window.pads, strict=True):
        room = size + sum(pads) - span
        count = (-(-room // step) if ceil else room // step) + 1
        if ceil and (count - 1) * step >= size + pads[0]:
            # Whether a window that starts behind the image counts differs between operator sets.
            raise ValueError("its last window lies in the padding")
        sizes.append(count if room >= 0 else 0)
    return _positive(sizes)


def _positive(sizes: Sequence[int]) -> Shape:
    if min(sizes) < 1:
        raise ValueError(f"nothing is left of an axis: {tuple(sizes)}")
    return tuple(sizes)
