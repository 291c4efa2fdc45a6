"""Transfer syntaxes: which are read, and by which decoder.

All compressed ones are decoded by imagecodecs (BSD-3-Clause; libjpeg-turbo, CharLS and OpenJPEG
inside): it is the fastest permissively licensed decoder of every one of them. Its OpenJPH, which
is faster still, is not asked: what it cannot decode comes back as if it were decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydicom import uid
from pydicom.uid import UID

from cspine.dicom import jpeg, jpeg2000
from cspine.dicom.codestream import Extent
from cspine.errors import missing_extra
from cspine.image import Words

Kind = Literal["native", "rle", "jpeg", "jpeg-ls", "jpeg 2000", "htj2k"]

SYNTAXES: dict[UID, Kind] = {
    uid.ImplicitVRLittleEndian: "native",
    uid.ExplicitVRLittleEndian: "native",
    uid.DeflatedExplicitVRLittleEndian: "native",
    uid.ExplicitVRBigEndian: "native",
    uid.RLELossless: "rle",
    uid.JPEGBaseline8Bit: "jpeg",
    uid.JPEGExtended12Bit: "jpeg",
    uid.JPEGLossless: "jpeg",
    uid.JPEGLosslessSV1: "jpeg",
    uid.JPEGLSLossless: "jpeg-ls",
    uid.JPEGLSNearLossless: "jpeg-ls",
    uid.JPEG2000Lossless: "jpeg 2000",
    uid.JPEG2000: "jpeg 2000",
    uid.HTJ2KLossless: "htj2k",
    uid.HTJ2KLosslessRPCL: "htj2k",
    uid.HTJ2K: "htj2k",
}
"""Every transfer syntax that is read."""

LOSSY = frozenset(
    {uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, uid.JPEG2000, uid.HTJ2K}
)
"""Those whose samples may overshoot the range that was encoded."""


def version_of(kind: Kind) -> str | None:
    """Return what decodes a kind of transfer syntax here; ``None`` if nothing does."""
    if kind == "native":
        return "built in"
    try:
        import imagecodecs
    except ImportError:
        return None
    names = {"rle": "dicomrle", "jpeg": "jpeg8", "jpeg-ls": "jpegls"}
    name = names.get(kind, "jpeg2k")
    return (
        str(getattr(imagecodecs, f"{name}_version")())
        if getattr(imagecodecs, name.upper()).available
        else None
    )


@dataclass(frozen=True)
class Layout:
    """What a header says of a frame's samples.

    Attributes
    ----------
    shape
        (rows, columns).
    allocated, bits
        Of a word, 8 or 16, and of the sample in it.
    low
        The sample's lowest bit.
    signed
        Whether samples are two's complement.
    """

    shape: tuple[int, int]
    allocated: int
    bits: int
    low: int
    signed: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a word, unsigned and little endian."""
        return np.dtype(f"<u{self.allocated // 8}")


def decode(stream: bytes, *, syntax: UID, layout: Layout) -> Words:
    """Decode one compressed frame of grey levels.

    Parameters
    ----------
    stream
        The frame, its fragments joined.
    syntax
        One of :data:`SYNTAXES` that is not native.
    layout
        What the header says. It may call samples signed where the code stream does not, which
        are two's complement then; the other way round there is no telling.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of the layout; signed samples as two's complement.

    Raises
    ------
    ValueError
        If the stream is of another size or not of one component. Decoders raise whatever they
        like beside it.
    """
    import imagecodecs  # only a compressed image needs it

    kind = SYNTAXES[syntax]
    if kind == "rle":
        size = layout.shape[0] * layout.shape[1] * layout.dtype.itemsize  # or a bomb unpacks
        return _unpack(imagecodecs.dicomrle_decode(stream, layout.dtype.str, out=size), layout)
    stream, extent = _measured(stream, kind, layout)
    match kind:
        case "jpeg":
            decoded = imagecodecs.jpeg_decode(stream)
        case "jpeg-ls":
            decoded = imagecodecs.jpegls_decode(stream)
        case _:
            decoded = imagecodecs.jpeg2k_decode(stream)
    decoded = decoded.reshape(layout.shape)
    if not extent.signed:
        return np.asarray(decoded.astype(layout.dtype, copy=False))
    if extent.bits > layout.bits:  # what overshoots is clipped here, where its sign is known
        decoded = np.clip(decoded, -(1 << layout.bits - 1), (1 << layout.bits - 1) - 1)
    return np.asarray(decoded.astype(f"i{layout.dtype.itemsize}", copy=False).view(layout.dtype))


def decode_reduced(stream: bytes, *, syntax: UID, layout: Layout, halvings: int) -> Words:
    """Decode a JPEG 2000 frame at 1 / 2**n of its size, leaving its finest detail unread.

    Pixel (i, j) lies at pixel (i, j) * 2**n of the whole image, where n is `halvings` or as many
    as the stream and the decoder allow.

    Returns
    -------
    numpy.ndarray
        Shape ceil(layout.shape / 2**n), dtype of the layout.

    Raises
    ------
    ModuleNotFoundError
        Without Pillow; the message says how to install it.
    ValueError
        As :func:`decode`.
    """
    try:
        from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
    except ImportError as error:
        raise ModuleNotFoundError(missing_extra("Pillow", "reduced")) from error
    from io import BytesIO

    stream, extent = _measured(stream, SYNTAXES[syntax], layout)
    most = 0 if extent.signed else min(halvings, extent.halvings)
    # Pillow rounds a reduced size where the standard takes its ceiling, and fails if they differ.
    fitting = (
        n
        for n in range(most, 0, -1)
        if all((size + (1 << n - 1)) >> n == -(-size >> n) for size in layout.shape)
    )
    if not (reduce := next(fitting, 0)):
        return decode(stream, syntax=syntax, layout=layout)
    opened = Jpeg2KImageFile(BytesIO(stream))
    if opened.mode not in ("L", "I;16"):
        raise ValueError(f"samples of kind {opened.mode}")
    opened.reduce = reduce  # Pillow's way to ask
    opened.load()
    scaled = np.asarray(opened)
    # Pillow stretches what has more than 8 bits to 16.
    words = scaled >> (16 - extent.bits) if opened.mode == "I;16" else scaled
    # Without their detail, edges overshoot even where the whole is lossless.
    return np.asarray(np.minimum(words, (1 << layout.bits) - 1).astype(layout.dtype, copy=False))


def _measured(stream: bytes, kind: Kind, layout: Layout) -> tuple[bytes, Extent]:
    """Return the very bytes to decode, and their extent, which is that of the header."""
    if kind in ("jpeg", "jpeg-ls"):
        stream = jpeg.code_stream(stream)
        extent = jpeg.extent(stream)
        _check(extent, layout)
    else:
        stream = jpeg2000.code_stream(stream)
        extent = jpeg2000.extent(stream)
        _check(extent, layout)
        jpeg2000.check_parts(stream)
    return stream, extent


def _check(extent: Extent, layout: Layout) -> None:
    if (extent.rows, extent.columns) != layout.shape:
        raise ValueError("the code stream is of another size than its header")
    if extent.components != 1 or not 1 <= extent.bits <= layout.allocated:
        raise ValueError("the code stream is of another kind than its header")
    if extent.signed and not layout.signed:
        raise ValueError("the code stream is signed, its header is not")


def _unpack(data: bytes | bytearray, layout: Layout) -> Words:
    words = np.frombuffer(data, layout.dtype)
    count = layout.shape[0] * layout.shape[1]
    if words.size < count:
        raise ValueError("cut off")
    return words[:count].reshape(layout.shape)
