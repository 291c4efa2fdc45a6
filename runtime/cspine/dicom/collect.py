"""Every data set in what a user points at, each file once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pydicom
from pydicom.uid import MediaStorageDirectoryStorage

from cspine.dicom.dataset import NotDicom, read_dataset
from cspine.dicom.element import uid
from cspine.dicom.media import Listing, file_key
from cspine.errors import StudyError


class PassedOver(StudyError):  # noqa: N818 - a note
    """Other files than DICOM lay among those of DICOM: no fault, but worth a line."""


def all_datasets(
    listings: Iterable[Listing], unreadable: list[StudyError]
) -> Iterator[pydicom.Dataset]:
    """Read the files of several listings, in order; one that several hold is read once.

    The directory of a medium (DICOMDIR) among other files is passed over.

    Parameters
    ----------
    listings
        What the user pointed at.
    unreadable
        Takes an error for each file that cannot be read, and those of the listings; a single
        :class:`PassedOver` for all files of a listing that are not DICOM.
    """
    seen: set[tuple[int, ...]] = set()
    for listing in listings:
        unreadable += listing.unreadable
        directories = foreign = 0
        for file, name in listing.named():
            key = file_key(file)
            if key in seen:
                continue
            if key:
                seen.add(key)
            try:
                dataset = read_dataset(file, name=name)
            except StudyError as error:
                if listing.mixed and isinstance(error, NotDicom):
                    foreign += 1
                else:
                    unreadable.append(error)
                continue
            if _is_directory(dataset):
                directories += 1
            else:
                yield dataset
        unreadable += _besides(listing, directories, foreign)


def _besides(listing: Listing, directories: int, foreign: int) -> Iterator[StudyError]:
    """Yield what to say of a listing's files that hold no data set."""
    if directories + foreign < len(listing.files):
        if foreign:
            counted = f"{foreign} files in {listing.root} are not DICOM and were"
            if foreign == 1:
                counted = f"1 file in {listing.root} is not DICOM and was"
            yield PassedOver(f"{counted} passed over")
    elif directories:
        yield StudyError(f"{listing.root}: a DICOMDIR only; give the folder that holds the images")
    else:
        yield StudyError(f"{listing.root}: none of its files is DICOM")


def _is_directory(dataset: pydicom.Dataset) -> bool:
    meta = getattr(dataset, "file_meta", pydicom.Dataset())
    return uid(meta, "MediaStorageSOPClassUID") == MediaStorageDirectoryStorage
