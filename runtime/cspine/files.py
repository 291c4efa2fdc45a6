"""Files that are either whole or absent, and their digests."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from pathlib import Path

# Reading the mask means setting it, for every thread of the process: once, before there are any.
_MASK = os.umask(0o077)
os.umask(_MASK)


def sha256(data: bytes | memoryview) -> str:
    """Return the digest that names a file's bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a power cut leaves the old one or the new one, never half.

    Temporary file on the same file system, fsync, rename, fsync of the folder. The file is as
    readable as the process's mask, at import, lets any new file be.

    Raises
    ------
    OSError
        Naming ``path``, never the temporary file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o666 & ~_MASK)  # mkstemp keeps its file private
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise _about(path, error) from error


def check_writable(path: Path) -> None:
    """Check that :func:`write_atomic` could write a file, before the work that fills it.

    Nothing is left behind, and no folder is made.

    Raises
    ------
    OSError
        Naming ``path``: it is a folder, or the nearest folder that exists takes no file.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    try:
        nearest = next(folder for folder in path.absolute().parents if folder.exists())
        # Asking beats the permission bits, which say nothing of root or a read-only file system.
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise _about(path, error) from error


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _about(path: Path, error: OSError) -> OSError:
    """Return the same error, of the same class, about the path that was asked for."""
    return OSError(error.errno, error.strerror, str(path))
