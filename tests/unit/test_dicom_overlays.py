from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import Dataset

from cspine.dicom.dataset import read_dataset
from cspine.dicom.overlays import overlay_mask
from cspine.dicom.read import read_image, render

Mask = npt.NDArray[np.bool_]


def noise(*shape: int, seed: int = 5) -> Mask:
    return np.random.default_rng(seed).random(shape) < 0.4


def with_plane(
    dataset: Dataset,
    plane: Mask,
    *,
    group: int = 0x6000,
    origin: tuple[int, int] | None = (1, 1),
    big_endian: bool = False,
    **elements: Any,
) -> Dataset:
    """Add a plane (rows, columns) or (frames, rows, columns)."""
    rows, columns = plane.shape[-2:]
    bits = np.packbits(plane, bitorder="little").tobytes()
    bits += b"\0" * (len(bits) % 2)
    if big_endian:
        bits = np.frombuffer(bits, "<u2").byteswap().tobytes()
    for element, vr, value in (
        (0x0010, "US", rows),
        (0x0011, "US", columns),
        (0x0040, "CS", "G"),
        (0x0100, "US", 1),
        (0x0102, "US", 0),
        (0x3000, "OW", bits),
    ):
        dataset.add_new((group, element), vr, value)
    if origin is not None:
        dataset.add_new((group, 0x0050), "SS", list(origin))
    if plane.ndim == 3:
        dataset.add_new((group, 0x0015), "IS", len(plane))
    if "first_frame" in elements:
        dataset.add_new((group, 0x0051), "US", elements["first_frame"])
    return dataset


@pytest.mark.parametrize("group", [0x6000, 0x6002, 0x601E])
def test_a_plane_draws_what_pydicom_reads(radiograph: Dataset, group: int) -> None:
    with_plane(radiograph, noise(8, 6), group=group)
    mask = overlay_mask(radiograph)
    assert np.array_equal(mask, noise(8, 6))
    assert np.array_equal(mask, radiograph.overlay_array(group))


def test_an_image_without_planes_has_none(radiograph: Dataset) -> None:
    assert not overlay_mask(radiograph).any()


def test_planes_lie_over_one_another(radiograph: Dataset) -> None:
    with_plane(radiograph, noise(8, 6))
    with_plane(radiograph, noise(8, 6, seed=6), group=0x6004)
    assert np.array_equal(overlay_mask(radiograph), noise(8, 6) | noise(8, 6, seed=6))


@pytest.mark.parametrize("shape", [(8, 6), (20, 30), (3, 2), (5, 9)])
@pytest.mark.parametrize(
    "origin", [(1, 1), (3, 2), (-4, -1), (0, 0), (8, 6), (40, 1), (-40, 1), (12, 9), (1, 20)]
)
def test_a_plane_is_cut_to_the_image(
    radiograph: Dataset, shape: tuple[int, int], origin: tuple[int, int]
) -> None:
    plane = noise(*shape)
    with_plane(radiograph, plane, origin=origin)
    expected = np.zeros((8, 6), bool)
    for row, column in zip(*np.nonzero(plane), strict=True):
        y, x = row + origin[0] - 1, column + origin[1] - 1
        if 0 <= y < 8 and 0 <= x < 6:
            expected[y, x] = True
    assert np.array_equal(overlay_mask(radiograph), expected)


def test_a_plane_without_origin_begins_with_the_image(radiograph: Dataset) -> None:
    with_plane(radiograph, noise(8, 6), origin=None)
    assert np.array_equal(overlay_mask(radiograph), noise(8, 6))


@pytest.mark.parametrize(
    ("frames", "first", "drawn"),
    [
        (None, None, {0: 0, 1: 0, 2: 0}),
        (3, None, {0: 0, 1: 1, 2: 2}),
        (2, 2, {1: 0, 2: 1}),
        (1, 2, {1: 0}),
        (1, None, {0: 0}),
        (None, 3, {2: 0}),
    ],
)
def test_planes_name_the_frames_that_they_lie_over(
    radiograph: Dataset, frames: int | None, first: int | None, drawn: dict[int, int]
) -> None:
    radiograph.NumberOfFrames = 3
    radiograph.Rows, radiograph.Columns = 5, 3  # 15 bits: no frame begins with an octet
    radiograph.PixelData = bytes(90)
    plane = noise(frames, 5, 3) if frames else noise(5, 3)
    with_plane(radiograph, plane, **({"first_frame": first} if first else {}))
    for frame in range(3):
        mask = overlay_mask(radiograph, frame=frame)
        own = plane[drawn[frame]] if frames and frame in drawn else plane
        assert np.array_equal(mask, own if frame in drawn else np.zeros((5, 3), bool))


