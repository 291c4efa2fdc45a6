from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.dicom.grey import windowed
from cspine.fields import Percentile, Standardise, Window
from cspine.findings import Refused, Spacing
from cspine.image import GreyScale, Image
from cspine.transform import (
    Affine,
    Floats,
    Points,
    frame,
    map_grey,
    sample,
    sample_labels,
    scaling,
    zoom,
)

IDENTITY = zoom(1)
numbers = st.floats(-1000, 1000)
points = st.tuples(numbers, numbers)


@st.composite
def affines(draw: st.DrawFn) -> Affine:
    """Draw a map that turns, scales each axis, possibly mirrors, and shifts."""
    angle, x, y = draw(st.floats(-3.2, 3.2)), draw(st.floats(0.1, 10)), draw(st.floats(0.1, 10))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mirror = draw(st.sampled_from([-1.0, 1.0]))
    return Affine(np.column_stack([turn @ np.diag([x * mirror, y]), draw(points)]))


@given(affine=affines(), point=points)
def test_the_inverse_leads_back(affine: Affine, point: tuple[float, float]) -> None:
    assert affine.inverse(affine(point)) == pytest.approx(np.array(point), abs=1e-7)
    assert affine(affine.inverse(point)) == pytest.approx(np.array(point), abs=1e-7)


@given(last=affines(), first=affines(), point=points)
def test_composition_applies_the_right_hand_map_first(
    last: Affine, first: Affine, point: tuple[float, float]
) -> None:
    assert (last @ first)(point) == pytest.approx(last(first(point)), rel=1e-9, abs=1e-6)


@given(affine=affines())
def test_the_scale_is_the_side_of_a_square_of_equal_area(affine: Affine) -> None:
    o, x, y = affine([[0, 0], [1, 0], [0, 1]])
    area = abs((x - o)[0] * (y - o)[1] - (x - o)[1] * (y - o)[0])
    assert affine.scale == pytest.approx(np.sqrt(area), rel=1e-6)


def test_points_keep_their_shape() -> None:
    assert zoom(2)(np.ones((3, 5, 2))).shape == (3, 5, 2)


def test_scaling_joins_corners_and_zoom_joins_centres() -> None:
    assert scaling(4, 2)([-0.5, -0.5]).tolist() == [-0.5, -0.5]
    assert scaling(4, 2)([9.5, 9.5]).tolist() == [39.5, 19.5]
    assert zoom(4)([0, 0]).tolist() == [0, 0]


def test_a_frame_is_centred_and_has_its_spacing() -> None:
    to_image = frame((100, 60), spacing_mm=(0.4, 0.2), size_px=(31, 17), to_mm=1.0)
    assert to_image([8, 15]) == pytest.approx([29.5, 49.5])
    step = to_image([9, 16]) - to_image([8, 15])
    assert step * [0.2, 0.4] == pytest.approx([1.0, 1.0])


def pictured(pixels: Floats) -> Image:
    return Image(pixels, Spacing(row_mm=1, column_mm=1, flag="detector plane"))


def noise(rows: int, columns: int) -> Floats:
    values = np.random.default_rng(7).random((rows, columns))
    return np.asarray(values, np.float32)


def test_sampling_by_the_identity_copies() -> None:
    image = noise(20, 30)
    copied = sample(pictured(image), [IDENTITY], size_px=(20, 30))
    assert copied.dtype == np.float32
    assert np.array_equal(copied[0], image)
    assert not np.shares_memory(copied, image)


def test_each_map_gives_a_plane_of_its_own_and_outside_lies_the_lowest_value() -> None:
    image = noise(20, 30) + 5
    shift = Affine(np.array([[1.0, 0, 3], [0, 1, -2]]))
    first, second = sample(pictured(image), [IDENTITY, shift], size_px=(20, 30))
    assert np.array_equal(first, image)
    assert np.array_equal(second[2:, :27], image[:18, 3:])
    assert (second[:2] == image.min()).all()
    assert (second[:, 27:] == image.min()).all()


def test_half_a_pixel_is_the_mean_of_two() -> None:
    image = noise(8, 9)
    half = Affine(np.array([[1.0, 0, 0.5], [0, 1, 0]]))
    expected = (image[:, :-1] + image[:, 1:]) / 2
    assert sample(pictured(image), [half], size_px=(8, 8))[0] == pytest.approx(expected, abs=1e-6)


def centroid(plane: Floats) -> Points:
    weights = plane.astype(float) - float(plane.min())
    y, x = np.mgrid[: plane.shape[0], : plane.shape[1]]
    return np.array([(weights * x).sum(), (weights * y).sum()]) / float(weights.sum())


@pytest.mark.parametrize("spacing", [(0.1, 0.1), (0.143, 0.143), (0.2, 0.3), (0.37, 0.37), (1, 1)])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (11.37, -17.81), (-20.2, 14.6)])
def test_a_bright_dot_stays_where_it_is(
    spacing: tuple[float, float], offset: tuple[float, float]
) -> None:
    # Odd sizes, so that averaging down never divides evenly: half a pixel lost would show.
    rows, columns = round(151.3 / spacing[0]), round(121.7 / spacing[1])
    dot = np.array([(columns - 1) / 2, (rows - 1) / 2]) + np.array(offset) / spacing[::-1]
    y, x = np.mgrid[:rows, :columns]
    squared = ((x - dot[0]) * spacing[1]) ** 2 + ((y - dot[1]) * spacing[0]) ** 2
    image = np.asarray(1000 * np.exp(-squared / (2 * 3.0**2)), np.float32)
    to_image = frame((rows, columns), spacing_mm=spacing, size_px=(160, 130), to_mm=1.0)
    seen = centroid(sample(pictured(image), [to_image], size_px=(160, 130))[0])
    assert seen == pytest.approx(to_image.inverse(dot), abs=0.05)
    assert (to_image(seen) - dot) * spacing[::-1] == pytest.approx([0, 0], abs=0.05)


