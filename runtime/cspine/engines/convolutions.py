"""The convolutions of a graph that an engine is built from: cost, and whether as integers."""

from __future__ import annotations

from dataclasses import dataclass

from cspine.complexity import weighted_flops
from cspine.errors import ModelError
from cspine.onnxfile import Node, OnnxFile

TRANSPOSED = "ConvTranspose"


@dataclass(frozen=True)
class Convolution:
    """One convolution of an ONNX file.

    Attributes
    ----------
    name
        As TensorRT's parser calls the node.
    operator
        ``Conv`` or ``ConvTranspose``.
    flops
        For one image, or for the batch that the file fixes, as :mod:`cspine.complexity` counts
        them; ``None`` where a shape of the graph is not understood.
    quantized
        Whether the file asks for integers: data and weights are both dequantised.
    """

    name: str
    operator: str
    flops: int | None
    quantized: bool


def convolutions(model: OnnxFile) -> tuple[Convolution, ...]:
    """Return the convolutions of a file, transposed ones included, in the graph's order."""
    dequantized = {
        name for node in model.nodes if node.op_type == "DequantizeLinear" for name in node.outputs
    }
    flops = _flops(model)
    return tuple(
        Convolution(
            # A node without a name is called by TensorRT's parser after what it writes.
            name=node.name or f"node_of_{node.outputs[0]}",
            operator=node.op_type,
            flops=flops.get(node.outputs[0]),
            quantized=dequantized.issuperset(node.inputs[:2]),
        )
        for node in model.nodes
        if _convolves(node)
    )


def _convolves(node: Node) -> bool:
    return node.op_type in {"Conv", TRANSPOSED}


def _flops(model: OnnxFile) -> dict[str, int]:
    """Return FLOPs by what a node writes, or nothing: the rest of a list needs no shapes."""
    try:
        return {node.outputs[0]: flops for node, flops in weighted_flops(model)}
    except ModelError:
        return {}
