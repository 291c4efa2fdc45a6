"""The tensors of an ONNX file: constants, and what is said of the others.

TensorProto and ValueInfoProto of ``onnx.proto``. Weights are never copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from cspine.protobuf import (
    Fields,
    collected,
    integer,
    integers,
    message,
    messages,
    only,
    text,
    unpacked,
    varints,
)

LARGEST_RANK = 32
LARGEST_COUNT = 1 << 48  # of elements; no device holds so many, and products grow without end
SMALL = 64  # elements of a constant whose values are looked at

# TensorProto.DataType: name and bits of an element.
_DTYPES = {
    1: ("float32", 32), 2: ("uint8", 8), 3: ("int8", 8), 4: ("uint16", 16), 5: ("int16", 16),
    6: ("int32", 32), 7: ("int64", 64), 8: ("string", 8), 9: ("bool", 8), 10: ("float16", 16),
    11: ("float64", 64), 12: ("uint32", 32), 13: ("uint64", 64), 14: ("complex64", 64),
    15: ("complex128", 128), 16: ("bfloat16", 16), 17: ("float8e4m3fn", 8),
    18: ("float8e4m3fnuz", 8), 19: ("float8e5m2", 8), 20: ("float8e5m2fnuz", 8), 21: ("uint4", 4),
    22: ("int4", 4), 23: ("float4e2m1", 4),
    24: ("float8e8m0", 8), 25: ("uint2", 2), 26: ("int2", 2),
}  # fmt: skip
# Where the elements lie that are not in raw_data; int32_data holds all other types.
_HELD = {"float32": 4, "complex64": 4, "string": 6, "int64": 7, "float64": 10, "complex128": 10,
         "uint32": 11, "uint64": 11}  # fmt: skip
_INT32_DATA, _RAW = 5, 9
_EXTERNAL = 1


@dataclass(frozen=True)
class ValueInfo:
    """What a file says of a tensor: element type and shape.

    A dimension is a size, the name of one that is open, or ``None``; the shape is ``None`` where
    not even the rank is said.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None


@dataclass(frozen=True)
class Constant:
    """A tensor that the file holds; ``data`` is its TensorProto."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    data: memoryview

    @property
    def elements(self) -> int:
        """How many elements it has."""
        return prod(self.shape)

    def values(self) -> tuple[float, ...] | None:
        """Return the elements of a small one in row-major order, if they are known."""
        code = {"int64": "q", "int32": "i", "float32": "f"}.get(self.dtype)
        if code is None or self.elements > SMALL:
            return None
        found = collected(self.data)
        raw = only(found, _RAW)
        number = _HELD.get(self.dtype, _INT32_DATA)
        if raw is not None:
            values = unpacked([raw], code)
        elif code == "f":
            values = unpacked(messages(found, number), code)
        else:
            values = integers(found, number, limit=SMALL)
        return values if len(values) == self.elements else None  # they may lie in another file


def dtype_name(number: int) -> str:
    """Return the name of an element type, TensorProto.DataType."""
    return _DTYPES[number][0] if number in _DTYPES else f"type {number}"


def read_constant(data: memoryview) -> Constant:
    """Read a TensorProto.

    Raises
    ------
    ValueError
        If it is none, or does not hold as many elements as its shape has.
    """
    found = collected(data)
    name, number = text(found, 8), integer(found, 2)
    if number not in _DTYPES:
        raise ValueError(f"tensor {name!r} has the element type {number}")
    dtype, bits = _DTYPES[number]
    shape = integers(found, 1, limit=LARGEST_RANK)
    if min(shape, default=0) < 0 or prod(shape) > LARGEST_COUNT:
        raise ValueError(f"tensor {name!r} has the shape {shape}")
    size = -(-prod(shape) * bits // 8)
    if integer(found, 14) != _EXTERNAL and _held(found, dtype, bits) != size:
        raise ValueError(f"tensor {name!r} does not hold the elements of its shape {shape}")
    return Constant(name, dtype, shape, size, data)


def _held(found: Fields, dtype: str, bits: int) -> int:
    """Return how many bytes of elements a TensorProto has; of a text each element counts one."""
    raw = only(found, _RAW)
    if raw is not None:
        return len(raw)
    number = _HELD.get(dtype, _INT32_DATA)
    values = [value for each, value in found if each == number]
    if dtype == "string":
        return len(values)
    if number in (_HELD["float32"], _HELD["float64"]):
        return sum(len(message(value)) for value in values)
    entries = sum(1 if isinstance(value, int) else varints(value) for value in values)
    return entries * max(bits // 8, 1)


def read_value_info(data: memoryview) -> ValueInfo:
    """Read a ValueInfoProto.

    Raises
    ------
    ValueError
        If it is none.
    """
    found = collected(data)
    kind = only(found, 2)
    tensor = only(collected(kind), 1) if kind is not None else None
    if tensor is None:
        return ValueInfo(text(found, 1), "no tensor", None)
    said = collected(tensor)
    dtype = dtype_name(integer(said, 1))
    shape = only(said, 2)
    if shape is None:
        return ValueInfo(text(found, 1), dtype, None)
    sizes = [_dimension(part) for part in messages(collected(shape), 1)]
    if len(sizes) > LARGEST_RANK:
        raise ValueError(f"a tensor has {len(sizes)} dimensions")
    return ValueInfo(text(found, 1), dtype, tuple(sizes))


def _dimension(data: memoryview) -> int | str | None:
    """Return what is said of a dimension; writers say 0 and -1 where they mean nothing."""
    found = [field for field in collected(data) if field[0] in (1, 2)]
    if found and found[-1][0] == 2:  # the later of the two holds
        return text(found, 2) or None
    size = integer(found, 1)
    return size if 0 < size <= LARGEST_COUNT else None
