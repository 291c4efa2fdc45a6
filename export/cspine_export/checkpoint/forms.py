"""Which form a file has, told by its content; its name does not matter."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from typing import BinaryIO

from safetensors.torch import load

from cspine_export.checkpoint.archive import Archive
from cspine_export.checkpoint.contents import Contents
from cspine_export.checkpoint.exported import read_exported, root_of_exported
from cspine_export.checkpoint.limits import MAXIMUM_WEIGHT_BYTES, Unreadable, check_size
from cspine_export.checkpoint.monai_bundle import IN_BUNDLE, weights_in_archive
from cspine_export.checkpoint.pickled import ALONE
from cspine_export.checkpoint.tensors import Storage
from cspine_export.checkpoint.torchfile import read_stream, read_zipped
from cspine_export.checkpoint.torchscript import read_script

KNOWN = (
    "expected what torch.save, torch.jit.save or torch.export.save writes, safetensors, or a "
    "MONAI bundle"
)


def read_contents(file: BinaryIO) -> Contents:
    """Read what a file holds, its tensors left where they lie.

    Raises
    ------
    Unreadable
        If it has none of the known forms, or could run code where others read it.
    Exception
        Whatever a damaged one leads to.
    """
    head = file.read(512)
    if head.startswith(b"PK"):
        return _read_archive(Archive(file))
    if head[4:9] == b"\0\0\0\0{":  # the length of its header, and its header
        size = file.seek(0, os.SEEK_END)
        check_size(size, MAXIMUM_WEIGHT_BYTES, "weights")
        file.seek(0)
        return Contents("safetensors", load(file.read()), _nothing_left)
    if head[257:262] == b"ustar":
        raise Unreadable(f"the form of PyTorch before 0.1.10, or another tar archive; {ALONE}")
    if head.startswith(b"\x80"):
        return read_stream(file)
    raise Unreadable(f"not a checkpoint of a known form; {KNOWN}")


def _read_archive(archive: Archive) -> Contents:
    if (member := weights_in_archive(archive)) is not None:
        inner = io.BytesIO(archive.read(member, limit=MAXIMUM_WEIGHT_BYTES))
        if inner.read(2) == b"PK" and weights_in_archive(Archive(inner)) is not None:
            raise Unreadable("a MONAI bundle within a MONAI bundle; give the inner one")
        inner.seek(0)
        contents = read_contents(inner)
        return replace(contents, form=f"{IN_BUNDLE}{contents.form}")
    if (root := root_of_exported(archive)) is not None:
        return read_exported(archive, root)
    if (root := archive.folder_of("data.pkl")) is not None:
        script = f"{root}constants.pkl" in archive.names
        return read_script(archive, root) if script else read_zipped(archive, root)
    raise Unreadable(f"a ZIP archive of no known form; {KNOWN}")


def _nothing_left(storage: Storage) -> bytes:
    raise AssertionError(storage)
