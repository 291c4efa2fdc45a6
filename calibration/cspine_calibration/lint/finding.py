"""What a rule says of a place in a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

# An *error*: the runtime refuses the file, reads it other than it says, computes wrong, or does not
# run in integers what the file quantises. A *warning*: it runs, and may cost accuracy or speed.
Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Fault:
    """What a check found; ``place`` is a tensor or a node, by the name the file gives it."""

    place: str
    found: str


@dataclass(frozen=True)
class Finding:
    """A fault under its rule; ``number`` is the rule's, such as ``T4``."""

    number: str
    severity: Severity
    place: str
    found: str
    remedy: str

    def facts(self) -> dict[str, Any]:
        """Return everything for programs."""
        return asdict(self)
