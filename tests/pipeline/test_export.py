"""Checkpoints in: safely, completely, or not at all."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file

from cspine.backends import Array, TensorSpec
from cspine.bundle import Bundle
from cspine.dicom.select import Study
from cspine.errors import ModelError, StudyError
from cspine.fields import Architecture
from cspine.files import sha256
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.spec import Classify, Framed, Screen, Segment
from cspine_export import parity
from cspine_export.architecture import build_network
from cspine_export.checkpoint import load_state, load_weights
from cspine_export.command import EXPORTERS as NAMED
from cspine_export.export import export
from cspine_export.graph.exporters import EXPORTERS
from cspine_export.graph.interface import Interface, Meaning
from cspine_export.stage_network import stage_network

PIPELINE = shipped_spec("xray-compression")


def test_parity_is_proven_on_real_inputs_and_on_noise(made: Bundle) -> None:
    for stage, meaning, outputs in (
        ("screen", "probabilities", ["logits"]),
        ("localise", "labels", ["logits"]),
        ("classify", "probabilities", ["logits", "cam"]),
    ):
        found = made.manifest.provenance[f"models/{stage}/fp32.onnx"]["parity"]
        assert [each["output"] for each in found] == outputs
        assert all(each["tensors"] == 4 for each in found)  # two studies, two batches of noise
        assert all(each["relative"] <= 1e-4 for each in found)
        assert [each["meaning"] for each in found] == [meaning, None][: len(found)]
        assert all(each["change"] <= 1e-4 for each in found)


def test_the_provenance_says_what_was_taken(made: Bundle, checkpoints: dict[str, Path]) -> None:
    for stage, path in checkpoints.items():
        facts = made.manifest.provenance[f"models/{stage}/fp32.onnx"]
        assert facts["checkpoint_sha256"] == sha256(path.read_bytes())
        assert facts["checkpoint"] == {
            "form": "safetensors", "taken": "", "beside": [], "prefix": "", "dropped": [],
        }  # fmt: skip


def test_graphs_are_valid_folded_and_batched(made: Bundle) -> None:
    for stage in ("screen", "localise", "classify"):
        model = onnx.load_from_string(made.model(stage))
        onnx.checker.check_model(model, full_check=True)
        assert [opset.version for opset in model.opset_import if not opset.domain] == [17]
        operators = {node.op_type for node in model.graph.node}
        assert not operators & {"BatchNormalization", "Identity", "Dropout"}
        for value in (*model.graph.input, *model.graph.output):
            assert value.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_disagreeing_graph_stops_the_export(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, checkpoints: dict[str, Path]
) -> None:
    monkeypatch.setattr(parity, "LARGEST_RELATIVE_ERROR", 0.0)
    with pytest.raises(ModelError, match=r"no exporter .* 'logits' disagrees with PyTorch by"):
        export(PIPELINE, checkpoints, studies=[], to=tmp_path / "b")
    assert not any(tmp_path.iterdir())


def test_a_graph_that_disagrees_on_a_study_stops_the_export(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, checkpoints: dict[str, Path]
) -> None:
    def apart(*arguments: Any, **named: Any) -> tuple[parity.Parity, ...]:
        return tuple(replace(each, change=0.25) for each in parity.compare(*arguments, **named))

    monkeypatch.setattr("cspine_export.export.compare", apart)
    message = r"'screen', output 'logits': .*, a probability by 0\.25; nothing was written"
    with pytest.raises(ModelError, match=message):
        export(PIPELINE, checkpoints, studies=[], to=tmp_path / "b", exporters=["torchscript"])
    assert not any(tmp_path.iterdir())


def test_a_pytorch_file_of_tensors_is_read_like_safetensors(
    tmp_path: Path, checkpoints: dict[str, Path]
) -> None:
    state = load_file(checkpoints["classify"])
    torch.save(state, tmp_path / "classify.pt")
    again = load_state(tmp_path / "classify.pt")
    assert state.keys() == again.keys()
    assert all(torch.equal(state[name], again[name]) for name in state)


class Bomb:
    """Would make a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    torch.save({"weight": Bomb(tmp_path / "boom")}, tmp_path / "bad.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Bomb(tmp_path / "boom")))
    with pytest.raises(ModelError, match="unpickling it could run code; save the weights alone"):
        load_state(tmp_path / "bad.pt")
    with pytest.raises(ModelError):
        load_state(tmp_path / "plain.pt")
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("content", [b"", b"junk" * 100])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.(safetensors|pt): "):
        load_state(path)


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.pt: cannot be read: No such file"):
        load_state(tmp_path / "none.pt")


def test_mismatches_are_named(tmp_path: Path, checkpoints: dict[str, Path]) -> None:
    classify = load_spec(PIPELINE).only(Classify)
    network = build_network(classify.architecture)
    state = load_file(checkpoints["classify"])
    with pytest.raises(ModelError, match=r"w: .*lacks 'fc\.bias' \(1 in all\)"):
        load_weights(network, {k: v for k, v in state.items() if k != "fc.bias"}, where="w")
    with pytest.raises(ModelError, match=r"holds 'optimizer', which the network has not"):
        load_weights(network, {**state, "optimizer": torch.zeros(1)}, where="w")
    with pytest.raises(
        ModelError, match=r"'fc\.bias' has shape \(2,\), the network expects \(1,\)"
    ):
        load_weights(network, {**state, "fc.bias": torch.zeros(2)}, where="w")
    with pytest.raises(ModelError, match=r"'fc\.bias' holds values that are not finite"):
        load_weights(network, {**state, "fc.bias": torch.tensor([float("nan")])}, where="w")


def test_stages_and_checkpoints_must_match(tmp_path: Path, checkpoints: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match=r"no network stage 'clasify'.*did you mean 'classify'"):
        export(PIPELINE, {"clasify": checkpoints["classify"]}, studies=[], to=tmp_path / "b")
    with pytest.raises(ModelError, match=r"'screen' .* has no checkpoint; add --checkpoint"):
        export(PIPELINE, {"classify": checkpoints["classify"]}, studies=[], to=tmp_path / "b")


@pytest.mark.parametrize(
    ("kind", "key", "count", "message"),
    [
        (Screen, "num_classes", 10, r"'screen': .* \(2, 10\), expected \(2, 15\) for its 15 signs"),
        (Segment, "out_channels", 10, r"'localise': .* \(2, 10, .*, expected \(2, 9, .* 9 labels"),
        (Segment, "deep_supervision", True, None),  # in evaluation it returns one map all the same
    ],
)
def test_a_network_has_one_channel_for_each_sign_and_label(
    kind: type[Framed], key: str, count: object, message: str | None
) -> None:
    stage: Framed = load_spec(PIPELINE).only(kind)
    architecture = Architecture(
        factory=stage.architecture.factory,
        arguments={**stage.architecture.arguments, key: count},
    )
    network = build_network(architecture)
    if message is None:
        assert stage_network(network, stage) is network
        return
    with pytest.raises(ModelError, match=message):
        stage_network(network, stage)


@pytest.mark.parametrize(
    ("factory", "arguments", "message"),
    [
        ("os:system", {"command": "true"}, "code of your own, .*: --allow-factory os:system; with"),
        ("monai.networks.nets:Nothing", {}, "has no network 'Nothing'"),
        ("monai.networks.nets:ResNt", {}, "did you mean 'ResNet'"),
        # It would fetch weights: a function, and no network.
        ("monai.networks.nets:get_pretrained_resnet_medicalnet", {}, "has no network"),
        ("monai.networks.nets:ResNet", {"depth": 3}, "refuses its arguments"),
    ],
)
def test_factories_are_trusted_by_name(
    factory: str, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        build_network(Architecture(factory=factory, arguments=arguments))


def test_half_precision_survives_the_round_trip(
    tmp_path: Path, checkpoints: dict[str, Path]
) -> None:
    state = {
        name: value.float() if value.is_floating_point() else value
        for name, value in load_file(checkpoints["classify"]).items()
    }
    save_file(state, tmp_path / "wide.safetensors")
    both = [
        export(
            PIPELINE,
            {**checkpoints, "classify": path},
            studies=[],
            to=tmp_path / name,
            exporters=["torchscript"],
        ).model("classify")
        for name, path in (("a", checkpoints["classify"]), ("b", tmp_path / "wide.safetensors"))
    ]
    assert both[0] == both[1]


def test_a_graph_that_gives_no_numbers_has_no_parity() -> None:
    class Broken:
        """A backend whose every output is NaN."""

        inputs = (TensorSpec("image", np.dtype(np.float32), (None, 1, 8, 8)),)

        def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
            return {"logits": np.full((len(feeds["image"]), 1), np.nan, np.float32)}

        def close(self) -> None: ...

    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 1)).eval()
    feeds = [{"image": np.ones((n, 1, 8, 8), np.float32)} for n in (1, 2)]
    interface = Interface("image", (1, 8, 8), ("logits",))
    reference = parity.reference_of(network, interface)
    (found,) = parity.compare(reference, Broken(), feeds, interface=interface)
    assert not found.holds


