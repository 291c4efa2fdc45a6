from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics

from cspine.errors import ModelError
from cspine_bench.agreement import accuracy, confusion_matrix, kappa, macro_f1

KANG = [[20, 5, 0, 0], [4, 18, 6, 0], [0, 5, 22, 3], [0, 0, 2, 15]]
WEIGHTS = ["none", "linear", "quadratic"]

grades = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=80)


def test_published_vector():
    assert accuracy(KANG) == 0.75
    assert kappa(KANG) == pytest.approx(0.662618, abs=5e-7)
    assert kappa(KANG, weights="linear") == pytest.approx(0.784036, abs=5e-7)
    assert kappa(KANG, weights="quadratic") == pytest.approx(0.884388, abs=5e-7)
    assert macro_f1(KANG) == pytest.approx(0.762415, abs=5e-7)


@pytest.mark.parametrize("weights", WEIGHTS)
@given(cases=grades)
def test_kappa_agrees_with_scikit_learn(cases, weights):
    truth, predicted = (np.array(column) for column in zip(*cases, strict=True))
    assume(np.unique(np.concatenate((truth, predicted))).size > 1)
    expected = metrics.cohen_kappa_score(
        truth, predicted, labels=range(4), weights=None if weights == "none" else weights
    )
    matrix = confusion_matrix(truth, predicted, classes=4)
    assert kappa(matrix, weights=weights) == pytest.approx(expected, abs=1e-12)


@given(grades)
def test_matrix_accuracy_and_macro_f1_agree_with_scikit_learn(cases):
    truth, predicted = (np.array(column) for column in zip(*cases, strict=True))
    matrix = confusion_matrix(truth, predicted, classes=4)
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(
        matrix, metrics.confusion_matrix(truth, predicted, labels=range(4))
    )
    assert accuracy(matrix) == pytest.approx(metrics.accuracy_score(truth, predicted))
    expected = metrics.f1_score(truth, predicted, average="macro", zero_division=np.nan)
    assert macro_f1(matrix) == pytest.approx(expected)


@given(grades, st.permutations(range(4)))
def test_only_weighted_kappa_knows_the_order_of_classes(cases, order):
    truth, predicted = (np.array(column) for column in zip(*cases, strict=True))
    matrix = confusion_matrix(truth, predicted, classes=4)
    renamed = matrix[np.ix_(order, order)]
    assert kappa(renamed) == pytest.approx(kappa(matrix), nan_ok=True)
    assert macro_f1(renamed) == pytest.approx(macro_f1(matrix))
    backwards = matrix[::-1, ::-1]
    for weights in WEIGHTS:
        reference = pytest.approx(kappa(matrix, weights=weights), nan_ok=True)
        assert kappa(backwards, weights=weights) == reference
        assert kappa(matrix.T, weights=weights) == reference


def test_a_far_miss_costs_more_only_when_weighted():
    near, far = [[9, 1, 0], [0, 9, 1], [0, 0, 10]], [[9, 0, 1], [1, 9, 0], [0, 0, 10]]
    assert kappa(near) == pytest.approx(kappa(far), abs=0.01)
    assert kappa(near, weights="quadratic") > kappa(far, weights="quadratic") + 0.05


@pytest.mark.parametrize("weights", WEIGHTS)
def test_perfect_chance_and_undefined(weights):
    assert kappa(np.diag([3, 4, 5]), weights=weights) == 1.0
    assert kappa(np.outer([2, 4, 6], [1, 3, 5]), weights=weights) == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(kappa([[0, 0], [0, 7]], weights=weights))
    assert math.isnan(kappa(np.zeros((3, 3)), weights=weights))


def test_classes_without_a_case():
    assert macro_f1([[5, 0, 0], [0, 5, 0], [0, 0, 0]]) == 1.0
    assert macro_f1([[5, 0, 0], [0, 4, 1], [0, 0, 0]]) == pytest.approx((1.0 + 8 / 9 + 0.0) / 3)
    assert math.isnan(macro_f1(np.zeros((2, 2))))
    assert math.isnan(accuracy(np.zeros((2, 2))))
    np.testing.assert_array_equal(confusion_matrix([], [], classes=2), np.zeros((2, 2)))


@pytest.mark.parametrize("measure", [accuracy, kappa, macro_f1])
def test_malformed_matrix(measure):
    with pytest.raises(ModelError, match=r"got shape \(2, 3\), expected \(classes, classes\)"):
        measure(np.ones((2, 3)))
    with pytest.raises(ModelError, match="negative or non-finite count"):
        measure([[1, -1], [0, 1]])
    with pytest.raises(ModelError, match="negative or non-finite count"):
        measure([[1, math.nan], [0, 1]])


def test_malformed_labels():
    with pytest.raises(ModelError, match="predicted: got labels from 0 to 3, expected 0 to 2"):
        confusion_matrix([0, 1], [0, 3], classes=3)
    with pytest.raises(ModelError, match="truth: got labels from -1 to 1"):
        confusion_matrix([-1, 1], [0, 1], classes=3)
    with pytest.raises(ModelError, match=r"truth: got float64 \(2,\), expected integer labels"):
        confusion_matrix([0.0, 1.5], [0, 1], classes=3)
    with pytest.raises(ModelError, match="got 2 true and 3 predicted labels"):
        confusion_matrix([0, 1], [0, 1, 1], classes=2)
