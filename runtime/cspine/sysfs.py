"""Small files that the kernel and the system show, read whole, and the numbers in them.

Every reader of a machine takes the root folder that ``etc``, ``proc``, ``sys`` and ``var`` lie in,
so that the copied tree of another machine can be read as well.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path("/")

_LIMIT = 64 << 10
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]+)?")


def text(path: Path) -> str | None:
    """Return what a file says; ``None`` if it says nothing or cannot be read.

    At most 64 KiB of it, stripped. The device tree ends each of its strings with NUL, which
    becomes a space.
    """
    try:
        with path.open("rb") as file:
            said = file.read(_LIMIT)
    except OSError:  # none such, a zone that is switched off, a file that only root may read
        return None
    return said.decode("utf-8", "replace").replace("\0", " ").strip() or None


def number(path: Path) -> int | None:
    """Return the integer that a file holds; ``None`` if it holds none or cannot be read."""
    value = decimal(text(path))
    return None if value is None else int(value)


def decimal(word: str | None) -> float | None:
    """Return the number that a word is, of at most 18 digits; ``None`` if it is none."""
    return float(word) if word and _DECIMAL.fullmatch(word) else None
