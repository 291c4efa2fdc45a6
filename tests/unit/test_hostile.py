"""Files made to cost more than an image may: each is refused before it does."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from cspine.dicom import limits, stream
from cspine.dicom.dataset import read_dataset
from cspine.dicom.directory import is_directory
from cspine.dicom.isolate import IsolatedReader
from cspine.dicom.jpeg2000 import check_parts
from cspine.dicom.overlays import overlay_mask
from cspine.dicom.read import read_image, render
from cspine.errors import StudyError
from cspine.findings import Refused
from cspine.spec import PipelineSpec

Save = Callable[[Dataset], Path]

CONSULTED, OTHER = (0x0028, 0x3010), (0x0008, 0x1115)  # VOI LUT, Referenced Series
ITEM, ITEM_END, SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
UNDEFINED = 0xFFFFFFFF
SIDE = 2000
RAMP = np.add.outer(np.arange(SIDE), np.arange(SIDE)).astype(np.uint16)


def element(tag: tuple[int, int], value: bytes, *, implicit: bool = False) -> bytes:
    head = struct.pack("<HH", *tag)
    if tag[0] == 0xFFFE or implicit:
        return head + struct.pack("<L", len(value)) + value
    return head + struct.pack("<2sHL", b"SQ", 0, len(value)) + value


def opening(tag: tuple[int, int]) -> bytes:
    return element(tag, b"")[:-4] + struct.pack("<L", UNDEFINED)


def nested(tag: tuple[int, int], depth: int, *, defined: bool) -> bytes:
    if not defined:
        end = element(ITEM_END, b"") + element(SEQUENCE_END, b"")
        return (opening(tag) + opening(ITEM)) * depth + end * depth
    inner = b""
    for _ in range(depth):
        inner = element(tag, element(ITEM, inner))
    return inner


@pytest.fixture
def with_element(radiograph: Dataset, saved: Save) -> Callable[..., Path]:
    """Return the function that writes a radiograph with bytes put among its elements."""

    def write(inserted: bytes, *, syntax: UID = uid.ExplicitVRLittleEndian) -> Path:
        radiograph.file_meta.TransferSyntaxUID = syntax
        path = saved(radiograph)
        data = path.read_bytes()
        place = data.index(struct.pack("<HH", 0x0010, 0x0010))  # Patient's Name
        path.write_bytes(data[:place] + inserted + data[place:])
        return path

    return write


@pytest.mark.parametrize("tag", [CONSULTED, OTHER])
@pytest.mark.parametrize("depth", [33, 400, 20_000])
def test_sequences_nested_too_deep(
    with_element: Callable[..., Path], tag: tuple[int, int], depth: int
) -> None:
    path = with_element(nested(tag, depth, defined=False))
    if tag == OTHER and depth == 33:
        assert read_dataset(path).PatientID  # nothing asks for it
        return
    with pytest.raises(StudyError, match=r"\.dcm: sequences nested deeper than 32$"):
        read_dataset(path)


@pytest.mark.parametrize("depth", [32, 33, 5000])
def test_sequences_of_a_stated_length_nested_too_deep(
    with_element: Callable[..., Path], depth: int
) -> None:
    path = with_element(nested(CONSULTED, depth, defined=True))
    if depth == 32:
        assert read_dataset(path).PatientID
        return
    with pytest.raises(StudyError, match=r"\.dcm: sequences nested deeper than 32$"):
        read_dataset(path)


MANY = 20_001
TOO_MANY = r"\.dcm: more than 20000 elements, as no image has$"
EMPTY = struct.pack("<HH2sH", 0x0028, 0x3003, b"LO", 0)
LONG = struct.pack("<HH2sH", 0x0028, 0x3003, b"LO", 60_000) + b"\\" * 60_000


@pytest.fixture
def fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the elements, for they take seconds to read."""
    monkeypatch.setattr(limits, "MAXIMUM_ELEMENTS", MANY - 1)


