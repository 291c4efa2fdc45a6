from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.pixels import get_encoder
from pydicom.uid import UID

from cspine.dicom.dataset import read_dataset
from cspine.dicom.pixels import (
    MAXIMUM_PIXELS,
    frame_count,
    layout_of,
    pixel_words,
    significant,
    stored_pixels,
)
from cspine.findings import Refused

Words = npt.NDArray[Any]


def stored(dataset: Dataset) -> Dataset:
    """Return a data set as it comes back from its file."""
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return read_dataset(file.getvalue())


def refused(dataset: Dataset, *, frame: int = 0) -> BaseException | None:
    """Return why a frame is refused; the refusal itself says no more than its kind."""
    with pytest.raises(Refused) as caught:
        stored_pixels(dataset, frame=frame)
    assert caught.value.refusal.code == "UNSUPPORTED_OBJECT"
    return caught.value.__cause__


def frames_of(dataset: Dataset, *, count: int, shape: tuple[int, int], bits: int) -> Words:
    """Give a data set several frames of noise and return them."""
    allocated = 8 if bits <= 8 else 16
    noise = np.random.default_rng(5).integers(0, 2**bits, (count, *shape), f"<u{allocated // 8}")
    dataset.NumberOfFrames = count
    dataset.Rows, dataset.Columns = shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = allocated, bits, bits - 1
    data = noise.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW"
    return noise


@given(
    word=st.integers(0, 65535),
    bits=st.integers(1, 16),
    above=st.integers(0, 15),
    signed=st.booleans(),
)
def test_a_sample_lies_below_its_high_bit(word: int, bits: int, above: int, signed: bool) -> None:
    high = min(bits - 1 + above, 15)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.Rows, dataset.Columns, dataset.BitsAllocated = 1, 1, 16
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, high, int(signed)
    expected = word >> (high + 1 - bits) & (2**bits - 1)
    if signed and expected >= 2 ** (bits - 1):
        expected -= 2**bits
    assert significant(np.array([[word]], np.uint16), dataset).tolist() == [[expected]]


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless])
@pytest.mark.parametrize("high", [9, 11, 15])
@pytest.mark.parametrize("signed", [False, True])
def test_bits_around_the_sample_are_no_grey(
    radiograph: Dataset, syntax: UID, high: int, signed: bool
) -> None:
    noise = np.random.default_rng(5).integers(0, 65536, (8, 6), "<u2")  # overlays and the like
    radiograph.BitsStored, radiograph.HighBit = 10, high
    radiograph.PixelRepresentation = int(signed)
    radiograph.PixelData = noise.tobytes()
    sample = noise.astype(int) >> (high - 9) & 1023
    expected = np.where(signed & (sample >= 512), sample - 1024, sample)
    if syntax == uid.RLELossless:  # whole words are encoded, with all that lies in them
        planes = [(noise >> 8).astype(np.uint8), noise.astype(np.uint8)]
        radiograph.PixelData = encapsulate([runs(planes)])
        radiograph["PixelData"].VR = "OB"
        radiograph.file_meta.TransferSyntaxUID = syntax
    dataset = stored(radiograph)
    assert np.array_equal(pixel_words(dataset), noise)
    assert np.array_equal(stored_pixels(dataset), expected)


def runs(planes: list[npt.NDArray[np.uint8]]) -> bytes:
    """Encode byte planes by PS3.5 G, each as literal runs."""
    segments = []
    for plane in planes:
        data = plane.tobytes()
        parts = (data[start : start + 128] for start in range(0, len(data), 128))
        segment = b"".join(bytes([len(part) - 1]) + part for part in parts)
        segments.append(segment + b"\0" * (len(segment) % 2))
    offsets = np.zeros(16, "<u4")
    offsets[0] = len(planes)
    offsets[1 : len(planes) + 1] = 64 + np.cumsum([0, *map(len, segments[:-1])])
    return offsets.tobytes() + b"".join(segments)


@pytest.mark.parametrize("bits", [7, 8, 12, 16])
@pytest.mark.parametrize("shape", [(8, 6), (7, 5)])
@pytest.mark.parametrize("vr", ["OB", "OW"])
def test_big_endian_swaps_words_and_bytes_as_words(
    radiograph: Dataset, bits: int, shape: tuple[int, int], vr: str
) -> None:
    if bits > 8 and vr == "OB":
        vr = "OW"
    frames = frames_of(radiograph, count=3, shape=shape, bits=bits)
    if vr == "OW":
        radiograph.PixelData = np.frombuffer(radiograph.PixelData, "<u2").byteswap().tobytes()
    radiograph["PixelData"].VR = vr
    radiograph.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    file = io.BytesIO()
    radiograph.save_as(file, enforce_file_format=True, implicit_vr=False, little_endian=False)
    dataset = read_dataset(file.getvalue())
    for number, frame in enumerate(frames):
        assert np.array_equal(stored_pixels(dataset, frame=number), frame)


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.RLELossless]
)
def test_frames_of_odd_size_lie_one_behind_the_other(
    radiograph: Dataset, bits: int, syntax: UID
) -> None:
    frames = frames_of(radiograph, count=4, shape=(7, 5), bits=bits)
    if syntax == uid.RLELossless:
        radiograph.compress(syntax, frames)
    radiograph.file_meta.TransferSyntaxUID = syntax
    dataset = stored(radiograph)
    assert frame_count(dataset) == 4
    for number, frame in enumerate(frames):
        assert np.array_equal(stored_pixels(dataset, frame=number), frame)
    for number in (-1, 4):
        assert str(refused(dataset, frame=number)) == "no such frame"


