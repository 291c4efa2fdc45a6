"""A bundle as a folder."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cspine.errors import BundleError
from cspine.manifest import MANIFEST
from cspine.replace import replace_folder
from cspine.store import Contents


@dataclass(frozen=True)
class Folder:
    """The folder at a path, each file of the bundle a file in it."""

    path: Path
    kind = "folder of a bundle"

    def is_bundle(self) -> bool:
        """Return whether a manifest lies there."""
        return (self.path / MANIFEST).is_file()

    @contextmanager
    def opened(self) -> Iterator[Contents]:
        """List what lies in the folder and below it; a link or a pipe is refused by name."""
        if not self.is_bundle():
            raise BundleError(f"{self.path}: no {MANIFEST} there, so it is no bundle")
        sizes = dict(self._files())
        yield Contents(sizes, lambda name: self._read(name, sizes[name]))

    def replace(self, files: Mapping[str, bytes]) -> None:
        """Let the folder hold these files, in one step."""
        replace_folder(self.path, files)

    def _files(self) -> Iterator[tuple[str, int]]:
        for path in self.path.rglob("*"):
            name = path.relative_to(self.path).as_posix()
            try:
                status = path.lstat()
            except OSError as error:
                raise self._unreadable(name, error) from error
            if stat.S_ISREG(status.st_mode):
                yield name, status.st_size
            elif not stat.S_ISDIR(status.st_mode):  # a pipe would be waited for
                raise BundleError(
                    f"{self.path}: {name} is a link or no file; a bundle holds plain files"
                )

    def _read(self, name: str, size: int) -> bytes:
        try:
            with (self.path / name).open("rb") as file:
                return file.read(size)
        except OSError as error:
            raise self._unreadable(name, error) from error

    def _unreadable(self, name: str, error: OSError) -> BundleError:
        return BundleError(f"{self.path}: {name} cannot be read: {error.strerror}")
