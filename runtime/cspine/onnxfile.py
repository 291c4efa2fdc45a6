"""An ONNX file read without onnx: its operators, constants and interface; a device has no onnx.

Of ``onnx.proto`` only the fields below are looked at. Subgraphs are not entered, so nothing here
recurses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cspine.errors import ModelError
from cspine.onnxtensor import SMALL, Constant, ValueInfo, read_constant, read_value_info
from cspine.protobuf import Fields, collected, integer, integers, messages, only, text, texts

_GRAPH, _FUNCTION = 7, 25  # ModelProto
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 11, 12, 13  # GraphProto
_INPUTS, _OUTPUTS, _NAME, _OP_TYPE, _ATTRIBUTE, _DOMAIN = 1, 2, 3, 4, 5, 7  # NodeProto
_KINDS = {"int": 2, "string": 3, "tensor": 4, "ints": 7}  # AttributeProto.AttributeType


@dataclass(frozen=True)
class Node:
    """One operator; ``data`` is its NodeProto, from which attributes are read when asked for.

    An attribute of another type than the one asked for is a ``ValueError``.
    """

    op_type: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    data: memoryview

    @property
    def operator(self) -> str:
        """The type, with its domain where that is not ONNX's own."""
        own = self.domain in ("", "ai.onnx")
        return self.op_type if own else f"{self.domain}.{self.op_type}"

    def has(self, name: str) -> bool:
        """Return whether the node has an attribute."""
        return any(text(collected(part), 1) == name for part in _attributes(self.data))

    def integer(self, name: str, default: int) -> int:
        """Return an attribute of type INT."""
        return integer(found, 3) if (found := self._attribute(name, "int")) else default

    def integers(self, name: str) -> tuple[int, ...] | None:
        """Return an attribute of type INTS."""
        found = self._attribute(name, "ints")
        return integers(found, 8, limit=SMALL) if found else None

    def text(self, name: str, default: str) -> str:
        """Return an attribute of type STRING."""
        return text(found, 4) if (found := self._attribute(name, "string")) else default

    def tensor(self, name: str) -> Constant | None:
        """Return an attribute of type TENSOR."""
        found = self._attribute(name, "tensor")
        data = only(found, 5) if found else None
        return None if data is None else read_constant(data)

    def _attribute(self, name: str, kind: str) -> Fields | None:
        for part in _attributes(self.data):
            found = collected(part)
            if text(found, 1) == name:
                if integer(found, 20) != _KINDS[kind]:
                    raise ValueError(f"its {name} is of another type than {kind}")
                return found
        return None


@dataclass(frozen=True)
class OnnxFile:
    """A model: operators in order, constants by name, and its interface.

    ``constants`` are the initializers and what Constant operators hold. ``inputs`` are what must be
    fed. ``stated`` is all that the file says of shapes, interface and ``value_info``, by name.
    ``functions`` are the operators that the file itself defines.
    """

    nodes: tuple[Node, ...]
    constants: dict[str, Constant]
    inputs: tuple[ValueInfo, ...]
    outputs: tuple[ValueInfo, ...]
    stated: dict[str, ValueInfo]
    functions: frozenset[str]


def read_onnx(data: bytes, *, where: str) -> OnnxFile:
    """Read a serialised ONNX model; the result holds views of ``data``.

    Raises
    ------
    ModelError
        Naming ``where``, if the bytes are no ONNX model, are cut, or contradict themselves.
    """
    try:
        return _read(data)
    except ValueError as error:
        raise ModelError(f"{where}: not an ONNX model: {error}; export or emit it again") from error


def _read(data: bytes) -> OnnxFile:
    model = collected(data)
    graph = only(model, _GRAPH)
    parts = collected(graph or b"")
    nodes = tuple(_node(part) for part in messages(parts, _NODE))
    if not nodes:
        raise ValueError("it has no operators")
    initializers = [read_constant(part) for part in messages(parts, _INITIALIZER)]
    held = {each.name: each for each in initializers}
    inputs, outputs, values = (
        [read_value_info(part) for part in messages(parts, number)]
        for number in (_INPUT, _OUTPUT, _VALUE_INFO)
    )
    fed = tuple(each for each in inputs if each.name not in held)
    _check_single_assignment(
        [
            *(value.name for value in fed),
            *(each.name for each in initializers),
            *(name for node in nodes for name in node.outputs if name),
        ]
    )
    return OnnxFile(
        nodes=nodes,
        constants=held | dict(_held_by(nodes)),
        inputs=fed,
        outputs=tuple(outputs),
        stated={each.name: each for each in (*values, *inputs, *outputs) if each.shape is not None},
        functions=frozenset(text(collected(part), 1) for part in messages(model, _FUNCTION)),
    )


def _held_by(nodes: Iterable[Node]) -> Iterator[tuple[str, Constant]]:
    for node in nodes:
        if node.operator == "Constant" and node.has("value") and node.outputs:
            found = node.tensor("value")
            if found is None:
                raise ValueError("a Constant lacks its value")
            yield node.outputs[0], found


def _check_single_assignment(names: list[str]) -> None:
    written = set()
    for name in names:
        if name in written:
            raise ValueError(f"tensor {name!r} is written twice")
        written.add(name)


def _attributes(node: memoryview) -> Iterable[memoryview]:
    return messages(collected(node), _ATTRIBUTE)


def _node(data: memoryview) -> Node:
    found = collected(data)
    node = Node(
        op_type=text(found, _OP_TYPE),
        domain=text(found, _DOMAIN),
        name=text(found, _NAME),
        inputs=texts(found, _INPUTS),
        outputs=texts(found, _OUTPUTS),
        data=data,
    )
    if not node.op_type:
        raise ValueError("an operator has no type")
    names = [text(collected(part), 1) for part in _attributes(data)]
    if len(set(names)) < len(names):
        raise ValueError(f"an operator {node.op_type} has an attribute twice")
    return node
