"""Small quantised graphs, drawn operator by operator, so that each can be broken in one way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS = 16
SIDE = 8
STEP = 0.05  # of every activation, unless a case breaks it


class Drawing:
    """A graph from ``x``, FP32 of shape (N, 16, 8, 8), to what :meth:`model` is given.

    Every method returns the tensor it writes. ``form`` is the integer type of activations and the
    zero point that tensors with negative numbers have; rectified ones have the lowest integer, or 0
    if they are symmetric.
    """

    def __init__(
        self, integers: type[np.integer] = np.int8, zero: int = 0, *, seed: int = 0
    ) -> None:
        self.integers, self.zero = integers, zero
        self.rng = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.functions: list[onnx.FunctionProto] = []

    @property
    def rectified(self) -> int:
        """The zero point of a tensor without negative numbers."""
        symmetric = self.integers == np.int8 and self.zero == 0
        return 0 if symmetric else int(np.iinfo(self.integers).min)

    def node(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Draw an operator with one output."""
        output = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, inputs, [output], output, domain=domain, **attributes)
        )
        return output

    def constant(self, values: Any) -> str:
        """Draw a constant; its type is that of the values."""
        name = f"k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def stored(
        self,
        tensor: str,
        *,
        scale: Any = STEP,
        zero: int | None = None,
        integers: type[np.integer] | None = None,
        domain: str = "",
        dtype: type[np.floating] = np.float32,
        **attributes: Any,
    ) -> str:
        """Draw a pair behind an activation."""
        scale = np.asarray(scale, dtype)
        zeros = np.full(scale.shape, self.zero if zero is None else zero, integers or self.integers)
        parameters = self.constant(scale), self.constant(zeros)
        integer = self.node("QuantizeLinear", tensor, *parameters, domain=domain, **attributes)
        return self.node("DequantizeLinear", integer, *parameters, domain=domain, **attributes)

    def weights(
        self,
        shape: Sequence[int] = (CHANNELS, CHANNELS, 3, 3),
        *,
        axis: int = 0,
        limit: int = 64,
        integers: type[np.integer] = np.int8,
        zero: int = 0,
        scale: Any = None,
        dtype: type[np.floating] = np.float32,
        values: Any = None,
    ) -> str:
        """Draw integer weights and what dequantises them, one scale a channel along ``axis``."""
        if values is None:
            values = self.rng.integers(-limit, limit + 1, shape) + zero
        if scale is None:
            scale = self.rng.uniform(0.5, 1.5, values.shape[axis]) / (64 * np.sqrt(values[0].size))
        scale = np.asarray(scale, dtype)
        zeros = np.full(scale.shape, zero, integers)
        parameters = self.constant(scale), self.constant(zeros)
        integer = self.constant(np.asarray(values, integers))
        return self.node("DequantizeLinear", integer, *parameters, axis=axis)

    def bias(self, count: int = CHANNELS) -> str:
        """Draw an FP32 bias."""
        return self.constant(self.rng.normal(size=count).astype(np.float32) / 4)

    def conv(self, tensor: str, weights: str | None = None, bias: str | None = None) -> str:
        """Draw a 3 x 3 convolution that keeps the size."""
        inputs = (tensor, weights or self.weights(), self.bias() if bias is None else bias)
        return self.node("Conv", *filter(None, inputs), pads=[1, 1, 1, 1])

    def head(self, tensor: str) -> str:
        """Draw a float 1 x 1 convolution to two channels."""
        weights = self.rng.normal(size=(2, CHANNELS, 1, 1)).astype(np.float32)
        return self.node("Conv", tensor, self.constant(weights))

    def model(
        self, output: str, *, batch: int | str = "n", dtype: int = TensorProto.FLOAT
    ) -> bytes:
        """Return the serialised model; ``x`` is all it is fed."""
        shape = [batch, CHANNELS, SIDE, SIDE]
        graph = helper.make_graph(
            self.nodes,
            "drawing",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_empty_tensor_value_info(output)],
            self.constants,
        )
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        return bytes(onnx.shape_inference.infer_shapes(made).SerializeToString())


def images(count: int = 2, seed: int = 3) -> dict[str, Any]:
    """Return what a drawing is fed; numbers reach beyond what 8 bits of STEP can say."""
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(scale=2.0, size=(count, CHANNELS, SIDE, SIDE)).astype(np.float32)}
