"""Every form of checkpoint gives a network the weights that it was saved with."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from checkpoint_forms import FORMS, to_folder, zipped
from cspine.errors import ModelError
from cspine.pipeline_file import load_spec, shipped_spec
from cspine_export.architecture import build_network
from cspine_export.checkpoint import Origin, load_checkpoint, load_state, load_weights

# PyTorch's own writers of TorchScript say that it is on its way out; files of it are not.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """More threads only wait for each other on tensors as small as these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


ASSETS = Path(__file__).parents[2] / "assets" / "xray-compression"
SHIPPED = {stage.id: stage for stage in load_spec(shipped_spec("xray-compression")).networks}


class Tiny(nn.Module):
    """What the shipped networks have not: tied weights, and buffers saved and not."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 2)
        self.tied = self.head
        self.register_buffer("mask", torch.full((2,), 3.0), persistent=False)
        self.register_buffer("scale", torch.randn(2))

    def forward(self, image):  # what jit.script takes a tensor for
        return self.head(self.body(image).mean((2, 3))) * self.scale + self.mask


def fresh(name: str) -> nn.Module:
    network = Tiny() if name == "tiny" else build_network(SHIPPED[name].architecture)
    return network.eval()


def trained(name: str) -> nn.Module:
    network = fresh(name)
    if name == "tiny":
        network(torch.randn(1, 1, 8, 8))
    else:
        load_weights(network, load_file(ASSETS / f"{name}.safetensors"), where=name)
    return network


def example_of(name: str) -> Tensor:
    return torch.zeros((1, 1, 8, 8) if name == "tiny" else (1, 1, 64, 64))


def check(network: nn.Module, name: str, path: Path, part: str | None = None) -> Origin:
    """Load a file into a fresh network and hold it against the one that was saved."""
    loaded = fresh(name)
    origin = load_checkpoint(loaded, path, part=part)
    state = loaded.state_dict()
    for key, value in network.state_dict().items():
        assert torch.equal(state[key], value), key
    return origin


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *product(["tiny", "screen"], FORMS),
        *product(["localise", "classify"], ["training", "Lightning", "safetensors", "traced"]),
    ],
)
def test_every_form_gives_back_the_weights(name: str, form: str, tmp_path: Path) -> None:
    network = trained(name)
    save, kind, taken, prefix = FORMS[form]
    save(network, example_of(name), tmp_path / "checkpoint")  # without a suffix: the content tells
    origin = check(network, name, tmp_path / "checkpoint")
    assert (origin.form, origin.taken, origin.prefix) == (kind, taken, prefix)
    assert origin.dropped == (("n_averaged",) if form == "AveragedModel" else ())


def test_a_scripted_module_gives_its_weights(tmp_path: Path) -> None:
    network = trained("tiny")
    torch.jit.script(network).save(tmp_path / "x.pt")
    assert check(network, "tiny", tmp_path / "x.pt").form == "torchscript"


def test_half_precision_is_widened_and_read_as_written(tmp_path: Path) -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        state = {"a": torch.randn(3, 4).to(dtype).t(), "b": torch.arange(6)[1:4]}
        torch.save(state, tmp_path / "x.pt")
        read = load_state(tmp_path / "x.pt")
        assert all(torch.equal(read[name], state[name]) for name in state)
        assert read["a"].dtype is dtype


def test_scalars_and_empty_tensors_are_read(tmp_path: Path) -> None:
    state = {"count": torch.tensor(7), "none": torch.empty(0, 3), "flag": torch.tensor([True])}
    for zip_form in (True, False):
        torch.save(state, tmp_path / "x.pt", _use_new_zipfile_serialization=zip_form)
        read = load_state(tmp_path / "x.pt")
        assert all(torch.equal(read[name], state[name]) for name in state)
        assert read["none"].shape == (0, 3)


def test_the_digest_is_of_the_file(tmp_path: Path) -> None:
    network = trained("tiny")
    to_folder(network, example_of("tiny"), tmp_path / "bundle")
    weights = tmp_path / "bundle" / "models" / "model.pt"
    for path in (tmp_path / "bundle", weights):
        origin = check(network, "tiny", path)
        assert origin.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()


def without(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: without(s, "head.bias"),
            None,  # tied: its other name is there
        ),
        (
            lambda s: without(without(s, "head.bias"), "tied.bias"),
            r"lacks 'head\.bias' \(2 in all\), expected \(2,\)",
        ),
        (
            lambda s: {**s, "extra": torch.zeros(1, 5)},
            r"holds 'extra', which the network has not \(1 in all\), got \(1, 5\)",
        ),
        (
            lambda s: {**s, "scale": torch.zeros(3)},
            r"'scale' has shape \(3,\), the network expects \(2,\) \(1 such in all\)",
        ),
        (
            lambda s: {f"module.{name}": each for name, each in without(s, "scale").items()},
            r"x\.pt, without 'module\.': .*lacks 'scale' \(1 in all\)",
        ),
        (
            lambda s: {**s, "scale": torch.tensor([1, 2])},
            r"'scale' holds int64, .* expects float32",
        ),
        (
            lambda s: {**s, "scale": torch.tensor([1.0, np.nan])},
            r"'scale' holds values that are not finite",
        ),
        (lambda s: {**s, "mask": torch.full((2,), 3.0)}, None),  # as TorchScript has it
        (lambda s: {**s, "mask": torch.zeros(2)}, r"'mask', which .* itself, holds other values"),
    ],
)  # fmt: skip
def test_a_mismatch_is_named(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    message: str | None,
    tmp_path: Path,
) -> None:
    torch.save(change(trained("tiny").state_dict()), tmp_path / "x.pt")
    if message is None:
        load_checkpoint(fresh("tiny"), tmp_path / "x.pt", part=None)
        return
    with pytest.raises(ModelError, match=message):
        load_checkpoint(fresh("tiny"), tmp_path / "x.pt", part=None)


def test_what_has_lost_its_names_is_refused(tmp_path: Path) -> None:
    torch.jit.freeze(torch.jit.script(trained("tiny"))).save(tmp_path / "x.pt")
    with pytest.raises(
        ModelError, match=r"lost their names \(torch\.jit\.freeze.*torch\.save\(net"
    ):
        load_state(tmp_path / "x.pt")


def test_other_files_and_folders_are_refused_by_name(tmp_path: Path) -> None:
    onnx, tar, archive = (tmp_path / name for name in ("x.onnx", "x.tar", "x.zip"))
    onnx.write_bytes(b"\x08\x08\x12\x07pytorch" + bytes(600))
    tar.write_bytes(bytes(257) + b"ustar" + bytes(250))
    zipped({"notes.txt": b"nothing"}, archive)
    (tmp_path / "distributed").mkdir()
    (tmp_path / "distributed" / ".metadata").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    zipped({"configs/metadata.json": b"{}"}, tmp_path / "hollow.zip")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        w = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    quantized = {"w": w}
    for path, value in (("list.pt", [torch.ones(2)]), ("quantized.pt", quantized)):
        torch.save(value, tmp_path / path)
    for name, message in (
        ("x.onnx", "not a checkpoint of a known form; expected what torch.save"),
        ("x.tar", "before 0.1.10"),
        ("x.zip", "a ZIP archive of no known form"),
        ("distributed", "dcp_to_torch"),
        ("pipe", "no regular file"),
        ("hollow.zip", "a MONAI bundle without models/model.pt or models/model.ts"),
        ("list.pt", "expected a state_dict, names to tensors, found a list; save that part alone"),
        ("quantized.pt", "_rebuild_qtensor.*save the weights alone"),
        (".", "of folders, only MONAI bundles are read, and it lacks configs/metadata.json"),
    ):
        with pytest.raises(ModelError, match=message):
            load_state(tmp_path / name)


def test_programs_of_one_archive_are_told_apart(tmp_path: Path) -> None:
    network = trained("tiny")
    program = torch.export.export(network, (torch.zeros(1, 1, 8, 8),))
    torch.export.save(program, tmp_path / "one.pt2")
    with zipfile.ZipFile(tmp_path / "one.pt2") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    (config,) = (name for name in files if name.endswith("model_weights_config.json"))
    content = files.pop(config)
    for name in ("first", "other"):
        files[config.replace("model_weights", f"{name}_weights")] = content
    zipped(files, tmp_path / "two.pt2")
    with pytest.raises(ModelError, match=r"FILE#NAME, one of 'first', 'other'"):
        check(network, "tiny", tmp_path / "two.pt2")
    assert check(network, "tiny", tmp_path / "two.pt2", part="other").taken == "other"
    facts = json.loads(content)
    facts["config"]["scale"]["use_pickle"] = True
    zipped({**files, config: json.dumps(facts).encode()}, tmp_path / "pickled.pt2")
    with pytest.raises(ModelError, match="'scale' is pickled by itself"):
        load_state(tmp_path / "pickled.pt2")
