"""The files in a ZIP archive, unpacked in memory and within limits; none is written to disk."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO

from cspine.dicom.limits import (
    MAXIMUM_BYTES,
    MAXIMUM_RATIO,
    MAXIMUM_UNPACKED_BYTES,
    OVER_MEMORY,
    SMALL_BYTES,
)
from cspine.errors import StudyError

MAXIMUM_MEMBERS = 10_000
CHUNK_BYTES = 1 << 16
# All entries of the archive's own list, which is read at once and grows tenfold in memory.
MAXIMUM_LIST_BYTES = MAXIMUM_MEMBERS << 10

# PS3.12 annex V asks for these two. Those of others unpack in steps that nothing bounds.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1  # in an entry's flags
INSTEAD = "unpack the archive and give the folder"


class _File(io.FileIO):
    """A file that reads no more at once than an honest archive needs, and counts what it read."""

    consumed = 0

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAXIMUM_LIST_BYTES:
            raise StudyError(f"{self.name}: more than {MAXIMUM_MEMBERS} files in one archive")
        data = super().read(size) or b""
        self.consumed += len(data)
        return data

    @property
    def state(self) -> tuple[int, ...]:
        """What is the same for as long as nobody writes to it."""
        stat = os.fstat(self.fileno())
        return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


class _Archive:
    """The list of an archive; the file is open only while a member is read.

    Hundreds may be held, each by its members. Threads take turns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = Lock()
        with _File(path) as file:
            self._zip = zipfile.ZipFile(file)
            self.state = file.state
        self.entries = self._zip.infolist()

    @contextmanager
    def opened(self, entry: zipfile.ZipInfo) -> Iterator[tuple[IO[bytes], _File]]:
        """Open the file, and one member in it."""
        with self._turn, _File(self.path) as file:
            if file.state != self.state:
                raise StudyError(f"{self.path}: the archive changed while it was read; try again")
            self._zip.fp = file
            with self._zip.open(entry) as stream:
                yield stream, file


@dataclass(frozen=True)
class Member:
    """One file in an archive.

    Attributes
    ----------
    name
        What messages call it: the archive and a number, never the name it has there.
    """

    name: str
    _archive: _Archive
    _entry: zipfile.ZipInfo

    @property
    def archive(self) -> Path:
        """Where the archive lies."""
        return self._archive.path

    @property
    def key(self) -> tuple[int, ...]:
        """What is the same for the same bytes on disk, by whatever path they are reached."""
        device, file, *_ = self._archive.state
        return device, file, self._entry.header_offset

    def head(self, size: int) -> bytes:
        """Unpack no more than its first bytes; raises as :meth:`read_bytes`."""
        with self._unpacking() as (stream, _):
            return stream.read(size)

    def read_bytes(self) -> bytes:
        """Unpack it.

        Raises
        ------
        StudyError
            If it is encrypted, damaged, packed by an unusual method, or past the limits.
        """
        if self._entry.file_size > MAXIMUM_UNPACKED_BYTES:
            size = f"{self._entry.file_size >> 20} MiB, at most {MAXIMUM_UNPACKED_BYTES >> 20}"
            raise StudyError(f"{self.name}: unpacks to {size} are read; {INSTEAD}")
        unpacked = io.BytesIO()  # whose bytes can be had without a copy
        with self._unpacking() as (stream, file):
            start = file.consumed
            # An entry may lie. What it calls the member's size is all that zipfile hands out, so
            # the limit holds; in one go, it would inflate all beyond it too.
            while chunk := stream.read(CHUNK_BYTES):
                unpacked.write(chunk)
                packed = file.consumed - start
                if unpacked.tell() > max(SMALL_BYTES, MAXIMUM_RATIO * packed):
                    raise StudyError(
                        f"{self.name}: unpacks to more than {MAXIMUM_RATIO} times its size, "
                        "as no image does"
                    )
        return unpacked.getvalue()

    @contextmanager
    def _unpacking(self) -> Iterator[tuple[IO[bytes], _File]]:
        if self._entry.flag_bits & ENCRYPTED:
            raise StudyError(f"{self.name}: encrypted; {INSTEAD}")
        if self._entry.compress_type not in METHODS:
            raise StudyError(f"{self.name}: packed by a method other than deflate; {INSTEAD}")
        try:
            with self._archive.opened(self._entry) as opened:
                yield opened
        except (StudyError, MemoryError):
            raise
        except Exception as error:  # zlib.error, EOFError, NotImplementedError, struct.error...
            raise StudyError(
                f"{self.name}: cannot be unpacked ({type(error).__name__}); copy the archive again"
            ) from error


def is_archive(path: Path) -> bool:
    """Return whether a file is a ZIP archive by its content; DICOM with one inside is none.

    One that was cut off has lost the list at its end and is known by its beginning.
    """
    with path.open("rb") as file:
        head = file.read(132)
    dicom = head[128:] == b"DICM"
    return not dicom and (head.startswith(b"PK\x03\x04") or zipfile.is_zipfile(path))


def archive_members(path: Path) -> list[Member]:
    """List an archive's files by name; folders and hidden files are passed over.

    Raises
    ------
    StudyError
        If it is damaged, holds no file, or more of them or larger ones than the limits allow.
    """
    try:
        archive = _Archive(path)
    except StudyError:
        raise
    except MemoryError as error:
        raise StudyError(f"{path}: {OVER_MEMORY}") from error
    except Exception as error:  # BadZipFile, and what a broken list raises besides
        raise StudyError(
            f"{path}: the archive is damaged ({type(error).__name__}); copy it again"
        ) from error
    entries = sorted(
        (
            entry
            for entry in archive.entries
            if not entry.is_dir() and not entry.filename.rpartition("/")[2].startswith(".")
        ),
        key=lambda entry: (entry.filename, entry.header_offset),
    )
    if not entries:
        raise StudyError(f"{path}: the archive holds no file")
    if len(entries) > MAXIMUM_MEMBERS:
        raise StudyError(f"{path}: more than {MAXIMUM_MEMBERS} files in one archive")
    size = sum(entry.file_size for entry in entries)
    if size > MAXIMUM_BYTES:
        raise StudyError(
            f"{path}: unpacks to {size >> 20} MiB, at most {MAXIMUM_BYTES >> 20} are read; "
            "unpack it and give the folder"
        )
    return [
        Member(f"{path}: file {number} of {len(entries)}", archive, entry)
        for number, entry in enumerate(entries, 1)
    ]