def test_a_refused_study_proves_no_parity(
    tmp_path: Path, checkpoints: dict[str, Path], studies: list[Study]
) -> None:
    with pytest.raises(StudyError, match=r"study 1 of 1 is refused \(WRONG_VIEW\)"):
        export(
            PIPELINE,
            checkpoints,
            studies=studies[2:3],
            to=tmp_path / "b",
            exporters=["torchscript"],
        )
    assert not any(tmp_path.iterdir())


def test_the_command_knows_every_exporter() -> None:
    assert tuple(EXPORTERS) == NAMED


def test_a_bundle_of_one_exporter_says_so(
    tmp_path: Path, checkpoints: dict[str, Path], made: Bundle
) -> None:
    newer = export(PIPELINE, checkpoints, studies=[], to=tmp_path / "b", exporters=["dynamo"])
    for stage in ("screen", "localise", "classify"):
        path = f"models/{stage}/fp32.onnx"
        assert newer.manifest.provenance[path]["exporter"] == "dynamo"
        both = made.manifest.provenance[path]["exporters"]["operators"]
        assert both.keys() == {"torchscript", "dynamo"}
        tools = made.manifest.provenance[path]["tools"]
        assert tools.keys() >= {"cspine", "monai", "numpy", "onnx", "onnxruntime", "torch"}


