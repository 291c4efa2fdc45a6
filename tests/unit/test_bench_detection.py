from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cspine.errors import ModelError
from cspine_bench.metrics.detection import box_recall, iou, match
from cspine_bench.metrics.proportion import clustered_wilson, wilson

untimed = settings(deadline=None)


@st.composite
def boxes(draw, *, least=1):
    """Whole edges from 0 to 12, so that overlaps and ties are common."""
    edge = st.lists(st.integers(0, 12), min_size=2, max_size=2, unique=True).map(sorted)
    pairs = draw(st.lists(st.tuples(edge, edge), min_size=least, max_size=6))
    return np.array([(x[0], y[0], x[1], y[1]) for x, y in pairs], float).reshape(-1, 4)


def cells(box):
    left, top, right, bottom = map(int, box)
    return {(x, y) for x in range(left, right) for y in range(top, bottom)}


@untimed
@given(boxes(), boxes())
def test_overlap_counted_cell_by_cell(a, b):
    expected = [[len(cells(x) & cells(y)) / len(cells(x) | cells(y)) for y in b] for x in a]
    found = iou(a, b)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(iou(b, a), found.T)
    np.testing.assert_allclose(iou(3.0 * a - 5.0, 3.0 * b - 5.0), found, rtol=1e-9)
    assert np.diag(iou(a, a)).tolist() == [1.0] * len(a)


def test_overlap_by_hand():
    assert iou([(0, 0, 2, 2)], [(1, 1, 3, 3), (2, 0, 4, 2), (-1, -1, 3, 3)]) == pytest.approx(
        np.array([[1 / 7, 0.0, 0.25]])
    )


@untimed
@given(boxes(least=0), boxes(least=0), st.data(), st.floats(0.05, 1.0))
def test_matching_is_greedy_and_one_to_one(predicted, truth, data, at_iou):
    scores = data.draw(
        st.lists(st.integers(0, 3), min_size=len(predicted), max_size=len(predicted))
    )
    given_box = match(predicted, scores, truth, at_iou=at_iou)
    left = list(range(len(truth)))
    for box in sorted(range(len(predicted)), key=lambda i: (-scores[i], i)):
        overlaps = [len(cells(predicted[box]) & cells(truth[k])) for k in left]
        shares = [
            both / len(cells(predicted[box]) | cells(truth[k]))
            for both, k in zip(overlaps, left, strict=True)
        ]
        best = max(range(len(left)), key=shares.__getitem__, default=None)
        if best is None or shares[best] < at_iou:
            assert given_box[box] == -1
        else:
            assert given_box[box] == left.pop(best)
    found = given_box[given_box >= 0]
    assert np.unique(found).size == found.size


def test_a_second_box_of_a_level_is_a_false_one():
    truth = [(0, 0, 10, 10), (20, 0, 30, 10)]
    predicted = [(0, 0, 10, 9), (0, 0, 10, 10), (40, 0, 50, 10)]
    assert match(predicted, [0.9, 0.8, 0.7], truth, at_iou=0.5).tolist() == [0, -1, -1]
    assert match(predicted, [0.8, 0.9, 0.7], truth, at_iou=0.5).tolist() == [-1, 0, -1]


def test_the_limit_itself_finds():
    assert match([(0, 0, 1, 1)], [0.5], [(0, 0, 2, 1)], at_iou=0.5).tolist() == [0]
    assert match([(0, 0, 1, 1)], [0.5], [(0, 0, 2.001, 1)], at_iou=0.5).tolist() == [-1]


def test_recall_is_of_boxes_and_clustered_by_patient():
    found = [[1, 1, 0], [1, 0], [], [0, 0, 0], [1]]
    patients = ["a", "b", "b", "c", "a"]
    recall = box_recall(found, patients, level=0.9)
    assert (recall.found, recall.boxes, recall.share) == (4, 9, 4 / 9)
    flat = [1, 1, 0, 1, 0, 0, 0, 0, 1]
    expected = clustered_wilson(flat, ["a", "a", "a", "b", "b", "c", "c", "c", "a"], level=0.9)
    assert recall.interval == expected
    all_found = box_recall([[1, 1, 1]] * 20, range(20))
    assert all_found.share == 1.0
    assert all_found.interval == wilson(20, 20)


def test_found_comes_from_a_match():
    truth = [(0, 0, 10, 10), (20, 0, 30, 10)]
    given_box = match([(21, 0, 30, 10)], [0.4], truth, at_iou=0.5)
    recall = box_recall([np.isin(np.arange(2), given_box)], [1])
    assert (recall.found, recall.boxes) == (1, 2)


BOX = [(0, 0, 1, 1)]


@pytest.mark.parametrize(
    "box", [(1, 0, 1, 1), (0, 2, 1, 1), (0, 0, math.inf, 1), (0, math.nan, 1, 1)]
)
def test_what_is_no_box_is_refused(box):
    with pytest.raises(ModelError, match="not finite or has no area, expected left < right"):
        iou(BOX, [box])


def test_malformed_calls():
    with pytest.raises(ModelError, match=r"boxes: got shape \(4,\), expected \(boxes, 4\)"):
        iou([0, 0, 1, 1], BOX)
    with pytest.raises(ModelError, match=r"scores: got shape \(2,\), expected \(1,\)"):
        match(BOX, [0.1, 0.2], BOX, at_iou=0.5)
    with pytest.raises(ModelError, match="a finite one a box"):
        match(BOX, [math.nan], BOX, at_iou=0.5)
    with pytest.raises(ValueError, match=r"such as 0\.5"):
        match(BOX, [0.5], BOX, at_iou=0.0)
    with pytest.raises(ModelError, match=r"clusters: got .*\(2,\), expected \(1,\): one an image"):
        box_recall([[1]], [1, 2])
    with pytest.raises(ModelError, match="got no true box"):
        box_recall([[], []], [1, 2])
    with pytest.raises(ModelError, match="neither 0 nor 1"):
        box_recall([[2]], [1])
