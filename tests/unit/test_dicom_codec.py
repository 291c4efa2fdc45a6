"""Every transfer syntax, by encoders that share no code with the decoders where there are any."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from itertools import product
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from cspine.dicom import codec, jpeg, jpeg2000
from cspine.dicom.codec import LOSSY, SYNTAXES, Layout, decode
from cspine.dicom.codestream import Extent
from cspine.dicom.dataset import read_dataset
from cspine.dicom.pixels import stored_pixels
from cspine.dicom.read import render
from cspine_phantom.study import phantom

Values = npt.NDArray[Any]
DEPTHS = range(8, 17)
# What pydicom's own plugins encode: pylibjpeg-rle, CharLS through pyjpegls, OpenJPEG.
PYDICOM = (uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless)
HTJ2K = (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)


def htj2k_encoded(*arguments: Any, **options: Any) -> bytes:
    encode = getattr(imagecodecs, "htj2k_encode", None)
    if encode is None:
        pytest.skip("the imagecodecs of Python 3.10 writes no HTJ2K")
    return bytes(encode(*arguments, **options))


@pytest.fixture(scope="module")
def crop() -> Values:
    """Return a part of a phantom with bone, soft tissue and air: 53 rows of 37 pixels, 12 bits."""
    dataset = phantom(seed=7, number=0).dataset
    pixels = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    small = np.ascontiguousarray(pixels[:: dataset.Rows // 53, :: dataset.Columns // 37][:53, :37])
    assert np.ptp(small) > 2000
    return small


def scaled(crop: Values, bits: int, *, signed: bool) -> Values:
    """Return the crop at another depth, its whole range in use."""
    top = 2**bits - 1
    values = (crop.astype(float) - crop.min()) / np.ptp(crop) * top
    return (np.rint(values) - (2 ** (bits - 1) if signed else 0)).astype(np.int32)


def described(dataset: Dataset, values: Values, bits: int, *, signed: bool) -> Dataset:
    """Return a copy that stores values, uncompressed, in the fewest words."""
    made = deepcopy(dataset)
    made.Rows, made.Columns = values.shape[-2:]
    made.BitsStored, made.HighBit = bits, bits - 1
    made.BitsAllocated = 8 if bits <= 8 else 16
    made.PixelRepresentation = int(signed)
    # Two's complement in Bits Stored, as written by those who leave the other bits empty.
    data = (values & (2**bits - 1)).astype(f"<u{made.BitsAllocated // 8}").tobytes()
    made.PixelData = data + b"\0" * (len(data) % 2)
    made["PixelData"].VR = "OB" if bits <= 8 else "OW"
    return made


def wrapped(dataset: Dataset, stream: bytes, syntax: UID) -> Dataset:
    dataset.PixelData = encapsulate([bytes(stream)])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def lossless_jpeg(samples: Values, *, bits: int, predictor: int = 1) -> bytes:
    return bytes(
        imagecodecs.jpeg8_encode(samples, lossless=True, predictor=predictor, bitspersample=bits)
    )


def encoded(dataset: Dataset, syntax: UID, values: Values) -> Dataset:
    """Encode without loss, by what is most independent of the decoder."""
    bits, signed = dataset.BitsStored, bool(dataset.PixelRepresentation)
    if SYNTAXES[syntax] == "native":
        dataset.file_meta.TransferSyntaxUID = syntax
        if syntax == uid.ExplicitVRBigEndian and bits > 8:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
        return dataset
    if syntax in PYDICOM:
        # pydicom wants the samples themselves, sign extended.
        words = values.astype(f"<{'i' if signed else 'u'}{dataset.BitsAllocated // 8}")
        dataset.compress(syntax, words, generate_instance_uid=False)
        return dataset
    word = np.dtype(f"u{dataset.BitsAllocated // 8}")
    samples = (values & (2**bits - 1)).astype(word)
    if syntax in (uid.JPEGLossless, uid.JPEGLosslessSV1):
        predictor = 1 if syntax == uid.JPEGLosslessSV1 else bits % 7 + 1
        stream = lossless_jpeg(samples, bits=bits, predictor=predictor)
    elif syntax in (uid.JPEGLSNearLossless,):
        stream = imagecodecs.jpegls_encode(samples, level=0)
    elif syntax == uid.JPEG2000:
        kind = values.astype(f"{'i' if signed else 'u'}{word.itemsize}")
        stream = imagecodecs.jpeg2k_encode(
            kind, level=0, reversible=True, codecformat="J2K", bitspersample=bits
        )
    else:
        assert syntax in HTJ2K
        kind = values.astype(f"{'i' if signed else 'u'}{word.itemsize}")
        stream = htj2k_encoded(kind, reversible=True)
    return wrapped(dataset, stream, syntax)


def through_a_file(dataset: Dataset) -> Dataset:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return read_dataset(buffer.getvalue())


WITHOUT_LOSS = [
    syntax
    for syntax in SYNTAXES
    if syntax not in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)  # the rest of LOSSY can
]


def cases() -> Iterator[tuple[int, bool]]:
    """Yield depths with either sign."""
    yield from product(DEPTHS, (False, True))


@pytest.mark.parametrize("syntax", WITHOUT_LOSS, ids=lambda syntax: syntax.name)
def test_every_syntax_gives_back_every_pixel(
    radiograph: Dataset, crop: Values, syntax: UID
) -> None:
    for bits, signed in cases():
        values = scaled(crop, bits, signed=signed)
        plain = described(radiograph, values, bits, signed=signed)
        dataset = through_a_file(encoded(deepcopy(plain), syntax, values))
        assert dataset.file_meta.TransferSyntaxUID == syntax
        found = stored_pixels(dataset)
        assert found.dtype == np.dtype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")
        assert np.array_equal(found, values), (bits, signed)
        straight = render(dataset).astype(int)
        dataset.PhotometricInterpretation = "MONOCHROME1"
        assert np.abs(render(dataset) + straight - 255).max() <= 1
        assert np.array_equal(stored_pixels(dataset), found)


@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_every_predictor_of_lossless_jpeg(
    radiograph: Dataset, crop: Values, predictor: int, bits: int
) -> None:
    values = scaled(crop, bits, signed=False)
    dataset = described(radiograph, values, bits, signed=False)
    samples = values.astype(f"u{dataset.BitsAllocated // 8}")
    stream = lossless_jpeg(samples, bits=bits, predictor=predictor)
    assert np.array_equal(stored_pixels(wrapped(dataset, stream, uid.JPEGLossless)), values)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_lossless_jpeg_of_another_encoder(radiograph: Dataset, crop: Values, bits: int) -> None:
    values = scaled(crop[:52, :36], bits, signed=False)
    dataset = described(radiograph, values, bits, signed=False)
    samples = values.astype(f"u{dataset.BitsAllocated // 8}")
    stream = imagecodecs.ljpeg_encode(samples, bitspersample=bits)
    assert np.array_equal(stored_pixels(wrapped(dataset, stream, uid.JPEGLossless)), values)


def test_few_bits_in_wide_words(radiograph: Dataset, crop: Values) -> None:
    # A code stream of 8 bits decodes to bytes, where the header speaks of words.
    syntaxes = uid.JPEGLosslessSV1, uid.JPEGLSNearLossless, uid.JPEG2000
    for syntax, signed in product(syntaxes, (False, True)):
        values = scaled(crop, 8, signed=signed)
        dataset = described(radiograph, values, 8, signed=signed)
        encoded(dataset, syntax, values)
        dataset.BitsAllocated = 16
        found = stored_pixels(dataset)
        assert found.dtype == ("int16" if signed else "uint16")
        assert np.array_equal(found, values)
        assert np.ptp(render(dataset)) == 255


@pytest.mark.parametrize("syntax", sorted(LOSSY), ids=lambda syntax: syntax.name)
def test_lossy_syntaxes_stay_near_and_in_range(
    radiograph: Dataset, crop: Values, syntax: UID
) -> None:
    bits = 12 if syntax == uid.JPEGExtended12Bit else 8
    values = scaled(crop, bits, signed=False)
    values[:20, :18] = np.where(np.indices((20, 18)).sum(axis=0) % 5, 0, 2**bits - 1)
    dataset = described(radiograph, values, bits, signed=False)
    samples = values.astype(f"u{dataset.BitsAllocated // 8}")
    stream = {
        "jpeg": lambda: imagecodecs.jpeg8_encode(samples, level=90, bitspersample=bits),
        "jpeg-ls": lambda: imagecodecs.jpegls_encode(samples, level=3),
        "jpeg 2000": lambda: imagecodecs.jpeg2k_encode(samples, level=40, codecformat="J2K"),
        "htj2k": lambda: htj2k_encoded(samples, level=0.01, reversible=False),
    }[SYNTAXES[syntax]]()
    found = stored_pixels(wrapped(dataset, stream, syntax)).astype(int)
    error = np.abs(found - values)
    assert 0 < error.max() < 2**bits // 4
    assert error.mean() < 2**bits / 60
    if syntax == uid.JPEGLSNearLossless:
        assert error.max() == 3


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_what_overshoots_is_clipped_and_never_wraps(
    radiograph: Dataset, signed: bool, photometric: str
) -> None:
    # Encoders may write 16 bits where the header speaks of 12, and lossy ones overshoot both ends.
    low, high = (-2048, 2047) if signed else (0, 4095)
    values = np.full((64, 64), low, np.int32)
    values[16:48, 16:48] = high
    values[::7, ::5] = high
    dataset = described(radiograph, values, 12, signed=signed)
    dataset.PhotometricInterpretation = photometric
    stream = imagecodecs.jpeg2k_encode(
        values.astype(np.int16 if signed else np.uint16), level=52, codecformat="J2K"
    )
    assert jpeg2000.extent(stream).bits == 16
    raw = imagecodecs.jpeg2k_decode(stream).astype(int)
    assert raw.max() > high
    wrapped(dataset, stream, uid.JPEG2000)
    assert np.array_equal(stored_pixels(dataset), np.clip(raw, low, high))
    shown = render(dataset).astype(int)
    white, black = shown[values == high], shown[values == low]
    if photometric == "MONOCHROME1":
        white, black = 255 - white, 255 - black
    assert white.min() > 150 > 90 > black.max()


def test_many_tiles_are_one_picture(radiograph: Dataset, crop: Values) -> None:
    values = scaled(crop, 8, signed=False)
    file = io.BytesIO()
    picture = PIL.Image.fromarray(values.astype(np.uint8))
    picture.save(file, "JPEG2000", tile_size=(16, 24), no_jp2=True, irreversible=False)
    high = htj2k_encoded(values.astype(np.uint8), tile=(16, 24), reversible=True)
    for stream, syntax in ((file.getvalue(), uid.JPEG2000Lossless), (high, uid.HTJ2KLossless)):
        dataset = wrapped(described(radiograph, values, 8, signed=False), stream, syntax)
        assert np.array_equal(stored_pixels(dataset), values)


def test_a_code_stream_within_a_file_format(radiograph: Dataset, crop: Values) -> None:
    stream = imagecodecs.jpeg2k_encode(crop, level=0, reversible=True, codecformat="JP2")
    bare = stream[stream.index(b"\xff\x4f\xff\x51") :]
    assert stream != bare == jpeg2000.code_stream(stream) == jpeg2000.code_stream(bare)
    dataset = described(radiograph, crop.astype(np.int32), 12, signed=False)
    assert np.array_equal(stored_pixels(wrapped(dataset, stream, uid.JPEG2000Lossless)), crop)


def test_boxes_of_a_file_format(crop: Values) -> None:
    bare = bytes(imagecodecs.jpeg2k_encode(crop[:8, :8], level=0, codecformat="J2K"))
    wide = (1).to_bytes(4, "big") + b"jp2c" + (16 + len(bare)).to_bytes(8, "big") + bare
    to_the_end = bytes(4) + b"jp2c" + bare
    for last in (box(b"jp2c", bare), wide, to_the_end, box(b"jp2c", bare) + box(b"free", b"x")):
        for other in (b"", box(b"uuid", bytes(16) + bare[:90])):
            assert jpeg2000.code_stream(SIGNATURE + other + last) == bare
    for broken in (
        b"", b"\0" + bare, SIGNATURE, SIGNATURE + bare, box(b"jp2c", bare),
        SIGNATURE + box(b"jp2c", bare)[:-1], SIGNATURE + box(b"jp2c", b"\0" + bare),
        SIGNATURE + box(b"uuid", bare), SIGNATURE + b"\0\0\0\7jp2c" + bare,
        SIGNATURE + (1).to_bytes(4, "big") + b"jp2c" + (15).to_bytes(8, "big") + bare,
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"no start of code stream|a box of a length|cut off"):
            jpeg2000.code_stream(broken)


def box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


SIGNATURE = box(b"jP  ", b"\r\n\x87\n")


def test_a_code_stream_in_another_box_is_no_decoy(crop: Values) -> None:
    honest = bytes(imagecodecs.jpeg2k_encode(crop, level=0, codecformat="J2K"))
    other = bytes(imagecodecs.jpeg2k_encode(crop[:50, :30].copy(), level=0, codecformat="J2K"))
    for decoy, coded in ((other, honest), (honest, other)):
        stream = SIGNATURE + box(b"uuid", bytes(16) + decoy) + box(b"jp2c", coded)
        if coded is honest:
            assert np.array_equal(decode(stream, syntax=uid.JPEG2000, layout=LAYOUT), crop)
        else:
            with pytest.raises(ValueError, match="another size"):
                decode(stream, syntax=uid.JPEG2000, layout=LAYOUT)


@pytest.mark.parametrize("marker", [0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF])
def test_a_frame_of_a_kind_that_is_not_read_is_never_passed_over(crop: Values, marker: int) -> None:
    stream = lossless_jpeg(crop, bits=12)
    start = stream.index(b"\xff\xc3")
    other = b"\xff" + bytes([marker]) + stream[start + 2 : start + 13]
    with pytest.raises(ValueError, match="of a kind that is not read"):
        decode(stream[:start] + other + stream[start:], syntax=uid.JPEGLosslessSV1, layout=LAYOUT)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("a scan first", "no start of frame before a scan"),
        ("two frames", "more than one frame"),
        ("a frame after the scan", "more than one frame"),
        ("no frame", "no start of frame"),
        # What libjpeg passes over, or reads as if it had a length, and others do not.
        ("a stuffed byte", "not read"),
        ("a lone marker", "not read"),
        ("a second start", "not read"),
        ("stray bytes", "no marker"),
        ("no end", "cut off"),
    ],
)
@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEGLSLossless])
def test_a_stream_with_another_number_of_frames_than_one(
    crop: Values, syntax: UID, made: str, told: str
) -> None:
    near = syntax == uid.JPEGLSLossless
    stream = bytes(imagecodecs.jpegls_encode(crop)) if near else lossless_jpeg(crop, bits=12)
    layout = replace(LAYOUT, bits=16) if near else LAYOUT
    assert np.array_equal(decode(stream, syntax=syntax, layout=layout), crop)
    start = stream.index(b"\xff\xf7" if near else b"\xff\xc3")
    scan = stream.index(b"\xff\xda")
    frame = stream[start : start + 13]
    header = stream[scan : scan + 10]
    damaged = {
        "a scan first": stream[:start] + header + stream[start:],
        "two frames": stream[:start] + frame + stream[start:],
        "a frame after the scan": stream[:-2] + frame + stream[-2:],
        "no frame": stream[:2] + stream[-2:],
        "a stuffed byte": stream[:2] + b"\xff\0\0\4ab" + stream[2:],
        "a lone marker": stream[:2] + b"\xff\1" + stream[2:],
        "a second start": stream[:2] + stream,
        "stray bytes": stream[:2] + b"\0" + stream[2:],
        "no end": stream[:-2],
    }[made]
    with pytest.raises(ValueError, match=told):
        decode(damaged, syntax=syntax, layout=layout)


LAYOUT = Layout((53, 37), allocated=16, bits=12, low=0, signed=False)


def test_an_extent_says_what_was_encoded(crop: Values) -> None:
    assert jpeg.extent(lossless_jpeg(crop, bits=12)) == Extent(53, 37, components=1, bits=12)
    assert jpeg.extent(imagecodecs.jpegls_encode(crop)) == Extent(53, 37, 1, bits=16)
    colour = np.repeat(crop[..., None] >> 4, 3, axis=2).astype(np.uint8)
    assert jpeg.extent(imagecodecs.jpeg8_encode(colour)) == Extent(53, 37, 3, bits=8)
    signed = imagecodecs.jpeg2k_encode(
        crop.astype(np.int16), level=0, codecformat="J2K", resolutions=3
    )
    assert jpeg2000.extent(signed) == Extent(53, 37, 1, bits=16, signed=True, halvings=2)
    assert jpeg2000.extent(htj2k_encoded(crop)).bits == 16


@pytest.mark.parametrize("fill", [b"\xff", b"\xff\xff", b"\xff\xfe\0\4ab"])
def test_fill_bytes_and_comments_before_a_frame_are_passed_over(crop: Values, fill: bytes) -> None:
    stream = lossless_jpeg(crop, bits=12)
    start = stream.index(b"\xff\xc3")
    filled = stream[:start] + fill + stream[start:]
    assert jpeg.extent(filled) == jpeg.extent(stream)
    kept = fill.strip(b"\xff") and fill
    assert jpeg.code_stream(filled + b"\0") == stream[:start] + kept + stream[start:]


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        (Layout((52, 37), 16, 12, 0, signed=False), "another size"),
        (Layout((37, 53), 16, 12, 0, signed=False), "another size"),
        (Layout((53, 37), 8, 8, 0, signed=False), "another kind"),
    ],
)
def test_a_code_stream_must_be_what_its_header_says(
    crop: Values, layout: Layout, told: str
) -> None:
    for stream, syntax in (
        (lossless_jpeg(crop, bits=12), uid.JPEGLossless),
        (imagecodecs.jpegls_encode(crop), uid.JPEGLSLossless),
        (imagecodecs.jpeg2k_encode(crop, level=0, codecformat="J2K"), uid.JPEG2000),
        (htj2k_encoded(crop), uid.HTJ2K),
    ):
        assert np.array_equal(decode(stream, syntax=syntax, layout=LAYOUT), crop)
        with pytest.raises(ValueError, match=told):
            decode(stream, syntax=syntax, layout=layout)


def test_colours_and_a_sign_that_the_header_denies_are_refused(crop: Values) -> None:
    signed = imagecodecs.jpeg2k_encode(crop.astype(np.int16), level=0, codecformat="J2K")
    with pytest.raises(ValueError, match="is signed, its header is not"):
        decode(signed, syntax=uid.JPEG2000, layout=LAYOUT)
    colour = imagecodecs.jpeg8_encode(np.repeat(crop[..., None] >> 4, 3, axis=2).astype(np.uint8))
    with pytest.raises(ValueError, match="another kind"):
        decode(colour, syntax=uid.JPEGBaseline8Bit, layout=LAYOUT)


@pytest.mark.parametrize("made", ["jpeg", "jpeg2k"])
def test_a_stream_cut_off_within_its_header_is_none(crop: Values, made: str) -> None:
    extent_of: Callable[[bytes], Extent]
    if made == "jpeg":
        extent_of = jpeg.extent
        stream = lossless_jpeg(crop, bits=12)
        end = stream.index(b"\xff\xc3") + 13
    else:
        extent_of = jpeg2000.extent
        stream = imagecodecs.jpeg2k_encode(crop, level=0, codecformat="J2K")
        end = stream.index(b"\xff\x52") + 10
    assert extent_of(stream[:end]) == extent_of(stream)
    for length in range(end):
        with pytest.raises(ValueError, match=r"cut off|no start|no coding|no marker|subsampled"):
            extent_of(stream[:length])


def test_too_few_runs_are_cut_off() -> None:
    values = np.arange(16, dtype=np.uint8).reshape(4, 4)
    stream = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56)
    stream += bytes([15]) + values.tobytes()
    layout = Layout((4, 4), allocated=8, bits=8, low=0, signed=False)
    assert np.array_equal(decode(stream, syntax=uid.RLELossless, layout=layout), values)
    with pytest.raises(ValueError, match="cut off"):
        decode(stream, syntax=uid.RLELossless, layout=replace(layout, shape=(4, 5)))


def test_every_kind_has_a_decoder_here() -> None:
    for kind in set(SYNTAXES.values()):
        assert codec.version_of(kind)
