"""Small valid radiographs, one in each transfer syntax: what mutants are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import imagecodecs
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from cspine.dicom.codec import SYNTAXES
from cspine_phantom.study import phantom

ROWS, COLUMNS = 96, 80
STRIDE = 10  # every tenth pixel of a film: most of it
Words = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Base:
    """A valid file: its name, its bytes, and the data set they were written from."""

    name: str
    data: bytes
    dataset: Dataset

    @property
    def syntax(self) -> UID:
        return UID(self.dataset.file_meta.TransferSyntaxUID)


def bases() -> list[Base]:
    """Return a phantom, made small, in every syntax that is read, and natively with tables."""
    film = phantom(seed=7, number=0).dataset
    crop = np.ascontiguousarray(film.pixel_array[::STRIDE, ::STRIDE][:ROWS, :COLUMNS])
    film.ImagerPixelSpacing = [STRIDE * each for each in film.ImagerPixelSpacing]
    film.Rows, film.Columns = ROWS, COLUMNS
    film.PixelData = crop.tobytes()
    found = [_written(film, syntax, crop) for syntax in SYNTAXES]
    with_tables = _tabled(film)
    for syntax in (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian):
        base = _written(with_tables, syntax, crop)
        found.append(Base(f"{base.name}, tables", base.data, base.dataset))
    return found


def to_bytes(dataset: Dataset) -> bytes:
    """Return the file of a data set, whatever is in it."""
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _written(film: Dataset, syntax: UID, crop: Words) -> Base:
    copy = pydicom.dcmread(BytesIO(to_bytes(film)))
    if syntax == uid.RLELossless:
        copy.compress(syntax, generate_instance_uid=False)
    copy.file_meta.TransferSyntaxUID = syntax
    if syntax == uid.ExplicitVRBigEndian:
        copy.PixelData = crop.astype(">u2").tobytes()
    if syntax == uid.JPEGBaseline8Bit:
        crop = (crop >> 4).astype(np.uint8)
        copy.BitsAllocated, copy.BitsStored, copy.HighBit = 8, 8, 7
        copy.WindowCenter, copy.WindowWidth = 128, 256
    if syntax in _ENCODERS:
        copy.PixelData = encapsulate([bytes(_ENCODERS[syntax](crop))])
        copy["PixelData"].is_undefined_length = True
        copy["PixelData"].VR = "OB"
    file = BytesIO()
    pydicom.dcmwrite(
        file,
        copy,
        enforce_file_format=True,
        implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian,
    )
    return Base(syntax.name, file.getvalue(), pydicom.dcmread(BytesIO(file.getvalue())))


_ENCODERS: dict[UID, Callable[..., bytes | bytearray]] = {
    uid.JPEGBaseline8Bit: lambda words: imagecodecs.jpeg8_encode(words, level=95),
    uid.JPEGExtended12Bit: lambda words: imagecodecs.jpeg8_encode(
        words, level=95, bitspersample=12
    ),
    uid.JPEGLossless: lambda words: imagecodecs.ljpeg_encode(words, bitspersample=12),
    uid.JPEGLosslessSV1: lambda words: imagecodecs.ljpeg_encode(words, bitspersample=12),
    uid.JPEGLSLossless: imagecodecs.jpegls_encode,
    uid.JPEGLSNearLossless: lambda words: imagecodecs.jpegls_encode(words, level=2),
    uid.JPEG2000Lossless: lambda words: imagecodecs.jpeg2k_encode(
        words, level=0, reversible=True, codecformat="j2k", bitspersample=12
    ),
    uid.JPEG2000: lambda words: imagecodecs.jpeg2k_encode(
        words, level=60, codecformat="j2k", bitspersample=12
    ),
    uid.HTJ2KLossless: lambda words: imagecodecs.htj2k_encode(words, reversible=True),
    uid.HTJ2KLosslessRPCL: lambda words: imagecodecs.htj2k_encode(words, reversible=True),
    uid.HTJ2K: lambda words: imagecodecs.htj2k_encode(words, reversible=False),
}


def _tabled(film: Dataset) -> Dataset:
    """Return a copy with a VOI LUT, a Modality LUT, padding, an overlay and private elements."""
    copy = pydicom.dcmread(BytesIO(to_bytes(film)))
    for keyword in ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept"):
        delattr(copy, keyword)
    copy.ModalityLUTSequence = [_table(4096)]
    copy.VOILUTSequence = [_table(4096), _table(256)]
    copy.add_new("PixelPaddingValue", "US", 0)
    copy.add_new((0x6000, 0x0010), "US", ROWS)
    copy.add_new((0x6000, 0x0011), "US", COLUMNS)
    copy.add_new((0x6000, 0x0050), "SS", [1, 1])
    copy.add_new((0x6000, 0x0100), "US", 1)
    copy.add_new((0x6000, 0x3000), "OW", b"\x55" * (ROWS * COLUMNS // 8))
    block = copy.private_block(0x0019, "CSPINE FUZZ", create=True)
    block.add_new(1, "LO", "private")
    return copy


def _table(count: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [count, 0, 12])
    item.add_new("LUTData", "OW", np.arange(count, dtype="<u2").tobytes())
    return item
