"""How training runs leave the weights of a network: every form that export reads.

Used by the tests of checkpoints and by the matrix of forms and architectures.
"""

from __future__ import annotations

import copy
import io
import warnings
import zipfile
from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

# A network, an example of its input, and where to save it.
Save = Callable[[nn.Module, Tensor, Path], None]


def own_tensors(network: nn.Module) -> dict[str, Tensor]:
    """A state of parameters, as ``state_dict(keep_vars=True)`` has it."""
    return network.state_dict(keep_vars=True)


def training_dict(network: nn.Module) -> dict[str, object]:
    """What a loop of one's own saves: more than tensors, and none of it code."""
    trainee = copy.deepcopy(network)  # a step changes it
    optimizer = torch.optim.AdamW(trainee.parameters())
    for parameter in trainee.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
    return {
        "epoch": 12,
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "loss": np.float64(0.25),
        "seen": Counter("aab"),
        "args": Namespace(out=Path("runs/7"), device=torch.device("cpu"), dtype=torch.float16),
        "history": np.arange(3.0),
        "rng": torch.get_rng_state(),
    }


def lightning_dict(state: dict[str, Tensor]) -> dict[str, object]:
    """The keys that Lightning's documentation lists for a checkpoint of its Trainer."""
    return {
        "epoch": 3,
        "global_step": 400,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": {f"net.{name}": value for name, value in state.items()},
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best": torch.tensor(0.5)}},
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 0.1}]}],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 0.1},
    }


def zipped(files: dict[str, bytes], path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def saved(value: object, **options: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def bundle_files(network: nn.Module, root: str = "") -> dict[str, bytes]:
    return {
        f"{root}configs/metadata.json": b'{"version": "0.5.1"}',
        f"{root}configs/train.json": b'{"network": {"_target_": "os.system"}}',
        f"{root}models/model.pt": saved({"model": network.state_dict()}),
    }


def to_folder(network: nn.Module, _: Tensor, path: Path) -> None:
    for name, data in bundle_files(network).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)


def to_safetensors(network: nn.Module, path: Path, prefix: str = "") -> None:
    state = {f"{prefix}{name}": each.clone() for name, each in network.state_dict().items()}
    save_file(state, path)


def to_trace(network: nn.Module, example: Tensor, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a network asks about its shapes
        torch.jit.trace(network, example, check_trace=False).save(path)


def to_exported(network: nn.Module, example: Tensor, path: Path) -> None:
    torch.export.save(torch.export.export(network, (example,)), path.with_suffix(".pt2"))
    path.with_suffix(".pt2").rename(path)


def to_older_exported(network: nn.Module, _: Tensor, path: Path) -> None:
    files = {
        "version": b"5.3",
        "serialized_exported_program.json": b"{}",
        "serialized_state_dict.pt": saved(dict(network.state_dict())),
    }
    zipped(files, path)


FORMS: dict[str, tuple[Save, str, str, str]] = {  # how it is saved, form, taken, prefix
    "state_dict": (lambda n, _, p: torch.save(n.state_dict(), p), "torch", "", ""),
    "parameters": (lambda n, _, p: torch.save(own_tensors(n), p), "torch", "", ""),
    "protocol 4": (
        lambda n, _, p: torch.save(n.state_dict(), p, pickle_protocol=4), "torch", "", "",
    ),
    "legacy": (
        lambda n, _, p: torch.save(n.state_dict(), p, _use_new_zipfile_serialization=False),
        "torch legacy", "", "",
    ),
    "legacy training": (
        lambda n, _, p: torch.save(training_dict(n), p, _use_new_zipfile_serialization=False),
        "torch legacy", "model", "",
    ),
    "training": (lambda n, _, p: torch.save(training_dict(n), p), "torch", "model", ""),
    "DataParallel": (
        lambda n, _, p: torch.save({"net": nn.DataParallel(n).state_dict()}, p),
        "torch", "net", "module.",
    ),
    "compiled": (
        lambda n, _, p: torch.save(torch.compile(n).state_dict(), p), "torch", "", "_orig_mod.",
    ),
    "AveragedModel": (
        lambda n, _, p: torch.save(torch.optim.swa_utils.AveragedModel(n).state_dict(), p),
        "torch", "", "module.",
    ),
    "Lightning": (
        lambda n, _, p: torch.save(lightning_dict(n.state_dict()), p),
        "lightning", "state_dict", "net.",
    ),
    "safetensors": (lambda n, _, p: to_safetensors(n, p), "safetensors", "", ""),
    "prefixed safetensors": (
        lambda n, _, p: to_safetensors(n, p, "module._orig_mod."),
        "safetensors", "", "module._orig_mod.",
    ),
    "traced": (to_trace, "torchscript", "", ""),
    "pt2": (to_exported, "torch.export", "", ""),
    "older pt2": (to_older_exported, "torch.export", "", ""),
    "MONAI folder": (to_folder, "monai bundle, torch", "model", ""),
    "MONAI zip": (
        lambda n, _, p: zipped(bundle_files(n, "spine/"), p), "monai bundle, torch", "model", "",
    ),
}  # fmt: skip
