from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.errors import BackendError
from cspine.findings import Refused, Spacing
from cspine.image import Facing, Image
from cspine.spec import Classify, PipelineSpec, Segment
from cspine.stages.classify import classify_feeds, crop_corners, crop_map, probabilities
from cspine.stages.frame import frame_feeds, frame_map
from cspine.stages.levels import Disc
from cspine.stages.segment import label_map
from cspine.transform import Floats, sample, zoom


@pytest.fixture
def classify(spec: PipelineSpec) -> Classify:
    """Return the shipped classifier: crops of 112 x 112 at 0.5 mm, 10 mm behind the disc."""
    stage: Classify = spec.only(Classify)
    return stage


def disc(x: float, y: float, *, degrees: float = 0) -> Disc:
    """Return a level at a point in millimetres; positive degrees lean its lower end to the left."""
    angle = np.radians(degrees)
    return Disc("C4/5", np.array([x, y]), np.array([-np.sin(angle), np.cos(angle)]))


def picture(pixels: Floats, mm: float) -> Image:
    return Image(pixels, Spacing(row_mm=mm, column_mm=mm, flag="detector plane"))


def clouds(rows: int, columns: int) -> Floats:
    noise = np.random.default_rng(3).random((rows, columns)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 6) * 1000, np.float32)


@pytest.mark.parametrize(("facing", "back"), [("left", 1), ("right", -1)])
def test_columns_run_backwards_and_rows_down(facing: Facing, back: int, classify: Classify) -> None:
    crop = crop_map(disc(90, 60), facing=facing, stage=classify)
    front, rear, top, bottom = crop([[0, 55.5], [111, 55.5], [55.5, 0], [55.5, 111]])
    assert rear - front == pytest.approx([back * 111 * 0.5, 0])
    assert bottom - top == pytest.approx([0, 111 * 0.5])


@pytest.mark.parametrize(("facing", "back"), [("left", 1), ("right", -1)])
def test_the_crop_is_centred_behind_the_disc(facing: Facing, back: int, classify: Classify) -> None:
    crop = crop_map(disc(90, 60), facing=facing, stage=classify)
    assert crop([55.5, 55.5]) == pytest.approx([90 + back * 10, 60])
    assert crop.scale == pytest.approx(0.5)


def test_the_crop_leans_with_the_spine(classify: Classify) -> None:
    level = disc(90, 60, degrees=20)
    crop = crop_map(level, facing="left", stage=classify)
    assert (crop([0, 111]) - crop([0, 0])) / 55.5 == pytest.approx(level.down)
    behind = np.array([np.cos(np.radians(20)), np.sin(np.radians(20))])
    assert (crop([111, 0]) - crop([0, 0])) / 55.5 == pytest.approx(behind)
    assert crop([55.5, 55.5]) == pytest.approx(level.centre + 10 * behind)


def test_corners_are_outer_corners_from_the_front_of_the_top(classify: Classify) -> None:
    crop = crop_map(disc(90, 60), facing="left", stage=classify)
    assert crop_corners(crop, (112, 112)) == pytest.approx(
        np.array([[72, 32], [128, 32], [128, 88], [72, 88]])
    )
    mirrored = crop_map(disc(90, 60), facing="right", stage=classify)
    assert crop_corners(mirrored, (112, 112))[0] == pytest.approx([108, 32])


@pytest.mark.parametrize("mm", [0.5, 0.2, 0.143])
@pytest.mark.parametrize("degrees", [0, 17])
def test_a_mirrored_study_gives_the_same_crop(
    mm: float, degrees: float, classify: Classify
) -> None:
    rows, columns = round(110 / mm), round(131 / mm)
    pixels = clouds(rows, columns)
    x, across = 61.3, (columns - 1) * mm
    one = crop_map(disc(x, 52.7, degrees=degrees), facing="left", stage=classify)
    other = crop_map(disc(across - x, 52.7, degrees=-degrees), facing="right", stage=classify)
    crops = [
        sample(picture(seen, mm), [zoom(1 / mm) @ crop], size_px=classify.size_px)[0]
        for seen, crop in ((pixels, one), (pixels[:, ::-1].copy(), other))
    ]
    contrast = float(crops[0].max() - crops[0].min())
    assert np.abs(crops[0] - crops[1]).max() < 0.01 * contrast


