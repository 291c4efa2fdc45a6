"""Stored pixel values of one frame: decoded, cut to their bits, with their sign."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.encaps import get_frame
from pydicom.uid import UID, ExplicitVRBigEndian

from cspine.dicom.codec import LOSSY, SYNTAXES, Layout, decode, decode_reduced
from cspine.dicom.element import integer, syntax_of
from cspine.findings import Refused
from cspine.image import Words

Stored = npt.NDArray[Any]

MAXIMUM_PIXELS = 64_000_000


def stored_pixels(dataset: pydicom.Dataset, *, frame: int = 0) -> Stored:
    """Decode one frame.

    Parameters
    ----------
    dataset
        With its file meta information and Pixel Data.
    frame
        Zero-based.

    Returns
    -------
    numpy.ndarray
        Shape (rows, columns), uint8, int8, uint16 or int16 as Bits Allocated and Pixel
        Representation say. Bits outside of Bits Stored, such as an overlay's, are gone.

    Raises
    ------
    Refused
        ``UNSUPPORTED_OBJECT`` if the pixels are cut off, damaged or in a form that is not read.
    """
    return significant(pixel_words(dataset, frame=frame), dataset)


def pixel_words(dataset: pydicom.Dataset, *, frame: int = 0, halvings: int = 0) -> Words:
    """Decode one frame to the words that were stored: unsigned, with all their bits.

    Parameters
    ----------
    dataset, frame
        As for :func:`stored_pixels`.
    halvings
        For JPEG 2000: leave out up to this many levels of detail, each of which halves the size.

    Returns
    -------
    numpy.ndarray
        Shape (rows, columns), or its ``ceil(shape / 2**n)`` where n levels were left out; uint8
        or uint16 as Bits Allocated says. May be read-only.

    Raises
    ------
    Refused
        As :func:`stored_pixels`.
    """
    try:
        return _words(dataset, frame, halvings)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # decoders raise whatever they like
        raise Refused(
            "UNSUPPORTED_OBJECT",
            f"The pixels cannot be decoded ({type(error).__name__}): cut off, damaged, "
            "or in a form that this build does not read.",
            remedy="Send the image again, uncompressed if that fails.",
        ) from error


def significant(words: Words, dataset: pydicom.Dataset) -> Stored:
    """Cut words to Bits Stored below High Bit, and give them their sign.

    It acts on each word alone, so what it makes of every possible word can be tabled.
    """
    layout, syntax = layout_of(dataset), syntax_of(dataset)
    # A code stream holds samples, not the words that they lay in.
    low = layout.low if SYNTAXES[syntax] in ("native", "rle") else 0
    if syntax in LOSSY and not layout.signed:
        words = np.minimum(words, (1 << layout.bits) - 1)
    # The highest bit of the sample goes to the top of the word, then down again with its sign.
    words = words << (layout.allocated - layout.bits - low)
    stored: Stored = words.view(f"i{words.dtype.itemsize}") if layout.signed else words
    return stored >> (layout.allocated - layout.bits)


def layout_of(dataset: pydicom.Dataset) -> Layout:
    """Return how a header lays samples out.

    Raises
    ------
    ValueError
        If they do not fit their words, or in no way that is read.
    """
    shape = int(dataset.Rows), int(dataset.Columns)
    if min(shape) < 1 or shape[0] * shape[1] > MAXIMUM_PIXELS:
        raise ValueError("no size that is read")
    allocated, bits = int(dataset.BitsAllocated), int(dataset.BitsStored)
    high = integer(dataset, "HighBit", default=bits - 1)
    if allocated not in (8, 16) or integer(dataset, "SamplesPerPixel", default=1) != 1:
        raise ValueError("no layout that is read")
    if not 1 <= bits <= high + 1 <= allocated:
        raise ValueError("bits stored outside of the word")
    representation = int(dataset.PixelRepresentation)
    if representation not in (0, 1):
        raise ValueError("neither signed nor unsigned")
    return Layout(shape, allocated, bits, low=high + 1 - bits, signed=representation == 1)


def frame_count(dataset: pydicom.Dataset) -> int:
    """Return how many frames the object states, at least 1."""
    return max(1, integer(dataset, "NumberOfFrames", default=1))


def _words(dataset: pydicom.Dataset, frame: int, halvings: int) -> Words:
    layout, syntax = layout_of(dataset), syntax_of(dataset)
    if not 0 <= frame < frame_count(dataset):
        raise ValueError("no such frame")
    if SYNTAXES[syntax] == "native":
        return _native(dataset, frame, layout, syntax)
    stream = get_frame(
        dataset.PixelData,
        frame,
        number_of_frames=frame_count(dataset),
        extended_offsets=_extended_offsets(dataset),
    )
    if halvings and SYNTAXES[syntax] in ("jpeg 2000", "htj2k"):
        return decode_reduced(stream, syntax=syntax, layout=layout, halvings=halvings)
    return decode(stream, syntax=syntax, layout=layout)


def _native(dataset: pydicom.Dataset, frame: int, layout: Layout, syntax: UID) -> Words:
    dtype, count = layout.dtype, layout.shape[0] * layout.shape[1]
    data, start = dataset.PixelData, frame * count * dtype.itemsize
    # Padding is short. A row too many or more: the header is not that of these pixels.
    spare = len(data) // dtype.itemsize - frame_count(dataset) * count
    if spare >= layout.shape[1] > 1:
        raise ValueError("more pixels than its header states")
    if syntax == ExplicitVRBigEndian:
        # Bytes as OW are swapped in pairs too (PS3.5 A.3), which a frame of odd size may share.
        if dtype.itemsize == 1 and dataset["PixelData"].VR == "OW":
            data = np.frombuffer(data, "<u2").byteswap().tobytes()
        dtype = dtype.newbyteorder(">")
    words = np.frombuffer(data, dtype, count, start).reshape(layout.shape)
    return words.astype(dtype.newbyteorder("="), copy=False)


def _extended_offsets(dataset: pydicom.Dataset) -> tuple[bytes, bytes] | None:
    offsets = dataset.get("ExtendedOffsetTable")
    lengths = dataset.get("ExtendedOffsetTableLengths")
    return (offsets, lengths) if offsets and lengths else None