@pytest.mark.usefixtures("fewer")
@pytest.mark.parametrize(
    "inserted",
    [
        opening(CONSULTED) + element(ITEM, b"") * MANY + element(SEQUENCE_END, b""),
        element(CONSULTED, element(ITEM, b"") * MANY),
        element(CONSULTED, element(ITEM, EMPTY) * (MANY // 2)),
        element(CONSULTED, element(ITEM, LONG) * 2),
        EMPTY * 3 * MANY,
    ],
    ids=["items", "items of a stated length", "elements", "values", "at the root"],
)
def test_too_many_elements(with_element: Callable[..., Path], inserted: bytes) -> None:
    with pytest.raises(StudyError, match=TOO_MANY):
        read_dataset(with_element(inserted))


@pytest.mark.usefixtures("fewer")
def test_too_many_elements_in_bytes(with_element: Callable[..., Path]) -> None:
    path = with_element(opening(OTHER) + element(ITEM, b"") * MANY + element(SEQUENCE_END, b""))
    with pytest.raises(StudyError, match="the file: more than 20000 elements"):
        read_dataset(path.read_bytes())


@pytest.mark.usefixtures("fewer")
def test_too_many_elements_before_the_data_set(radiograph: Dataset, saved: Save) -> None:
    path = saved(radiograph)
    meta = struct.pack("<HH2sH", 0x0002, 0x0100, b"UI", 0) * 3 * MANY
    path.write_bytes(path.read_bytes()[:132] + meta)
    assert not is_directory(path)
    with pytest.raises(StudyError, match=TOO_MANY):
        read_dataset(path)


@pytest.mark.usefixtures("fewer")
def test_too_many_numbers_in_one_element(radiograph: Dataset, saved: Save) -> None:
    radiograph.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    radiograph.WindowCenter = "1"
    path = saved(radiograph)
    stated = struct.pack("<HHL", 0x28, 0x1050, 2) + b"1 "
    value = b"1\\" * MANY
    data = path.read_bytes()
    assert stated in data
    path.write_bytes(data.replace(stated, struct.pack("<HHL", 0x28, 0x1050, len(value)) + value))
    with pytest.raises(StudyError, match=TOO_MANY):
        read_dataset(path)


def test_too_long_a_sequence(with_element: Callable[..., Path]) -> None:
    path = with_element(element(CONSULTED, element(ITEM, b"\0" * (9 << 20))))
    with pytest.raises(StudyError, match="an element of more than 8 MiB where no image has one"):
        read_dataset(path)


@pytest.mark.parametrize("vr", [b"UL", b"SQ", b"DS", b"UT"])
def test_pixel_data_that_are_no_bytes(radiograph: Dataset, saved: Save, vr: bytes) -> None:
    path = saved(radiograph)
    head, _ = path.read_bytes().split(struct.pack("<HH", 0x7FE0, 0x0010))
    value = b"\xff" * 4  # as a number of zero bytes, it would be 4 GiB
    length = struct.pack("<2xL" if vr in (b"SQ", b"UT") else "<H", 4)
    path.write_bytes(head + struct.pack("<HH", 0x7FE0, 0x0010) + vr + length + value)
    with pytest.raises(StudyError, match="pixel data of a type that none have"):
        read_dataset(path)


def test_a_long_text_is_not_held(with_element: Callable[..., Path]) -> None:
    text = struct.pack("<HH2s2xL", 0x0010, 0x4000, b"UT", 9 << 20) + b" " * (9 << 20)
    with pytest.raises(StudyError, match="an element of more than 8 MiB where no image has one"):
        read_dataset(with_element(text))
    private = struct.pack("<HH2s2xL", 0x0009, 0x1001, b"UN", 9 << 20) + b"\\" * (9 << 20)
    assert read_dataset(with_element(private)).PatientID


def test_what_is_broken_in_the_file_meta_fails_at_once(radiograph: Dataset, saved: Save) -> None:
    path = saved(radiograph)
    data = path.read_bytes()
    place = data.index(struct.pack("<HH2s", 0x0002, 0x0002, b"UI"))
    path.write_bytes(data[: place + 4] + b"FD" + data[place + 6 :])
    with pytest.raises(StudyError, match="a damaged DICOM file"):
        read_dataset(path)


def deflated(path: Path, body: bytes) -> Path:
    """Put something else in place of a deflated file's data set."""
    data = path.read_bytes()
    length = struct.unpack_from("<L", data, 140)[0]
    deflater = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    path.write_bytes(data[: 144 + length] + deflater.compress(body) + deflater.flush())
    return path


@pytest.mark.parametrize("form", [Path, bytes])
def test_a_deflate_bomb_is_not_inflated(
    radiograph: Dataset, saved: Save, form: type[Path] | type[bytes]
) -> None:
    radiograph.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    path = deflated(saved(radiograph), b"\0" * (64 << 20))
    assert path.stat().st_size < 1 << 17
    file = path if form is Path else path.read_bytes()
    with pytest.raises(StudyError, match=r"inflates to more than \d+ MiB, as no image does"):
        read_dataset(file)


@pytest.mark.usefixtures("fewer")
def test_too_many_deflated_elements(radiograph: Dataset, saved: Save) -> None:
    radiograph.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    items = opening(OTHER) + element(ITEM, b"") * MANY + element(SEQUENCE_END, b"")
    path = deflated(saved(radiograph), items)
    assert path.stat().st_size < 1 << 12
    with pytest.raises(StudyError, match=TOO_MANY):
        read_dataset(path)


def test_no_more_is_inflated_than_the_largest_image_takes(
    radiograph: Dataset, saved: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MAXIMUM_UNPACKED_BYTES", 2 << 20)
    radiograph.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    path = deflated(saved(radiograph), np.random.default_rng(0).bytes(3 << 20))
    with pytest.raises(StudyError, match="inflates to more than 2 MiB, as no image does"):
        read_dataset(path)


def test_what_is_small_or_hardly_deflated_is_read(radiograph: Dataset, saved: Save) -> None:
    radiograph.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    radiograph.PixelData = np.zeros(48, "<u2").tobytes()
    assert read_dataset(saved(radiograph)).PixelData
    noise = np.random.default_rng(0).integers(0, 4096, (1000, 1000), "<u2")
    radiograph.Rows, radiograph.Columns = noise.shape
    radiograph.PixelData = noise.astype("<u2").tobytes()
    assert np.array_equal(read_image(read_dataset(saved(radiograph))).pixels, noise)


def test_a_deflated_file_that_is_cut_off(radiograph: Dataset, saved: Save) -> None:
    radiograph.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    path = saved(radiograph)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StudyError, match=r"a damaged DICOM file \(EOFError\)"):
        read_dataset(path)


def wrapped(radiograph: Dataset, stream: bytes, syntax: UID, shape: tuple[int, int]) -> Dataset:
    radiograph.Rows, radiograph.Columns = shape
    radiograph.PixelData = encapsulate([stream])
    radiograph["PixelData"].VR = "OB"
    radiograph["PixelData"].is_undefined_length = True
    radiograph.file_meta.TransferSyntaxUID = syntax
    return radiograph


def packed(*segments: bytes) -> bytes:
    """Return an RLE frame."""
    starts = [64]
    for segment in segments[:-1]:
        starts.append(starts[-1] + len(segment))
    starts += [0] * (15 - len(segments))
    return struct.pack("<16L", len(segments), *starts) + b"".join(segments)


def coded(**changes: bytes) -> bytes:
    """Return a JPEG 2000 stream that asks to be divided more finely than it is."""
    stream = bytes(imagecodecs.jpeg2k_encode(RAMP, codecformat="j2k", level=0))
    siz, cod = stream.index(b"\xff\x51"), stream.index(b"\xff\x52")
    style = bytearray(stream[cod : cod + 14])
    style[10:12] = changes.get("blocks", style[10:12])
    style[6:8] = changes.get("layers", style[6:8])
    if "precincts" in changes:
        style[4] |= 1
        style += changes["precincts"]
        style[2:4] = struct.pack(">H", len(style) - 2)
    made = bytearray(stream[:cod] + style + stream[cod + 14 :])
    made[siz + 22 : siz + 30] = changes.get("tiles", made[siz + 22 : siz + 30])
    return bytes(made)


FINE: dict[str, dict[str, bytes]] = {
    "tiles": {"tiles": struct.pack(">LL", 8, 8)},
    "no tiles": {"tiles": bytes(8)},
    "precincts": {"precincts": b"\0" + b"\x11" * 5},
    "blocks": {"blocks": b"\0\0"},
    "layers": {"layers": b"\xff\xff"},
}


@pytest.mark.parametrize("changes", FINE.values(), ids=FINE)
def test_code_streams_divided_too_finely(changes: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match=r"divided too finely|has no tiles"):
        check_parts(coded(**changes))


@pytest.mark.parametrize(
    "options",
    [{}, {"resolutions": 1}, {"level": 40}],
    ids=["plain", "few resolutions", "lossy"],
)
def test_honest_code_streams_pass(options: dict[str, object]) -> None:
    check_parts(bytes(imagecodecs.jpeg2k_encode(RAMP, codecformat="j2k", **options)))
    check_parts(coded(tiles=struct.pack(">LL", 128, 128)))


BOMBS: dict[str, tuple[UID, tuple[int, int], Callable[[], bytes]]] = {
    "rle": (uid.RLELossless, (8, 6), lambda: packed(*[b"\x81\x07" * 8_000_000] * 2)),
    "precincts": (
        uid.JPEG2000Lossless, (SIDE, SIDE), lambda: coded(**FINE["precincts"]),
    ),
    "tiles": (uid.JPEG2000Lossless, (SIDE, SIDE), lambda: coded(**FINE["tiles"])),
    "rows": (uid.JPEG2000Lossless, (8, 6), lambda: coded()),
    "jpeg": (uid.JPEGBaseline8Bit, (8, 6), lambda: bytes(
        imagecodecs.jpeg8_encode(np.zeros((60_000, 100), np.uint8)))),
}  # fmt: skip


def test_small_files_that_ask_for_all_memory(
    radiograph: Dataset, saved: Save, spec: PipelineSpec
) -> None:
    with IsolatedReader() as reader:
        for syntax, shape, stream in BOMBS.values():
            path = saved(wrapped(radiograph, stream(), syntax, shape))
            study = reader.find_studies([path])[0][0]
            with pytest.raises(Refused, match="The pixels cannot be decoded"):
                study.images(spec.accept)[0]
        child = reader._child
        assert child
        status = Path(f"/proc/{child._process.pid}/status").read_text()
    assert int(status.split("VmHWM:")[1].split()[0]) >> 10 < 160


ENCODED: dict[UID, Callable[[], bytes | bytearray]] = {
    uid.JPEGBaseline8Bit: lambda: imagecodecs.jpeg8_encode((RAMP[:64, :48] >> 1).astype(np.uint8)),
    uid.JPEGLosslessSV1: lambda: imagecodecs.ljpeg_encode(RAMP[:64, :48], bitspersample=12),
    uid.JPEGLSLossless: lambda: imagecodecs.jpegls_encode(RAMP[:64, :48].copy()),
    uid.JPEG2000Lossless: lambda: imagecodecs.jpeg2k_encode(
        RAMP[:64, :48].copy(), codecformat="j2k", level=0
    ),
}
if hasattr(imagecodecs, "HTJ2K"):  # on Python 3.10 nothing makes such a stream
    ENCODED[uid.HTJ2KLossless] = lambda: imagecodecs.htj2k_encode(RAMP[:64, :48].copy())


@pytest.mark.parametrize("syntax", ENCODED, ids=lambda syntax: syntax.name)
def test_a_code_stream_that_lost_its_end_is_never_an_image(
    radiograph: Dataset, syntax: UID
) -> None:
    stream = bytes(ENCODED[syntax]())
    assert read_image(wrapped(radiograph, stream, syntax, (64, 48))).shape == (64, 48)
    for length in (len(stream) // 4, len(stream) // 2, len(stream) - 16, len(stream) - 2):
        with pytest.raises(Refused, match="The pixels cannot be decoded"):
            read_image(wrapped(radiograph, stream[:length], syntax, (64, 48)))


@pytest.mark.parametrize(("keyword", "value"), [("Rows", 7), ("Columns", 5)])
def test_native_pixels_of_another_header(radiograph: Dataset, keyword: str, value: int) -> None:
    radiograph.PixelData += bytes(10)  # what some pad with
    assert read_image(radiograph).shape == (8, 6)
    setattr(radiograph, keyword, value)
    with pytest.raises(Refused, match="The pixels cannot be decoded"):
        read_image(radiograph)


def test_frames_that_are_stated_and_not_there(radiograph: Dataset) -> None:
    for frames in (2, 10**6, 2**31 - 1):
        radiograph.NumberOfFrames = frames
        with pytest.raises(Refused, match="The pixels cannot be decoded"):
            render(radiograph, frame=1)


def test_an_overlay_larger_than_its_data_draws_nothing(radiograph: Dataset) -> None:
    radiograph.add_new((0x6000, 0x0010), "US", 65535)
    radiograph.add_new((0x6000, 0x0011), "US", 65535)
    radiograph.add_new((0x6000, 0x0050), "SS", [1, 1])
    radiograph.add_new((0x6000, 0x3000), "OW", b"\xff" * 64)
    assert not overlay_mask(radiograph).any()


@pytest.mark.parametrize(
    ("descriptor", "data"),
    [
        ([65535, 0, 16], b"\1\0" * 16),
        ([0, 0, 16], b"\1\0" * 16),
        ([16, 0, 0], b"\1\0" * 16),
        ([16, 0, 65535], b"\1\0" * 16),
        ([16, 0], b"\1\0" * 16),
        ([1, 0, 16], b""),
    ],
)
def test_tables_that_are_none(radiograph: Dataset, descriptor: list[int], data: bytes) -> None:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", descriptor)
    item.add_new("LUTData", "OW", data)
    item.set_original_encoding(False, True, "iso8859")
    radiograph.VOILUTSequence = [item]
    with pytest.raises(Refused, match="The header's VOI LUT is not a valid one"):
        read_image(radiograph)
