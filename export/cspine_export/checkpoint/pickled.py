"""A pickle read as data: its instructions are followed on a stack of our own, nothing is called.

What a name would make is known for the few names that weights need (:mod:`.names`); any other is
refused when it is named. The instructions are those of :mod:`pickletools`.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cspine_export.checkpoint.limits import MAXIMUM_OPERATIONS, Unreadable
from cspine_export.checkpoint.names import KNOWN, MAPPINGS, PASSED, STORAGES, TENSOR, is_script
from cspine_export.checkpoint.tensors import Entry, Storage

ALONE = (
    "save the weights alone where they were trained: torch.save(network.state_dict(), 'weights.pt')"
)
LARGEST_KEY = 1 << 60  # beyond it, numbers can be chosen that a dict takes for ever to tell apart


@dataclass(frozen=True)
class Name:
    """The name of a class or function, which is nowhere looked up."""

    text: str


@dataclass(eq=False)
class Module:
    """A module of a TorchScript archive."""

    attributes: dict[Any, Any] = field(default_factory=dict)


class Other:
    """Something that is no weight and is passed over."""


def read_pickle(
    stream: io.BytesIO, *, script: bool = False, storages: dict[str, Storage] | None = None
) -> object:
    """Read one pickle, up to its end in a stream.

    Parameters
    ----------
    script
        Whether it is of a TorchScript archive, which names classes of its own.
    storages
        Filled with those that it refers to, by key.

    Returns
    -------
    object
        Of dict, list, tuple, numbers, text, and the classes above; tensors are an ``Entry``.

    Raises
    ------
    Unreadable
        If it names anything but what weights need, or goes on for too long.
    Exception
        Whatever a damaged one leads to: ValueError, IndexError, KeyError, TypeError...
    """
    machine = _Machine(script=script)
    for number, (operation, argument, _) in enumerate(pickletools.genops(stream)):
        if number >= MAXIMUM_OPERATIONS:
            raise Unreadable(f"a pickle of more than {MAXIMUM_OPERATIONS} instructions; {ALONE}")
        machine.step(operation.name, argument)
    if storages is not None:
        storages.update(machine.storages)
    return machine.stack.pop()


class _Machine:
    def __init__(self, *, script: bool) -> None:
        self.stack: list[Any] = []
        self.storages: dict[str, Storage] = {}
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._script = script

    def step(self, operation: str, argument: Any) -> None:
        if operation in _LITERALS:
            self.stack.append(argument)
        elif operation in _FRESH:
            self.stack.append(_FRESH[operation]())
        elif operation in _ACTIONS:
            _ACTIONS[operation](self, argument)
        elif operation not in _SILENT:
            raise Unreadable(f"its pickle uses the instruction {operation}, as no weights do")

    def marked(self) -> list[Any]:
        """Take all that lies above the last mark."""
        start = self._marks.pop()
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def taken(self, count: int) -> list[Any]:
        """Take the topmost, in the order in which they came."""
        if count > len(self.stack):
            raise IndexError
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def mark(self, _: object) -> None:
        self._marks.append(len(self.stack))

    def put(self, number: int) -> None:
        self._memo[number] = self.stack[-1]

    def memoize(self, _: object) -> None:
        self._memo[len(self._memo)] = self.stack[-1]

    def get(self, number: int) -> None:
        self.stack.append(self._memo[number])

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Other):
            raise Unreadable("its pickle appends to what is no list")

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        pairs = dict(zip(map(_key, values[::2]), values[1::2], strict=True))
        if isinstance(target, dict):
            target.update(pairs)
        elif not isinstance(target, Other):
            raise Unreadable("its pickle sets items of what is no dict")

    def name(self, text: str) -> None:
        if text not in KNOWN and not (self._script and is_script(text)):
            raise Unreadable(
                f"holds more than tensors ({text[:80]!r}), and unpickling it could run code; "
                f"{ALONE}"
            )
        self.stack.append(Name(text))

    def reduce(self, _: object) -> None:
        name, arguments = self.taken(2)
        if not isinstance(name, Name) or not isinstance(arguments, tuple):
            raise Unreadable("its pickle calls what has no name")
        self.stack.append(_made(name.text, arguments))

    def build(self, _: object) -> None:
        (attributes,) = self.taken(1)
        target = self.stack[-1]
        if isinstance(target, Module):
            if not isinstance(attributes, dict):
                raise Unreadable(
                    "its modules pack their weights by code (__setstate__), which is not run; "
                    f"{ALONE}, before torch.jit"
                )
            target.attributes.update(attributes)
        elif not isinstance(target, (dict, Other)):  # those of a dict are PyTorch's versions
            raise Unreadable("its pickle changes the insides of what is no dict")

    def refer(self, _: object) -> None:
        kind, name, key, _location, count, *views = self.stack.pop()
        if kind != "storage" or not isinstance(name, Name) or name.text not in STORAGES:
            raise Unreadable("its pickle refers to what is no storage of numbers")
        if any(view is not None for view in views):
            raise Unreadable(f"its storages are views, as only PyTorch before 0.4 wrote; {ALONE}")
        if not isinstance(key, str) or type(count) is not int:
            raise Unreadable("its pickle refers to a storage without name or size")
        self.storages[key] = Storage(key, STORAGES[name.text], count)
        self.stack.append(self.storages[key])


def _key(value: Any) -> Any:
    if isinstance(value, (int, float)):
        if abs(value) < LARGEST_KEY:
            return value
    elif value is None or isinstance(value, (str, bytes)):
        return value
    raise Unreadable(f"its pickle has a key of a dict that is a {type(value).__name__}; {ALONE}")


def _made(name: str, arguments: tuple[Any, ...]) -> object:
    """Return what a call would return, for the names that are known."""
    if name in TENSOR:
        storage, offset, shape, stride, *_ = arguments
        if not isinstance(storage, Storage):
            raise Unreadable("its pickle has a tensor without a storage")
        return Entry(storage, offset, tuple(shape), tuple(stride))
    if name in PASSED:
        return arguments[0]
    if name in MAPPINGS:
        pairs = arguments[-1] if arguments and not isinstance(arguments[-1], Name) else ()
        items = pairs.items() if isinstance(pairs, dict) else pairs
        return {_key(key): value for key, value in items}
    if is_script(name) or name in STORAGES:
        raise Unreadable(f"its pickle calls {name[:80]!r}, as no weights do")
    return Other()


def _new(machine: _Machine, _: object) -> None:
    name, arguments = machine.taken(2)
    if not isinstance(name, Name) or not isinstance(arguments, tuple):
        raise Unreadable("its pickle makes an object of what is no class")
    machine.stack.append(Module() if is_script(name.text) else _made(name.text, arguments))


_LITERALS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
    "UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 "
    "BYTEARRAY8".split()
)
_SILENT = frozenset(["PROTO", "FRAME", "STOP"])
_FRESH: dict[str, Callable[[], object]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_TUPLE": tuple,
    "NEWFALSE": lambda: False,
    "NEWTRUE": lambda: True,
    "NONE": lambda: None,
}
_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "ADDITEMS": lambda self, _: self.append(self.marked()),
    "APPEND": lambda self, _: self.append(self.taken(1)),
    "APPENDS": lambda self, _: self.append(self.marked()),
    "BINGET": _Machine.get,
    "BINPERSID": _Machine.refer,
    "BINPUT": _Machine.put,
    "BUILD": _Machine.build,
    "FROZENSET": lambda self, _: self.stack.append(self.marked()),
    "GET": _Machine.get,
    "GLOBAL": lambda self, both: self.name(both.replace(" ", ".")),
    "LIST": lambda self, _: self.stack.append(self.marked()),
    "LONG_BINGET": _Machine.get,
    "LONG_BINPUT": _Machine.put,
    "MARK": _Machine.mark,
    "MEMOIZE": _Machine.memoize,
    "NEWOBJ": _new,
    "POP": lambda self, _: self.taken(1).clear(),
    "POP_MARK": lambda self, _: self.marked().clear(),
    "PUT": _Machine.put,
    "REDUCE": _Machine.reduce,
    "SETITEM": lambda self, _: self.set_items(self.taken(2)),
    "SETITEMS": lambda self, _: self.set_items(self.marked()),
    "STACK_GLOBAL": lambda self, _: self.name(".".join(self.taken(2))),
    "TUPLE": lambda self, _: self.stack.append(tuple(self.marked())),
    "TUPLE1": lambda self, _: self.stack.append(tuple(self.taken(1))),
    "TUPLE2": lambda self, _: self.stack.append(tuple(self.taken(2))),
    "TUPLE3": lambda self, _: self.stack.append(tuple(self.taken(3))),
}
