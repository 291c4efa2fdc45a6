"""The layers of an engine as TensorRT prints them: which kernels read integers.

With DETAILED profiling verbosity the builder of TensorRT-RTX logs the list at the end of a build,
so that it can be had with no GPU; an engine inspector, which needs one, gives the same text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cspine.engines.convolutions import Convolution

# Kinds are a word of TensorRT's compiler (correlation, deconv, gemm), or name a kernel of its
# libraries (CaskConvolution, CaskDeconvolutionV2, CudnnConvolution, CaskGemmConvolution).
_CONVOLVES = re.compile("conv|correlation", re.I)
_MULTIPLIES = re.compile("gemm|matrix", re.I)
# Compiled as one: nothing is said of what is inside.
_OPAQUE = frozenset({"Myelin", "DLA"})
_LAYER = re.compile(
    r"^Name: (?P<name>.*?), LayerType: (?P<kind>[^,]+), Inputs: \[(?P<inputs>.*?)\], "
    r"Constants: \[(?P<constants>.*?)\], Outputs: \[(?P<outputs>.*?)\], TacticName: .*?"
    r"Metadata: ?(?P<metadata>.*)$",
    re.M,
)
_TENSOR = re.compile(
    r"\{ Name: (?P<name>.*?), Dimensions: \[(?P<shape>(?:-?\d+(?:,-?\d+)*)?)\].*?"
    r"Datatype: (?P<dtype>\w+)[^}]*\}"
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
        return bool(_CONVOLVES.search(self.kind))

    @property
    def weighted(self) -> bool:
        """Whether it multiplies data by weights: a convolution, or a matrix product."""
        return self.convolves or bool(_MULTIPLIES.search(self.kind))

    @property
    def opaque(self) -> bool:
        """Whether it is many operators of which TensorRT says no more, as what runs on a DLA."""
        return self.kind in _OPAQUE

    @property
    def integer(self) -> bool:
        """Whether both operands, the data and the weights, are INT8."""
        operands = (*self.inputs[:1], *self.constants[:1]) if self.constants else self.inputs[:2]
        return [each.dtype for each in operands] == ["Int8", "Int8"]


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
            origins=origins(found["metadata"]),
        )
        for message in messages
        for found in _LAYER.finditer(message)
    )


def left_in_float(asked: Iterable[Convolution], layers: Iterable[Layer]) -> tuple[Convolution, ...]:
    """Return the quantised convolutions that became no kernel with INT8 operands.

    Parameters
    ----------
    asked
        The convolutions of a file.
    layers
        The kernels that were built from it.
    """
    integer = {
        name for layer in layers if layer.weighted and layer.integer for name in layer.origins
    }
    return tuple(each for each in asked if each.quantized and each.name not in integer)


def origins(metadata: str) -> tuple[str, ...]:
    """Return the ONNX nodes that the metadata of a layer names."""
    return tuple(_ORIGIN.findall(metadata))


def _tensors(text: str) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            name=found["name"],
            dtype=found["dtype"],
            shape=tuple(int(size) for size in found["shape"].split(",") if size),
        )
        for found in _TENSOR.finditer(text)
    )
