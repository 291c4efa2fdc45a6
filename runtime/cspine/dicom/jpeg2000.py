"""JPEG 2000 and HTJ2K code streams: where they lie, their size, and how finely they are divided.

Each part costs its decoder memory. OpenJPEG takes about 10 kB for a tile, 1.6 kB for a precinct and
0.4 kB for a code block before it looks at a pixel, and a stream may ask for one of each a pixel:
18 kB were seen to take 2 GiB.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cspine.dicom.codestream import Extent, byte, long, word

MAXIMUM_PARTS = 1 << 18  # tiles, eightfold, with precincts and code blocks
MAXIMUM_PACKETS = 1 << 24  # parts in all quality layers

_SOC_SIZ = b"\xff\x4f\xff\x51"  # how every code stream begins (ISO/IEC 15444-1 A.4)
_JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"  # how every JP2 file begins (I.5.1)
# After SOC, the marker SIZ, its length and capabilities (A.5.1): Xsiz, Ysiz, XOsiz, YOsiz, XTsiz,
# YTsiz, XTOsiz and YTOsiz, then the number of components and per component depth and subsampling.
_SIZ, _COMPONENTS = 8, 40
_COD_MARKER, _SOT = 0xFF52, 0xFF90  # coding style default; start of the first tile

# Coding styles stand in the main header or in that of any part of a tile, and decoders differ in
# where they look: so every place is taken for one that could be one. ISO/IEC 15444-1 A.6.1, A.6.2:
# marker and length; for COD style, order, layers and transform; for COC component and style; then
# levels, code block width and height, their style, the wavelet and, where the style says so, a
# precinct size for each resolution.
_COD = re.compile(rb"(?s)\xff\x52(?=(..)(.).(..).([\0-\x20])([\0-\x08])([\0-\x08])..(.{0,33}))")
_COC = re.compile(rb"(?s)\xff\x53(?=(..).(.)()([\0-\x20])([\0-\x08])([\0-\x08])..(.{0,33}))")
_COD_LENGTH, _COC_LENGTH = 12, 9  # without precinct sizes


def code_stream(stream: bytes) -> bytes:
    """Return what is decoded: the stream itself, or what the first such box of a JP2 file holds.

    Raises
    ------
    ValueError
        If there is none, or a box before its end has no length that one can have.
    """
    if stream.startswith(_SOC_SIZ):
        return stream
    place = 0 if stream.startswith(_JP2) else len(stream)
    while place < len(stream):
        start, length = place + 8, long(stream, place)
        kind = stream[place + 4 : start]
        if length == 1:  # a longer one follows (I.4)
            start, length = start + 8, long(stream, start) << 32 | long(stream, start + 4)
        end = place + length if length else len(stream)
        if not start <= end <= len(stream):
            raise ValueError("cut off, or a box of a length that none has")
        if kind == b"jp2c" and stream.startswith(_SOC_SIZ, start):
            return stream[start:end]
        place = end
    raise ValueError("no start of code stream")


def extent(stream: bytes) -> Extent:
    """Return the extent of a code stream.

    Raises
    ------
    ValueError
        If it is cut off within its header, or its first component is subsampled.
    """
    right, bottom, left, top, *_ = _grid(stream)
    if stream[_COMPONENTS + 3 : _COMPONENTS + 5] != b"\x01\x01":
        raise ValueError("the first component is subsampled")
    depth = byte(stream, _COMPONENTS + 2)
    return Extent(
        rows=bottom - top,
        columns=right - left,
        components=word(stream, _COMPONENTS),
        bits=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        # Reduced pixels lie on whole ones only where the grid begins with the image.
        halvings=_levels(stream) if left == top == 0 else 0,
    )


def check_parts(stream: bytes) -> None:
    """Check that a code stream whose extent is known does not ask for far more than its picture.

    Raises
    ------
    ValueError
        If it does, or has no tiles.
    """
    tiles, width, height = _tiles(stream)
    styles = list(_styles(stream))
    total = tiles * (8 + max((style.parts(width, height) for style in styles), default=0))
    layers = max((style.layers for style in styles), default=1)
    if total > MAXIMUM_PARTS or total * layers > MAXIMUM_PACKETS:
        raise ValueError("the code stream is divided too finely")


@dataclass(frozen=True)
class _Style:
    """One coding style: exponents of two, precincts from the lowest resolution on."""

    layers: int
    block: tuple[int, int]
    precincts: tuple[tuple[int, int], ...]

    def parts(self, width: int, height: int) -> int:
        """Return how many precincts and code blocks a tile is divided into."""
        count = 0
        for level, (x, y) in enumerate(reversed(self.precincts)):
            count += _pieces(width >> level, x) * _pieces(height >> level, y)
            blocks = min(self.block[0], x), min(self.block[1], y)
            count += _pieces(width >> level, blocks[0]) * _pieces(height >> level, blocks[1])
        return count


def _tiles(stream: bytes) -> tuple[int, int, int]:
    """Return the number of tiles, and the width and height of the largest that fits."""
    right, bottom, left, top, width, height, x, y = _grid(stream)
    if not (width and height and x <= left and y <= top):
        raise ValueError("the code stream has no tiles")
    return (
        -(-(right - x) // width) * -(-(bottom - y) // height),
        min(width, right - left),
        min(height, bottom - top),
    )


def _grid(stream: bytes) -> list[int]:
    """Return image and tiles on the reference grid: right, bottom, left, top, sizes, offsets."""
    if not stream.startswith(_SOC_SIZ):
        raise ValueError("no start of code stream")
    return [long(stream, _SIZ + 4 * index) for index in range(8)]


def _levels(stream: bytes) -> int:
    """Return the levels of detail that a main header states (ISO/IEC 15444-1 A.6.1)."""
    place = 2
    while (marker := word(stream, place)) != _COD_MARKER:
        if marker == _SOT:
            raise ValueError("no coding style")
        place += 2 + max(2, word(stream, place + 2))
    return byte(stream, place + 9)


def _styles(stream: bytes) -> Iterator[_Style]:
    for pattern, shortest in ((_COD, _COD_LENGTH), (_COC, _COC_LENGTH)):
        for found in pattern.finditer(stream):
            length, style, layers, levels, across, down, sizes = found.groups()
            resolutions = levels[0] + 1
            own = bool(style[0] & 1)  # precincts of its own; else of 2**15, which is one a tile
            if int.from_bytes(length, "big") != shortest + (resolutions if own else 0):
                continue
            stated = sizes[:resolutions] if own else b"\xff" * resolutions
            yield _Style(
                layers=int.from_bytes(layers, "big") or 1,
                block=(across[0] + 2, down[0] + 2),
                precincts=tuple((size & 15, size >> 4) for size in stated),
            )


def _pieces(length: int, exponent: int) -> int:
    """Return how many pieces of 2**exponent a length can touch."""
    return (length >> exponent) + 2 if length >> exponent else 1
