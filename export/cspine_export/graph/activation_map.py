"""The class activation map in the graph, so that no gradient is needed on a device.

Of a classifier that ends in global average pooling and one linear layer, Grad-CAM before its ReLU
is the sum of the pooled maps weighted by that layer, up to a constant (Selvaraju and others,
"Grad-CAM", ICCV 2017, section 3.1): a convolution of one pixel. It is added to the exported graph,
found there by its operators; the reference is found in PyTorch, by the calls that a network makes.
The two share nothing, so parity proves both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from cspine.errors import ModelError
from cspine_export.graph.interface import CAM

_SAME_VALUES = frozenset({"Reshape", "Flatten", "Squeeze", "Identity"})
_POOLS = (functional.adaptive_avg_pool2d, Tensor.mean, torch.mean, functional.avg_pool2d)
REMEDY = (
    "the classifier does not end in global average pooling and one linear layer, so its class "
    "activation map is no weighted sum; choose an architecture that does"
)


def add_map(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with an output ``cam`` (N, classes, rows, columns) beside its logits.

    Raises
    ------
    ModelError
        If the logits are not a linear layer of globally averaged maps.
    """
    mapped = onnx.ModelProto()
    mapped.CopyFrom(model)
    graph = mapped.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    producers = {name: node for node in graph.node for name in node.output}
    linear = producers[graph.output[0].name]
    if linear.op_type != "Gemm" or linear.input[1] not in constants or not _plain(linear):
        raise ModelError(REMEDY)
    pool = _before(linear.input[0], producers)
    if pool is None or not _averages_the_plane(pool):
        raise ModelError(REMEDY)
    weight = numpy_helper.to_array(constants[linear.input[1]])
    if not _attributes(linear).get("transB", 0):
        weight = weight.T
    name = f"{linear.input[1]}.{CAM}"
    graph.initializer.append(
        numpy_helper.from_array(np.ascontiguousarray(weight)[:, :, None, None], name)
    )
    graph.node.append(
        helper.make_node("Conv", [pool.input[0], name], [CAM], name=CAM, kernel_shape=[1, 1])
    )
    graph.output.append(helper.make_tensor_value_info(CAM, onnx.TensorProto.FLOAT, None))
    return onnx.shape_inference.infer_shapes(mapped, strict_mode=True, data_prop=True)


def with_map(network: nn.Module) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return a function of images (N, C, rows, columns) that gives logits and their map.

    Raises
    ------
    ModelError
        When it is called, if the network averages no map, or no linear layer follows.
    """

    def run(image: Tensor) -> tuple[Tensor, Tensor]:
        with _Watch() as watch:
            logits = network(image)
        if watch.pooled is None or watch.weight is None:
            raise ModelError(REMEDY)
        return logits, torch.einsum("nkhw,ck->nchw", watch.pooled, watch.weight)

    return run


class _Watch(TorchFunctionMode):
    """Keeps the last maps that were averaged, and the weight of the last linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.pooled: Tensor | None = None
        self.weight: Tensor | None = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in _POOLS and args[0].ndim == 4:
            self.pooled = args[0]
        elif func is functional.linear:
            self.weight = args[1]
        return func(*args, **(kwargs or {}))


def _before(name: str, producers: Mapping[str, onnx.NodeProto]) -> onnx.NodeProto | None:
    """Return the operator that made a tensor's values, whatever shape they got since."""
    node = producers.get(name)
    while node is not None and node.op_type in _SAME_VALUES:
        node = producers.get(node.input[0])
    return node


def _averages_the_plane(node: onnx.NodeProto) -> bool:
    if node.op_type == "GlobalAveragePool":
        return True
    axes = _attributes(node).get("axes", [])
    return node.op_type == "ReduceMean" and sorted(axes) in ([2, 3], [-2, -1])


def _plain(linear: onnx.NodeProto) -> bool:
    found = _attributes(linear)
    return found.get("alpha", 1.0) == 1.0 and not found.get("transA", 0)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}
