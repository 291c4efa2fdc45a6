"""What the isolated reader and its parent say to each other: JSON headers and raw arrays.

Nothing is unpickled. A header is of a known form, an array of a size that its header states and
the receiver has checked, so that the worst a captured child can do is to lie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, BinaryIO, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from cspine.accept import Accept
from cspine.dicom.pixels import MAXIMUM_PIXELS
from cspine.findings import Refusal, Source, Spacing
from cspine.image import Facing, GreyScale, Image, Unit
from cspine.plane import Plane

MAXIMUM_HEADER_BYTES = 16 << 20
MAXIMUM_IMAGES = 256  # of a study: as many slices as a pipeline may judge
Count = Annotated[int, msgspec.Meta(ge=1, le=MAXIMUM_PIXELS)]
Shape = tuple[Count, Count]
_Array = npt.NDArray[Any]


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """Immutable; its kind is told by its name."""


class Read(_Message, frozen=True, kw_only=True):
    """To the child: read everything below the paths but the files of these names."""

    paths: tuple[bytes, ...]
    without: tuple[str, ...]


class Judge(_Message, frozen=True, kw_only=True):
    """To the child: tell a study's source and, if it is said what is accepted, its image."""

    study: int
    accept: Accept | None


class Begun(_Message, frozen=True, kw_only=True):
    """The child is about to touch a file or an image."""

    name: str


class Unreadable(_Message, frozen=True, kw_only=True):
    """A file cannot be read, and why; or files that are not DICOM were passed over."""

    told: str
    passed_over: bool = False


class Listed(_Message, frozen=True, kw_only=True):
    """All is read; Study Instance UIDs, empty where none is valid."""

    studies: tuple[str, ...]


class Named(_Message, frozen=True, kw_only=True):
    """What names a study."""

    source: Source


class Refusing(_Message, frozen=True, kw_only=True):
    """There is no image."""

    refusal: Refusal


Vector = tuple[float, float, float]


class Placed(_Message, frozen=True, kw_only=True):
    """The plane of an image."""

    origin_mm: Vector
    across: Vector
    down: Vector
    spacing_mm: tuple[float, float]
    frame_of_reference: str


class Showing(_Message, frozen=True, kw_only=True):
    """An image; its pixels follow and, unless they are levels already, a level for each word.

    ``left`` says how many more images of the study follow it.
    """

    left: Annotated[int, msgspec.Meta(ge=0, le=MAXIMUM_IMAGES)]

    dtype: Literal["uint8", "uint16", "float32"]
    shape: Shape
    span: tuple[float, float] | None
    spacing: Spacing
    facing: Facing | None
    source: Source | None
    notes: tuple[str, ...]
    step: Count
    stored_shape: Shape | None
    plane: Placed | None
    unit: Unit | None


Request = Read | Judge
Report = Begun | Unreadable | Listed | Named | Refusing | Showing

_TABLES = {"uint8": 1 << 8, "uint16": 1 << 16, "float32": 0}
_report = msgspec.json.Decoder(Report)
_request = msgspec.json.Decoder(Request)


def send(stream: BinaryIO, message: Request | Report, *arrays: _Array) -> None:
    """Write one message, and the arrays that belong to it."""
    header = msgspec.json.encode(message)
    stream.write(len(header).to_bytes(4, "big") + header)
    for array in arrays:
        stream.write(np.ascontiguousarray(array).data)
    stream.flush()


def show(stream: BinaryIO, image: Image, *, left: int) -> None:
    """Write an image, and how many more follow."""
    showing = Showing(
        left=left,
        dtype=str(image.pixels.dtype),  # type: ignore[arg-type]  # the receiver checks it
        shape=image.pixels.shape,
        span=image.grey.span if image.grey else None,
        spacing=image.spacing,
        facing=image.facing,
        source=image.source,
        notes=image.notes,
        step=image.step,
        stored_shape=image.stored_shape,
        plane=_placed(image.plane) if image.plane else None,
        unit=image.unit,
    )
    send(stream, showing, image.pixels, *([image.grey.table] if image.grey else []))


Fill = Callable[[memoryview], None]
"""Fills a buffer from the other side; raises if it falls silent or closes."""


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
    pixels = _array(fill, showing.shape, showing.dtype)
    size = _TABLES[showing.dtype]
    return Image(
        pixels=pixels,
        spacing=showing.spacing,
        facing=showing.facing,
        source=showing.source,
        notes=showing.notes,
        grey=GreyScale(_array(fill, (size,), "float32"), showing.span) if size else None,
        step=showing.step,
        stored_shape=showing.stored_shape,
        plane=_plane(showing.plane) if showing.plane else None,
        unit=showing.unit,
    )


def _placed(plane: Plane) -> Placed:
    return Placed(
        origin_mm=tuple(plane.origin_mm.tolist()),
        across=tuple(plane.across.tolist()),
        down=tuple(plane.down.tolist()),
        spacing_mm=plane.spacing_mm,
        frame_of_reference=plane.frame_of_reference,
    )


def _plane(placed: Placed) -> Plane:
    return Plane(
        np.array(placed.origin_mm),
        np.array(placed.across),
        np.array(placed.down),
        placed.spacing_mm,
        placed.frame_of_reference,
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


def _array(fill: Fill, shape: tuple[int, ...], dtype: str) -> _Array:
    array = np.empty(shape, dtype)
    fill(array.reshape(-1).data.cast("B"))
    return array
