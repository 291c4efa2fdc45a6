from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics

from cspine.errors import ModelError
from cspine_bench.metrics.overlap import dice, mean_dice, overlaps_most

LABELS = range(1, 5)

pairs = hnp.array_shapes(min_dims=1, max_dims=3, max_side=6).flatmap(
    lambda shape: st.tuples(*[hnp.arrays(np.uint8, shape, elements=st.integers(0, 4))] * 2)
)


def test_counted_by_hand():
    a = np.array([[1, 1, 1, 0], [2, 2, 0, 0]], np.uint8)
    b = np.array([[1, 1, 0, 0], [2, 3, 3, 0]], np.uint8)
    found = dice(a, b, labels=(1, 2, 3, 9))
    assert list(found) == [1, 2, 3, 9]
    assert found[1] == 4 / 5
    assert found[2] == 2 / 3
    assert found[3] == 0.0
    assert math.isnan(found[9])
    assert mean_dice(found) == pytest.approx((4 / 5 + 2 / 3 + 0.0) / 3)


@given(pairs)
def test_is_the_f1_of_the_voxels(maps):
    a, b = maps
    expected = metrics.f1_score(
        a.ravel(), b.ravel(), labels=LABELS, average=None, zero_division=np.nan
    )
    assert list(dice(a, b, labels=LABELS).values()) == pytest.approx(list(expected), nan_ok=True)


@given(pairs)
def test_symmetric_and_one_with_itself(maps):
    a, b = maps
    forward, backward = dice(a, b, labels=LABELS), dice(b, a, labels=LABELS)
    assert list(forward.values()) == pytest.approx(list(backward.values()), nan_ok=True)
    for label, value in dice(a, a, labels=LABELS).items():
        assert value == 1.0 if (a == label).any() else math.isnan(value)


def test_every_label_of_a_byte_is_counted_without_overflow():
    a = np.full((300, 300), 255, np.uint8)
    assert dice(a, a, labels=(0, 255))[255] == 1.0
    assert math.isnan(dice(a, a, labels=(0, 255))[0])


def test_mean_of_nothing_is_nan():
    assert math.isnan(mean_dice({}))
    assert math.isnan(mean_dice({1: math.nan}))


def test_a_structure_is_told_by_what_it_covers_most_of():
    truth = np.array([[1, 1, 2, 2], [3, 3, 8, 8]], np.uint8)
    found = np.array([[2, 2, 2, 0], [5, 6, 3, 3]], np.uint8)

    def covered(label):
        return overlaps_most(found, truth, label=label, labels=(1, 2, 3))

    assert covered(2) == 1  # two pixels against one
    assert covered(5) == covered(6) == 3
    assert covered(3) is None  # only what is none of the three
    assert covered(7) is None  # not found at all


def test_refusals():
    a = np.zeros((2, 2), np.uint8)
    with pytest.raises(ModelError, match="got int64 and uint8, expected uint8"):
        dice(a.astype(np.int64), a, labels=LABELS)
    with pytest.raises(ModelError, match=r"got shapes \(2, 2\) and \(4,\)"):
        dice(a, a.ravel(), labels=LABELS)
    with pytest.raises(ModelError, match="label 256: a uint8 map holds 0 to 255"):
        dice(a, a, labels=(256,))
