"""Overlay planes: drawings that lie over an image in groups 6000 to 601E (PS3.3 C.9.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.uid import ExplicitVRBigEndian

from cspine.dicom.element import integers_in, syntax_of
from cspine.dicom.pixels import MAXIMUM_PIXELS, pixel_words

Mask = npt.NDArray[np.bool_]

_GROUPS = range(0x6000, 0x6020, 2)
_ROWS, _COLUMNS, _FRAMES, _ORIGIN = 0x0010, 0x0011, 0x0015, 0x0050
_FIRST_FRAME, _BITS_ALLOCATED, _BIT_POSITION, _DATA = 0x0051, 0x0100, 0x0102, 0x3000


def overlay_mask(dataset: pydicom.Dataset, *, frame: int = 0) -> Mask:
    """Return where the overlay planes of one frame draw, shape (rows, columns).

    A plane may be larger than the image or begin outside of it; what lies beyond is cut off. A
    plane that is cut short, states no size or says anything of its own that cannot be read draws
    nothing.
    """
    mask = np.zeros((int(dataset.Rows), int(dataset.Columns)), bool)
    for plane, row, column in _planes(dataset, frame):
        top, left = min(max(row, 0), mask.shape[0]), min(max(column, 0), mask.shape[1])
        part = plane[top - row :, left - column :][: mask.shape[0] - top, : mask.shape[1] - left]
        mask[top : top + part.shape[0], left : left + part.shape[1]] |= part
    return mask


def _planes(dataset: pydicom.Dataset, frame: int) -> Iterator[tuple[Mask, int, int]]:
    """Yield each plane with its first row and column on the image, zero-based."""
    for group in _GROUPS:
        try:
            rows = _number(dataset, group, _ROWS, default=0)
            columns = _number(dataset, group, _COLUMNS, default=0)
            row, column = _integers(dataset, group, _ORIGIN, default=[1, 1])  # one-based
            if min(rows, columns) < 1 or rows * columns > MAXIMUM_PIXELS:
                continue
            bits = _bits(dataset, group, frame, rows * columns)
        except _Unreadable:
            continue
        if bits is not None and bits.size == rows * columns:
            yield bits.reshape(rows, columns), row - 1, column - 1


def _bits(dataset: pydicom.Dataset, group: int, frame: int, count: int) -> Mask | None:
    """Return a frame's part of a plane: of its own data, or in a bit that the pixels leave."""
    if (group, _DATA) not in dataset:
        position = _number(dataset, group, _BIT_POSITION, default=0)
        allocated = _number(dataset, group, _BITS_ALLOCATED, default=0)
        if allocated != dataset.BitsAllocated or not 0 < position < allocated:
            return None
        return (pixel_words(dataset, frame=frame) >> position & 1).astype(bool).ravel()
    frames = _number(dataset, group, _FRAMES, default=1)
    own = 0  # a plane that names no frames lies over all
    if (group, _FRAMES) in dataset or (group, _FIRST_FRAME) in dataset:
        own = frame - _number(dataset, group, _FIRST_FRAME, default=1) + 1
    if not 0 <= own < frames:
        return None
    first, rest = divmod(own * count, 8)
    octets = _octets(dataset, group)[first : first + (rest + count + 7) // 8]
    return np.unpackbits(octets, bitorder="little")[rest : rest + count].astype(bool)


def _octets(dataset: pydicom.Dataset, group: int) -> npt.NDArray[np.uint8]:
    """Return a plane's data, eight pixels each: as words they are swapped in big endian."""
    data = _value(dataset, group, _DATA)
    if not isinstance(data, bytes):
        raise _Unreadable
    if dataset[group, _DATA].VR == "OW" and syntax_of(dataset) == ExplicitVRBigEndian:
        words = np.frombuffer(data, "<u2", len(data) // 2)
        return np.asarray(words.byteswap().view(np.uint8))
    return np.frombuffer(data, np.uint8)


class _Unreadable(Exception):  # noqa: N818 - a finding
    """An element of a plane is not of its type."""


def _number(dataset: pydicom.Dataset, group: int, element: int, *, default: int) -> int:
    """Return an element as one whole number; the default if it is not stated, or empty."""
    if _value(dataset, group, element) in (None, ""):
        return default
    return _integers(dataset, group, element, default=[default])[0]


def _integers(
    dataset: pydicom.Dataset, group: int, element: int, *, default: list[int]
) -> list[int]:
    """Return an element as so many whole numbers; the default if it is not there."""
    if (group, element) not in dataset:
        return default
    found = integers_in(_value(dataset, group, element))
    if len(found) != len(default):
        raise _Unreadable
    return found


def _value(dataset: pydicom.Dataset, group: int, element: int) -> Any:
    try:
        return dataset[group, element].value if (group, element) in dataset else None
    except Exception as error:  # overlays are converted here, and pydicom lets anything escape
        raise _Unreadable from error
