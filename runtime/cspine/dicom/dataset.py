"""From a file to a data set, whatever is in the file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom

from cspine.dicom.archive import Member
from cspine.dicom.element import CONSULTED, uid
from cspine.dicom.limits import MAXIMUM_BYTES, OVER_MEMORY, PIXEL_DATA, Exceeded, convert
from cspine.dicom.stream import (
    Deflated,
    Metered,
    MeteredBytes,
    MeteredFile,
    inflated,
    parse,
    parse_inflated,
)
from cspine.errors import StudyError
from cspine.files import sha256
from cspine.findings import Source

# pydicom warns of odd values by repeating them, and they may be a patient's name: neither its
# warnings nor its log may reach the terminal or the log of a program that embeds this one.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
logging.getLogger("pydicom").propagate = False

# Longer values stay in the file until they are asked for, so that many studies can be held.
DEFERRED_BYTES = 1 << 16
PREAMBLE_BYTES, PREFIX = 128, b"DICM"  # what a DICOM file begins with (PS3.10 7.1)


class NotDicom(StudyError):  # noqa: N818 - a finding
    """A file is no DICOM file, and no damaged one either."""


def read_dataset(file: Path | Member | bytes, *, name: str | None = None) -> pydicom.Dataset:
    """Read a DICOM file; pixel data stay encoded, and in the file until they are asked for.

    Parameters
    ----------
    file
        A path or a file in an archive, which must stay as it is until its image has been read,
        or the file's bytes.
    name
        What an error calls the file; its path if not given.

    Raises
    ------
    NotDicom
        If it does not begin as a DICOM file does.
    StudyError
        If the file cannot be opened, is damaged, or asks for more than the limits
        (:mod:`cspine.dicom.limits`) allow.
    """
    name = name or ("the file" if isinstance(file, bytes) else _name(file))
    try:
        _check_head(file, name)
        dataset = _read(file)
        # What will be consulted is converted now, so that it fails here or never.
        convert(dataset.file_meta, ("MediaStorageSOPClassUID", "TransferSyntaxUID"))
        convert(dataset, CONSULTED)
        return dataset
    except StudyError:
        raise
    except Exceeded as error:
        raise StudyError(f"{name}: {error}") from error
    except MemoryError as error:
        raise StudyError(f"{name}: {OVER_MEMORY}") from error
    except OSError as error:
        raise StudyError(f"{name}: cannot be read: {error.strerror or 'damaged'}") from error
    except Exception as error:  # pydicom lets struct.error, RecursionError and others escape
        # The library's own message may quote the element that broke it: only its kind is told.
        raise StudyError(f"{name}: a damaged DICOM file ({type(error).__name__})") from error


def source_of(dataset: pydicom.Dataset) -> Source:
    """Return what tells an instance from all others; a UID is empty if none valid is stated."""
    with pixels_forgotten(dataset):
        pixels = dataset.get("PixelData")
        return Source(
            study_uid=uid(dataset, "StudyInstanceUID"),
            series_uid=uid(dataset, "SeriesInstanceUID"),
            instance_uid=uid(dataset, "SOPInstanceUID"),
            pixels=sha256(pixels if isinstance(pixels, bytes) else b""),
        )


@contextmanager
def pixels_forgotten(dataset: pydicom.Dataset) -> Iterator[None]:
    """Forget the pixels that are read from the file within the block; they can be read again."""
    stored = dataset.get_item(PIXEL_DATA, keep_deferred=True) if PIXEL_DATA in dataset else None
    try:
        yield
    finally:
        if stored is not None:
            dataset[PIXEL_DATA] = stored


def _name(file: Path | Member) -> str:
    return str(file) if isinstance(file, Path) else file.name


def _check_head(file: Path | Member | bytes, name: str) -> None:
    """Check that a file may be one of DICOM before more of it is read."""
    size = PREAMBLE_BYTES + len(PREFIX)
    if isinstance(file, bytes):
        head = file[:size]
    elif isinstance(file, Member):
        head = file.head(size)
    else:
        with file.open("rb") as stream:
            head = stream.read(size)
    if not head:
        raise StudyError(f"{name}: the file is empty")
    if head[PREAMBLE_BYTES:] != PREFIX:
        raise NotDicom(f"{name}: not a DICOM file")
    if isinstance(file, Path) and (large := file.stat().st_size) > MAXIMUM_BYTES:
        raise StudyError(f"{name}: {large >> 20} MiB, at most {MAXIMUM_BYTES >> 20} are read")


def _read(file: Path | Member | bytes) -> pydicom.Dataset:
    # The caller holds the bytes: nothing is saved by leaving some of them for later.
    defer_size = None if isinstance(file, bytes) else DEFERRED_BYTES
    state = _state(file)
    with _opened(file) as stream:
        try:
            dataset, start = parse(stream, defer_size=defer_size), None
        except Deflated as deflated:
            start = deflated.start
            stream.seek(0)
            head = stream.read(start)
            with inflated(stream, start) as body:
                dataset = parse_inflated(head, body, defer_size=defer_size)
    if isinstance(file, (Path, Member)):
        dataset.filename = str(file if isinstance(file, Path) else file.archive)
        dataset.fileobj_type = _reopening(file, start, state)
    dataset.buffer = dataset.timestamp = None  # the stream is closed; the state tells more
    return dataset


def _opened(file: Path | Member | bytes) -> Metered:
    if isinstance(file, Path):
        return MeteredFile(file)
    return MeteredBytes(file if isinstance(file, bytes) else file.read_bytes())


def _state(file: Path | Member | bytes) -> tuple[int, ...]:
    """Return what is the same for as long as nobody writes to a file on disk."""
    if not isinstance(file, Path):
        return ()  # an archive sees to its own
    stat = file.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _reopening(
    file: Path | Member, start: int | None, state: tuple[int, ...]
) -> Callable[[str, str], Metered]:
    """Return what pydicom calls, as it would ``open``, for a value that was left in a file.

    Every call gives a stream of its own, for threads may read at once.
    """

    def reopen(_name: str, _mode: str) -> Metered:
        if _state(file) != state:  # the header of one image, the pixels of another
            raise OSError("the file changed after its header was read")
        stream = _opened(file)
        if start is None:
            return stream
        with stream:
            return inflated(stream, start)

    return reopen
