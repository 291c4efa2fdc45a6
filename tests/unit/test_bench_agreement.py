from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics
from statsmodels.stats.inter_rater import cohens_kappa

from cspine.errors import ModelError
from cspine_bench.metrics.agreement import (
    accuracy,
    clustered_kappa_interval,
    confusion_matrix,
    kappa,
    kappa_interval,
    macro_f1,
)
from cspine_bench.metrics.bootstrap import bootstrap_interval

untimed = settings(deadline=None)

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


def test_published_interval():
    found = kappa_interval(KANG)
    assert found.low == pytest.approx(0.5468, abs=5e-5)
    assert found.high == pytest.approx(0.7784, abs=5e-5)


@untimed
@pytest.mark.parametrize("weights", WEIGHTS)
@given(cases=grades, level=st.floats(0.5, 0.999))
def test_kappa_interval_agrees_with_statsmodels(cases, weights, level):
    truth, predicted = (np.array(column) for column in zip(*cases, strict=True))
    matrix = confusion_matrix(truth, predicted, classes=4)
    assume(not math.isnan(kappa(matrix)))
    scheme = {"none": None, "linear": "linear", "quadratic": "quadratic"}[weights]
    with np.errstate(all="ignore"):  # its standard errors under a kappa of zero divide by zero
        expected = cohens_kappa(matrix, wt=scheme)
    error = math.sqrt(max(0.0, expected.var_kappa))
    assume(error > 1e-6)
    found = kappa_interval(matrix, weights=weights, level=level)
    half = norm.ppf((1.0 + level) / 2.0) * error
    low, high = expected.kappa - half, expected.kappa + half
    assert (found.low, found.high) == pytest.approx((max(low, -1), min(high, 1)), abs=1e-9)


@untimed
@pytest.mark.parametrize("weights", WEIGHTS)
@given(cases=grades)
def test_kappa_interval_holds_kappa_whoever_is_the_truth(cases, weights):
    truth, predicted = (np.array(column) for column in zip(*cases, strict=True))
    matrix = confusion_matrix(truth, predicted, classes=4)
    assume(not math.isnan(kappa(matrix)))
    found = kappa_interval(matrix, weights=weights)
    assert -1.0 <= found.low <= kappa(matrix, weights=weights) <= found.high <= 1.0
    assert found.low < found.high
    for same in (matrix.T, matrix[::-1, ::-1]):
        again = kappa_interval(same, weights=weights)
        assert (again.low, again.high) == pytest.approx((found.low, found.high), abs=1e-9)


@untimed
@pytest.mark.parametrize("weights", WEIGHTS)
@given(cases=grades, copies=st.integers(2, 4))
def test_clustered_kappa_counts_patients(cases, weights, copies):
    truth, predicted = (np.array(column) for column in zip(*cases, strict=True))
    matrix = confusion_matrix(truth, predicted, classes=4)
    n = truth.size
    assume(not math.isnan(kappa(matrix)) and n > 1)
    alone = clustered_kappa_interval(
        truth, predicted, np.arange(n), classes=4, weights=weights, level=0.5
    )
    found = kappa_interval(matrix, weights=weights, level=0.5)
    value = kappa(matrix, weights=weights)
    if abs(value) < 1.0 and -1.0 < alone.low < alone.high < 1.0:
        half = (found.high - found.low) / 2.0
        assert alone.high - value == pytest.approx(math.sqrt(n / (n - 1)) * half, rel=1e-6) or (
            alone == found  # without a spread both are the same bound
        )
    copied = clustered_kappa_interval(
        np.tile(truth, copies),
        np.tile(predicted, copies),
        np.tile(np.arange(n), copies),
        classes=4,
        weights=weights,
        level=0.5,
    )
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high), abs=1e-9)


def test_clustered_kappa_is_near_the_bootstrap_and_covers():
    rng = np.random.default_rng(5)

    def reads(patients):
        ids = np.repeat(np.arange(patients), 5)
        truth = np.clip(rng.integers(0, 3, size=patients)[ids] + rng.integers(0, 2, ids.size), 0, 3)
        hard = (rng.random(patients) < 0.3)[ids]
        slips = hard & (rng.random(ids.size) < 0.7)
        return truth, np.where(slips, np.clip(truth + 1, 0, 3), truth), ids

    truth, predicted, _ = reads(40_000)
    population = kappa(confusion_matrix(truth, predicted, classes=4), weights="quadratic")
    covered = naive = 0
    for _ in range(400):
        truth, predicted, ids = reads(60)
        found = clustered_kappa_interval(truth, predicted, ids, classes=4, weights="quadratic")
        covered += found.low <= population <= found.high
        alone = kappa_interval(confusion_matrix(truth, predicted, classes=4), weights="quadratic")
        naive += alone.low <= population <= alone.high
    assert 0.91 <= covered / 400 <= 0.98
    assert naive < covered - 20

    def of(cases):
        return kappa(confusion_matrix(truth[cases], predicted[cases], classes=4))

    drawn = bootstrap_interval(of, ids, seed=1, resamples=400, method="percentile")
    found = clustered_kappa_interval(truth, predicted, ids, classes=4)
    assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), abs=0.04)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_perfect_agreement_is_bounded_by_the_number_of_cases(weights):
    found = kappa_interval(np.diag([20, 20]), weights=weights)
    assert found.high == 1.0
    # 8.8 % of all may be called otherwise, of 50 % that chance would.
    assert found.low == pytest.approx(1.0 - (1.0 - 0.025 ** (1 / 40)) / 0.5)
    truth = np.repeat([0, 1], 20)
    by_patient = clustered_kappa_interval(
        truth, truth, np.arange(40) // 4, classes=2, weights=weights
    )
    assert by_patient.low == pytest.approx(1.0 - (1.0 - 0.025 ** (1 / 10)) / 0.5)
    opposed = kappa_interval([[0, 20], [20, 0]], weights=weights)
    assert opposed.low == -1.0 < opposed.high < -0.8


def test_kappa_without_an_interval():
    for matrix in ([[0, 0], [0, 7]], np.zeros((3, 3))):
        with pytest.raises(ModelError, match="one and the same class, or no case"):
            kappa_interval(matrix)
    with pytest.raises(ModelError, match="clusters: got 1, expected at least 2"):
        clustered_kappa_interval([0, 1], [0, 1], [3, 3], classes=2)
    with pytest.raises(ModelError, match="clusters: got shape"):
        clustered_kappa_interval([0, 1], [0, 1], [3], classes=2)
    with pytest.raises(ValueError, match=r"such as 0\.95"):
        kappa_interval(KANG, level=1.0)
