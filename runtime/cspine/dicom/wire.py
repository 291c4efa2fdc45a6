"""What the isolated reader and its parent say to each other: JSON headers and raw arrays.

Nothing is unpickled. A header is of a known form, an array of a size that its header states and
the receiver has checked, so that the worst a captured child can do is to lie.
"""

from __future__ import annotations

from typing import BinaryIO, Literal

import msgspec
import numpy as np

from cspine.dicom.message import Array, Count, Fill, Message, Shape, receive_array
from cspine.dicom.mr.piled import Piled, piled
from cspine.dicom.mr.stack import Stack
from cspine.dicom.mr.wanted import WantedSeries
from cspine.dicom.pixels import MAXIMUM_PIXELS
from cspine.findings import Refusal, Source, Spacing
from cspine.image import Facing, GreyScale, Image
from cspine.spec import Accept

MAXIMUM_HEADER_BYTES = 16 << 20


class Read(Message, frozen=True, kw_only=True):
    """To the child: read everything below the paths but the files of these names."""

    paths: tuple[bytes, ...]
    without: tuple[str, ...]


class Judge(Message, frozen=True, kw_only=True):
    """To the child: tell a study's source and, if it is said what is accepted, its image."""

    study: int
    accept: Accept | None


class Pile(Message, frozen=True, kw_only=True):
    """To the child: tell a study's source and its stack of MR slices."""

    study: int
    wanted: WantedSeries


class Begun(Message, frozen=True, kw_only=True):
    """The child is about to touch a file or an image."""

    name: str


class Unreadable(Message, frozen=True, kw_only=True):
    """A file cannot be read, and why; or files that are not DICOM were passed over."""

    told: str
    passed_over: bool = False


class Listed(Message, frozen=True, kw_only=True):
    """All is read; Study Instance UIDs, empty where none is valid."""

    studies: tuple[str, ...]


class Named(Message, frozen=True, kw_only=True):
    """What names a study."""

    source: Source


class Refusing(Message, frozen=True, kw_only=True):
    """There is no image, or no stack."""

    refusal: Refusal


class Showing(Message, frozen=True, kw_only=True):
    """An image; its pixels follow and, unless they are levels already, a level for each word."""

    dtype: Literal["uint8", "uint16", "float32"]
    shape: Shape
    span: tuple[float, float] | None
    spacing: Spacing
    facing: Facing | None
    source: Source | None
    notes: tuple[str, ...]
    step: Count
    stored_shape: Shape | None


Request = Read | Judge | Pile
Report = Begun | Unreadable | Listed | Named | Refusing | Showing | Piled

_TABLES = {"uint8": 1 << 8, "uint16": 1 << 16, "float32": 0}
_report = msgspec.json.Decoder(Report)
_request = msgspec.json.Decoder(Request)


def send(stream: BinaryIO, message: Request | Report, *arrays: Array) -> None:
    """Write one message, and the arrays that belong to it."""
    header = msgspec.json.encode(message)
    stream.write(len(header).to_bytes(4, "big") + header)
    for array in arrays:
        stream.write(np.ascontiguousarray(array).data)
    stream.flush()


def show(stream: BinaryIO, image: Image) -> None:
    """Write an image."""
    showing = Showing(
        dtype=str(image.pixels.dtype),  # type: ignore[arg-type]  # the receiver checks it
        shape=image.pixels.shape,
        span=image.grey.span if image.grey else None,
        spacing=image.spacing,
        facing=image.facing,
        source=image.source,
        notes=image.notes,
        step=image.step,
        stored_shape=image.stored_shape,
    )
    send(stream, showing, image.pixels, *([image.grey.table] if image.grey else []))


def pile(stream: BinaryIO, stack: Stack) -> None:
    """Write a stack."""
    send(stream, piled(stack), *(each.image.pixels for each in stack.slices))


def receive_report(fill: Fill) -> Report:
    """Read the header of one report.

    Raises
    ------
    ValueError
        If it is none.
    """
    report: Report = _report.decode(_header(fill))
    return report


def receive_request(fill: Fill) -> Request:
    """Read one request; as :func:`receive_report`."""
    request: Request = _request.decode(_header(fill))
    return request


def receive_image(fill: Fill, showing: Showing) -> Image:
    """Read the arrays that an image's header announces.

    Returns
    -------
    Image
        Its arrays are freshly owned.

    Raises
    ------
    ValueError
        If the header announces no image that is read.
    """
    rows, columns = showing.shape
    stored = showing.stored_shape or showing.shape
    if rows * columns > MAXIMUM_PIXELS:
        raise ValueError("too many pixels")
    if any(
        -(-whole // showing.step) != part for whole, part in zip(stored, showing.shape, strict=True)
    ):
        raise ValueError("pixels of another shape than the image")
    if min(showing.spacing.row_mm, showing.spacing.column_mm) <= 0:
        raise ValueError("no spacing")
    pixels = receive_array(fill, showing.shape, showing.dtype)
    size = _TABLES[showing.dtype]
    return Image(
        pixels=pixels,
        spacing=showing.spacing,
        facing=showing.facing,
        source=showing.source,
        notes=showing.notes,
        grey=GreyScale(receive_array(fill, (size,), "float32"), showing.span) if size else None,
        step=showing.step,
        stored_shape=showing.stored_shape,
    )


def _header(fill: Fill) -> bytearray:
    length = bytearray(4)
    fill(memoryview(length))
    size = int.from_bytes(length, "big")
    if size > MAXIMUM_HEADER_BYTES:
        raise ValueError("too long a header")
    header = bytearray(size)
    fill(memoryview(header))
    return header
