"""The files that the directory of a medium (DICOMDIR, PS3.10 chapter 8) lists."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pydicom.filereader import read_partial
from pydicom.multival import MultiValue
from pydicom.uid import MediaStorageDirectoryStorage

from cspine.dicom.dataset import read_dataset
from cspine.dicom.element import integer, items
from cspine.dicom.stream import MeteredFile
from cspine.errors import StudyError

NOT_IN_USE = 0x0000  # Record In-use Flag of a record that was deleted
INSTEAD = "give the folder instead"


def is_directory(path: Path) -> bool:
    """Return whether a file is a DICOMDIR by its content; what cannot be read is none."""
    try:
        with MeteredFile(path) as stream:
            head = read_partial(stream, stop_when=lambda tag, *_: tag.group > 2)
        stated = head.file_meta.get("MediaStorageSOPClassUID")
        return bool(stated == MediaStorageDirectoryStorage)
    except Exception:  # pydicom lets whatever a broken header raises escape; reading it reports it
        return False


def listed_files(path: Path) -> tuple[dict[str, Path], list[StudyError]]:
    """Follow the records of a DICOMDIR to the files beside and below it.

    Names are compared without case and without the version ``;1``, as ISO 9660 media are seen
    through one operating system or another.

    Returns
    -------
    dict, list of StudyError
        Files by what messages call them; one error for each that is missing or lies outside.

    Raises
    ------
    StudyError
        If the DICOMDIR is damaged, lists nothing, or nothing of what it lists is there.
    """
    folder = path.resolve().parent  # a link to a DICOMDIR lies beside other files
    try:
        listed = list(dict.fromkeys(_references(path)))
    except Exception as error:  # as above, in any of the records
        raise StudyError(f"{path}: the DICOMDIR is damaged; {INSTEAD}") from error
    if not listed:
        raise StudyError(f"{path}: the DICOMDIR lists no file; {INSTEAD}")
    names = cache(_names)  # of each folder once
    files: dict[str, Path] = {}
    amiss: list[StudyError] = []
    for number, parts in enumerate(listed, 1):
        name = f"{path}: file {number} of {len(listed)}"
        found: Path | None = folder
        for part in parts:
            found = names(found).get(_plain(part)) if found else None
        outside = ".." in parts or any("/" in part for part in parts)
        if outside or (found and not found.resolve().is_relative_to(folder)):
            amiss.append(StudyError(f"{name} that the DICOMDIR lists lies outside its folder"))
        elif found is None:
            amiss.append(StudyError(f"{name} that the DICOMDIR lists is missing"))
        else:
            files[name] = found
    if not files:
        raise StudyError(
            f"{path}: none of the {len(listed)} files that the DICOMDIR lists is there; "
            "give the folder that holds the images"
        )
    return files, amiss


def _references(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the path of each file that a record in use names, part by part."""
    for record in items(read_dataset(path), "DirectoryRecordSequence"):
        value = record.get("ReferencedFileID")
        if value and integer(record, "RecordInUseFlag", default=0xFFFF) != NOT_IN_USE:
            yield tuple(value) if isinstance(value, MultiValue) else (str(value),)


def _names(folder: Path) -> dict[str, Path]:
    """Return what is in a folder by its plain name; nothing if it is no folder."""
    try:
        # Capitals, which the standard asks for, come last and so prevail.
        found = sorted(os.listdir(folder), reverse=True)
    except OSError:
        return {}
    return {_plain(name): folder / name for name in found}


def _plain(name: str) -> str:
    return name.strip().partition(";")[0].rstrip(".").upper()
