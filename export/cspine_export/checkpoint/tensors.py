"""Tensors from the bytes of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import torch

from cspine_export.checkpoint.limits import MAXIMUM_WEIGHT_BYTES, Unreadable, check_size

State = dict[str, torch.Tensor]

# By the name that PyTorch's files give them. Others, such as complex and quantized ones, no
# network of ours has.
DTYPES = {
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ShortStorage": torch.int16,
}


@dataclass(frozen=True)
class Storage:
    """Numbers in a row, somewhere in a file; several tensors may look at one.

    Attributes
    ----------
    key
        What the file calls it.
    count
        Of elements.
    """

    key: str
    dtype: torch.dtype
    count: int

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.count * self.dtype.itemsize


@dataclass(frozen=True)
class Entry:
    """A tensor that has not been read; offset and strides are in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


MAXIMUM_COUNTS = 50  # offset, shape, strides and size of a tensor

Tensors = Mapping[str, Entry | torch.Tensor]
Read = Callable[[Storage], bytes]


def load_tensors(tensors: Tensors, read: Read) -> State:
    """Read the tensors that have not been read; those of one storage share its memory.

    Raises
    ------
    Unreadable
        If a tensor reaches beyond its storage, or they are larger together than a graph can be.
    """
    entries = {name: each for name, each in tensors.items() if isinstance(each, Entry)}
    storages = {each.storage.key: each.storage for each in entries.values()}
    for name, entry in entries.items():
        _check_view(name, entry, storages[entry.storage.key])
    check_size(sum(each.size for each in storages.values()), MAXIMUM_WEIGHT_BYTES, "weights")
    rows = {key: _row(storage, read(storage)) for key, storage in storages.items()}
    return {
        name: rows[each.storage.key].as_strided(each.shape, each.stride, each.offset)
        if isinstance(each, Entry)
        else each
        for name, each in tensors.items()
    }


def _check_view(name: str, entry: Entry, storage: Storage) -> None:
    counted = (entry.offset, *entry.shape, *entry.stride, storage.count)
    if len(counted) > MAXIMUM_COUNTS or any(
        type(number) is not int or not 0 <= number < 1 << 62 for number in counted
    ):
        raise Unreadable(f"{name!r} has a shape or stride that no tensor has")
    elements = prod(entry.shape)
    last = sum((n - 1) * step for n, step in zip(entry.shape, entry.stride, strict=True))
    # One number seen again and again, by a stride of zero, is how a small file asks for all memory.
    if elements > storage.count or (elements and entry.offset + last >= storage.count):
        raise Unreadable(f"{name!r} reaches beyond the {storage.count} numbers it is made of")
    if entry.storage != storage:
        raise Unreadable(f"{name!r} shares its numbers with a tensor of another type or size")


def _row(storage: Storage, data: bytes) -> torch.Tensor:
    if len(data) != storage.size:
        raise Unreadable(f"{len(data)} bytes of weights where {storage.size} are declared")
    if not data:
        return torch.empty(0, dtype=storage.dtype)
    return torch.frombuffer(bytearray(data), dtype=storage.dtype)