def test_every_level_is_one_image_of_the_batch(classify: Classify) -> None:
    image = picture(clouds(240, 260), 0.5)
    maps = [
        zoom(2) @ crop_map(disc(60, y), facing="left", stage=classify) for y in (40.0, 58.0, 76.0)
    ]
    batch = classify_feeds(image, maps, classify)["image"]
    assert batch.dtype == np.float32
    assert batch.shape == (3, 1, 112, 112)
    assert batch.flags.c_contiguous
    assert batch.mean(axis=(1, 2, 3)) == pytest.approx([0, 0, 0], abs=1e-4)
    alone = classify_feeds(image, maps[1:2], classify)["image"]
    assert np.array_equal(batch[1], alone[0])


def test_the_localiser_sees_the_whole_image(spec: PipelineSpec) -> None:
    stage: Segment = spec.only(Segment)
    image = picture(clouds(400, 300), 0.5)
    to_image = frame_map(image, stage)
    assert to_image([95.5, 127.5]) == pytest.approx([149.5, 199.5])
    assert to_image.scale == pytest.approx(2)
    fed = frame_feeds(image, to_image, stage)["image"]
    assert fed.dtype == np.float32
    assert fed.shape == (1, 1, 256, 192)
    assert fed.flags.c_contiguous
    assert (fed.min(), fed.max()) == (0, 1)
    # 200 x 150 mm in the middle of 256 x 192; beyond it lies the lowest grey.
    assert not fed[0, 0, :27].any()
    assert not fed[0, 0, :, 172:].any()


@given(
    spacing=st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)),
    degrees=st.floats(-40, 40),
    facing=st.sampled_from(["left", "right"]),
    points=st.lists(st.tuples(st.floats(0, 111), st.floats(0, 111)), min_size=2, max_size=4),
)
def test_maps_lead_there_and_back_in_millimetres_whatever_the_pixels_shape(
    spec: PipelineSpec,
    spacing: tuple[float, float],
    degrees: float,
    facing: Facing,
    points: list[tuple[float, float]],
) -> None:
    segment, classify = spec.only(Segment), spec.only(Classify)
    flat = Spacing(row_mm=spacing[0], column_mm=spacing[1], flag="detector plane")
    image = Image(np.zeros((20, 30), np.float32), flat, stored_shape=(2000, 1500))
    to_image = frame_map(image, segment)
    crop = crop_map(disc(90, 120, degrees=degrees), facing=facing, stage=classify)
    whole = to_image @ zoom(1 / segment.spacing_mm) @ crop
    there = whole(points)
    assert whole.inverse(there) == pytest.approx(np.array(points), abs=1e-6)
    in_mm = (there[0] - there[1]) * spacing[::-1]
    expected = np.subtract(points[0], points[1]) * classify.spacing_mm
    assert np.linalg.norm(in_mm) == pytest.approx(np.linalg.norm(expected), abs=1e-6)
    # The middle of the network's frame is the middle of the whole image.
    middle = (np.array(segment.size_px[::-1]) - 1) / 2
    assert to_image(middle) == pytest.approx([749.5, 999.5])


def test_the_label_of_a_pixel_is_its_largest_logit() -> None:
    labels = np.array([[0, 3, 8], [1, 1, 2]])
    logits = np.eye(9, dtype=np.float32)[labels].transpose(2, 0, 1)[None] * 7 - 3
    found = label_map({"logits": logits})
    assert found.dtype == np.uint8
    assert np.array_equal(found, labels)


def test_probabilities_are_sigmoids_in_double_precision() -> None:
    logits = np.array([[-3.0], [0], [0.5], [40]], np.float32)
    found = probabilities({"logits": logits})
    assert found.dtype == np.float32
    assert found.shape == (4,)
    assert found == pytest.approx([0.04742587, 0.5, 0.62245933, 1.0], rel=1e-6)
    assert np.array_equal(found, probabilities({"logits": logits.astype(np.float64)}))


def test_extreme_logits_saturate_in_silence() -> None:
    assert probabilities({"logits": np.array([[-1e4], [1e4]], np.float32)}).tolist() == [0, 1]


def test_what_is_no_number_is_no_answer() -> None:
    # It is below every threshold: a failed model must not read as "no compression".
    with pytest.raises((BackendError, Refused)):
        probabilities({"logits": np.array([[0.5], [np.nan]], np.float32)})
