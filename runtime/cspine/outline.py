"""What tells two ONNX files apart, read without onnx: a device has none.

An ONNX file is a protocol buffer. Of it only the fields below are looked at (``onnx.proto``,
ModelProto to TensorProto); the rest of a field is bytes to compare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from cspine.files import sha256
from cspine.protobuf import Fields, collected, message, text, texts

_OPSET, _GRAPH = 8, 7  # ModelProto
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12  # GraphProto
_OP_TYPE, _NODE_NOTES = 4, {6, 9}  # NodeProto: doc_string and metadata_props are for people
_TENSOR_NAME = 8  # TensorProto


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
    except ValueError:
        return None


def _outline(data: bytes) -> Outline:
    model = collected(data)
    (graph,) = (collected(message(value)) for number, value in model if number == _GRAPH)
    nodes = [collected(message(value)) for number, value in graph if number == _NODE]
    tensors = [message(value) for number, value in graph if number == _INITIALIZER]
    interface = [field for field in model if field[0] == _OPSET]
    interface += [field for field in graph if field[0] in (_INPUT, _OUTPUT)]
    told = [[field for field in node if field[0] not in _NODE_NOTES] for node in nodes]
    return Outline(
        weights={text(collected(tensor), _TENSOR_NAME): sha256(tensor) for tensor in tensors},
        operators=Counter(name for node in nodes for name in texts(node, _OP_TYPE)),
        interface=_digest([interface]),
        wiring=_digest(told),
    )


def _digest(messages: Iterable[Fields]) -> str:
    plain = [
        [(number, each if isinstance(each, int) else bytes(each)) for number, each in one]
        for one in messages
    ]
    return sha256(repr(plain).encode())
