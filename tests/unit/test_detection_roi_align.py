"""RoIAlign: as torchvision's, as one sample after another, and what must hold of any."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cspine.detection.boxes import Floats
from cspine.detection.roi_align import levels, roi_align
from cspine.detection.spec import Regions

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "faster_rcnn" / "golden.npz")
MAPS = [GOLDEN[f"roi_map{k}"].transpose(1, 2, 0).astype(np.float32) for k in (0, 1, 2)]
CORNERS = st.tuples(*(st.floats(-60, 180, width=32),) * 4)


def regions(sampling_ratio: int = 2, *, maps: int = 3, size: tuple[int, int] = (5, 4)) -> Regions:
    return Regions(
        maps=tuple(f"p{level}" for level in range(maps)),
        scales=tuple(0.25 / 2**level for level in range(maps)),
        channels=3,
        size=size,
        sampling_ratio=sampling_ratio,
        canonical_scale_px=64,
        canonical_level=4,
    )


def bilinear(cells: Floats, y: float, x: float) -> Floats:
    rows, columns, channels = cells.shape
    if not (-1 <= y <= rows and -1 <= x <= columns):
        return np.zeros(channels)
    y, x = min(max(y, 0), rows - 1), min(max(x, 0), columns - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
    down, across = y - top, x - left
    upper = cells[top, left] * (1 - across) + cells[top, right] * across
    lower = cells[bottom, left] * (1 - across) + cells[bottom, right] * across
    return upper * (1 - down) + lower * down


def naive(cells: Floats, box: Floats, scale: float, made_of: Regions) -> Floats:
    x0, y0, x1, y1 = (float(end) * scale for end in box)
    rows, columns = made_of.size
    down, across = max(y1 - y0, 1) / rows, max(x1 - x0, 1) / columns
    ratio = made_of.sampling_ratio
    n, m = (ratio, ratio) if ratio else (math.ceil(down), math.ceil(across))
    made = np.zeros((cells.shape[2], rows, columns))
    for row in range(rows):
        for column in range(columns):
            for i in range(n):
                for j in range(m):
                    y = y0 + (row + (i + 0.5) / n) * down
                    x = x0 + (column + (j + 0.5) / m) * across
                    made[:, row, column] += bilinear(cells, y, x) / (n * m)
    return made


@pytest.mark.parametrize("ratio", [0, 1, 2, 3])
def test_what_torchvision_makes_is_made(ratio: int) -> None:
    made = roi_align(MAPS, GOLDEN["roi_boxes"], regions(ratio))
    assert made.dtype == np.float32
    assert made.flags.c_contiguous
    np.testing.assert_allclose(made, GOLDEN[f"roi_aligned{ratio}"], atol=2e-4)  # of 0 to 99


def test_the_golden_boxes_reach_beyond_every_border_and_into_every_map() -> None:
    boxes = GOLDEN["roi_boxes"]
    assert (boxes.min(axis=0) < -4).all() or (boxes[:, :2] < -4).any()
    assert (boxes[:, 2:] > [132, 100]).any(axis=0).all()
    assert set(levels(boxes, regions())) == {0, 1, 2}


@settings(max_examples=60, deadline=None)
@given(CORNERS, st.integers(0, 3))
def test_what_one_sample_after_another_makes_is_made(
    corners: tuple[float, ...], ratio: int
) -> None:
    x, y = sorted(corners[::2]), sorted(corners[1::2])
    box = np.array([[x[0], y[0], x[1], y[1]]], np.float32)
    one = regions(ratio, maps=1)
    # A sample just at the limit of what counts is on either side of it by the order of sums.
    wanted = naive(MAPS[0], box[0], 0.25, one)
    nearby = [naive(MAPS[0], box[0] + step, 0.25, one) for step in (-1e-4, 1e-4)]
    slack = 2e-3 + np.max([np.abs(other - wanted) for other in nearby], axis=0)
    assert (np.abs(roi_align(MAPS[:1], box, one)[0] - wanted) <= slack).all()


@given(st.tuples(*(st.floats(0, 60, width=32),) * 2), st.floats(4, 30), st.floats(4, 30))
def test_of_a_ramp_a_bin_is_the_value_at_its_middle(
    start: tuple[float, float], height: float, width: float
) -> None:
    y, x = np.mgrid[:24, :32].astype(np.float32)
    ramp = np.stack([x, y, 2 * x - 3 * y + 1], axis=-1)
    box = np.array([[*start, start[0] + width, start[1] + height]], np.float32)
    made = roi_align([ramp], box, regions(maps=1))[0]
    rows = (box[0, 1] + (np.arange(5) + 0.5) * height / 5) / 4
    columns = (box[0, 0] + (np.arange(4) + 0.5) * width / 4) / 4
    np.testing.assert_allclose(made[0], np.broadcast_to(columns, (5, 4)), atol=1e-3)
    np.testing.assert_allclose(made[1], np.broadcast_to(rows[:, None], (5, 4)), atol=1e-3)
    np.testing.assert_allclose(made[2], 2 * made[0] - 3 * made[1] + 1, atol=1e-3)


def test_beyond_the_border_the_border_counts_for_one_cell_and_then_nothing() -> None:
    flat = np.full((6, 6, 3), 5, np.float32)
    one = regions(1, maps=1, size=(1, 1))
    for middle, value in ((-0.9, 5), (-1.1, 0), (5.9, 5), (6.1, 0)):  # in cells
        box = np.array([[8, 4 * middle - 2, 12, 4 * middle + 2]], np.float32)
        assert roi_align([flat], box, one)[0, 0, 0, 0] == value


def test_a_box_belongs_to_the_map_of_its_scale() -> None:
    sides = np.array([0, 1, 31.99, 32, 63.99, 64, 1000], np.float32)
    boxes = np.stack([sides * 0, sides * 0, sides, sides], axis=1)
    # Level 4, which is the scale 1/16 and the last map, begins at 64 px.
    assert levels(boxes, regions()).tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_no_boxes_make_no_tensors() -> None:
    assert roi_align(MAPS, np.empty((0, 4), np.float32), regions()).shape == (0, 3, 5, 4)
