"""A bundle as one file: a ZIP archive (APPNOTE.TXT 6.3.10) of which only one form is known.

The members are stored and not compressed, the manifest first and the others by path, with one date
and one mode, and nothing lies before, between or behind them. So the same bundle is the same
bytes, and an archive that differs from them anywhere is refused. It is not unpacked to disk.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from cspine.errors import BundleError
from cspine.manifest import MANIFEST
from cspine.replace import replace_file
from cspine.store import Contents

LARGEST = (1 << 32) - 1  # bytes of all members: what an archive without 64-bit fields can say
MOST_MEMBERS = 10_000
LARGEST_LIST = MOST_MEMBERS << 10  # bytes of the list of members, which is read at once

_LOCAL = struct.Struct("<4s5H3L2H")
_LISTED = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")

_NEEDED = 10  # version 1.0, which stores
_UNIX = 3 << 8
_STORED = (_NEEDED, 0, 0, 0, 0x21)  # no flag, no method, 1 January 1980 at midnight
_MODE = 0o100644 << 16


@dataclass(frozen=True)
class _Member:
    """A file in the archive, ``offset`` bytes from its start; the manifest lets names be ASCII."""

    name: str
    size: int
    crc: int
    offset: int

    @property
    def header(self) -> bytes:
        """What stands before its bytes."""
        facts = (*_STORED, self.crc, self.size, self.size, len(self.name), 0)
        return _LOCAL.pack(b"PK\3\4", *facts) + self.name.encode("latin-1")

    @property
    def listed(self) -> bytes:
        """What stands in the list at the archive's end."""
        facts = (*_STORED, self.crc, self.size, self.size, len(self.name), 0, 0, 0, 0, _MODE)
        head = _LISTED.pack(b"PK\1\2", _UNIX | _NEEDED, *facts, self.offset)
        return head + self.name.encode("latin-1")

    @property
    def end(self) -> int:
        """Where the next one starts."""
        return self.offset + len(self.header) + self.size


@dataclass(frozen=True)
class Packed:
    """The file at a path, all files of the bundle in it."""

    path: Path
    kind = "bundle in one file"

    def is_bundle(self) -> bool:
        """Return whether a file there begins as :meth:`replace` begins one."""
        if not self.path.is_file():  # a pipe would be waited for
            return False
        with self.path.open("rb") as file:
            return _begins(file)

    @contextmanager
    def opened(self) -> Iterator[Contents]:
        """List the members of the archive."""
        try:
            with self.path.open("rb") as file:
                members = {member.name: member for member in self._members(file)}
                sizes = {name: member.size for name, member in members.items()}
                yield Contents(sizes, lambda name: self._read(file, members[name]))
        except OSError as error:
            raise BundleError(f"{self.path}: cannot be read: {error.strerror}") from error

    def replace(self, files: Mapping[str, bytes]) -> None:
        """Write the archive of these files, in one step.

        Raises
        ------
        BundleError
            If they are too many or too large for one.
        """
        members = list(_laid_out(files))
        size = members[-1].end
        if size > LARGEST or len(members) > MOST_MEMBERS:
            raise BundleError(
                f"{self.path}: {len(members)} files of {size} bytes are too much for one file; "
                "leave the bundle a folder"
            )
        parts = (part for each in members for part in (each.header, files[each.name]))
        replace_file(self.path, (*parts, *(each.listed for each in members), _end(members)))

    def _members(self, file: BinaryIO) -> list[_Member]:
        """Read the list and hold all of it against the one that these members would have."""
        if not _begins(file):
            raise BundleError(
                f"{self.path}: does not begin as `cspine pack` writes a bundle, so it is none"
            )
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _END.size))
        last = file.read(_END.size)
        odd = BundleError(
            f"{self.path}: does not end as `cspine pack` writes a bundle: something was cut off or "
            "added; restore the bundle from its source"
        )
        if len(last) != _END.size:
            raise odd
        *_, length, start, _ = _END.unpack(last)
        if start + length + _END.size != size or start > LARGEST or length > LARGEST_LIST:
            raise odd
        file.seek(start)
        members = list(self._listed(file.read(length)))
        if not 0 < len(members) <= MOST_MEMBERS or members[0].name != MANIFEST:
            raise odd
        if members[-1].end != start or _end(members) != last:
            raise odd
        return members

    def _listed(self, data: bytes) -> Iterator[_Member]:
        place, offset, before = 0, 0, (False, "")
        while place < len(data):
            start = place + _LISTED.size
            crc, size, _, length = _LISTED.unpack(data[place:start].ljust(_LISTED.size))[7:11]
            name = data[start : start + length].decode("latin-1")
            member = _Member(name, size, crc, offset)
            fits = before < _order(name) and offset <= LARGEST
            if not fits or not data.startswith(member.listed, place):
                raise BundleError(
                    f"{self.path}: {name!r} is not listed as `cspine pack` lists it; "
                    "restore the bundle from its source"
                )
            yield member
            place, offset, before = place + len(member.listed), member.end, _order(name)

    def _read(self, file: BinaryIO, member: _Member) -> bytes:
        file.seek(member.offset)
        header = file.read(len(member.header))
        data = file.read(member.size)
        if header != member.header or crc32(data) != member.crc:
            raise BundleError(
                f"{self.path}: {member.name} has changed since it was packed; "
                "restore the bundle from its source"
            )
        return data


def _begins(file: BinaryIO) -> bool:
    blank = _Member(MANIFEST, 0, 0, 0).header
    start = file.read(len(blank))
    return start[:14] == blank[:14] and start[26:] == blank[26:]  # CRC and sizes between


def _laid_out(files: Mapping[str, bytes]) -> Iterator[_Member]:
    offset = 0
    for name in sorted(files, key=_order):
        member = _Member(name, len(files[name]), crc32(files[name]), offset)
        yield member
        offset = member.end


def _order(name: str) -> tuple[bool, str]:
    return name != MANIFEST, name


def _end(members: Sequence[_Member]) -> bytes:
    """Return the archive's last bytes: how long the list of members is, and where it starts."""
    count, length = len(members), sum(len(member.listed) for member in members)
    return _END.pack(b"PK\5\6", 0, 0, count, count, length, members[-1].end, 0)
