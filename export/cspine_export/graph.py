"""A network as an FP32 ONNX graph with fixed names and a dynamic batch.

Input ``image`` (N, 1, rows, columns); output ``logits``, for a screen one a sign, and for a
classifier also ``cam``: the class activation map, so that no gradient is needed on a device.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

from cspine.errors import ModelError, missing_extra
from cspine.spec import Classify, Framed, Network, Screen

try:
    import torch
    from torch import nn
except ImportError as error:
    raise ModelError(missing_extra("torch", "export")) from error

# The newest operator set that TensorRT 8.6, the oldest on a Jetson we serve, reads.
OPSET = 17


class WithActivationMap(nn.Module):
    """A classifier that also returns the weighted sum of its last feature maps.

    Parameters
    ----------
    network
        Ends in global average pooling and one linear layer with one output.

    Raises
    ------
    ModelError
        If it does not end so: for such a network Grad-CAM is no weighted sum.
    """

    def __init__(self, network: nn.Module, example: torch.Tensor) -> None:
        super().__init__()
        self.network = network
        modules = list(network.modules())
        pools = [module for module in modules if isinstance(module, nn.AdaptiveAvgPool2d)]
        linears = [module for module in modules if isinstance(module, nn.Linear)]
        if not pools or not linears or linears[-1].out_features != 1:
            raise ModelError("the classifier does not end in average pooling and one linear unit")
        self._features = example
        pools[-1].register_forward_pre_hook(self._keep)
        self.head = nn.Conv2d(linears[-1].in_features, 1, 1, bias=False)
        self.head.weight = nn.Parameter(linears[-1].weight.detach()[:, :, None, None].clone())
        with torch.inference_mode():
            logits, cam = self(example)
            pooled = cam.mean((2, 3)) + linears[-1].bias
        if not torch.allclose(pooled, logits, rtol=1e-3, atol=1e-4):
            raise ModelError("the classifier's logit is not the mean of its class activation map")

    def _keep(self, _: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        self._features = inputs[0]

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (N, 1) and map (N, 1, rows, columns)."""
        logits = self.network(image)
        return logits, self.head(self._features)


def wrap(network: nn.Module, stage: Network) -> nn.Module:
    """Return the network with the outputs that its kind of stage has, in evaluation mode.

    Raises
    ------
    ModelError
        If it has others: a sign or a label would be without its channel, or read from another's.
    """
    network = network.eval()
    if isinstance(stage, Classify):
        return WithActivationMap(network, _example(stage)).eval()
    _check_channels(network, stage)
    return network


def output_names(stage: Network) -> list[str]:
    """Return the names of the outputs in order."""
    return ["logits", "cam"] if isinstance(stage, Classify) else ["logits"]


def to_onnx(network: nn.Module, stage: Network) -> bytes:
    """Export a wrapped network; BatchNorm is folded into the convolution before it.

    PyTorch's TorchScript-based exporter is used: it still writes the operator set that the oldest
    TensorRT reads, and the speed of its graphs on ONNX Runtime equals that of the newer one.
    """
    names = ["image", *output_names(stage)]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations of the exporter, and tracer remarks
        torch.onnx.export(
            network,
            (_example(stage),),
            Path(folder) / "model.onnx",
            dynamo=False,
            opset_version=OPSET,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={name: {0: "batch"} for name in names},
            do_constant_folding=True,
        )
        return Path(folder, "model.onnx").read_bytes()


def _check_channels(network: nn.Module, stage: Framed) -> None:
    example = _example(stage)
    wanted: tuple[int, ...]
    if isinstance(stage, Screen):
        what, wanted = "signs", (len(example), len(stage.sign))
    else:
        what, wanted = "labels", (len(example), len(stage.labels), *stage.size_px)
    with torch.inference_mode():
        logits = network(example)
    shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if shape != wanted:
        raise ModelError(
            f"stage {stage.id!r}: the network returns {shape}, expected {wanted} for its "
            f"{wanted[1]} {what}; mend [stage.architecture] or the {what}"
        )


def _example(stage: Network) -> torch.Tensor:
    rows, columns = stage.size_px
    generator = torch.Generator().manual_seed(0)
    # Two of them, so that a batch of one is not taken for a constant.
    return torch.rand((2, 1, rows, columns), generator=generator)
