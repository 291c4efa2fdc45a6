"""Weights of a ``torch.export`` archive (.pt2); its program is not read."""

from __future__ import annotations

import io
import json
from typing import Any

import torch

from cspine_export.checkpoint.archive import Archive
from cspine_export.checkpoint.contents import Contents
from cspine_export.checkpoint.limits import MAXIMUM_WEIGHT_BYTES, Unreadable
from cspine_export.checkpoint.pickled import ALONE
from cspine_export.checkpoint.tensors import Entry, Storage
from cspine_export.checkpoint.torchfile import byte_order, read_zipped, zipped_storages

WEIGHTS = "data/weights/"
CONFIG = "_weights_config.json"
# Before PyTorch 2.9 the weights were a file of torch.save within the archive.
WHOLE = ("serialized_state_dict.pt", "serialized_state_dict.json")
# torch.export's schema.ScalarType.
DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    12: torch.bool,
    13: torch.bfloat16,
}


def root_of_exported(archive: Archive) -> str | None:
    """Return the folder that a ``.pt2`` archive keeps all in; ``None`` if it is no such archive."""
    for name in ("archive_format", *WHOLE):
        if (root := archive.folder_of(name)) is not None:
            return root
    return None


def read_exported(archive: Archive, root: str) -> Contents:
    """Read the weights of a program; of several programs, a dict of theirs by name.

    Raises
    ------
    Unreadable
        If there are none, or they were pickled one by one.
    """
    folder = f"{root}{WEIGHTS}"
    configs = [name for name in archive.names if name.startswith(folder) and name.endswith(CONFIG)]
    whole = [
        name
        for name in archive.names
        if name in {f"{root}{each}" for each in WHOLE}
        or (name.startswith(folder) and name.endswith(".pt"))
    ]
    if configs:
        states = {
            name.removeprefix(folder).removesuffix(CONFIG): _state(archive, folder, name)
            for name in configs
        }
        tree = next(iter(states.values())) if len(states) == 1 else states
        read = zipped_storages(archive, folder, order=byte_order(archive, root))
        return Contents("torch.export", tree, read)
    if len(whole) != 1:
        raise Unreadable(f"a torch.export archive with {len(whole)} sets of weights; {ALONE}")
    inner = Archive(io.BytesIO(archive.read(whole[0], limit=MAXIMUM_WEIGHT_BYTES)))
    if (folder_of_weights := inner.folder_of("data.pkl")) is None:
        raise Unreadable(f"its {whole[0]!r} is no file of torch.save; {ALONE}")
    contents = read_zipped(inner, folder_of_weights)
    return Contents("torch.export", contents.tree, contents.read)


def _state(archive: Archive, folder: str, config: str) -> dict[str, Entry]:
    entries = json.loads(archive.read(config))["config"]
    return {name: _entry(archive, folder, name, facts) for name, facts in entries.items()}


def _entry(archive: Archive, folder: str, name: str, facts: dict[str, Any]) -> Entry:
    if facts["use_pickle"]:
        raise Unreadable(f"{name!r} is pickled by itself, as no plain tensor is; {ALONE}")
    meta = facts["tensor_meta"]
    if meta["dtype"] not in DTYPES:
        raise Unreadable(f"{name!r} is of a type that no network of ours has; {ALONE}")
    dtype = DTYPES[meta["dtype"]]
    key = str(facts["path_name"])
    storage = Storage(key, dtype, archive.size(f"{folder}{key}") // dtype.itemsize)
    numbers = [tuple(each["as_int"] for each in meta[part]) for part in ("sizes", "strides")]
    return Entry(storage, meta["storage_offset"]["as_int"], *numbers)
