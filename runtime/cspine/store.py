"""Where the files of a bundle lie: the one interface that a folder and a single file share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Contents:
    """What lies in a store that is open for reading.

    ``sizes`` are in bytes, by path with ``/``. ``read`` returns a file's bytes, not more than its
    size; it raises :class:`~cspine.errors.BundleError`.
    """

    sizes: Mapping[str, int]
    read: Callable[[str], bytes]


class Store(Protocol):
    """The place of one bundle, made or yet to be made; it knows of files and not of manifests."""

    @property
    def kind(self) -> str:
        """What a bundle is called there."""

    @property
    def path(self) -> Path:
        """Where it is."""

    def is_bundle(self) -> bool:
        """Return whether a bundle of this kind stands there, whole or damaged."""

    def opened(self) -> AbstractContextManager[Contents]:
        """List the files; nothing of them is read yet.

        Raises
        ------
        BundleError
            If no bundle stands there, or something in it that no bundle holds.
        """

    def replace(self, files: Mapping[str, bytes]) -> None:
        """Put these files in the place of all that is there, in one step."""
