"""Which of its two layouts a bundle has: a file is told from a folder, whatever its name."""

from __future__ import annotations

from pathlib import Path

from cspine.errors import BundleError
from cspine.folder import Folder
from cspine.packed import Packed
from cspine.replace import recover
from cspine.store import Store


def store_at(path: Path) -> Store:
    """Return the place of a bundle; where nothing stands, that of a folder.

    Raises
    ------
    BundleError
        If a folder whose replacement was cut short cannot be put back.
    """
    try:
        recover(path)
    except OSError as error:
        raise BundleError(
            f"{path}: its replacement was cut short, and the old bundle cannot be put back: "
            f"{error.strerror}; open it once as a user who may write to {path.parent}"
        ) from error
    return Packed(path) if path.is_file() else Folder(path)


def is_bundle(path: Path) -> bool:
    """Return whether a bundle stands at a path, whole or damaged, as a folder or as one file."""
    return store_at(path).is_bundle()
