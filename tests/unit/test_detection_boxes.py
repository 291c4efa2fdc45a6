"""Boxes: what torchvision made of the same deltas, and what must hold of any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cspine.detection.boxes import Floats, areas, at_least, clip, decode, overlaps

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "faster_rcnn" / "golden.npz")
WEIGHTS = (10.0, 10.0, 5.0, 5.0)
SIDES = st.floats(0.5, 400, width=32)


@st.composite
def boxes(draw: st.DrawFn, count: int = 6) -> Floats:
    """Draw `count` boxes with an area, some beyond the border of any image."""
    starts = draw(hnp.arrays(np.float32, (count, 2), elements=st.floats(-200, 400, width=32)))
    sides = draw(hnp.arrays(np.float32, (count, 2), elements=SIDES))
    return np.concatenate([starts, starts + sides], axis=1)


def encode(wanted: Floats, references: Floats) -> Floats:
    """Return the deltas that make `wanted` of `references`."""
    sides, from_sides = wanted[:, 2:] - wanted[:, :2], references[:, 2:] - references[:, :2]
    middle, from_middle = (part[:, :2] + part[:, 2:] for part in (wanted, references))
    moved = (middle - from_middle) / 2 / from_sides
    return np.concatenate([moved, np.log(sides / from_sides)], 1) * np.array(WEIGHTS, np.float32)


def test_deltas_make_the_boxes_that_torchvision_makes() -> None:
    deltas = GOLDEN["deltas"].reshape(-1, 2, 4)
    made = decode(deltas, GOLDEN["roi_boxes"], weights=WEIGHTS)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, GOLDEN["decoded"], rtol=1e-5, atol=1e-4)
    assert (deltas[..., 2:] / 5 > np.log(1000 / 16)).any()  # the limit was met


def test_a_box_grows_to_sixty_two_and_a_half_times_its_reference() -> None:
    deltas = np.array([[[0, 0, 1000, 1000]]], np.float32)
    made = decode(deltas, np.array([[0, 0, 2, 4]], np.float32), weights=WEIGHTS)
    np.testing.assert_allclose(made[0, 0], [-61.5, -123, 63.5, 127], rtol=1e-6)


@settings(max_examples=30)
@given(boxes(), boxes())
def test_decoding_takes_back_encoding(wanted: Floats, references: Floats) -> None:
    sides = (wanted[:, 2:] - wanted[:, :2]) / (references[:, 2:] - references[:, :2])
    wanted = wanted[(sides < 62).all(axis=1)]
    references = references[(sides < 62).all(axis=1)]
    made = decode(encode(wanted, references)[:, None], references, weights=WEIGHTS)[:, 0]
    np.testing.assert_allclose(made, wanted, rtol=1e-4, atol=0.02)


def test_every_kind_has_its_own_deltas() -> None:
    references = np.array([[10, 20, 30, 60]], np.float32)
    deltas = np.array([[[0, 0, 0, 0], [10, 0, 0, 0], [0, -5, 0, 0]]], np.float32)
    assert decode(deltas, references, weights=WEIGHTS)[0].tolist() == [
        [10, 20, 30, 60],
        [30, 20, 50, 60],
        [10, 0, 30, 40],
    ]


def test_clipping_takes_columns_for_x_and_rows_for_y() -> None:
    made = clip(np.array([[[-5, -1, 400, 300]]], np.float32), (100, 200))
    assert made.tolist() == [[[0, 0, 200, 100]]]


def test_a_side_that_is_just_long_enough_is() -> None:
    found = at_least(np.array([[0, 0, 2, 2], [0, 0, 1.9, 9], [3, 3, 9, 4.5]], np.float32), 2)
    assert found.tolist() == [True, False, False]


@settings(max_examples=30)
@given(boxes(), boxes(4))
def test_overlaps_are_those_of_one_pair_after_another(a: Floats, b: Floats) -> None:
    found = overlaps(a, b)
    for one, p in enumerate(a.astype(float)):
        for other, q in enumerate(b.astype(float)):
            width = min(p[2], q[2]) - max(p[0], q[0])
            height = min(p[3], q[3]) - max(p[1], q[1])
            common = max(width, 0) * max(height, 0)
            both = (p[2] - p[0]) * (p[3] - p[1]) + (q[2] - q[0]) * (q[3] - q[1]) - common
            np.testing.assert_allclose(found[one, other], common / both, atol=1e-5)
    np.testing.assert_allclose(np.diag(overlaps(a, a)), 1)
    assert (areas(a) > 0).all()
