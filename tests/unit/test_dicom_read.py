from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from cspine.dicom.read import (
    DEFERRED_BYTES,
    MAXIMUM_BYTES,
    read_dataset,
    read_image,
    source_of,
)
from cspine.dicom.select import Study, select
from cspine.errors import StudyError
from cspine.findings import Refused
from cspine.spec import PipelineSpec

Save = Callable[[Dataset], Path]


def grey(dataset: Dataset) -> npt.NDArray[np.float64]:
    """Return the grey levels that an image shows, from 0 to 1: their scale is arbitrary."""
    pixels = read_image(dataset).pixels.astype(float)
    return np.asarray((pixels - pixels.min()) / (pixels.max() - pixels.min()))


def eight_bit(dataset: Dataset, values: npt.ArrayLike) -> Dataset:
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.Rows, dataset.Columns = 1, np.size(values)
    dataset.PixelData = np.asarray(values, np.uint8).tobytes()
    return dataset


def test_an_image_carries_its_geometry_and_origin(radiograph: Dataset, saved: Save) -> None:
    image = read_image(read_dataset(saved(radiograph)))
    assert image.pixels.dtype == np.float32
    assert image.pixels.shape == (8, 6)
    assert image.pixels.ravel().tolist() == list(range(48))
    assert image.pixels.flags.c_contiguous
    assert not image.pixels.flags.writeable
    assert image.spacing_mm == (0.2, 0.1)
    assert image.spacing.flag == "detector plane"
    assert image.facing == "left"
    assert image.source == source_of(radiograph)
    assert image.source.study_uid == "1.2.3"
    assert image.source.series_uid == "1.2.3.4"
    assert image.source.instance_uid == "1.2.3.4.5"
    assert source_of(Dataset()).study_uid == ""


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (None, [0, 64.394, 128.788]),
        ("LINEAR", [0, 64.394, 128.788]),
        ("LINEAR_EXACT", [0, 63.75, 127.5]),
        ("SIGMOID", [30.397, 68.580, 127.5]),
    ],
)
def test_window_functions(radiograph: Dataset, function: str | None, expected: list[float]) -> None:
    dataset = eight_bit(radiograph, [0, 25, 50])
    dataset.WindowCenter, dataset.WindowWidth = 50, 100
    if function:
        dataset.VOILUTFunction = function
    assert read_image(dataset).pixels[0] == pytest.approx(expected, abs=1e-3)


def test_rescale_comes_before_the_window(radiograph: Dataset) -> None:
    radiograph.RescaleSlope, radiograph.RescaleIntercept = 2, -10
    radiograph.WindowCenter, radiograph.WindowWidth = 30, 41
    rescaled = np.arange(48).reshape(8, 6) * 2.0 - 10
    expected = np.clip((rescaled - 29.5) / 40 + 0.5, 0, 1)
    assert grey(radiograph) == pytest.approx(expected, abs=1e-6)


def test_only_the_first_of_several_windows_is_used(radiograph: Dataset) -> None:
    radiograph.WindowCenter, radiograph.WindowWidth = [20, 40], [11, 5]
    expected = np.clip((np.arange(48).reshape(8, 6) - 19.5) / 10 + 0.5, 0, 1)
    assert grey(radiograph) == pytest.approx(expected, abs=1e-6)


def table_of(values: list[int], *, first: int) -> Dataset:
    table = Dataset()
    table.LUTDescriptor = [len(values), first, 16]
    table.LUTData = values
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "US"
    return table


def test_lookup_tables_take_the_place_of_rescale_and_window(radiograph: Dataset) -> None:
    radiograph.ModalityLUTSequence = [table_of([900, 300, 100, 0], first=0)]
    modality = np.array([900, 300, 100, 0])[np.minimum(np.arange(48), 3)].reshape(8, 6)
    assert grey(radiograph) == pytest.approx(modality / 900)
    del radiograph.ModalityLUTSequence
    radiograph.VOILUTSequence = [table_of([5, 1, 7], first=10)]
    voi = np.array([5, 1, 7])[np.clip(np.arange(48) - 10, 0, 2)].reshape(8, 6)
    assert grey(radiograph) == pytest.approx((voi - 1) / 6)


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),
    ],
)
def test_grey_is_inverted_exactly_once(
    radiograph: Dataset, photometric: str, shape: str | None, inverted: bool
) -> None:
    radiograph.PhotometricInterpretation = photometric
    if shape:
        radiograph.PresentationLUTShape = shape
    ramp = np.arange(48).reshape(8, 6) / 47
    assert grey(radiograph) == pytest.approx(1 - ramp if inverted else ramp)


@pytest.mark.parametrize(("photometric", "lowest"), [("MONOCHROME2", 0), ("MONOCHROME1", -46)])
def test_padding_is_as_dark_as_the_darkest_pixel(
    radiograph: Dataset, photometric: str, lowest: int
) -> None:
    radiograph.PhotometricInterpretation = photometric
    radiograph.add_new("PixelPaddingValue", "US", 47)
    pixels = read_image(radiograph).pixels.ravel()
    assert pixels[47] == pixels.min() == lowest
    assert len(np.unique(pixels)) == 47


