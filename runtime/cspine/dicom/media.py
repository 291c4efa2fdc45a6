"""The files that a user points at: one, those below a folder, in an archive or on a medium."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cspine.dicom.archive import Member, archive_members, is_archive
from cspine.dicom.directory import is_directory, listed_files
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
        The root itself, or what is below, in or listed by it, by what messages call each.
    unreadable
        One error for each folder that cannot be listed and each file that is not where a DICOMDIR
        says.
    mixed
        Whether other files than DICOM may be among them, as nobody named each.
    """

    root: Path
    files: Mapping[str, Path | Member]
    unreadable: tuple[StudyError, ...]
    mixed: bool

    def __iter__(self) -> Iterator[Path | Member]:
        """Iterate over the files."""
        return iter(self.files.values())

    def named(self) -> Iterator[tuple[Path | Member, str]]:
        """Iterate over the files, each with what messages call it."""
        for name, file in self.files.items():
            yield file, name


def dicom_files(path: Path) -> Listing:
    """List a file itself, every file below a folder or in a ZIP archive, or those of a DICOMDIR.

    Archives and DICOMDIRs are known by their content, and only where the path itself is one.
    Hidden files are passed over, as are devices and pipes. The folder may be a symbolic link;
    links to folders below it are not followed, for they may lead round in a circle.

    Raises
    ------
    StudyError
        If there is nothing there, it holds no file, or it cannot be listed.
    """
    if os.path.isdir(path):
        return _below(path)
    if not os.path.isfile(path):
        raise StudyError(f"{path}: no such file or folder")
    try:
        if is_archive(path):
            members = {member.name: member for member in archive_members(path)}
            return Listing(path, members, (), mixed=True)
    except OSError as error:
        raise StudyError(f"{path}: cannot be read: {error.strerror or 'damaged'}") from error
    if is_directory(path):
        files, amiss = listed_files(path)
        return Listing(path, files, tuple(amiss), mixed=False)
    return Listing(path, {str(path): path}, (), mixed=False)


def file_key(file: Path | Member) -> tuple[int, ...] | None:
    """Return what is the same for one file by whatever path it is reached; none if it is gone."""
    if isinstance(file, Member):
        return file.key
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _below(path: Path) -> Listing:
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
    files = sorted(file for file in found if os.path.isfile(file) or not os.path.exists(file))
    if not files:
        raise unreadable[0] if unreadable else StudyError(f"{path}: the folder holds no file")
    named = {f"{path}: file {number} of {len(files)}": file for number, file in enumerate(files, 1)}
    return Listing(path, named, tuple(unreadable), mixed=True)
