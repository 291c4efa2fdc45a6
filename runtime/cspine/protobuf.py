"""Protocol buffers by their wire format: fields of a message, no schema and no copies.

A message is read one level deep at a time, so what is nested costs nothing until it is asked for
and hostile nesting is never followed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

Message = bytes | memoryview
Value = int | memoryview
Fields = list[tuple[int, Value]]

_FIELDS = 1 << 16
_VARINT_BYTES = 10  # of 64 bits; a longer one would cost the square of its length


def fields(message: Message) -> Iterator[tuple[int, Value]]:
    """Yield the number and value of each field of a message.

    A varint comes as it stands, from 0 to 2^64 - 1; a fixed-width number as its bytes, and so does
    everything with a length, as views of the message.

    Raises
    ------
    ValueError
        If the bytes are no message.
    """
    view = memoryview(message)
    place = 0
    while place < len(view):
        tag, place = _varint(view, place)
        wire = tag & 7
        if not 8 <= tag < 1 << 32:
            raise ValueError(f"a field has the number {tag >> 3}")
        if wire == 0:
            number, place = _varint(view, place)
            yield tag >> 3, number
            continue
        if wire == 2:
            size, place = _varint(view, place)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"a field has the wire type {wire}")
        if place + size > len(view):
            raise ValueError("the message is cut")
        yield tag >> 3, view[place : place + size]
        place += size


def collected(message: Message) -> Fields:
    """Return the fields of a message.

    Raises
    ------
    ValueError
        If the bytes are no message, or there are more fields than any network has: an empty one
        takes two bytes of a file and two hundred in memory.
    """
    found = list(islice(fields(message), _FIELDS + 1))
    if len(found) > _FIELDS:
        raise ValueError(f"a message has more than {_FIELDS} fields")
    return found


def message(value: Value) -> memoryview:
    """Return a value that must be a message, text or packed numbers."""
    if isinstance(value, int):
        raise ValueError("a number where a message belongs")
    return value


def messages(found: Fields, number: int) -> Iterator[memoryview]:
    """Yield every message of a repeated field."""
    return (message(value) for each, value in found if each == number)


def only(found: Fields, number: int) -> memoryview | None:
    """Return the one message of a field, ``None`` if there is none.

    Raises
    ------
    ValueError
        If there are several, which a full reader would merge.
    """
    values = [value for each, value in found if each == number]
    if len(values) > 1:
        raise ValueError(f"field {number} stands {len(values)} times")
    return message(values[0]) if values else None


def texts(found: Fields, number: int) -> tuple[str, ...]:
    """Return every text of a repeated field.

    Raises
    ------
    ValueError
        If one is no UTF-8 that can be printed: a terminal would obey it.
    """
    return tuple(_text(value) for each, value in found if each == number)


def text(found: Fields, number: int) -> str:
    """Return the text of a field, the last where it is repeated; empty if there is none."""
    return ([""] + [_text(value) for each, value in found if each == number])[-1]


def integer(found: Fields, number: int, default: int = 0) -> int:
    """Return the signed integer of a field, the last where it is repeated."""
    values = [value for each, value in found if each == number]
    if not values:
        return default
    if not isinstance(values[-1], int):
        raise ValueError(f"field {number} is no integer")
    return signed(values[-1])


def integers(found: Fields, number: int, *, limit: int) -> tuple[int, ...]:
    """Return the signed integers of a repeated field, packed or not.

    Raises
    ------
    ValueError
        If there are more than ``limit``.
    """
    numbers = (
        signed(one)
        for each, value in found
        if each == number
        for one in ((value,) if isinstance(value, int) else _packed(value))
    )
    taken = tuple(islice(numbers, limit + 1))
    if len(taken) > limit:
        raise ValueError(f"more than {limit} integers where no network has so many")
    return taken


def unpacked(parts: Iterable[Message], code: str) -> tuple[float, ...]:
    """Return the little-endian numbers of some bytes; ``code`` is that of :mod:`struct`."""
    size = struct.calcsize(f"<{code}")
    found: list[float] = []
    for part in parts:
        if len(part) % size:
            raise ValueError(f"{len(part)} bytes of numbers that take {size} each")
        found += struct.unpack(f"<{len(part) // size}{code}", part)
    return tuple(found)


def varints(packed: memoryview) -> int:
    """Return how many packed varints there are: each ends with its only byte below 128."""
    data = np.frombuffer(packed, np.uint8)
    if data.size and data[-1] >= 0x80:
        raise ValueError("the message is cut")
    return int(np.count_nonzero(data < 0x80))


def signed(number: int) -> int:
    """Return the 64-bit integer that a varint stands for."""
    return number - (1 << 64) if number >> 63 else number


def _packed(value: memoryview) -> Iterator[int]:
    place = 0
    while place < len(value):
        number, place = _varint(value, place)
        yield number


def _text(value: Value) -> str:
    found = bytes(message(value)).decode()
    if not found.isprintable():
        raise ValueError("a name cannot be printed")
    return found


def _varint(view: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(view[place : place + _VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value & (1 << 64) - 1, place + index + 1
    raise ValueError("a number is cut or too long")
