"""JPEG and JPEG-LS code streams: their segments, one frame, and its size.

Decoders differ in what they make of bytes between segments, of markers that stand alone and of
several frames, and some try another decoder where one fails. So what no encoder writes is refused,
and what may be passed over is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cspine.dicom.codestream import Extent, byte, word

_SOI, _EOI, _SOS = b"\xff\xd8", 0xD9, 0xDA
# Start of frame: baseline, extended, progressive and lossless with Huffman codes, then JPEG-LS
# (ISO/IEC 10918-1 B.1.1.3; ISO/IEC 14495-1 C.1.1).
_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xF7})
# Segments beside those: tables, number of lines, restart interval, of JPEG-LS, application data
# and comments. Frames that are not read (hierarchical, arithmetic codes) are not among them.
_SEGMENTS = frozenset({0xC4, _SOS, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xF8, 0xFE})
# In coded data 0xFF stands before a stuffed bit or byte, a restart or another 0xFF.
_AFTER_SCAN = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")


def code_stream(stream: bytes) -> bytes:
    """Return what is decoded: from start to end of image, without fill bytes.

    libjpeg-turbo makes up the pixels of a stream that lost its end, and CharLS searches for them
    for seconds: the end must be there.

    Raises
    ------
    ValueError
        If it is cut off, holds a segment or frame of a kind that is not read, or has another
        number of frames than one, or a scan before it.
    """
    parts, frames = [_SOI], 0
    for marker, start, end in _segments(stream):
        frames += marker in _FRAMES
        if frames > 1:
            raise ValueError("more than one frame")
        if marker == _SOS and not frames:
            raise ValueError("no start of frame before a scan")
        parts.append(stream[start:end])
    return b"".join(parts)


def extent(stream: bytes) -> Extent:
    """Return the extent of the first frame.

    Raises
    ------
    ValueError
        If there is none, or what comes before it is not read.
    """
    for marker, start, _ in _segments(stream):
        if marker in _FRAMES:
            return Extent(
                rows=word(stream, start + 5),
                columns=word(stream, start + 7),
                components=byte(stream, start + 9),
                bits=byte(stream, start + 4),
            )
    raise ValueError("no start of frame")


def _segments(stream: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment, a scan's with its data, to the end of image."""
    if stream[:2] != _SOI:
        raise ValueError("no start of image")
    place = 2
    while True:
        if byte(stream, place) != 0xFF:
            raise ValueError("no marker where one is due")
        marker = byte(stream, place + 1)
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker == _EOI:
            yield marker, place, place + 2
            return
        if marker not in _FRAMES | _SEGMENTS:
            raise ValueError("a segment or frame of a kind that is not read")
        end = place + 2 + max(2, word(stream, place + 2))
        if marker == _SOS:
            found = _AFTER_SCAN.search(stream, end)
            end = found.start() if found else len(stream) + 1
        if end > len(stream):
            raise ValueError("cut off")
        yield marker, place, end
        place = end
