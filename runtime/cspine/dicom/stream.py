"""The bytes of a file, as pydicom may read them: counted, and inflated within limits."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom.filereader import read_dataset

from cspine.dicom.limits import (
    MAXIMUM_RATIO,
    MAXIMUM_UNPACKED_BYTES,
    SMALL_BYTES,
    TOO_DEEP,
    Exceeded,
    check_count,
    check_types,
)

_READS = 3  # at most, of 8 bytes or less, for the header of one element
_CHUNK_BYTES = 1 << 20


class Deflated(Exception):  # noqa: N818 - a finding
    """The data set is deflated: it can only be read whole.

    Attributes
    ----------
    start
        Where it starts, behind the file meta information.
    """

    def __init__(self, start: int) -> None:
        self.start = start


class _Metered(io.BufferedIOBase):
    _short = 0

    def _count(self, size: int) -> None:
        if size <= 8:
            self._short += 1
            self.check()

    def check(self) -> None:
        """Raise :class:`Exceeded` once more has been read than a header may hold."""
        check_count(self._short // _READS)


class MeteredFile(_Metered, io.BufferedReader):
    """A file on disk; reading raises :class:`Exceeded`, and :class:`Deflated` where it is."""

    def __init__(self, path: Path) -> None:
        io.BufferedReader.__init__(self, io.FileIO(os.fspath(path)))

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as a file does; all that is left is what pydicom reads only to inflate it."""
        if size is None or size < 0:
            raise Deflated(self.tell())
        self._count(size)
        return io.BufferedReader.read(self, size)


class MeteredBytes(_Metered, io.BytesIO):
    """The bytes of a file; as :class:`MeteredFile`."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as :class:`MeteredFile` does."""
        if size is None or size < 0:
            raise Deflated(self.tell())
        self._count(size)
        return io.BytesIO.read(self, size)


Metered = MeteredFile | MeteredBytes


def inflated(stream: Metered, start: int) -> MeteredBytes:
    """Inflate a raw deflate stream from a place to the end of a file.

    Raises
    ------
    Exceeded
        If it inflates to too much.
    zlib.error
        If it is damaged.
    EOFError
        If it is cut off.
    """
    packed = stream.seek(0, os.SEEK_END) - start
    largest = min(MAXIMUM_UNPACKED_BYTES, max(SMALL_BYTES, MAXIMUM_RATIO * packed))
    stream.seek(start)
    inflater, whole = zlib.decompressobj(-zlib.MAX_WBITS), MeteredBytes()
    while not inflater.eof:
        data = inflater.unconsumed_tail or stream.read(_CHUNK_BYTES)
        chunk = inflater.decompress(data, _CHUNK_BYTES)
        if not data and not chunk:
            raise EOFError
        if whole.write(chunk) and whole.tell() > largest:
            raise Exceeded(f"inflates to more than {largest >> 20} MiB, as no image does")
    whole.seek(0)
    return whole


def parse(stream: Metered, *, defer_size: int | None = None) -> pydicom.FileDataset:
    """Parse a file; sequences of a stated length stay unread until they are asked for.

    Raises
    ------
    Exceeded
        If there are too many elements, or nested too deep.
    Deflated
        If the data set is: :func:`parse_inflated` takes it from there.
    Exception
        Whatever pydicom raises for a broken file.
    """
    with _bounded(stream):
        dataset = pydicom.dcmread(stream, defer_size=defer_size)
    check_types(dataset)
    return dataset


def parse_inflated(
    head: bytes, stream: MeteredBytes, *, defer_size: int | None = None
) -> pydicom.FileDataset:
    """Parse a deflated file.

    Parameters
    ----------
    head
        What stands before the data set.
    stream
        The data set, inflated.

    Raises
    ------
    Exceeded, Exception
        As :func:`parse`.
    """
    meta = parse(MeteredBytes(head))
    with _bounded(stream):
        body = read_dataset(
            stream, is_implicit_VR=False, is_little_endian=True, defer_size=defer_size
        )
    dataset = pydicom.FileDataset(
        stream, body, meta.preamble, meta.file_meta, is_implicit_VR=False, is_little_endian=True
    )
    dataset.set_original_encoding(False, True, body.original_character_set)
    check_types(dataset)
    return dataset


@contextmanager
def _bounded(stream: Metered) -> Iterator[None]:
    """Tell what was too much from what is broken."""
    try:
        yield
    except (OSError, RecursionError) as error:
        # pydicom makes an OSError of all that is raised while it reads an item.
        stream.check()
        causes: list[BaseException] = [error]
        while cause := causes[-1].__context__:
            causes.append(cause)
        if any(isinstance(cause, MemoryError) for cause in causes):
            raise MemoryError from error
        if any(isinstance(cause, RecursionError) for cause in causes):
            raise Exceeded(TOO_DEEP) from error
        raise
