"""The per-device cache, outside every bundle: engines, private to the user, rebuilt at will."""

from __future__ import annotations

import os
from pathlib import Path

from cspine.files import sha256


def cache_folder() -> Path:
    """Return the cache's folder, made private if it is new.

    ``CSPINE_CACHE`` moves it; else it follows the XDG base directories.
    """
    base = os.environ.get("CSPINE_CACHE")
    if base:
        folder = Path(base)
    else:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(home) / "cspine"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def cache_key(*facts: object) -> str:
    """Return the name of an entry: a digest of every fact that shaped it."""
    return sha256(repr(facts).encode())[:32]