def test_a_plane_may_lie_in_a_bit_that_the_pixels_leave(radiograph: Dataset) -> None:
    plane = noise(8, 6)
    stored = np.arange(48, dtype="<u2").reshape(8, 6)
    radiograph.PixelData = (stored | plane.astype("<u2") << 13).tobytes()
    with_plane(radiograph, plane)
    del radiograph[0x6000, 0x3000]
    radiograph[0x6000, 0x0100].value, radiograph[0x6000, 0x0102].value = 16, 13
    assert np.array_equal(overlay_mask(radiograph), plane)
    assert np.array_equal(read_image(radiograph).levels(), stored)
    radiograph[0x6000, 0x0100].value = 1
    assert not overlay_mask(radiograph).any()


@pytest.mark.parametrize("element", [0x0010, 0x0011, 0x3000])
def test_what_is_cut_short_or_of_no_size_draws_nothing(radiograph: Dataset, element: int) -> None:
    with_plane(radiograph, noise(8, 6))
    if element == 0x3000:
        radiograph[0x6000, element].value = radiograph[0x6000, element].value[:-2]
    else:
        del radiograph[0x6000, element]
    assert not overlay_mask(radiograph).any()


@pytest.mark.parametrize(
    ("element", "vr", "value"),
    [
        (0x0050, "SS", []),
        (0x0050, "SS", [1]),
        (0x0050, "SS", [1, 1, 1]),
        (0x0050, "LO", ["1", "x"]),
        (0x0050, "DS", ["1.5", "1"]),
        (0x0010, "US", [8, 8]),
        (0x0011, "LO", "six"),
        (0x0011, "LO", ["6", "inf"]),
        (0x0010, "SS", -8),
        (0x0015, "IS", ["1", "1"]),
        (0x0051, "US", [1, 1]),
        (0x3000, "LO", "text"),
        (0x3000, "US", [1, 2, 3]),
        (0x3000, "SQ", []),
    ],
)
def test_a_plane_that_says_what_cannot_be_read_draws_nothing(
    radiograph: Dataset, element: int, vr: str, value: Any
) -> None:
    with_plane(radiograph, noise(8, 6))
    with_plane(radiograph, noise(8, 6, seed=6), group=0x6002)
    radiograph.add_new((0x6000, element), vr, value)
    if element == 0x0010 and value == -8:
        radiograph.add_new((0x6000, 0x0011), vr, -6)
    assert np.array_equal(overlay_mask(radiograph), noise(8, 6, seed=6))
    assert (render(radiograph, overlays=True) == 255).any()


def test_a_plane_of_broken_elements_draws_nothing(radiograph: Dataset) -> None:
    with_plane(radiograph, noise(8, 6))
    file = io.BytesIO()
    radiograph.save_as(file, enforce_file_format=True)
    data = file.getvalue()
    rows = data.index(b"\x00\x60\x10\x00US")
    for vr in (b"FD", b"SL", b"AT", b"DS"):  # of two bytes, as none of these is
        broken = data[: rows + 4] + vr + data[rows + 6 :]
        assert not overlay_mask(pydicom.dcmread(io.BytesIO(broken))).any()


@pytest.mark.parametrize("position", [0, 16, 70_000, -1])
def test_a_bit_outside_of_the_word_draws_nothing(radiograph: Dataset, position: int) -> None:
    with_plane(radiograph, noise(8, 6))
    del radiograph[0x6000, 0x3000]
    radiograph[0x6000, 0x0100].value = 16
    radiograph.add_new((0x6000, 0x0102), "SL", position)
    assert not overlay_mask(radiograph).any()


def test_planes_of_big_endian_files_are_swapped_back(radiograph: Dataset) -> None:
    with_plane(radiograph, noise(8, 6), big_endian=True)
    radiograph.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    file = io.BytesIO()
    radiograph.save_as(file, enforce_file_format=True, implicit_vr=False, little_endian=False)
    dataset = read_dataset(file.getvalue())
    assert np.array_equal(overlay_mask(dataset), noise(8, 6))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_planes_are_burnt_in_white_where_that_is_asked_for(
    radiograph: Dataset, photometric: str
) -> None:
    with_plane(radiograph, noise(8, 6))
    radiograph.PhotometricInterpretation = photometric
    plain, burnt = render(radiograph), render(radiograph, overlays=True)
    assert np.array_equal(burnt, np.where(noise(8, 6), 255, plain))
    assert not np.array_equal(burnt, plain)