def test_reducing_averages_instead_of_picking() -> None:
    # Lines one pixel wide: picked pixels would beat, averaged ones are even grey.
    image = np.tile(np.array([0, 100], np.float32), (80, 40))
    to_image = frame((80, 80), spacing_mm=(0.25, 0.25), size_px=(10, 10), to_mm=1.0)
    # Where the part that is looked at is no multiple of the scale, a line weighs a little more.
    assert sample(pictured(image), [to_image], size_px=(10, 10)) == pytest.approx(50, abs=3)


def test_words_are_sampled_as_the_levels_that_they_mean() -> None:
    words = np.random.default_rng(7).integers(0, 256, (40, 30), dtype=np.uint8)
    table = np.linspace(9, -300, 256, dtype=np.float32) ** 2
    levels = pictured(table[words])
    stored = Image(words, levels.spacing, grey=GreyScale(table))
    for affine in (IDENTITY, zoom(3.7), Affine(np.array([[0.3, 0.1, 5], [-0.1, 0.3, 9]]))):
        seen = sample(stored, [affine], size_px=(9, 8))
        assert np.array_equal(seen, sample(levels, [affine], size_px=(9, 8)))


@pytest.mark.parametrize("step", [2, 4])
def test_maps_lead_to_the_whole_image_however_few_of_its_pixels_are_there(step: int) -> None:
    y, x = np.mgrid[:203, :157].astype(np.float32)
    whole = pictured(3 * x + 5 * y)
    part = Image(
        whole.pixels[::step, ::step], whole.spacing, step=step, stored_shape=whole.pixels.shape
    )
    assert part.shape == whole.shape == (203, 157)
    turned = Affine(np.array([[0.9, 0.3, 20], [-0.3, 0.9, 60]]))
    for affine in (turned, zoom(step), Affine(np.array([[6.0, 0, 13], [0, 6, 11]]))):
        seen, expected = (sample(image, [affine], size_px=(20, 20)) for image in (part, whole))
        # At the image's corner the dark around it is mixed in.
        assert seen[:, 1:, 1:] == pytest.approx(expected[:, 1:, 1:], abs=2)


def test_labels_are_moved_but_never_mixed() -> None:
    labels = np.zeros((10, 12), np.uint8)
    labels[2:5, 3:9] = 7
    doubled = sample_labels(labels, scaling(2, 2).inverse, size_px=(20, 24))
    assert np.array_equal(doubled, labels.repeat(2, 0).repeat(2, 1))
    beyond = sample_labels(
        np.full((4, 4), 3, np.uint8), Affine(np.array([[1.0, 0, 2], [0, 1, 0]])), size_px=(4, 6)
    )
    assert beyond.tolist() == [[3, 3, 0, 0, 0, 0]] * 4


def test_percentiles_become_nought_and_one_per_image() -> None:
    ramp = np.arange(101, dtype=np.float32).reshape(1, 1, 101)
    mapped = map_grey(np.concatenate([ramp, ramp * 50 + 7]), Percentile(low=10, high=90))
    assert mapped.dtype == np.float32
    assert mapped[0] == pytest.approx(np.clip((ramp[0] - 10) / 80, 0, 1), abs=1e-6)
    assert mapped[1] == pytest.approx(mapped[0], abs=1e-5)


def test_standardised_crops_have_mean_nought_and_deviation_one() -> None:
    crops = np.stack([noise(9, 9), noise(9, 9) * 400 - 30])
    mapped = map_grey(crops, Standardise())
    assert mapped.mean(axis=(1, 2)) == pytest.approx([0, 0], abs=1e-5)
    assert mapped.std(axis=(1, 2)) == pytest.approx([1, 1], abs=1e-4)
    assert mapped[1] == pytest.approx(mapped[0], abs=1e-3)


@pytest.mark.parametrize("grey", [Percentile(low=1, high=99), Standardise()])
def test_a_flat_tensor_maps_to_nought(grey: Percentile | Standardise) -> None:
    assert not map_grey(np.full((1, 5, 5), 812, np.float32), grey).any()


def test_a_window_is_of_hounsfield_units_and_as_the_standard_has_it() -> None:
    bone = Window(center_hu=300, width_hu=1500)
    levels = np.array([[[-1024, -450, 300, 1049, 1050, 3000]]], np.float32)
    mapped = map_grey(levels, bone, unit="HU")
    assert mapped.dtype == np.float32
    assert mapped.ravel().tolist()[:3] == [0, 0, 0.5]
    assert np.allclose(mapped, windowed(levels, 300, 1500, function="LINEAR_EXACT"))
    # What else lies in the batch does not matter.
    assert np.array_equal(
        map_grey(np.concatenate([levels, levels * 0]), bone, unit="HU")[:1], mapped
    )
    with pytest.raises(Refused, match="no Hounsfield units") as caught:
        map_grey(levels, bone)
    assert caught.value.refusal.code == "UNSUPPORTED_OBJECT"
