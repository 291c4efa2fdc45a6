"""The layers of an engine as TensorRT prints them: which kernels read integers.

With DETAILED profiling verbosity the builder of TensorRT-RTX logs the list at the end of a build,
so that it can be had with no GPU; an engine inspector, which needs one, gives the same text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cspine.onnxfile import Node, OnnxFile

_CONVOLUTIONS = frozenset({"correlation", "deconv"})
_LAYER = re.compile(
    r"^Name: (?P<name>.*?), LayerType: (?P<kind>[^,]+), Inputs: \[(?P<inputs>.*?)\], "
    r"Constants: \[(?P<constants>.*?)\], Outputs: \[(?P<outputs>.*?)\], TacticName: .*?"
    r"Metadata: ?(?P<metadata>.*)$",
    re.M,
)
_TENSOR = re.compile(
    r"\{ Name: (?P<name>.*?), Dimensions: \[(?P<shape>[-\d,]*)\].*?Datatype: (?P<dtype>\w+)[^}]*\}"
)
_ORIGIN = re.compile(r"\[ONNX Layer: (.*?)\]")


@dataclass(frozen=True)
class Tensor:
    """What a layer reads or writes; ``dtype`` is TensorRT's word: Float, Half, Int8."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One kernel.

    Attributes
    ----------
    kind
        TensorRT's word: ``correlation`` is a convolution, ``deconv`` a transposed one.
    inputs, constants, outputs
        Tensors; weights that are known when the engine is built are constants.
    origins
        Names of the ONNX nodes that became this kernel.
    """

    name: str
    kind: str
    inputs: tuple[Tensor, ...]
    constants: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    origins: tuple[str, ...]

    @property
    def convolves(self) -> bool:
        """Whether it is a convolution, transposed ones included."""
        return self.kind in _CONVOLUTIONS

    @property
    def integer(self) -> bool:
        """Whether both operands, the data and the weights, are INT8."""
        return [each.dtype for each in (*self.inputs, *self.constants)[:2]] == ["Int8", "Int8"]


def read_layers(messages: Iterable[str]) -> tuple[Layer, ...]:
    """Return the layers that a builder's log lists, in the order of execution.

    Parameters
    ----------
    messages
        The log; all but the list is passed over. Empty if it holds none.
    """
    return tuple(
        Layer(
            name=found["name"],
            kind=found["kind"],
            inputs=_tensors(found["inputs"]),
            constants=_tensors(found["constants"]),
            outputs=_tensors(found["outputs"]),
            origins=tuple(_ORIGIN.findall(found["metadata"])),
        )
        for message in messages
        for found in _LAYER.finditer(message)
    )


def quantized_convolutions(model: OnnxFile) -> tuple[Node, ...]:
    """Return the convolutions, transposed ones included, that a file asks to run as integers."""
    dequantized = {
        name for node in model.nodes if node.op_type == "DequantizeLinear" for name in node.outputs
    }
    return tuple(
        node
        for node in model.nodes
        if node.op_type in {"Conv", "ConvTranspose"} and dequantized.issuperset(node.inputs[:2])
    )


def left_in_float(model: OnnxFile, layers: Iterable[Layer]) -> tuple[Node, ...]:
    """Return the quantised convolutions of a file that became no kernel with INT8 operands.

    Parameters
    ----------
    layers
        The kernels that were built from the file.
    """
    integer = {
        name for layer in layers if layer.convolves and layer.integer for name in layer.origins
    }
    return tuple(
        node
        for node in quantized_convolutions(model)
        # A node without a name is called by TensorRT's parser after what it writes.
        if (node.name or f"node_of_{node.outputs[0]}") not in integer
    )


def _tensors(text: str) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            name=found["name"],
            dtype=found["dtype"],
            shape=tuple(int(size) for size in found["shape"].split(",") if size),
        )
        for found in _TENSOR.finditer(text)
    )
