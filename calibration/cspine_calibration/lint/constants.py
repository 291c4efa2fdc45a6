"""The constants of a file, whether stored or passed on by an Identity, with their values."""

from __future__ import annotations

import numpy as np
import onnx

from cspine.onnxfile import OnnxFile
from cspine.onnxtensor import Constant
from cspine_calibration.lint.linear import Array

# Element types of the constants whose values a rule looks at.
_NUMBERS = frozenset(
    "float16 float32 float64 int8 uint8 int16 uint16 int32 int64".split()
)  # fmt: skip


class Constants:
    """The constants of a file by the names under which they are read."""

    def __init__(self, file: OnnxFile) -> None:
        self._held = dict(file.constants)
        self._arrays: dict[str, Array | None] = {}
        for node in file.nodes:
            source = "".join(node.inputs[:1])
            if node.operator == "Identity" and node.outputs and source in self._held:
                self._held[node.outputs[0]] = self._held[source]

    def hold(self, tensor: str) -> bool:
        """Return whether a tensor is a constant."""
        return tensor in self._held

    def dtype(self, tensor: str) -> str:
        """Return the element type of a constant; empty if it is none."""
        return self._held[tensor].dtype if tensor in self._held else ""

    def shape(self, tensor: str) -> tuple[int, ...] | None:
        """Return the shape of a constant, ``None`` if it is none."""
        return self._held[tensor].shape if tensor in self._held else None

    def array(self, tensor: str) -> Array | None:
        """Return the values of a constant, ``None`` if the file does not hold them."""
        if tensor not in self._arrays:
            self._arrays[tensor] = _values(self._held.get(tensor))
        return self._arrays[tensor]


def _values(held: Constant | None) -> Array | None:
    if held is None or held.dtype not in _NUMBERS:
        return None
    try:
        tensor = onnx.TensorProto.FromString(bytes(held.data))
        return np.asarray(onnx.numpy_helper.to_array(tensor))
    except (ValueError, TypeError, OSError):  # it lies in another file
        return None
