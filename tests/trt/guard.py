"""Objects that have exactly the names that a version of NVIDIA's bindings has, and note each call.

What a version lacks raises, as there; so does what it has but nobody here has thought of.
"""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import Any, NamedTuple

_ENUM_OWN = {"name", "value"}
SURFACES: dict[str, Any] = json.loads(Path(__file__).with_name("surface.json").read_text())


class Call(NamedTuple):
    """A call of a method, or an attribute that was set: then with one argument."""

    name: str
    arguments: tuple[Any, ...]


class Surface:
    """The names of one version, and what was called of them."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.names: set[str] = set(SURFACES[version]["all"])
        self._of: dict[str, dict[str, list[str] | None]] = SURFACES[version]["of"]
        self.calls: list[Call] = []

    def enumeration(self, kind: str) -> type[enum.IntEnum]:
        """Return an enumeration with the members that this version has."""
        members = [name for name in self._of[kind] if name not in _ENUM_OWN]
        return enum.IntEnum(kind, members, start=0)  # type: ignore[return-value]

    def has(self, kind: str, name: str) -> bool:
        return name in self._of.get(kind, {})

    def check(self, kind: str, name: str) -> None:
        if not self.has(kind, name):
            raise AttributeError(f"TensorRT {self.version}: {kind} has no {name!r}")

    def check_call(self, kind: str, name: str, given: tuple[Any, ...]) -> None:
        wanted = self._of[kind][name]
        if wanted is None:
            return
        needed = sum(not each.endswith("=") for each in wanted)
        if not needed <= len(given) <= len(wanted):
            raise TypeError(f"TensorRT {self.version}: {kind}.{name} takes {wanted}, got {given}")

    def said(self, name: str) -> list[tuple[Any, ...]]:
        """Return the arguments of every call of a method."""
        return [call.arguments for call in self.calls if call.name == name]


class Guarded:
    """An object of the bindings: its names are the version's, what it does is ``does``."""

    def __init__(self, surface: Surface, kind: str, does: object) -> None:
        for name, value in (("surface", surface), ("kind", kind), ("does", does)):
            object.__setattr__(self, f"_{name}", value)

    def __getattr__(self, name: str) -> Any:
        self._surface.check(self._kind, name)
        value = getattr(self._does, name)
        if not callable(value):
            return value

        def call(*given: Any) -> Any:
            self._surface.check_call(self._kind, name, given)
            self._surface.calls.append(Call(f"{self._kind}.{name}", given))
            return value(*(each._does if isinstance(each, Guarded) else each for each in given))

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        self._surface.check(self._kind, name)
        self._surface.calls.append(Call(f"{self._kind}.{name}", (value,)))
        setattr(self._does, name, value)
