"""What a code stream says of itself, and the numbers that it says it in.

A decoder allocates what the code stream asks for: a frame of a few bytes can ask for all memory.
So its own size is read first and held against the header's, and the decoder gets exactly the bytes
that were read (:mod:`cspine.dicom.jpeg`, :mod:`cspine.dicom.jpeg2000`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """Size of a coded frame; ``bits`` a sample.

    ``halvings`` says how many times its size can be halved by leaving detail undecoded.
    """

    rows: int
    columns: int
    components: int
    bits: int
    signed: bool = False
    halvings: int = 0


def byte(stream: bytes, place: int) -> int:
    """Return a byte of a stream; ``ValueError`` past its end."""
    if place >= len(stream):
        raise ValueError("cut off within its header")
    return stream[place]


def word(stream: bytes, place: int) -> int:
    """Return two bytes, big endian, as :func:`byte`."""
    return byte(stream, place) << 8 | byte(stream, place + 1)


def long(stream: bytes, place: int) -> int:
    """Return four bytes, big endian, as :func:`byte`."""
    return word(stream, place) << 16 | word(stream, place + 2)