@pytest.mark.parametrize(
    ("relative", "meaning", "change", "holds"),
    [
        (1e-4, None, 0.0, True),
        (2e-4, None, 0.0, False),
        (1e-5, "labels", 1e-3, True),
        (1e-5, "labels", 2e-3, False),
        (1e-5, "probabilities", 1e-4, True),
        (1e-5, "probabilities", 1e-3, False),
        (float("nan"), None, 0.0, False),
    ],
)
def test_what_parity_allows(
    relative: float, meaning: Meaning | None, change: float, holds: bool
) -> None:
    assert parity.Parity("logits", 2, 1.0, relative, meaning, change).holds is holds


def test_a_graph_that_is_off_by_a_thousandth_is_found_out() -> None:
    class Off:
        """A backend that is wrong by a thousandth."""

        inputs = (TensorSpec("image", np.dtype(np.float32), (None, 1, 8, 8)),)

        def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
            with torch.inference_mode():
                return {"logits": network(torch.from_numpy(feeds["image"])).numpy() * 1.001}

        def close(self) -> None: ...

    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten()).eval()
    interface = Interface("image", (1, 8, 8), ("logits",))
    reference = parity.reference_of(network, interface)
    (found,) = parity.compare(reference, Off(), parity.random_feeds(interface), interface=interface)
    assert 5e-4 < found.relative < 2e-3
    assert not found.holds
