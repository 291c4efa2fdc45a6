"""The per-device cache, outside every bundle: engines and tunings, private, rebuilt at will."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from cspine.files import sha256, write_atomic


def cache_folder() -> Path:
    """Return the cache's folder, which need not exist: reading never makes it.

    ``CSPINE_CACHE`` moves it; else it follows the XDG base directories.

    Raises
    ------
    OSError
        If nothing says where it is: neither variable is set and the user has no home.
    """
    own = os.environ.get("CSPINE_CACHE")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    if shared:
        return Path(shared) / "cspine"
    try:
        return Path.home() / ".cache" / "cspine"
    except RuntimeError as error:
        raise FileNotFoundError(
            errno.ENOENT, "the user has no home folder; set CSPINE_CACHE", "~/.cache/cspine"
        ) from error


def cache_key(*facts: object) -> str:
    """Return the name of an entry: a digest of every fact that shaped it."""
    return sha256(repr(facts).encode())[:32]


def write_cached(path: Path, data: bytes) -> None:
    """Write an entry below :func:`cache_folder`, which is made private if it is new.

    Raises
    ------
    OSError
        If the cache cannot be written.
    """
    cache_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(path, data)
