"""QuantizeLinear and DequantizeLinear of a file, with their parameters where these are constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from cspine.onnxfile import Node
from cspine.onnxtensor import dtype_name

Array = npt.NDArray[Any]

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_DEFAULT_AXIS = 1
_UINT8 = 2  # TensorProto.DataType; what QuantizeLinear writes where nothing else is said


@dataclass(frozen=True)
class Linear:
    """One of the two operators.

    Attributes
    ----------
    node
        Its place in the graph.
    quantizes
        Whether it writes integers, not reads them.
    input, output
        Its tensors.
    scale, zero_point
        As stored; ``None`` where they are no constants of the file. A zero point that is left out
        is zero.
    integers
        Element type of the integer side; empty where the file does not say.
    axis
        The axis along which the scales run, where there are several; as stated, maybe negative.
    blocked
        Whether each scale is of a block along the axis.
    """

    node: int
    quantizes: bool
    input: str
    output: str
    scale: Array | None
    zero_point: Array | None
    integers: str
    axis: int
    blocked: bool

    @property
    def per_tensor(self) -> bool:
        """Whether one scale serves the whole tensor, as far as the file tells."""
        return self.scale is None or self.scale.size == 1

    @property
    def step(self) -> float | None:
        """The scale of the whole tensor, ``None`` where it is not known or there are several."""
        if self.scale is None or self.scale.size != 1:
            return None
        return float(self.scale.ravel()[0])

    @property
    def zero(self) -> int | None:
        """The zero point of the whole tensor, ``None`` where it is not known or they differ."""
        if self.zero_point is None or self.zero_point.dtype.kind not in "iu":
            return None
        if not self.zero_point.size:
            return None
        first = self.zero_point.ravel()[0]
        return int(first) if bool((self.zero_point == first).all()) else None


def read_linear(
    place: int, node: Node, *, scale: Array | None, zero_point: Array | None, integers: str
) -> Linear:
    """Read one of the two operators.

    Parameters
    ----------
    integers
        Element type of the zero point or, of DequantizeLinear, of a constant input; empty if the
        node has neither.

    Raises
    ------
    ValueError
        If an attribute is of another type than ONNX says.
    """
    quantizes = node.op_type == QUANTIZE
    written = dtype_name(node.integer("output_dtype", 0) or _UINT8)
    return Linear(
        node=place,
        quantizes=quantizes,
        input=node.inputs[0] if node.inputs else "",
        output=node.outputs[0] if node.outputs else "",
        scale=scale,
        zero_point=zero_point,
        integers=integers or (written if quantizes else ""),
        axis=node.integer("axis", _DEFAULT_AXIS),
        blocked=node.integer("block_size", 0) != 0,
    )


def said(zero: int | None) -> str:
    """Return what to call a zero point."""
    return "of several values" if zero is None else str(zero)
