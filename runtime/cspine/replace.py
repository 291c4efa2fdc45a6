"""A folder or file that is replaced whole: a kill or power cut leaves the old one or the new one.

The new one is written and synced as ``.NAME.writing/new`` beside its place. A file is then renamed;
folders are exchanged in one step (``renameat2`` with ``RENAME_EXCHANGE``). A file system that
cannot exchange gets two renames, the old folder going to ``.NAME.writing/old``; a cut between them
is mended by :func:`recover`, at the next opening. What a dead writer left behind is removed by the
next one.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from cspine.files import sync_folder

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM}


def replace_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Put a folder of these files in the place of whatever is at ``path``, if anything.

    Raises
    ------
    OSError
        If it cannot be written; what was at ``path`` is still there.
    """
    with _new(path) as new:
        for name, data in files.items():
            _write(new / name, (data,), about=path / name)
        for folder in (*(each for each in new.rglob("*") if each.is_dir()), new, new.parent):
            sync_folder(folder)
        if not path.exists():
            new.rename(path)
        elif not exchange(new, path):
            path.rename(new.with_name("old"))
            new.rename(path)


def replace_file(path: Path, parts: Iterable[bytes]) -> None:
    """Put a file of these parts in the place of the one at ``path``, if any.

    Raises
    ------
    OSError
        If it cannot be written; what was at ``path`` is still there.
    """
    with _new(path) as new:
        _write(new, parts, about=path)
        new.rename(path)  # one step, for a file


def recover(path: Path) -> None:
    """Put back a folder whose replacement was cut between two renames; else do nothing.

    Raises
    ------
    OSError
        If the folder that was left beside its place cannot be put back.
    """
    if (_staging(path) / "old").exists() and not path.exists():
        with _locked(path.parent):  # a writer that is alive is about to do it itself
            _mend(path)


def exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step.

    Returns
    -------
    bool
        ``False`` if the system or this file system cannot; nothing has happened then.

    Raises
    ------
    OSError
        If it can, and did not.
    """
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return False
    if function(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(other))


@contextmanager
def _new(path: Path) -> Iterator[Path]:
    """Yield where to write what shall take a place; the block moves it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent):
        _mend(path)
        staging = _staging(path)
        shutil.rmtree(staging, ignore_errors=True)
        try:
            yield staging / "new"
            sync_folder(path.parent)
        except BaseException:
            _mend(path)
            raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _staging(path: Path) -> Path:
    whole = path.absolute()  # the current folder, `.`, has no name
    return whole.parent / f".{whole.name}.writing"


def _mend(path: Path) -> None:
    old = _staging(path) / "old"
    if old.exists() and not path.exists():
        old.rename(path)
        sync_folder(path.parent)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other writers out of a folder; the lock ends with the process, however that ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # NFS locks no folders: there, write from one machine at a time
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, parts: Iterable[bytes], *, about: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(about)) from error
