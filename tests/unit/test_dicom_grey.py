from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from cspine.dicom.dataset import read_dataset
from cspine.dicom.grey import display_scale, modality_scale, windowed
from cspine.dicom.lut import Table
from cspine.dicom.pixels import pixel_words
from cspine.dicom.read import read_image, render
from cspine.findings import Refused


def grey(dataset: Dataset) -> npt.NDArray[np.float64]:
    """Return the grey levels that an image shows, from 0 to 1: their scale is arbitrary."""
    levels = read_image(dataset).levels().astype(float)
    return np.asarray((levels - levels.min()) / (levels.max() - levels.min()))


def table_of(values: list[int] | bytes, descriptor: tuple[int, int, int]) -> Dataset:
    table = Dataset()
    # Elements of a file may be of either sign; pydicom checks what is set here.
    table.add_new("LUTDescriptor", "US" if descriptor[1] >= 0 else "SS", list(descriptor))
    table.add_new("LUTData", "OW" if isinstance(values, bytes) else "US", values)
    return table


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("LINEAR", [0, 64.394, 128.788]),
        ("LINEAR_EXACT", [0, 63.75, 127.5]),
        ("SIGMOID", [30.397, 68.580, 127.5]),
    ],
)
def test_window_functions_by_their_vectors(function: str, expected: list[float]) -> None:
    shown = 255 * windowed(np.array([0, 25, 50]), 50, 100, function=function)
    assert shown == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("stated", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID", "QUADRATIC"])
def test_the_header_names_the_function(radiograph: Dataset, stated: str | None) -> None:
    radiograph.WindowCenter, radiograph.WindowWidth = 20, 30
    radiograph.VOILUTFunction = stated
    function = stated if stated in ("LINEAR_EXACT", "SIGMOID") else "LINEAR"
    scale = display_scale(radiograph).scale
    expected = windowed(np.arange(48), 20, 30, function=function)
    assert scale.span == (0, 1)
    assert scale.table[:48] == pytest.approx(expected, abs=1e-6)


def test_an_unknown_function_is_no_function() -> None:
    with pytest.raises(ValueError, match="no window function"):
        windowed(np.arange(3), 1, 1, function="QUADRATIC")


@given(
    x=st.integers(-5000, 5000),
    centre=st.fractions(-3000, 3000, max_denominator=4),
    width=st.fractions(1, 4000, max_denominator=4),
)
def test_the_linear_window_is_the_standards_pseudo_code(
    x: int, centre: Fraction, width: Fraction
) -> None:
    # PS3.3 C.11.2.1.2.1, word for word, from 0 to 1.
    if x <= centre - Fraction(1, 2) - (width - 1) / 2:
        expected = Fraction(0)
    elif x > centre - Fraction(1, 2) + (width - 1) / 2:
        expected = Fraction(1)
    else:
        expected = (x - (centre - Fraction(1, 2))) / (width - 1) + Fraction(1, 2)
    found = windowed(np.array([x]), float(centre), float(width), function="LINEAR")
    assert found[0] == pytest.approx(float(expected), abs=1e-9)


@pytest.mark.parametrize(("centre", "black"), [(20, 20), (20.4, 20), (20.5, 21)])
def test_the_narrowest_window_is_a_step(radiograph: Dataset, centre: float, black: int) -> None:
    radiograph.WindowCenter, radiograph.WindowWidth = centre, 1
    assert grey(radiograph).ravel().tolist() == [0.0] * black + [1.0] * (48 - black)


def test_rescale_comes_before_the_window(radiograph: Dataset) -> None:
    radiograph.RescaleSlope, radiograph.RescaleIntercept = 2, -10
    radiograph.WindowCenter, radiograph.WindowWidth = 30, 41
    rescaled = np.arange(48).reshape(8, 6) * 2.0 - 10
    expected = np.clip((rescaled - 29.5) / 40 + 0.5, 0, 1)
    assert grey(radiograph) == pytest.approx(expected, abs=1e-6)


def test_a_negative_slope_inverts_once(radiograph: Dataset) -> None:
    radiograph.RescaleSlope, radiograph.RescaleIntercept = -1, 47
    assert grey(radiograph).ravel() == pytest.approx(1 - np.arange(48) / 47)
    radiograph.WindowCenter, radiograph.WindowWidth = 24, 48
    assert grey(radiograph).ravel() == pytest.approx(1 - np.arange(48) / 47, abs=1e-6)


@pytest.mark.parametrize(
    ("stated", "line"),
    [
        ({}, (1, 0)),
        ({"RescaleIntercept": -5}, (1, -5)),
        ({"RescaleSlope": 0.25}, (0.25, 0)),
        ({"RescaleSlope": None, "RescaleIntercept": 3}, (1, 3)),
    ],
)
def test_half_a_rescale_is_filled_in(
    radiograph: Dataset, stated: dict[str, Any], line: tuple[float, float]
) -> None:
    for keyword, value in stated.items():
        setattr(radiograph, keyword, value)
    values = modality_scale(radiograph).scale.table[:48]
    assert values.tolist() == [line[0] * x + line[1] for x in range(48)]


@pytest.mark.parametrize(
    ("slope", "intercept"),
    [
        *((slope, "0") for slope in ("0", "NaN", "inf", "1e35", "-1e308", "1e10", "1e-320")),
        *(("1", intercept) for intercept in ("NaN", "-inf", "1e308", "-1e35")),
    ],
)
def test_a_rescale_that_is_none_is_refused(radiograph: Dataset, slope: str, intercept: str) -> None:
    radiograph.add_new("RescaleSlope", "LO", slope)
    radiograph.add_new("RescaleIntercept", "LO", intercept)
    with pytest.raises(Refused) as caught:
        read_image(radiograph)
    assert caught.value.refusal.code == "UNSUPPORTED_OBJECT"
    assert caught.value.refusal.reason == "The header's rescale is not a valid one."


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(
    ("centre", "width"),
    [("1e308", "4096"), ("-1e308", "1e-300"), ("20", "1e308"), ("20", "1e-300"), ("NaN", "9")],
)
def test_a_window_beyond_reason_is_passed_over(
    radiograph: Dataset, function: str, centre: str, width: str
) -> None:
    radiograph.VOILUTFunction = function
    radiograph.add_new("WindowCenter", "LO", centre)
    radiograph.add_new("WindowWidth", "LO", width)
    image = read_image(radiograph)
    assert image.levels().ravel().tolist() == list(range(48))
    assert len(image.notes) == 1


def test_the_largest_rescale_before_a_table(radiograph: Dataset) -> None:
    radiograph.RescaleSlope, radiograph.RescaleIntercept = "1e9", "-1e9"
    radiograph.VOILUTSequence = [table_of([0, 1, 2], (3, 0, 16))]
    assert display_scale(radiograph).scale.table[:4].tolist() == [0, 0, 2, 2]


@pytest.mark.parametrize(("window", "chosen"), [(0, (20, 11)), (1, (40, 5)), (7, (40, 5))])
def test_each_of_several_windows_can_be_asked_for(
    radiograph: Dataset, window: int, chosen: tuple[float, float]
) -> None:
    radiograph.WindowCenter, radiograph.WindowWidth = [20, 40], [11, 5]
    expected = windowed(np.arange(48), *chosen, function="LINEAR")
    found = display_scale(radiograph, window=window).scale.table[:48]
    assert found == pytest.approx(expected, abs=1e-6)


def test_windows_that_are_none_are_passed_over(radiograph: Dataset) -> None:
    radiograph.WindowCenter, radiograph.WindowWidth = [20, 40], [0.5, 5]
    expected = windowed(np.arange(48), 40, 5, function="LINEAR")
    assert display_scale(radiograph).scale.table[:48] == pytest.approx(expected, abs=1e-6)
    radiograph.VOILUTFunction = "LINEAR_EXACT"  # which may be narrower than 1
    expected = windowed(np.arange(48), 20, 0.5, function="LINEAR_EXACT")
    assert display_scale(radiograph).scale.table[:48] == pytest.approx(expected, abs=1e-6)


def test_a_modality_lut_takes_the_place_of_rescale(radiograph: Dataset) -> None:
    radiograph.RescaleSlope, radiograph.RescaleIntercept = 9, 9
    radiograph.ModalityLUTSequence = [table_of([900, 300, 100, 0], (4, 0, 16))]
    modality = np.array([900, 300, 100, 0])[np.minimum(np.arange(48), 3)].reshape(8, 6)
    assert grey(radiograph) == pytest.approx(modality / 900)


def test_a_voi_lut_takes_the_place_of_windows(radiograph: Dataset) -> None:
    radiograph.WindowCenter, radiograph.WindowWidth = 3, 3
    radiograph.VOILUTSequence = [
        table_of([5, 1, 7], (3, 10, 4)),
        table_of([0, 255], (2, 0, 8)),
    ]
    scale = display_scale(radiograph).scale
    assert scale.span == (0, 15)
    expected = np.array([5, 1, 7])[np.clip(np.arange(48) - 10, 0, 2)]
    assert scale.table[:48].tolist() == expected.tolist()
    assert render(radiograph)[1, 5] == round(255 * 1 / 15)
    assert render(radiograph, window=1).ravel().tolist() == [0] + [255] * 47


@pytest.mark.parametrize(
    ("values", "descriptor", "signed", "first", "entries"),
    [
        ([3, 1, 2], (3, 5, 2), False, 5, [3, 1, 2]),
        # One and the same word for a first value, whichever sign it was written with.
        ([3, 1, 2], (3, 65526, 2), True, -10, [3, 1, 2]),
        ([3, 1, 2], (3, -10, 2), True, -10, [3, 1, 2]),
        ([3, 1, 2], (3, 40000, 2), False, 40000, [3, 1, 2]),
        ([3, 1, 2], (3, 40000 - 65536, 2), False, 40000, [3, 1, 2]),
        # Bytes, two to a word, the first one in its low half; the last may be a pad.
        (bytes([1, 2, 3, 4]), (4, 0, 8), False, 0, [1, 2, 3, 4]),
        (bytes([1, 2, 3, 0]), (3, 0, 8), False, 0, [1, 2, 3]),
        ([0x0201, 0x0403], (4, 0, 8), False, 0, [1, 2, 3, 4]),
        # Words all the same where there are enough of them, and words as they lie in a file.
        ([1, 2, 3, 4], (4, 0, 8), False, 0, [1, 2, 3, 4]),
        (b"\x10\x27\x20\x4e", (2, 0, 16), False, 0, [10000, 20000]),
        # Too many entries are cut off.
        ([3, 1, 2, 9], (3, 0, 2), False, 0, [3, 1, 2]),
    ],
)
def test_tables_of_every_kind(
    values: list[int] | bytes,
    descriptor: tuple[int, int, int],
    signed: bool,
    first: int,
    entries: list[int],
) -> None:
    table = Table.read(table_of(values, descriptor), signed=signed)
    assert (table.first, table.entries.tolist()) == (first, entries)
    below, last = table(np.array([first - 7, first + len(entries) + 7]))
    assert (below, last) == (entries[0], entries[-1])
    assert table(first + np.arange(len(entries))).tolist() == entries


def test_nought_entries_stand_for_as_many_as_words() -> None:
    table = Table.read(table_of(np.arange(65536)[::-1].tolist(), (0, 0, 16)), signed=False)
    assert table(np.array([0, 1, 65535])).tolist() == [65535, 65534, 0]


def test_more_than_256_entries_of_eight_bits_do_not_wrap() -> None:
    values = (np.arange(1024) // 4).astype(np.uint8).tobytes()
    table = Table.read(table_of(values, (1024, 0, 8)), signed=False)
    assert table(np.arange(1024)).tolist() == (np.arange(1024) // 4).tolist()


def test_a_voi_lut_begins_below_nought_where_values_do(radiograph: Dataset) -> None:
    entries = np.arange(48)[::-1].tolist()
    radiograph.VOILUTSequence = [table_of(entries, (48, 65536 - 24, 16))]
    radiograph.RescaleSlope, radiograph.RescaleIntercept = 1, -24
    assert display_scale(radiograph).scale.table[:48].tolist() == entries
    radiograph.RescaleIntercept = 65536 - 24
    assert display_scale(radiograph).scale.table[:48].tolist() == entries


@pytest.mark.parametrize("bits", [8, 12])
def test_tables_of_big_endian_files_are_swapped_back(radiograph: Dataset, bits: int) -> None:
    entries = np.arange(48)[::-1] * (5 if bits == 8 else 80)
    words = entries.astype(np.uint8).view("<u2") if bits == 8 else entries.astype("<u2")
    radiograph.VOILUTSequence = [table_of(words.astype(">u2").tobytes(), (48, 0, bits))]
    radiograph.PixelData = np.frombuffer(radiograph.PixelData, "<u2").byteswap().tobytes()
    radiograph["PixelData"].VR = "OW"
    radiograph.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    file = io.BytesIO()
    radiograph.save_as(file, enforce_file_format=True, implicit_vr=False, little_endian=False)
    levels = read_image(read_dataset(file.getvalue())).levels()
    assert levels.ravel().tolist() == entries.tolist()


def test_a_depth_that_is_too_low_cuts_no_entry() -> None:
    assert Table.read(table_of([0, 1023], (2, 0, 8)), signed=False).bits == 10


@pytest.mark.parametrize(
    "item",
    [
        Dataset(),
        table_of([1, 2], (3, 0, 16)),
        table_of([1, 2], (2, 0, 17)),
        table_of([1, 2], (2, 0, 0)),
        table_of(b"", (2, 0, 16)),
    ],
)
@pytest.mark.parametrize("sequence", ["ModalityLUTSequence", "VOILUTSequence"])
def test_what_is_no_table_is_refused(radiograph: Dataset, sequence: str, item: Dataset) -> None:
    setattr(radiograph, sequence, [item])
    with pytest.raises(Refused) as caught:
        display_scale(radiograph)
    assert "LUT is not a valid one" in caught.value.refusal.reason


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
@pytest.mark.parametrize("how", ["plain", "window", "table"])
def test_grey_is_inverted_exactly_once(
    radiograph: Dataset, photometric: str, shape: str | None, inverted: bool, how: str
) -> None:
    if how == "window":
        radiograph.WindowCenter, radiograph.WindowWidth = 24, 48
    if how == "table":
        radiograph.VOILUTSequence = [table_of(list(range(48)), (48, 0, 6))]
    straight = render(radiograph).astype(int)
    radiograph.PhotometricInterpretation = photometric
    if shape:
        radiograph.PresentationLUTShape = shape
    ramp = np.arange(48).reshape(8, 6) / 47
    assert grey(radiograph) == pytest.approx(1 - ramp if inverted else ramp, abs=1e-6)
    expected = 255 - straight if inverted else straight
    assert np.abs(render(radiograph) - expected).max() <= 1


@pytest.mark.parametrize(("photometric", "lowest"), [("MONOCHROME2", 0), ("MONOCHROME1", -46)])
def test_padding_is_as_dark_as_the_darkest_pixel(
    radiograph: Dataset, photometric: str, lowest: int
) -> None:
    radiograph.PhotometricInterpretation = photometric
    radiograph.add_new("PixelPaddingValue", "US", 47)
    levels = read_image(radiograph).levels().ravel()
    assert levels[47] == levels.min() == lowest
    assert len(np.unique(levels)) == 47
    assert render(radiograph)[-1, -1] == 0


@pytest.mark.parametrize("ends", [(40, 47), (47, 40)])
def test_padding_may_be_a_range(radiograph: Dataset, ends: tuple[int, int]) -> None:
    radiograph.add_new("PixelPaddingValue", "US", ends[0])
    radiograph.add_new("PixelPaddingRangeLimit", "US", ends[1])
    assert not read_image(radiograph).levels().ravel()[40:].any()


def test_padding_of_a_signed_image_may_be_written_unsigned(radiograph: Dataset) -> None:
    radiograph.PixelRepresentation, radiograph.BitsStored, radiograph.HighBit = 1, 16, 15
    radiograph.PixelData = np.array([-2000] * 6 + [*range(-20, 22)], "<i2").tobytes()
    for vr, value in (("SS", -2000), ("US", 63536)):
        radiograph.add_new("PixelPaddingValue", vr, value)
        levels = modality_scale(radiograph).settled(pixel_words(radiograph)).table
        assert levels[63536] == -20


@pytest.mark.parametrize(
    ("signed", "ends", "padded"),
    [
        (False, (-1,), [65535]),
        (False, (65535,), [65535]),
        (False, (-3, -1), [65533, 65534, 65535]),
        (True, (-2000,), [63536]),
        (True, (63536,), [63536]),
        (True, (65535, 1), [0, 1, 65535]),
        (True, (-1, 1), [0, 1, 65535]),
        (True, (1, 65535), [0, 1, 65535]),
        (True, (32768, -32767), [32768, 32769]),
    ],
)
def test_padding_is_the_word_that_is_meant(
    radiograph: Dataset, signed: bool, ends: tuple[int, ...], padded: list[int]
) -> None:
    radiograph.BitsStored, radiograph.HighBit = 16, 15
    radiograph.PixelRepresentation = int(signed)
    for keyword, value in zip(("PixelPaddingValue", "PixelPaddingRangeLimit"), ends, strict=False):
        radiograph.add_new(keyword, "SS" if value < 0 else "US", value)
    padding = display_scale(radiograph).padding
    assert padding is not None
    assert np.flatnonzero(padding).tolist() == padded


def test_padding_that_no_word_holds_or_all_hold_changes_nothing(radiograph: Dataset) -> None:
    radiograph.add_new("PixelPaddingValue", "US", 65535)
    assert display_scale(radiograph).padding is None
    radiograph.PixelPaddingValue = 4095
    assert read_image(radiograph).levels().ravel().tolist() == list(range(48))
    radiograph.add_new("PixelPaddingRangeLimit", "US", 0)
    assert read_image(radiograph).levels().ravel().tolist() == list(range(48))


def test_padding_beyond_the_word_is_none(radiograph: Dataset) -> None:
    radiograph.BitsAllocated = radiograph.BitsStored = 8
    radiograph.HighBit = 7
    radiograph.add_new("PixelPaddingValue", "US", 65535)
    assert display_scale(radiograph).padding is None
    radiograph.PixelPaddingValue = 255
    assert display_scale(radiograph).padding is not None


def test_signed_pixels_keep_their_sign(radiograph: Dataset) -> None:
    radiograph.PixelRepresentation, radiograph.BitsStored, radiograph.HighBit = 1, 16, 15
    radiograph.PixelData = (np.arange(48, dtype="<i2") - 24).tobytes()
    assert read_image(radiograph).levels().min() == -24
