"""Published architectures, from every form of checkpoint, agree with their graphs."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from checkpoint_forms import FORMS
from cspine.backends import Backend, open_backend
from cspine.errors import ModelError
from cspine.fields import Architecture
from cspine.pipeline_file import shipped_spec
from cspine_export.architecture import build_network
from cspine_export.checkpoint import load_checkpoint
from cspine_export.graph.exported import Exported, to_onnx
from cspine_export.graph.interface import Interface
from cspine_export.parity import Parity, compare, random_feeds, reference_of
from cspine_export.published import PUBLISHED, Published
from cspine_int8.seeded import with_statistics

pytest.importorskip("timm")
pytest.importorskip("torchvision")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

CLASSIFIER = Interface("image", (1, 224, 224), ("logits",), map=True)
GIB = 1 << 30
# The peak of a command, from a process that is small itself: a child's begins with its parent's.
METER = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""


@dataclass
class Made:
    """A published network and its graph."""

    published: Published
    network: nn.Module
    exported: Exported
    backend: Backend

    def parity(self, network: nn.Module, *, seed: int) -> tuple[Parity, ...]:
        interface = self.published.interface
        return compare(
            reference_of(network, interface),
            self.backend,
            random_feeds(interface, seed=seed),
            interface=interface,
        )


@pytest.fixture(scope="module", params=PUBLISHED, ids=lambda each: each.name)
def made(request: pytest.FixtureRequest, figures: dict[str, dict[str, Any]]) -> Iterator[Made]:
    published: Published = request.param
    torch.manual_seed(11)
    network = with_statistics(build_network(published.architecture), published.interface)
    start = time.perf_counter()
    exported = to_onnx(network, published.interface)
    seconds = time.perf_counter() - start
    backend = open_backend("onnxruntime", exported.data)
    result = Made(published, network, exported, backend)
    parities = result.parity(network, seed=12)
    figures.setdefault("networks", {})[published.name] = {
        "factory": published.architecture.factory,
        "parameters": sum(each.numel() for each in network.parameters()),
        "shape": published.interface.shape,
        "exporter": exported.exporter,
        "operators": exported.operators,
        "failed": exported.failed,
        "seconds": round(seconds, 1),
        "megabytes": round(len(exported.data) / 1e6, 1),
        "relative": max(each.relative for each in parities),
        "change": max(each.change for each in parities),
        "forms": [],
    }
    yield result
    backend.close()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_every_published_network_agrees(
    made: Made, form: str, tmp_path: Path, figures: dict[str, dict[str, Any]]
) -> None:
    save, kind, _, _ = FORMS[form]
    save(made.network, made.published.interface.example(), tmp_path / "checkpoint")
    fresh = build_network(made.published.architecture).eval()
    assert load_checkpoint(fresh, tmp_path / "checkpoint", part=None).form == kind
    for parity in made.parity(fresh, seed=12):
        assert parity.holds, f"{parity.output}: {parity}"
    figures["networks"][made.published.name]["forms"].append(form)


def test_the_graph_is_one_that_every_target_reads(made: Made) -> None:
    model = onnx.load_from_string(made.exported.data)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 17)]
    known = {value.name for value in model.graph.value_info}
    known |= {value.name for value in model.graph.output}
    assert {name for node in model.graph.node for name in node.output} <= known
    weighted = {node.output[0] for node in model.graph.node if node.op_type == "Conv"}
    after_conv = [
        node for node in model.graph.node
        if node.op_type == "BatchNormalization" and node.input[0] in weighted
    ]  # fmt: skip
    assert not after_conv


@pytest.mark.parametrize(
    "factory",
    [
        "torchvision.models:resnet34",
        "torchvision.models:densenet121",
        "torchvision.models:efficientnet_b0",
    ],
)
def test_torchvision_s_classifiers_export(factory: str) -> None:
    torch.manual_seed(11)
    network = build_network(Architecture(factory=factory, arguments={"num_classes": 1}))
    colour = Interface("image", (3, 224, 224), ("logits",), map=True)
    exported = to_onnx(with_statistics(network, colour), colour)
    assert exported.operators[exported.exporter] == min(exported.operators.values())


@pytest.mark.parametrize(
    "factory", ["timm.models:convnext_tiny", "timm.models:mobilenetv3_large_100"]
)
def test_a_head_that_is_more_than_a_mean_is_refused_by_its_reason(factory: str) -> None:
    arguments = {"in_chans": 1, "num_classes": 1}
    network = build_network(Architecture(factory=factory, arguments=arguments)).eval()
    with pytest.raises(ModelError, match="does not end in global average pooling and one linear"):
        to_onnx(network, CLASSIFIER)
    plain = Interface("image", (1, 224, 224), ("logits",))
    assert to_onnx(network, plain).exporter


@pytest.mark.parametrize(
    ("factory", "arguments", "message"),
    [
        ("timm.models:load_checkpoint", {}, "timm.models has no network 'load_checkpoint'"),
        ("timm.models:resnet26e", {}, "did you mean 'resnet26'"),
        ("timm.models:resnet18", {"pretrained": True}, "pretrained = True asks for weights of oth"),
        ("torchvision.models:get_model", {}, "torchvision.models has no network 'get_model'"),
        ("torchvision.models:resnet18", {"weights": "DEFAULT"}, "asks for weights of others"),
        ("torchvision.models.detection:fasterrcnn_resnet50_fpn",
         {"weights_backbone": "DEFAULT"}, "asks for weights of others"),
    ],
)  # fmt: skip
def test_what_is_no_network_or_fetches_weights_is_refused(
    factory: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        build_network(Architecture(factory=factory, arguments=arguments))


def test_resnet_50_and_a_u_net_export_from_the_command_line(
    tmp_path: Path, figures: dict[str, dict[str, Any]]
) -> None:
    chosen = {each.name: each for each in PUBLISHED}
    stages = {"localise": chosen["U-Net, BatchNorm"], "classify": chosen["ResNet-50"]}
    text = shipped_spec("xray-compression").read_text()
    screen = text[text.index("[[stage]]") : text.index('[[stage]]\nid = "localise"')]
    text = text.replace(screen, "")
    arguments = []
    for name, published in stages.items():
        rows, columns = published.interface.shape[1:]
        body = text[text.index(f'id = "{name}"') :]
        body = body[: body.index("[[stage]]")]
        architecture = "[stage.architecture]\n" + "".join(
            [f'factory = "{published.architecture.factory}"\n\n[stage.architecture.arguments]\n']
            + [f"{key} = {_toml(value)}\n" for key, value in
               published.architecture.arguments.items()]
        )  # fmt: skip
        new = re.sub(r"size_px = \[.*?\]", f"size_px = [{rows}, {columns}]", body)
        new = new[: new.index("[stage.architecture]")] + architecture + "\n"
        text = text.replace(body, new)
        network = with_statistics(build_network(published.architecture), published.interface)
        torch.save({"model": network.state_dict()}, tmp_path / f"{name}.pt")
        arguments += ["--checkpoint", f"{name}={tmp_path / name}.pt"]
    (tmp_path / "large.toml").write_text(text)
    command = [
        str(Path(sys.executable).with_name("cspine")), "export", str(tmp_path / "large.toml"),
        *arguments, "-o", str(tmp_path / "large.cspine"),
    ]  # fmt: skip
    start = time.perf_counter()
    peak_file = tmp_path / "peak"
    done = subprocess.run(
        [sys.executable, "-c", METER, str(peak_file), *command], capture_output=True, text=True
    )
    seconds = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    assert "every graph agrees with PyTorch" in done.stdout + done.stderr
    peak = int(peak_file.read_text()) * 1024
    figures["export"] = {"ResNet-50 and U-Net": {
        "seconds": round(seconds, 1), "peak_gib": round(peak / GIB, 2),
    }}  # fmt: skip
    assert peak < 3 * GIB


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
