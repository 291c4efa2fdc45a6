"""A ZIP archive whose members are read into memory, within limits; none is written to disk."""

from __future__ import annotations

import stat
import zipfile
from collections import Counter
from typing import BinaryIO

from cspine_export.checkpoint.limits import (
    MAXIMUM_FILE_BYTES,
    MAXIMUM_LIST_BYTES,
    MAXIMUM_MEMBERS,
    MAXIMUM_PARSED_BYTES,
    MAXIMUM_RATIO,
    SMALL_BYTES,
    Unreadable,
    check_size,
)

CHUNK_BYTES = 1 << 20
ENCRYPTED = 0x1  # in a member's flags
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class _Bounded:
    """A file that gives no more at once than an honest archive needs."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size > MAXIMUM_LIST_BYTES:
            raise Unreadable(f"more than {MAXIMUM_MEMBERS} files in one archive")
        return self._file.read(size if size >= 0 else MAXIMUM_LIST_BYTES)


class Archive:
    """The members of an archive, judged by what its list declares before any is read.

    Raises
    ------
    Unreadable
        If a member is encrypted, a link, named twice, or named so that it would be unpacked
        elsewhere; if there are too many, or they would unpack to too much.
    zipfile.BadZipFile
        If the list is damaged.
    """

    def __init__(self, file: BinaryIO) -> None:
        size = file.seek(0, 2)
        self._zip = zipfile.ZipFile(_Bounded(file))
        entries = self._zip.infolist()
        if len(entries) > MAXIMUM_MEMBERS:
            raise Unreadable(f"more than {MAXIMUM_MEMBERS} files in one archive")
        if min((entry.header_offset for entry in entries), default=0):
            # So does an archive that was cut off after one that it holds.
            raise Unreadable("other data stand before the archive; copy it again")
        for entry in entries:
            _check(entry)
        check_size(sum(entry.file_size for entry in entries), MAXIMUM_FILE_BYTES, "an archive")
        if sum(entry.compress_size for entry in entries) > size:
            raise Unreadable("the archive's files overlap, as only a decompression bomb's do")
        name, count = Counter(self._zip.namelist()).most_common(1)[0] if entries else ("", 1)
        if count > 1:
            raise Unreadable(f"the archive holds {name!r} {count} times; which is meant is unknown")
        self._entries = {entry.filename: entry for entry in entries if not entry.is_dir()}

    @property
    def names(self) -> list[str]:
        """Of its files, in the archive's order."""
        return list(self._entries)

    def folder_of(self, tail: str) -> str | None:
        """Return what stands before a path: nothing, or the one folder that holds all.

        ``None`` if there is no such path.

        Raises
        ------
        Unreadable
            If there are several.
        """
        found = [
            name.removesuffix(tail)
            for name in self.names
            if name == tail
            or (name.endswith(f"/{tail}") and name.count("/") == tail.count("/") + 1)
        ]
        if len(found) > 1:
            raise Unreadable(f"the archive holds {len(found)} files {tail!r}; give one alone")
        return found[0] if found else None

    def size(self, name: str) -> int:
        """Return the declared size of a member in bytes."""
        if name not in self._entries:
            raise Unreadable(f"the archive lacks {name!r}; copy it again")
        return self._entries[name].file_size

    def read(self, name: str, *, limit: int = MAXIMUM_PARSED_BYTES) -> bytes:
        """Unpack one member.

        Raises
        ------
        Unreadable
            If it is absent, declares more bytes than the limit, or holds others than it declares.
        zipfile.BadZipFile, zlib.error
            If it is damaged.
        """
        check_size(size := self.size(name), limit, f"{name!r}")
        unpacked = bytearray()
        with self._zip.open(self._entries[name]) as stream:
            # In one go, zipfile would inflate all that lies beyond the declared size too.
            while chunk := stream.read(CHUNK_BYTES):
                unpacked += chunk
        if len(unpacked) != size:
            raise Unreadable(f"{name!r} holds {len(unpacked)} bytes and declares {size}")
        return bytes(unpacked)


def _check(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or ":" in parts[0]:
        raise Unreadable(f"the archive's {name!r} would be unpacked outside of it")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise Unreadable(f"the archive's {name!r} is a symbolic link; put the file itself there")
    if entry.flag_bits & ENCRYPTED:
        raise Unreadable(f"{name!r} is encrypted; unpack the archive and give the file")
    if entry.compress_type not in METHODS:
        raise Unreadable(f"{name!r} is packed by a method other than deflate; pack it anew")
    if entry.file_size > max(SMALL_BYTES, MAXIMUM_RATIO * entry.compress_size):
        raise Unreadable(
            f"{name!r} unpacks to {entry.file_size >> 20} MiB, more than {MAXIMUM_RATIO} times its "
            "size, as no weights do; if it is sound, save it anew, unpacked"
        )
