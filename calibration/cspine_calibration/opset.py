"""The operator set that FP16 scales need."""

from __future__ import annotations

from onnx import version_converter

from cspine.errors import ModelError
from cspine_calibration.graph import Graph

# QuantizeLinear and DequantizeLinear take FP16 from here on.
_HALF_SCALES = 19


def with_half_scales(graph: Graph) -> Graph:
    """Return a graph in an operator set whose quantisation knows FP16.

    Raises
    ------
    ModelError
        If ONNX cannot convert an operator.
    """
    (opset,) = (each.version for each in graph.model.opset_import if each.domain in ("", "ai.onnx"))
    if opset >= _HALF_SCALES:
        return graph
    try:
        return Graph(version_converter.convert_version(graph.model, _HALF_SCALES))
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"opset {opset} cannot be raised to {_HALF_SCALES}, which FP16 beside INT8 needs: "
            f"{error}; export with a later opset"
        ) from error
