"""What tells two ONNX files apart, read without onnx: a device has none.

An ONNX file is a protocol buffer. Of it only the fields below are looked at (``onnx.proto``,
ModelProto to TensorProto); the rest of a field is bytes to compare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from cspine.files import sha256

_OPSET, _GRAPH = 8, 7  # ModelProto
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12  # GraphProto
_OP_TYPE, _NODE_NOTES = 4, {6, 9}  # NodeProto: doc_string and metadata_props are for people
_TENSOR_NAME = 8  # TensorProto

Value = int | bytes


@dataclass(frozen=True)
class Outline:
    """An ONNX file as far as a reviewer asks.

    ``weights`` gives the digest of each initializer by name, ``operators`` counts nodes by type,
    ``interface`` is the digest of inputs, outputs and operator sets, ``wiring`` that of all nodes.
    """

    weights: dict[str, str]
    operators: Counter[str]
    interface: str
    wiring: str


def outline(data: bytes) -> Outline | None:
    """Read the outline of an ONNX file; ``None`` if it is none."""
    try:
        return _outline(data)
    except (ValueError, IndexError):
        return None


def _outline(data: bytes) -> Outline:
    model = list(_fields(data))
    (graph,) = (list(_fields(_bytes(value))) for number, value in model if number == _GRAPH)
    nodes = [list(_fields(_bytes(value))) for number, value in graph if number == _NODE]
    tensors = [_bytes(value) for number, value in graph if number == _INITIALIZER]
    interface = [value for number, value in model if number == _OPSET]
    interface += [value for number, value in graph if number in (_INPUT, _OUTPUT)]
    told = [[field for field in node if field[0] not in _NODE_NOTES] for node in nodes]
    return Outline(
        weights={_text(tensor, _TENSOR_NAME): sha256(tensor) for tensor in tensors},
        operators=Counter(
            _bytes(value).decode() for node in nodes for number, value in node if number == _OP_TYPE
        ),
        interface=sha256(repr(interface).encode()),
        wiring=sha256(repr(told).encode()),
    )


def _text(message: bytes, field: int) -> str:
    return "".join(_bytes(value).decode() for number, value in _fields(message) if number == field)


def _bytes(value: Value) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where a message belongs")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Yield the number and value of each field of a message.

    Raises
    ------
    ValueError, IndexError
        If the bytes are no message.
    """
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        wire = tag & 7
        if wire == 0:
            number, place = _varint(data, place)
            yield tag >> 3, number
            continue
        if wire == 2:
            size, place = _varint(data, place)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if place + size > len(data):
            raise ValueError("the message is cut")
        yield tag >> 3, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while data[place] & 0x80:
        value |= (data[place] & 0x7F) << shift
        shift, place = shift + 7, place + 1
    return value | data[place] << shift, place + 1
