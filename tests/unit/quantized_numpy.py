"""A second opinion on emitted files: the few operators in them, in NumPy.

It knows nothing of the package. Sums are in float64; what an operator writes is rounded once, to
the type that the file says: FP32, FP16 or INT8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]
Attributes = Mapping[str, Any]


def run(
    model: bytes, feeds: Mapping[str, Array], *, instead: Mapping[str, Array] = {}
) -> dict[str, Array]:
    """Return every tensor of a model by name, inputs and constants included.

    Parameters
    ----------
    instead
        What operators are to read in place of what was computed, so that a difference between two
        implementations does not grow from one layer to the next.
    """
    graph = onnx.load_model_from_string(model).graph
    values: dict[str, Array] = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    values.update(feeds)
    for node in graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        inputs = [instead.get(name, values[name]) for name in node.input]
        values[node.output[0]] = _OPERATORS[node.op_type](inputs, attributes)
    return values


def _in_float64(function: Callable[..., Array]) -> Callable[[list[Array], Attributes], Array]:
    """Return an operator whose result has the type of its first operand."""

    def operator(inputs: list[Array], attributes: Attributes) -> Array:
        exact = function(*(each.astype(np.float64) for each in inputs), **attributes)
        return exact.astype(inputs[0].dtype)

    return operator


def _padded(x: Array, pads: list[int], value: float = 0.0) -> Array:
    top, left, bottom, right = pads
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def _windows(x: Array, kernel: tuple[int, ...], strides: list[int]) -> Array:
    return sliding_window_view(x, kernel, axis=(2, 3))[:, :, :: strides[0], :: strides[1]]


def _conv(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    pads: Any = (0, 0, 0, 0),
    strides: Any = (1, 1),
    group: int = 1,
    **_: Any,
) -> Array:
    windows = _windows(_padded(x, pads), w.shape[2:], strides)
    parts = zip(np.split(windows, group, 1), np.split(w, group, 0), strict=True)
    y = np.concatenate([np.einsum("nchwij,ocij->nohw", *part) for part in parts], 1)
    return y if b is None else y + b[:, None, None]


def _conv_transpose(
    x: Array, w: Array, b: Array | None = None, *, strides: Any = (1, 1), **_: Any
) -> Array:
    """Without padding and output padding."""
    count, _, rows, columns = x.shape
    high, wide = w.shape[2:]
    shape = (count, w.shape[1], (rows - 1) * strides[0] + high, (columns - 1) * strides[1] + wide)
    y = np.zeros(shape)
    for i in range(high):
        for j in range(wide):
            spread = np.einsum("nchw,co->nohw", x, w[:, :, i, j])
            y[
                :,
                :,
                i : i + (rows - 1) * strides[0] + 1 : strides[0],
                j : j + (columns - 1) * strides[1] + 1 : strides[1],
            ] += spread
    return y if b is None else y + b[:, None, None]


def _gemm(a: Array, b: Array, c: Array | None = None, *, transB: int = 0) -> Array:
    y = a @ (b.T if transB else b)
    return y if c is None else y + c


def _max_pool(x: Array, *, kernel_shape: Any, strides: Any = (1, 1), **_: Any) -> Array:
    return np.asarray(_windows(x, tuple(kernel_shape), strides).max(axis=(-2, -1)))


def _quantize(inputs: list[Array], attributes: Attributes) -> Array:
    x, scale, zero_point = inputs
    steps = np.rint(x.astype(np.float64) / scale.astype(np.float64)) + zero_point
    limits = np.iinfo(zero_point.dtype)
    return np.clip(steps, limits.min, limits.max).astype(zero_point.dtype)


def _dequantize(inputs: list[Array], attributes: Attributes) -> Array:
    steps, scale, zero_point = inputs
    if scale.ndim:
        shape = [-1 if axis == attributes["axis"] else 1 for axis in range(steps.ndim)]
        scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
    exact = (steps.astype(np.float64) - zero_point) * scale.astype(np.float64)
    return exact.astype(scale.dtype)


def _cast(inputs: list[Array], attributes: Attributes) -> Array:
    return inputs[0].astype(helper.tensor_dtype_to_np_dtype(attributes["to"]))


_OPERATORS: dict[str, Callable[[list[Array], Attributes], Array]] = {
    "Add": _in_float64(lambda a, b: a + b),
    "Mul": _in_float64(lambda a, b: a * b),
    "Relu": _in_float64(lambda x: np.maximum(x, 0)),
    "Sigmoid": _in_float64(lambda x: 1 / (1 + np.exp(-x))),
    "Conv": _in_float64(_conv),
    "ConvTranspose": _in_float64(_conv_transpose),
    "Gemm": _in_float64(_gemm),
    "MatMul": _in_float64(lambda a, b: a @ b),
    "Transpose": lambda inputs, attributes: inputs[0].transpose(attributes["perm"]),
    "MaxPool": _in_float64(_max_pool),
    "GlobalAveragePool": _in_float64(lambda x: x.mean(axis=(2, 3), keepdims=True)),
    "Flatten": lambda inputs, _: inputs[0].reshape(len(inputs[0]), -1),
    "Concat": lambda inputs, attributes: np.concatenate(inputs, attributes["axis"]),
    "Cast": _cast,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
}
