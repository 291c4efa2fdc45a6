"""How often a locked set was looked at: a line for each candidate that was judged on it.

The lines are only ever added, to ``looks.jsonl`` beside ``cases.csv``, so that they travel with the
set and not with a bundle. A set that has changed goes on counting: cases that are added after a
verdict are a second look, too. To judge the same candidate on the same set again shows nothing new
and counts as the same look.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from cspine.errors import ModelError
from cspine.files import sync_folder
from cspine.precision import Precision

FILE = "looks.jsonl"


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What was judged, on which state of the set; a line without a precision is of INT8."""

    bundle: str
    backend: str
    target: str
    precision: Precision = "int8"
    set_digest: str


def check_looks(folder: Path) -> None:
    """Check that a look can be put on record, before the work that leads to one.

    Raises
    ------
    ModelError
        If the record is damaged, or the folder takes no file.
    """
    _read(folder)
    if not os.access(folder, os.W_OK):
        raise ModelError(
            f"{folder}: is read-only, but looks at a locked set are put on record beside its "
            "cases; judge on a folder that takes files"
        )


def look_number(folder: Path, look: Look) -> int:
    """Return the number that a look has or would have, the first being 1.

    Raises
    ------
    ModelError
        If the record is damaged.
    """
    known = _read(folder)
    return known.index(look) + 1 if look in known else len(known) + 1


def put_on_record(folder: Path, look: Look) -> int:
    """Add a look, unless it is there, and return its number, the first look being 1.

    Raises
    ------
    ModelError
        If the record is damaged.
    OSError
        If it cannot be written.
    """
    if look not in _read(folder):
        with (folder / FILE).open("ab") as file:
            file.write(msgspec.json.encode(look) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)
    # Read again: another candidate may have been put on record in between.
    return look_number(folder, look)


def _read(folder: Path) -> list[Look]:
    """Return the looks on record, each once, in their order."""
    path = folder / FILE
    try:
        lines = path.read_bytes().splitlines() if path.exists() else []
        return list(dict.fromkeys(msgspec.json.decode(line, type=Look) for line in lines))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path}: cannot be read as the looks at this set; restore it, for it says how often "
            "the set was used"
        ) from error
