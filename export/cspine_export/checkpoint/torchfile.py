"""What ``torch.save`` writes: a ZIP archive of a pickle and its storages, or, once, one stream."""

from __future__ import annotations

import io
import os
from typing import BinaryIO

from cspine_export.checkpoint.archive import Archive
from cspine_export.checkpoint.contents import Contents, trained_by
from cspine_export.checkpoint.limits import (
    MAXIMUM_PARSED_BYTES,
    MAXIMUM_WEIGHT_BYTES,
    Unreadable,
)
from cspine_export.checkpoint.pickled import ALONE, read_pickle
from cspine_export.checkpoint.tensors import Read, Storage

MAGIC = 0x1950A86A20F9469CFC6C  # torch.serialization.MAGIC_NUMBER, in the form of PyTorch 0.1.10
VERSION = 1001
COUNT_BYTES = 8  # before each storage of a stream


def read_zipped(archive: Archive, root: str) -> Contents:
    """Read the form of PyTorch 1.6 and later."""
    tree = read_pickle(io.BytesIO(archive.read(f"{root}data.pkl")))
    read = zipped_storages(archive, f"{root}data/", order=byte_order(archive, root))
    return Contents(trained_by(tree, "torch"), tree, read)


def byte_order(archive: Archive, root: str) -> str:
    """Return ``little`` or ``big``; what is not stated is little."""
    name = f"{root}byteorder"
    return archive.read(name).decode("ascii") if name in archive.names else "little"


def zipped_storages(archive: Archive, folder: str, *, order: str) -> Read:
    """Return the function that reads storages which are members of their own.

    Raises
    ------
    Unreadable
        If they are not little-endian.
    """
    if order != "little":
        raise Unreadable(f"its numbers are {order[:10]!r}-endian; save it anew on a common machine")

    def read(storage: Storage) -> bytes:
        name = f"{folder}{storage.key}"
        if (size := archive.size(name)) != storage.size:
            raise Unreadable(f"{name!r} has {size} bytes, its tensors need {storage.size}")
        return archive.read(name, limit=MAXIMUM_WEIGHT_BYTES)

    return read


def read_stream(file: BinaryIO) -> Contents:
    """Read the form before PyTorch 1.6: five pickles, then the storages.

    Raises
    ------
    Unreadable
        If it is a pickle that ``torch.save`` did not write, or an unsafe one.
    """
    file.seek(0)
    head = io.BytesIO(file.read(MAXIMUM_PARSED_BYTES))
    if read_pickle(head) != MAGIC:
        raise Unreadable(f"a pickle that torch.save did not write; {ALONE}")
    if read_pickle(head) != VERSION:
        raise Unreadable(f"written by a version of torch.save that is not known; {ALONE}")
    storages: dict[str, Storage] = {}
    system = read_pickle(head)
    tree = read_pickle(head, storages=storages)
    keys = read_pickle(head)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Unreadable("its numbers are not little-endian; save it anew on a common machine")
    if not isinstance(keys, list) or set(keys) != storages.keys():
        raise Unreadable("its storages are not those of its tensors; copy it again")
    starts = {}
    position = head.tell()
    for key in keys:
        starts[key] = position + COUNT_BYTES
        position = starts[key] + storages[key].size
    if position != file.seek(0, os.SEEK_END):
        raise Unreadable("it is shorter or longer than its weights; copy it again")

    def read(storage: Storage) -> bytes:
        file.seek(starts[storage.key] - COUNT_BYTES)
        if int.from_bytes(file.read(COUNT_BYTES), "little") != storage.count:
            raise Unreadable("a storage has another size than its tensors need; copy it again")
        return file.read(storage.size)

    return Contents(trained_by(tree, "torch legacy"), tree, read)
