"""The layers of an engine: what each reads and writes, in which precision, from which nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cspine.engines.convolutions import Convolution

# A kind is a word of TensorRT's compiler (correlation, deconv, gemm) or names a kernel of its
# libraries (CaskConvolution, CaskDeconvolutionV2, CudaDepthwiseConvolution, CaskGemmConvolution).
_CONVOLVES = re.compile("conv(?!ert)|correlation", re.I)
_MULTIPLIES = re.compile("gemm|matrix", re.I)
# Many operators in one, of which nothing more is said.
_OPAQUE = frozenset({"DLA", "Myelin"})
# The compiler names a kernel for its steps; these move a tensor, or change its type or shape.
_MOVES = re.compile(r"__myl_(Cast|Move|Res|Resh|Tran)+_")
_PROFILE = re.compile(r"\[profile (\d{1,4})\]$")


@dataclass(frozen=True)
class Tensor:
    """What a layer reads or writes.

    ``dtype`` is TensorRT's word: Float, Half, Int8; empty where it does not say, as up to TensorRT
    10 where shapes are dynamic.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One kernel.

    Attributes
    ----------
    kind
        TensorRT's word: ``correlation`` and ``CaskConvolution`` are convolutions, ``deconv`` is a
        transposed one.
    inputs, constants, outputs
        Tensors; weights that are known when the engine is built are constants, the first of them.
        The compiler of TensorRT 10 lists them among the inputs instead.
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
    def reformats(self) -> bool:
        """Whether all it does is to lay out or convert a tensor for others."""
        return self.kind == "Reformat" or bool(_MOVES.match(self.name))

    @property
    def operands(self) -> tuple[Tensor, ...]:
        """The data and the weights that it multiplies, as far as they are told."""
        return self.inputs[:1] + self.constants[:1] if self.constants else self.inputs[:2]

    @property
    def told(self) -> bool:
        """Whether TensorRT says of what type the operands are."""
        return all(each.dtype for each in self.operands)

    @property
    def integer(self) -> bool:
        """Whether both operands are INT8."""
        return [each.dtype for each in self.operands] == ["Int8", "Int8"]


def of_last_profile(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the layers of an engine's last optimisation profile.

    TensorRT lists those of one profile after those of the other, and marks the tensors and layers
    of all but the first with its number.
    """
    marks = []
    for layer in layers:
        found = (_PROFILE.search(each.name) for each in layer.inputs)
        marks.append(max((int(each[1]) for each in found if each), default=0))
    last = max(marks, default=0)
    return tuple(layers[marks.index(last) :]) if last else tuple(layers)


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