def test_padding_may_be_a_range(radiograph: Dataset) -> None:
    radiograph.add_new("PixelPaddingValue", "US", 40)
    radiograph.add_new("PixelPaddingRangeLimit", "US", 47)
    assert not read_image(radiograph).pixels.ravel()[40:].any()


def test_bits_beyond_those_stored_are_no_grey(radiograph: Dataset) -> None:
    radiograph.PixelData = (np.arange(48, dtype="<u2") | 0xF000).tobytes()
    assert read_image(radiograph).pixels.max() == 47


def test_signed_pixels_keep_their_sign(radiograph: Dataset) -> None:
    radiograph.PixelRepresentation, radiograph.BitsStored, radiograph.HighBit = 1, 16, 15
    radiograph.PixelData = (np.arange(48, dtype="<i2") - 24).tobytes()
    assert read_image(radiograph).pixels.min() == -24


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_compressed_pixels_are_the_same(radiograph: Dataset, saved: Save, syntax: str) -> None:
    radiograph.Rows, radiograph.Columns = 64, 48
    radiograph.PixelData = np.arange(64 * 48, dtype="<u2").tobytes()
    radiograph.compress(syntax)
    image = read_image(read_dataset(saved(radiograph)))
    assert image.pixels.ravel().tolist() == list(range(64 * 48))


def enlarged(dataset: Dataset) -> Dataset:
    """Give it so many pixels that they stay in the file, even compressed."""
    noise = np.random.default_rng(0).integers(0, 4096, (400, 300), dtype="<u2")
    dataset.Rows, dataset.Columns = noise.shape
    dataset.PixelData = noise.tobytes()
    return dataset


def held(dataset: Dataset) -> bool:
    return dataset.get_item("PixelData", keep_deferred=True).value is not None


@pytest.mark.parametrize(
    "syntax", [None, ImplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless]
)
def test_pixels_stay_in_the_file_until_they_are_decoded(
    radiograph: Dataset, saved: Save, syntax: UID | None
) -> None:
    expected = read_image(enlarged(radiograph)).pixels
    if syntax == ImplicitVRLittleEndian:
        radiograph.file_meta.TransferSyntaxUID = syntax
    elif syntax is not None:
        radiograph.compress(syntax)
    assert len(radiograph.PixelData) > DEFERRED_BYTES
    dataset = read_dataset(saved(radiograph))
    assert not held(dataset)
    assert np.array_equal(read_image(dataset).pixels, expected)
    assert read_image(dataset).source == source_of(radiograph)


def test_a_deflated_file_is_read_whole(radiograph: Dataset, saved: Save) -> None:
    expected = read_image(enlarged(radiograph)).pixels
    radiograph.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset = read_dataset(saved(radiograph))
    assert held(dataset)
    assert np.array_equal(read_image(dataset).pixels, expected)


def test_pixels_cut_off_or_gone_in_the_meantime_are_refused(
    radiograph: Dataset, saved: Save
) -> None:
    whole = saved(enlarged(radiograph))
    cut = whole.with_name("cut.dcm")
    cut.write_bytes(whole.read_bytes()[:-1000])
    told = refusal(read_dataset(cut))
    assert told[0] == "UNSUPPORTED_OBJECT"
    assert told[1].startswith("The pixels cannot be decoded (ValueError): cut off")
    dataset = read_dataset(whole)
    whole.unlink()
    gone = refusal(dataset)
    assert gone[0] == "UNSUPPORTED_OBJECT"
    assert whole.name not in gone[1]
    source = Study((dataset,)).source
    assert (source.instance_uid, source.pixels) == ("1.2.3.4.5", source_of(Dataset()).pixels)


def refusal(dataset: Dataset) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        read_image(dataset)
    assert caught.value.refusal.remedy
    return caught.value.refusal.code, caught.value.refusal.reason


def test_an_image_without_scale_is_incomplete(radiograph: Dataset) -> None:
    del radiograph.ImagerPixelSpacing
    assert refusal(radiograph) == (
        "INCOMPLETE_SET",
        "The image states no pixel spacing, so its scale is unknown.",
    )


