"""ONNX files as graphs, refused where nothing can be quantised."""

from __future__ import annotations

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from cspine.errors import ModelError
from cspine_calibration.graph import Graph

_CONTROL_FLOW = frozenset({"If", "Loop", "Scan"})
# Q/DQ with an axis, which per-channel weights need, exist from here on.
_MIN_OPSET = 13


def read_graph(model: bytes) -> Graph:
    """Read a serialised ONNX model.

    Raises
    ------
    ModelError
        If the bytes are no ONNX model.
    """
    try:
        proto = onnx.load_model_from_string(model)
    except DecodeError as error:
        raise ModelError("not an ONNX model: the bytes cannot be parsed") from error
    if not proto.graph.node:
        raise ModelError("not an ONNX model: it has no operators")
    return Graph(proto)


def read_float_graph(model: bytes) -> Graph:
    """Read a serialised FP32 ONNX model that is to be quantised.

    Raises
    ------
    ModelError
        If the bytes are no ONNX model, or its opset is too old, or it has control flow, or it is
        quantised already.
    """
    graph = read_graph(model)
    opset = max(
        (s.version for s in graph.model.opset_import if s.domain in ("", "ai.onnx")), default=0
    )
    if opset < _MIN_OPSET:
        raise ModelError(
            f"model has opset {opset}, expected {_MIN_OPSET} or later; export it again"
        )
    operators = {node.op_type for node in graph.nodes}
    if branching := operators.intersection(_CONTROL_FLOW):
        raise ModelError(
            f"model has control flow ({', '.join(sorted(branching))}); export it without"
        )
    if "DequantizeLinear" in operators:
        raise ModelError("model is quantised already; give the FP32 model it was made from")
    return graph
