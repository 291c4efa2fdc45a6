"""PyTorch's two exporters, behind one signature.

The older one traces TorchScript and still writes the operator set that the oldest TensorRT reads.
The newer one goes through ``torch.export``; its graphs are the cleaner ones where a network looks
at its own shapes, and it refuses networks that branch on their data.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from torch import nn

from cspine_export.graph.interface import BATCH, Interface
from cspine_export.graph.operator_set import OPSET

_DYNAMO_OPSET = 18  # the oldest that it writes


def torchscript(network: nn.Module, interface: Interface) -> onnx.ModelProto:
    """Export by tracing; BatchNorm is folded into the convolution before it."""
    names = [interface.input, *interface.outputs]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        torch.onnx.export(
            network,
            (interface.example(),),
            Path(folder) / "model.onnx",
            dynamo=False,
            opset_version=OPSET,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={name: {0: BATCH} for name in names},
            do_constant_folding=True,
        )
        return onnx.load(Path(folder) / "model.onnx")


def dynamo(network: nn.Module, interface: Interface) -> onnx.ModelProto:
    """Export by ``torch.export``, with the optimiser of onnxscript, which folds BatchNorm."""
    with _quiet():
        program = torch.onnx.export(
            network,
            (interface.example(),),
            dynamo=True,
            opset_version=_DYNAMO_OPSET,
            input_names=[interface.input],
            output_names=list(interface.outputs),
            dynamic_shapes=({0: torch.export.Dim(BATCH)},),
            external_data=False,
            optimize=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("it returned no program")
    return program.model_proto


# In order of preference where they do equally well.
EXPORTERS: dict[str, Callable[[nn.Module, Interface], onnx.ModelProto]] = {
    "torchscript": torchscript,
    "dynamo": dynamo,
}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep deprecations and tracer remarks from the user: the graph is proven, not trusted."""
    logging.disable(logging.WARNING)
    try:
        # Without no_grad a trace keeps every activation: a GiB for a U-Net.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