@pytest.mark.parametrize("value", [0, 812, 4095])
def test_a_blank_image_is_refused(radiograph: Dataset, value: int) -> None:
    radiograph.PixelData = np.full(48, value, "<u2").tobytes()
    blank = ("LOW_QUALITY", "The image is blank: all its pixels have one value.")
    assert refusal(radiograph) == blank
    radiograph.PixelData = np.array([value] * 24 + [7] * 24, "<u2").tobytes()
    assert read_image(radiograph).pixels.std() > 0
    radiograph.add_new("PixelPaddingValue", "US", 7)
    assert refusal(radiograph) == blank


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PixelData", b"\0" * 40),
        ("PixelData", b""),
        ("Rows", 60000),
        ("Rows", 0),
        ("Columns", None),
        ("BitsAllocated", 12),
        ("WindowWidth", 0),
        ("RescaleSlope", None),
    ],
)
def test_pixels_that_cannot_be_decoded_are_refused(
    radiograph: Dataset, keyword: str, value: Any
) -> None:
    radiograph.WindowCenter, radiograph.WindowWidth, radiograph.RescaleIntercept = 1, 1, 0
    radiograph.RescaleSlope = 1
    setattr(radiograph, keyword, value)
    code, reason = refusal(radiograph)
    assert code == "UNSUPPORTED_OBJECT"
    assert reason.startswith("The pixels cannot be decoded (")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"lateral, C2 to C7\n", "not a DICOM file (InvalidDicomError)"),
        (b"\0" * 128 + b"DICM" + b"\xff" * 60, "not a DICOM file ("),
    ],
)
def test_what_is_not_dicom_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "neck.dcm"
    path.write_bytes(content)
    with pytest.raises(StudyError) as caught:
        read_dataset(path)
    assert str(caught.value).startswith(f"{path}: {told}")


def test_a_file_goes_by_the_name_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "QUILLFEATHER^ZEBEDEE.dcm"
    for content in (b"", b"a letter"):
        path.write_bytes(content)
        with pytest.raises(StudyError, match=r"^file 3 of 17: ") as caught:
            read_dataset(path, name="file 3 of 17")
        assert "QUILL" not in str(caught.value)


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="cannot be read: No such file or directory"):
        read_dataset(tmp_path / "none.dcm")
    with pytest.raises(StudyError, match="cannot be read: Is a directory"):
        read_dataset(tmp_path)


def test_a_file_too_large_to_be_a_radiograph_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.dcm"
    path.touch()
    os.truncate(path, MAXIMUM_BYTES + 1)
    with pytest.raises(StudyError, match=r"huge\.dcm: 1024 MiB, at most 1024 are read"):
        read_dataset(path)


def answered(path: Path, spec: PipelineSpec) -> str:
    """Take a file as far as its image; return every word that was said on the way."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            study = Study((read_dataset(path),))
            read_image(select(study, spec.accept).dataset)
        except StudyError as error:
            told = str(error)
        except Refused as refused:
            told = f"{refused.refusal.reason} {refused.refusal.remedy}"
        else:
            told = ""
    return " ".join([told, *(str(warning.message) for warning in said)])


def test_a_file_cut_off_anywhere_is_refused(
    radiograph: Dataset, saved: Save, spec: PipelineSpec
) -> None:
    path = saved(radiograph)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        told = answered(path, spec)
        assert told.strip()
        assert "QUILLFEATHER" not in told


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("InstanceNumber", "12345678"),
        ("NumberOfFrames", "12345678"),
        ("BodyPartExamined", "NECKNECK"),
        ("ViewPosition", "LATERALX"),
        ("StudyInstanceUID", "1.22.333"),
        ("PatientOrientation", "PLPLPLPL"),
        ("PixelSpacing", "1.11\\2.2"),
        ("EstimatedRadiographicMagnificationFactor", "1.234567"),
        ("RescaleSlope", "1.234567"),
        ("PresentationLUTShape", "IDENTITY"),
    ],
)
@pytest.mark.parametrize("misplaced", [b"Quill\\ey", b"Quilley^"])
def test_a_name_in_the_wrong_element_is_never_repeated(
    radiograph: Dataset, saved: Save, spec: PipelineSpec, keyword: str, value: str, misplaced: bytes
) -> None:
    setattr(radiograph, keyword, value)
    path = saved(radiograph)
    before, after = path.read_bytes().rsplit(value.encode(), 1)
    path.write_bytes(before + misplaced + after)
    assert "Quill" not in answered(path, spec)


@pytest.mark.parametrize(
    "tag", [b"\x08\0\x18\0", b"\x18\0\x15\0", b"\x20\0\x0d\0", b"\x28\0\x02\0"]
)
def test_an_element_of_no_known_type_is_refused_or_passed_over(
    radiograph: Dataset, saved: Save, spec: PipelineSpec, tag: bytes
) -> None:
    path = saved(radiograph)
    before, after = path.read_bytes().split(tag, 1)
    path.write_bytes(before + tag + b"ZZ" + after[2:])
    assert "QUILLFEATHER" not in answered(path, spec)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(edits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=8))
def test_damaged_files_are_answered_refused_or_unreadable(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[float, bytes]], spec: PipelineSpec
) -> None:
    path = Path(__file__).parents[1] / "data" / "pydicom_cspine_cr" / "lateral.dcm"
    # Its orientation contradicts its view: without it, damage has the pixels to reach.
    data = bytearray(path.read_bytes().replace(b"CS\x04\x00L\\F ", b"CS\x04\x00P\\F "))
    for place, text in edits:
        start = round(place * (len(data) - len(text)))
        data[start : start + len(text)] = text
    damaged = tmp_path_factory.getbasetemp() / "damaged.dcm"
    damaged.write_bytes(data)
    assert "Doe" not in answered(damaged, spec)
