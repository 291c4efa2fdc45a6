"""The files that a user points at: one, or all below a folder, such as a patient's CD."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cspine.errors import StudyError


@dataclass(frozen=True)
class Listing:
    """Files in a fixed order, and what messages call them.

    Attributes
    ----------
    root
        What the user pointed at: the only path that a message repeats, for the names below a
        folder are often patients' names.
    files
        The root itself, or the files below it sorted by path.
    unreadable
        One error for each folder below the root that cannot be listed.
    """

    root: Path
    files: tuple[Path, ...]
    unreadable: tuple[StudyError, ...]

    def __iter__(self) -> Iterator[Path]:
        """Iterate over the files."""
        return iter(self.files)

    def named(self) -> Iterator[tuple[Path, str]]:
        """Iterate over the files, each with what messages call it."""
        for number, file in enumerate(self.files, 1):
            below = "" if file == self.root else f": file {number} of {len(self.files)}"
            yield file, f"{self.root}{below}"


def dicom_files(path: Path) -> Listing:
    """List a file itself, or every file below a folder.

    Hidden files are passed over, as are devices and pipes. The folder may be a symbolic link;
    links to folders below it are not followed, for they may lead round in a circle.

    Raises
    ------
    StudyError
        If there is nothing there, or the folder holds no file or cannot be listed.
    """
    if os.path.isfile(path):
        return Listing(path, (path,), ())
    if not os.path.isdir(path):
        raise StudyError(f"{path}: no such file or folder")
    unreadable: list[StudyError] = []

    def unlisted(error: OSError) -> None:
        where = "the folder" if error.filename == os.fspath(path) else "a folder below it"
        unreadable.append(StudyError(f"{path}: {where} cannot be listed: {error.strerror}"))

    found = [
        Path(folder, name)
        for folder, _, names in os.walk(path, onerror=unlisted)
        for name in names
        if not name.startswith(".")
    ]
    # What does not even answer whether it exists stays, so that reading reports it.
    files = tuple(
        sorted(file for file in found if os.path.isfile(file) or not os.path.exists(file))
    )
    if not files:
        raise unreadable[0] if unreadable else StudyError(f"{path}: the folder holds no file")
    return Listing(path, files, tuple(unreadable))
