"""What onnxruntime really runs as integers.

A file full of Q/DQ promises nothing: the runtime fuses a pattern into an integer kernel or computes
it in float with conversions on top. This reads the answer from the graph it has optimised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import onnxruntime as ort

from cspine.errors import BackendError
from cspine.onnxfile import read_onnx

_FLOAT_KERNELS = frozenset(
    {"Conv", "ConvTranspose", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"}
)
_INTEGER_KERNELS = ("QLinear", "QGemm", "MatMulInteger")


@dataclass(frozen=True)
class Fusion:
    """Kernels in an optimised graph.

    Attributes
    ----------
    integer
        How many integer kernels of each operator: ``QLinearConv``, ``QLinearAdd``, ``QGemm``,
        ``MatMulIntegerToFloat``...
    floating
        (operator, name) of each weighted operator that is still computed in float.
    conversions
        QuantizeLinear and DequantizeLinear that are left, each a pass over a tensor.
    """

    integer: Mapping[str, int]
    floating: tuple[tuple[str, str], ...]
    conversions: int

    @property
    def float_convolutions(self) -> tuple[str, ...]:
        """Names of the convolutions still computed in float, transposed ones not counted."""
        return tuple(name for operator, name in self.floating if operator in {"Conv", "FusedConv"})


def integer_kernels(model: bytes) -> Fusion:
    """Return what onnxruntime makes of a model on this machine's CPU.

    Parameters
    ----------
    model
        A serialised ONNX model.

    Raises
    ------
    BackendError
        If onnxruntime cannot load the model.
    """
    options = ort.SessionOptions()
    # One level below the highest: that one only changes layouts, and renames what it touches.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 4
    with TemporaryDirectory() as folder:
        path = Path(folder, "optimized.onnx")
        options.optimized_model_filepath = str(path)
        try:
            ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own classes are not public
            raise BackendError(f"onnxruntime cannot load the model: {error}") from error
        nodes = read_onnx(path.read_bytes(), where="what onnxruntime made of the model").nodes
    operators = Counter(node.op_type for node in nodes)
    return Fusion(
        integer={
            operator: count
            for operator, count in sorted(operators.items())
            if operator.startswith(_INTEGER_KERNELS)
        },
        floating=tuple(
            (node.op_type, node.name or node.outputs[0])
            for node in nodes
            if node.op_type in _FLOAT_KERNELS
        ),
        conversions=operators["QuantizeLinear"] + operators["DequantizeLinear"],
    )