def test_frames_that_were_cut_off_are_refused_and_the_others_read(radiograph: Dataset) -> None:
    frames = frames_of(radiograph, count=3, shape=(8, 6), bits=12)
    radiograph.PixelData = radiograph.PixelData[:-2]
    assert np.array_equal(stored_pixels(radiograph, frame=1), frames[1])
    assert isinstance(refused(radiograph, frame=2), ValueError)


@pytest.mark.parametrize(
    ("table", "fragments"),  # an extended table has one for each frame (PS3.5 A.4)
    [("basic", 1), ("basic", 3), ("empty", 1), ("empty", 3), ("extended", 1)],
)
@pytest.mark.parametrize("syntax", [uid.JPEGLSLossless, uid.JPEG2000Lossless])
def test_frames_are_found_by_every_kind_of_table(
    radiograph: Dataset, syntax: UID, table: str, fragments: int
) -> None:
    frames = frames_of(radiograph, count=4, shape=(37, 35), bits=12)
    encoder = get_encoder(syntax)
    streams = [encoder.encode(radiograph, index=number) for number in range(4)]
    radiograph.file_meta.TransferSyntaxUID = syntax
    if table == "extended":
        data, offsets, lengths = encapsulate_extended(streams)
        radiograph.ExtendedOffsetTable, radiograph.ExtendedOffsetTableLengths = offsets, lengths
    else:
        data = encapsulate(streams, fragments_per_frame=fragments, has_bot=table == "basic")
    radiograph.PixelData = data
    radiograph["PixelData"].VR = "OB"
    dataset = stored(radiograph)
    for number, frame in enumerate(frames):
        assert np.array_equal(stored_pixels(dataset, frame=number), frame)
    for number in (-1, 4):
        assert str(refused(dataset, frame=number)) == "no such frame"


def test_an_extended_table_outweighs_the_order_of_fragments(radiograph: Dataset) -> None:
    frames = frames_of(radiograph, count=2, shape=(37, 35), bits=12)
    encoder = get_encoder(uid.JPEGLSLossless)
    streams = [encoder.encode(radiograph, index=number) for number in range(2)]
    data, offsets, lengths = encapsulate_extended(streams)
    radiograph.file_meta.TransferSyntaxUID = uid.JPEGLSLossless
    radiograph.PixelData = data
    radiograph["PixelData"].VR = "OB"
    radiograph.ExtendedOffsetTable = offsets[8:] + offsets[:8]
    radiograph.ExtendedOffsetTableLengths = lengths[8:] + lengths[:8]
    dataset = stored(radiograph)
    assert np.array_equal(stored_pixels(dataset, frame=0), frames[1])
    assert np.array_equal(stored_pixels(dataset, frame=1), frames[0])


def test_one_frame_may_lie_in_many_fragments(radiograph: Dataset) -> None:
    frame = frames_of(radiograph, count=1, shape=(37, 35), bits=12)[0]
    stream = get_encoder(uid.JPEG2000Lossless).encode(radiograph)
    radiograph.file_meta.TransferSyntaxUID = uid.JPEG2000Lossless
    for has_table in (False, True):
        radiograph.PixelData = encapsulate([stream], fragments_per_frame=5, has_bot=has_table)
        radiograph["PixelData"].VR = "OB"
        assert np.array_equal(stored_pixels(stored(radiograph)), frame)


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ({"Rows": 0}, "no size that is read"),
        ({"Rows": 8001, "Columns": 8000}, "no size that is read"),
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "no layout that is read"),
        ({"BitsAllocated": 12}, "no layout that is read"),
        ({"BitsAllocated": 32}, "no layout that is read"),
        ({"SamplesPerPixel": 3}, "no layout that is read"),
        ({"BitsStored": 0}, "bits stored outside of the word"),
        ({"BitsStored": 17, "HighBit": 16}, "bits stored outside of the word"),
        ({"HighBit": 10}, "bits stored outside of the word"),
        ({"HighBit": 16}, "bits stored outside of the word"),
        ({"BitsAllocated": 8}, "bits stored outside of the word"),
        ({"PixelRepresentation": 2}, "neither signed nor unsigned"),
    ],
)
def test_what_does_not_fit_its_words_is_no_layout(
    radiograph: Dataset, elements: dict[str, int], why: str
) -> None:
    for keyword, value in elements.items():
        setattr(radiograph, keyword, value)
    with pytest.raises(ValueError, match=why):
        layout_of(radiograph)
    assert str(refused(radiograph)) == why


def test_the_largest_film_is_read(radiograph: Dataset) -> None:
    radiograph.Rows, radiograph.Columns = 8000, MAXIMUM_PIXELS // 8000
    assert layout_of(radiograph).shape == (8000, 8000)


def test_a_header_may_leave_the_high_bit_out(radiograph: Dataset) -> None:
    del radiograph.HighBit
    layout = layout_of(radiograph)
    assert (layout.bits, layout.low, layout.dtype) == (12, 0, np.uint16)


@pytest.mark.parametrize(
    "keyword", ["Rows", "BitsStored", "PixelRepresentation", "PixelData", "BitsAllocated"]
)
def test_what_is_missing_is_refused(radiograph: Dataset, keyword: str) -> None:
    delattr(radiograph, keyword)
    assert isinstance(refused(radiograph), AttributeError)


@pytest.mark.parametrize("syntax", ["1.2.3", uid.MPEG2MPML, uid.JPEG2000MC])
def test_a_syntax_that_is_not_read_is_refused(radiograph: Dataset, syntax: str) -> None:
    radiograph.file_meta.TransferSyntaxUID = syntax
    assert isinstance(refused(radiograph), KeyError)
