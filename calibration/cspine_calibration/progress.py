"""How far a calibration has come, on disk, so that a power cut costs seconds.

One file beside the bundle, replaced whole. What was begun for something else, or by other software,
is begun anew; so is what cannot be read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from cspine.files import sha256, write_atomic

# Writing takes some ten milliseconds, so it is not done after every study.
_EVERY_S = 2.0
_DIGEST = 64


class Seen(msgspec.Struct, frozen=True):
    """What one network saw: its statistics as a table without means, and their exact sums.

    ``table`` is empty as long as there is nothing; ``limbs`` is little-endian int64, as
    :class:`cspine_calibration.means.Means` has it, by tensor. ``varied`` says whether any image
    was not of one grey throughout.
    """

    table: bytes
    limbs: dict[str, bytes]
    varied: bool


class State(msgspec.Struct, frozen=True):
    """The cases done, what became of them, and what each network saw, by stage."""

    done: int
    studies: tuple[str, ...]
    refusals: dict[str, int]
    networks: dict[str, Seen]


class Progress:
    """The file of one calibration.

    Parameters
    ----------
    path
        The file.
    key
        Everything that the statistics depend on, as JSON.
    """

    def __init__(self, path: Path, *, key: Mapping[str, object]) -> None:
        self._path = path
        self._key = msgspec.json.encode(key)
        self._written = time.monotonic()

    def read(self) -> State | None:
        """Return where an earlier run stopped, if it was the same calibration."""
        with suppress(OSError, msgspec.MsgspecError):
            data = self._path.read_bytes()
            digest, body = data[:_DIGEST], data[_DIGEST:]
            if digest == sha256(body).encode():
                key, state = msgspec.msgpack.decode(body, type=tuple[bytes, State])
                return state if key == self._key else None
        return None

    def due(self) -> bool:
        """Return whether enough would be lost to write again."""
        return time.monotonic() - self._written >= _EVERY_S

    def write(self, state: State) -> None:
        """Replace the file; when this returns it is on the disk."""
        body = msgspec.msgpack.encode((self._key, state))
        write_atomic(self._path, sha256(body).encode() + body)
        self._written = time.monotonic()

    def remove(self) -> None:
        """Remove the file: what it was kept for is done."""
        self._path.unlink(missing_ok=True)
