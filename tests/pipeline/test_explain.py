"""The map in the graph is Grad-CAM, in every precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from cspine.backends import Array, open_backend
from cspine.backends.recorder import Recorder
from cspine.bundle import Bundle
from cspine.device import this_device
from cspine.dicom.select import Study
from cspine.errors import ModelError
from cspine.pipeline import Pipeline
from cspine.precision import fp32, lower
from cspine.session import Session
from cspine.spec import Classify
from cspine.stages.explain import activation_maps
from cspine_export.architecture import build_network
from cspine_export.checkpoint import load_state, load_weights
from cspine_export.graph.exported import to_onnx
from cspine_export.graph.interface import Interface


def grad_cam(network: torch.nn.Module, images: torch.Tensor) -> npt.NDArray[np.float32]:
    """Grad-CAM by autograd, as its paper defines it, on the input of the last average pooling."""
    kept: list[torch.Tensor] = []
    pools = [m for m in network.modules() if isinstance(m, torch.nn.AdaptiveAvgPool2d)]
    handle = pools[-1].register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    logits = network(images)
    handle.remove()
    (features,) = kept
    (gradient,) = torch.autograd.grad(logits.sum(), features)
    weights = gradient.mean((2, 3), keepdim=True)
    maps = torch.relu((weights * features).sum(1))
    return np.asarray(maps.detach().numpy(), np.float32)


@pytest.fixture(scope="module")
def crops(made: Bundle, studies: list[Study]) -> Array:
    """What the classifier sees of two studies."""
    recorder = Recorder(open_backend("onnxruntime", made.model("classify")))
    sessions = {
        stage: Session(stage, open_backend("onnxruntime", made.model(stage)))
        for stage in ("screen", "localise")
    }
    opened = Pipeline.open(made, fp32("onnxruntime"))
    pipeline = Pipeline(
        made.spec,
        sessions={**sessions, "classify": Session("classify", recorder)},
        identity=opened.identity,
    )
    for study in studies[:2]:
        pipeline.run(study)
    return np.concatenate([feeds["image"] for feeds in recorder.feeds])


@pytest.mark.parametrize(
    ("backend", "precision", "least"),
    [
        ("onnxruntime", "fp32", 0.9999),
        ("openvino", "fp32", 0.9999),
        ("onnxruntime", "int8", 0.98),
        ("openvino", "int8", 0.98),
    ],
)
def test_the_map_is_grad_cam(
    made: Bundle,
    crops: Array,
    checkpoints: dict[str, Path],
    backend: str,
    precision: str,
    least: float,
) -> None:
    stage: Classify = made.spec.only(Classify)
    network = build_network(stage.architecture).eval()
    load_weights(network, load_state(checkpoints["classify"]), where="classify")
    reference = grad_cam(network, torch.from_numpy(crops))

    target = lower(backend, this_device(), "int8").target if precision == "int8" else None
    outputs = open_backend(backend, made.model("classify", target=target)).run({"image": crops})
    maps = activation_maps(outputs)

    assert maps.shape == reference.shape
    # Equal up to the constant that spreading a gradient over a map leaves: rows * columns.
    rows, columns = maps.shape[1:]
    agreement = np.corrcoef(maps.ravel(), reference.ravel())[0, 1]
    assert agreement >= least
    if precision == "fp32":
        np.testing.assert_allclose(maps, reference * rows * columns, rtol=1e-2, atol=2e-2)


def test_the_logit_is_the_mean_of_the_map_and_a_constant(made: Bundle, crops: Array) -> None:
    outputs = open_backend("onnxruntime", made.model("classify")).run({"image": crops})
    bias = outputs["logits"][:, 0] - outputs["cam"].mean((1, 2, 3))
    np.testing.assert_allclose(bias, bias[0], atol=1e-3)


def test_a_network_without_such_an_end_is_refused() -> None:
    class Odd(torch.nn.Module):
        """Puts an activation between pooling and the linear layer."""

        def __init__(self) -> None:
            super().__init__()
            self.pool = torch.nn.AdaptiveAvgPool2d(1)
            self.linear = torch.nn.Linear(1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            pooled = torch.sin(7 * self.pool(x)).flatten(1)
            return torch.as_tensor(self.linear(pooled))

    interface = Interface("image", (1, 8, 8), ("logits",), map=True)
    for network in (Odd(), torch.nn.Conv2d(1, 1, 1)):
        with pytest.raises(ModelError, match="does not end in global average pooling and one line"):
            to_onnx(network.eval(), interface, exporters=["torchscript"])
