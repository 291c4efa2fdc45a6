"""Every form of checkpoint, with every kind of architecture, becomes a graph that agrees, or not.

The published sizes stand in ``tests/zoo``; these are small ones of the same making.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from checkpoint_forms import FORMS
from cspine.backends import Backend, open_backend
from cspine.errors import ModelError
from cspine.fields import Architecture
from cspine_export.architecture import build_network, source_of
from cspine_export.checkpoint import load_checkpoint
from cspine_export.graph.exported import Exported, to_onnx
from cspine_export.graph.interface import Interface
from cspine_export.parity import compare, random_feeds, reference_of
from cspine_int8.seeded import with_statistics

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")

NETS = "monai.networks.nets"
CLASSIFIER = Interface("image", (1, 32, 32), ("logits",), meaning="probabilities", map=True)
MASKS = Interface("image", (1, 32, 32), ("logits",), meaning="labels")
PLANE = {"spatial_dims": 2, "in_channels": 1}
OWN = '''
"""A network of the user's own."""

import torch
from torch import nn


class Gated(nn.Module):
    """Looks at its own shapes and multiplies two branches."""

    def __init__(self, width=4):
        super().__init__()
        self.value, self.gate = nn.Conv2d(1, width, 3), nn.Conv2d(1, width, 3)
        self.norm, self.head = nn.BatchNorm2d(width), nn.Linear(width, 2)

    def forward(self, image):
        maps = torch.relu(self.norm(self.value(image))) * torch.sigmoid(self.gate(image))
        return self.head(maps.mean((2, 3)).view(image.shape[0], -1))


def gated(width=4):
    return Gated(width)


def branching():
    class Branching(nn.Module):
        def forward(self, image):
            return image if image.mean() > 0.4 else -image

    return Branching()
