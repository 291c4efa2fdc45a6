from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from cspine.dicom.dataset import read_dataset
from cspine.dicom.read import read_image, read_slice, render
from cspine.findings import Refused

Save = Callable[[Dataset], Path]


def refusal(dataset: Dataset) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        read_image(dataset)
    assert caught.value.refusal.remedy
    return caught.value.refusal.code, caught.value.refusal.reason


def test_an_image_carries_its_words_and_geometry(radiograph: Dataset, saved: Save) -> None:
    image = read_image(read_dataset(saved(radiograph)))
    assert image.pixels.dtype == np.uint16
    assert image.shape == image.pixels.shape == (8, 6)
    assert image.pixels.ravel().tolist() == list(range(48))
    assert image.levels().dtype == np.float32
    assert image.levels().ravel().tolist() == list(range(48))
    assert image.levels(slice(2, 4), slice(5, 6)).tolist() == [[17], [23]]
    assert not image.pixels.flags.writeable
    assert image.spacing_mm == (0.2, 0.1)
    assert image.spacing.flag == "detector plane"
    assert image.facing == "left"
    assert (image.step, image.notes) == (1, ())


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_compressed_pixels_are_the_same(radiograph: Dataset, saved: Save, syntax: str) -> None:
    radiograph.Rows, radiograph.Columns = 64, 48
    radiograph.PixelData = np.arange(64 * 48, dtype="<u2").tobytes()
    radiograph.compress(syntax)
    image = read_image(read_dataset(saved(radiograph)))
    assert image.levels().ravel().tolist() == list(range(64 * 48))


def test_eight_bits_are_as_good_as_sixteen(radiograph: Dataset) -> None:
    radiograph.BitsAllocated, radiograph.BitsStored, radiograph.HighBit = 8, 8, 7
    radiograph.PixelData = bytes(range(0, 240, 5))
    image = read_image(radiograph)
    assert image.pixels.dtype == np.uint8
    assert image.levels().ravel().tolist() == list(range(0, 240, 5))


def test_an_image_without_scale_is_incomplete(radiograph: Dataset) -> None:
    del radiograph.ImagerPixelSpacing
    radiograph.PixelAspectRatio = [2, 1]  # angles would do with it, crops in millimetres do not
    assert refusal(radiograph) == (
        "INCOMPLETE_SET",
        "The image states no pixel spacing, so its scale is unknown.",
    )


BLANK = ("LOW_QUALITY", "The image is blank: all its pixels have one value.")


@pytest.mark.parametrize("value", [0, 812, 4095])
def test_a_blank_image_is_refused(radiograph: Dataset, value: int) -> None:
    radiograph.PixelData = np.full(48, value, "<u2").tobytes()
    assert refusal(radiograph) == BLANK
    radiograph.PixelData = np.array([value] * 24 + [7] * 24, "<u2").tobytes()
    assert read_image(radiograph).levels().std() > 0
    radiograph.add_new("PixelPaddingValue", "US", 7)
    assert refusal(radiograph) == BLANK


def test_an_image_that_its_window_makes_blank_is_refused(radiograph: Dataset) -> None:
    radiograph.PixelRepresentation, radiograph.BitsStored, radiograph.HighBit = 1, 16, 15
    radiograph.PixelData = (np.arange(48, dtype="<i2") - 24).tobytes()
    radiograph.WindowCenter, radiograph.WindowWidth = 1000, 100
    assert refusal(radiograph) == BLANK
    radiograph.WindowCenter = 0
    assert read_image(radiograph).levels().std() > 0


def test_an_image_alike_at_both_ends_is_not_blank(radiograph: Dataset) -> None:
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [3, 22, 16])
    table.add_new("LUTData", "US", [5, 1, 5])
    radiograph.VOILUTSequence = [table]
    levels = read_image(radiograph).levels().ravel()
    assert (levels[23], levels.min(), levels.max()) == (1, 1, 5)


def test_a_window_that_is_none_is_noted(radiograph: Dataset) -> None:
    radiograph.WindowCenter, radiograph.WindowWidth = 20, 0
    image = read_image(radiograph)
    assert image.notes == (
        "The header's window is not a valid one; the full range of values was used.",
    )
    assert image.levels().ravel().tolist() == list(range(48))


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PixelData", b"\0" * 40),
        ("PixelData", b""),
        ("Rows", 60000),
        ("Rows", 0),
        ("Columns", None),
        ("BitsAllocated", 12),
        ("BitsStored", 0),
        ("BitsStored", 13),
        ("HighBit", 16),
        ("PixelRepresentation", 2),
        ("SamplesPerPixel", 3),
    ],
)
def test_pixels_that_cannot_be_decoded_are_refused(
    radiograph: Dataset, keyword: str, value: Any
) -> None:
    setattr(radiograph, keyword, value)
    code, reason = refusal(radiograph)
    assert code == "UNSUPPORTED_OBJECT"
    assert reason.startswith("The pixels cannot be decoded (")
    assert str(value) not in reason or value in (0, 2, 3)


def test_a_slice_is_what_was_measured_and_where(radiograph: Dataset) -> None:
    radiograph.RescaleSlope, radiograph.RescaleIntercept = 2, -1000
    radiograph.WindowCenter, radiograph.WindowWidth = 5, 10  # how to show it is another matter
    radiograph.PhotometricInterpretation = "MONOCHROME1"
    radiograph.PixelSpacing = [0.5, 0.25]
    radiograph.ImagePositionPatient = [1, 2, 3]
    radiograph.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    seen = read_slice(radiograph)
    assert seen.values.dtype == np.float32
    assert seen.values.ravel().tolist() == [2 * word - 1000 for word in range(48)]
    assert seen.plane.to_patient([1, 1]).tolist() == [1, 2.25, 2.5]
    del radiograph.ImagePositionPatient
    with pytest.raises(Refused) as caught:
        read_slice(radiograph)
    assert caught.value.refusal.code == "INCOMPLETE_SET"


def test_a_picture_without_window_spans_black_to_white(radiograph: Dataset) -> None:
    picture = render(radiograph)
    assert (picture.dtype, picture[0, 0], picture[-1, -1]) == (np.uint8, 0, 255)
    radiograph.PhotometricInterpretation = "MONOCHROME1"
    assert np.array_equal(render(radiograph), 255 - picture)
    radiograph.PixelData = bytes(96)
    assert not render(radiograph).any()


def test_a_frame_that_is_not_there_is_refused(radiograph: Dataset) -> None:
    for frame in (-1, 1):
        with pytest.raises(Refused):
            render(radiograph, frame=frame)
