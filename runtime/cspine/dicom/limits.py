"""What reading one file may cost, whatever the file says.

pydicom takes about 600 bytes and 30 microseconds for each empty item of a sequence, 300 bytes for
an empty element and up to 400 for a number: a small file can ask for all memory. So it reads
through a stream that counts (:mod:`cspine.dicom.stream`), and what it converts on demand is
measured first.
"""

from __future__ import annotations

from collections.abc import Iterable

import pydicom
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_deferred_data_element
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag

MAXIMUM_BYTES = 1 << 30  # of a file, whose pixels stay on disk, and of all that an archive holds
# Of what must be unpacked whole: a member of an archive, a deflated data set. The largest image
# that is read takes 122 MiB.
MAXIMUM_UNPACKED_BYTES = 160 << 20
# Of unpacked to packed bytes. No radiograph comes near it, and what is small can do no harm.
MAXIMUM_RATIO = 200
SMALL_BYTES = 1 << 20
MAXIMUM_ELEMENTS = 200_000  # elements, items and values of a header
MAXIMUM_DEPTH = 32  # of sequences within sequences
MAXIMUM_VALUE_BYTES = 8 << 20  # of a sequence or value that is consulted

PIXEL_DATA = 0x7FE00010
_BYTES_AS_ELEMENT = 64  # of a value, counted as one element
_ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # the tag of an item, little and big endian


class Exceeded(Exception):  # noqa: N818 - a bound, not an error of ours
    """A file asks for more than it may; the message says of what, and repeats no value."""


OVER_MEMORY = "over the memory limit; read it alone and, if that fails, leave it out"
TOO_DEEP = f"sequences nested deeper than {MAXIMUM_DEPTH}"
_TOO_LONG = f"an element of more than {MAXIMUM_VALUE_BYTES >> 20} MiB where no image has one"


def check_count(elements: int) -> None:
    """Raise :class:`Exceeded` past the elements, items and values that one header may have."""
    if elements > MAXIMUM_ELEMENTS:
        raise Exceeded(f"more than {MAXIMUM_ELEMENTS} elements, as no image has")


def check_types(dataset: pydicom.Dataset) -> None:
    """Check that what is long is of bytes, which pydicom leaves as they are.

    Raises
    ------
    Exceeded
        If it is not.
    """
    for tag in sorted(dataset.keys()):
        _check_type(dataset.get_item(tag, keep_deferred=True))


def _check_type(element: object) -> None:
    if isinstance(element, RawDataElement):
        pixels = element.tag == PIXEL_DATA
        long = pixels or element.length > MAXIMUM_VALUE_BYTES
        if long and not (element.VR or _dictionary_vr(element.tag)).startswith(("O", "UN")):
            raise Exceeded("pixel data of a type that none have" if pixels else _TOO_LONG)


def _dictionary_vr(tag: BaseTag) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def convert(dataset: pydicom.Dataset, keywords: Iterable[str]) -> None:
    """Convert elements from bytes to values, sequences down to their last item.

    Raises
    ------
    Exceeded
        If they are too many, too long, or nested too deep.
    Exception
        Whatever pydicom raises for a value of a broken type.
    """
    spent = 0
    for keyword in keywords:
        tag = Tag(tag_for_keyword(keyword) or 0)
        if tag in dataset:
            spent = _converted(dataset, tag, spent, depth=0)


def _converted(dataset: pydicom.Dataset, tag: BaseTag, spent: int, *, depth: int) -> int:
    """Convert one element; return how many have been converted with it and before it."""
    element = dataset.get_item(tag, keep_deferred=True)
    if isinstance(element, RawDataElement):
        value = _value(dataset, element)
        # What it will be made into is not known yet, so that both are held against the limit.
        parts = max(value.count(b"\\"), *(value.count(item) for item in _ITEMS))
        check_count(spent + parts)
        if dataset[tag].VR != "SQ":
            spent += parts + len(value) // _BYTES_AS_ELEMENT
    spent += 1
    items = dataset[tag].value
    if isinstance(items, Sequence):
        if depth == MAXIMUM_DEPTH:
            raise Exceeded(TOO_DEEP)
        for item in items:
            check_count(spent := spent + 1 + len(item))
            for each in sorted(item.keys()):
                spent = _converted(item, each, spent, depth=depth + 1)
    check_count(spent)
    return spent


def _value(dataset: pydicom.Dataset, element: RawDataElement) -> bytes:
    """Return the bytes of a value, read now if they were left in the file."""
    deferred = element.value is None and element.length > 0
    if deferred and element.length > MAXIMUM_VALUE_BYTES:
        raise Exceeded(_TOO_LONG)
    if deferred and isinstance(dataset, pydicom.FileDataset):  # no item leaves anything there
        element = read_deferred_data_element(
            dataset.fileobj_type, dataset.filename or "", dataset.timestamp, element
        )
        dataset[element.tag] = element
    value = element.value or b""
    if len(value) > MAXIMUM_VALUE_BYTES:
        raise Exceeded(_TOO_LONG)
    return value