'''

ARCHITECTURES: dict[str, tuple[str, dict[str, Any], Interface]] = {
    "ResNet": (
        f"{NETS}:ResNet",
        {
            "block": "bottleneck", "layers": [1, 1, 1, 1], "block_inplanes": [4, 8, 8, 8],
            "spatial_dims": 2, "n_input_channels": 1, "num_classes": 3,
        },
        CLASSIFIER,
    ),
    "EfficientNet": (
        f"{NETS}:EfficientNetBN",
        {"model_name": "efficientnet-b0", "num_classes": 1, **PLANE},
        replace(CLASSIFIER, shape=(1, 64, 64)),
    ),
    "DenseNet": (
        f"{NETS}:DenseNet",
        {"init_features": 8, "growth_rate": 4, "block_config": [2, 2], "out_channels": 2, **PLANE},
        CLASSIFIER,
    ),
    "U-Net, BatchNorm": (
        f"{NETS}:DynUNet",
        {
            "out_channels": 3, "kernel_size": [3, 3, 3], "strides": [1, 2, 2],
            "upsample_kernel_size": [2, 2], "filters": [4, 8, 8], "norm_name": "batch", **PLANE,
        },
        MASKS,
    ),
    "U-Net, InstanceNorm": (
        f"{NETS}:UNet",
        {"out_channels": 3, "channels": [4, 8, 8], "strides": [2, 2], "num_res_units": 1, **PLANE},
        MASKS,
    ),
    "one's own": ("gated_nets:gated", {"width": 6}, CLASSIFIER),
}  # fmt: skip


@dataclass
class Small:
    """A network with statistics of BatchNorm as training leaves them, and its graph."""

    architecture: Architecture
    network: nn.Module
    interface: Interface
    exported: Exported
    backend: Backend


@pytest.fixture(scope="module", autouse=True)
def own_code(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("code")
    (folder / "gated_nets.py").write_text(OWN)
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # more only wait for each other on tensors as small as these
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def small(request: pytest.FixtureRequest) -> Iterator[Small]:
    factory, arguments, interface = ARCHITECTURES[request.param]
    architecture = Architecture(factory=factory, arguments=arguments)
    torch.manual_seed(7)
    network = build_network(architecture, allowed=["gated_nets:gated"])
    with_statistics(network, interface)
    exported = to_onnx(network, interface)
    backend = open_backend("onnxruntime", exported.data)
    yield Small(architecture, network, interface, exported, backend)
    backend.close()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_every_architecture_agrees_with_its_graph(
    small: Small, form: str, tmp_path: Path
) -> None:
    save, kind, _, _ = FORMS[form]
    example = small.interface.example()
    save(small.network, example, tmp_path / "checkpoint")
    fresh = build_network(small.architecture, allowed=["gated_nets:gated"]).eval()
    assert load_checkpoint(fresh, tmp_path / "checkpoint", part=None).form == kind
    found = compare(
        reference_of(fresh, small.interface),
        small.backend,
        random_feeds(small.interface, seed=9),
        interface=small.interface,
    )
    assert [each.output for each in found] == list(small.interface.all_outputs)
    assert all(each.relative <= 1e-4 and each.change <= 1e-4 for each in found)


def test_graphs_have_one_form_whoever_wrote_them(small: Small) -> None:
    for exporter in small.exported.operators:
        data = to_onnx(small.network, small.interface, exporters=[exporter]).data
        if exporter == small.exported.exporter:
            assert data == small.exported.data  # the same network, the same bytes
        model = onnx.load_from_string(data)
        onnx.checker.check_model(model, full_check=True)
        assert [(each.domain, each.version) for each in model.opset_import] == [("", 17)]
        assert [value.name for value in model.graph.input] == ["image"]
        assert [value.name for value in model.graph.output] == list(small.interface.all_outputs)
        tensors = {name for node in model.graph.node for name in node.output}
        values = {
            value.name: [each.dim_param or each.dim_value for each in
                         value.type.tensor_type.shape.dim]
            for value in (*model.graph.value_info, *model.graph.output)
        }  # fmt: skip
        assert values.keys() == tensors
        assert all(isinstance(size, int) for shape in values.values() for size in shape[1:])
        assert all(values[name][0] == "batch" for name in small.interface.all_outputs)
        assert b"/" not in b"".join(each.value.encode() for each in model.metadata_props)
        assert str(Path.home()).encode() not in data


def test_the_graph_with_fewer_operators_is_taken(small: Small) -> None:
    best = small.exported.operators[small.exported.exporter]
    assert best == min(small.exported.operators.values())
    assert best == len(onnx.load_from_string(small.exported.data).graph.node)


@pytest.mark.parametrize(
    ("factory", "arguments", "message"),
    [
        ("gated_nets:gated", {"depth": 2}, "refuses its arguments: .*'depth'"),
        ("gated_nets:gate", {}, "gated_nets has no network 'gate'"),
        ("nowhere.nets:gated", {}, "nowhere.nets cannot be imported .* PYTHONPATH"),
        ("gated_nets:OWN", {}, "gated_nets has no network 'OWN'"),
        ("torch:relu", {"input": None}, "refuses its arguments"),
        ("builtins:dict", {}, "made no network"),
        (f"{NETS}:EfficientNetBN", {"model_name": "efficientnet-b0", "pretrained": True},
         "asks for weights of others; leave it out"),
    ],
)  # fmt: skip
def test_a_factory_that_makes_no_network_is_refused(
    factory: str, arguments: dict[str, Any], message: str
) -> None:
    architecture = Architecture(factory=factory, arguments=arguments)
    with pytest.raises(ModelError, match=message):
        build_network(architecture, allowed=[factory])


def test_code_of_one_s_own_runs_only_where_it_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        for allowed in ([], ["planted:other"]):
            with pytest.raises(ModelError, match="--allow-factory planted:make; without being"):
                build_network(Architecture(factory="planted:make"), allowed=allowed)
    assert not (tmp_path / "ran").exists()


def test_the_provenance_of_code_of_one_s_own_is_its_digest() -> None:
    found = source_of(Architecture(factory="gated_nets:gated"))
    assert found.keys() == {"sha256"}
    assert source_of(Architecture(factory=f"{NETS}:UNet")).keys() == {"monai"}


def test_what_no_exporter_can_write_is_refused_with_both_reasons() -> None:
    network = build_network(
        Architecture(factory="gated_nets:branching"), allowed=["gated_nets:branching"]
    )
    with pytest.raises(ModelError, match=r"torchscript: .*; dynamo: "):
        to_onnx(network.eval(), MASKS)


def test_a_library_that_does_not_fit_torch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> ModuleType:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr("cspine_export.architecture.importlib.import_module", broken)
    with pytest.raises(ModelError, match=r"does not fit this PyTorch .*together, from one index"):
        build_network(Architecture(factory="torchvision.models:resnet18"))
    with pytest.raises(RuntimeError):
        build_network(Architecture(factory="own.nets:one"), allowed=["own.nets:one"])
