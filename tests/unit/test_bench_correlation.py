from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import norm, pearsonr, spearmanr

from cspine.errors import ModelError
from cspine_bench.metrics.correlation import (
    bonett_wright_interval,
    fisher_interval,
    pearson,
    pearson_interval,
    spearman,
    spearman_interval,
)
from cspine_bench.metrics.mean import clustered_mean

REFERENCE = [12, -4, 20.5, 8, 0.5]
PREDICTED = [13.5, -2, 19, 10, -0.5]

untimed = settings(deadline=None)
pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=30)


@untimed
@given(pairs)
def test_it_is_the_correlation_of_scipy(cases):
    a, b = (np.array(column, float) for column in zip(*cases, strict=True))
    assume(np.ptp(a) > 0 and np.ptp(b) > 0)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    assert spearman(-a, np.exp(b)) == pytest.approx(-spearman(a, b), abs=1e-12)


def test_of_one_value_there_is_none():
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3]))
    assert math.isnan(spearman([], []))
    assert spearman_interval([1, 1, 1], [1, 2, 3], clusters=[1, 2, 3]) is None


def test_a_perfect_order_has_no_spread():
    assert spearman([1, 2, 3, 4], [2, 3, 5, 9]) == 1.0
    assert spearman_interval([1, 2, 3, 4], [2, 3, 5, 9], clusters=[1, 2, 3, 4]) is None


def test_patients_are_what_is_left_out():
    rng = np.random.default_rng(5)
    a = rng.standard_normal(60)
    b = a + rng.standard_normal(60)
    one = spearman_interval(a, b, clusters=np.arange(60))
    assert one.low < spearman(a, b) < one.high
    # With copies of each case in its cluster nothing is learned; as cases of their own, too much.
    twice = spearman_interval(np.tile(a, 2), np.tile(b, 2), clusters=np.tile(np.arange(60), 2))
    assert (twice.low, twice.high) == pytest.approx((one.low, one.high), abs=1e-3)
    apart = spearman_interval(np.tile(a, 2), np.tile(b, 2), clusters=np.arange(120))
    assert apart.high - apart.low < 0.75 * (one.high - one.low)


def test_the_jackknife_is_near_the_usual_standard_error():
    rng = np.random.default_rng(6)
    a = rng.standard_normal(400)
    b = 0.6 * a + 0.8 * rng.standard_normal(400)
    found = spearman_interval(a, b, clusters=np.arange(400))
    half = (math.atanh(found.high) - math.atanh(found.low)) / 2
    r = pearsonr(a, b).statistic
    usual = norm.ppf(0.975) * math.sqrt((1 + r**2 / 2) / 397)  # Bonett & Wright 2000
    assert half == pytest.approx(usual, rel=0.12)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1, 2], [1, 2, 3], r"got shapes \(2,\) and \(3,\), expected \(cases,\) twice"),
        ([[1.0]], [[1.0]], r"got shapes \(1, 1\) and \(1, 1\)"),
        ([1, math.nan], [1, 2], "got a value that is not finite"),
    ],
)
def test_what_cannot_be_ranked_is_refused(a, b, message):
    with pytest.raises(ModelError, match=message):
        spearman(a, b)


@untimed
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), st.integers(2, 4))
def test_the_mean_of_patients_has_students_interval_or_a_longer_end(values, copies):
    mean, error = np.mean(values), np.std(values, ddof=1) / math.sqrt(len(values))
    reach = stats.t.ppf(0.975, len(values) - 1) * error
    found = clustered_mean(values, np.arange(len(values)))
    assert min(mean - found.low, found.high - mean) == pytest.approx(reach, abs=1e-3)
    again = clustered_mean(np.repeat(values, copies), np.repeat(np.arange(len(values)), copies))
    assert (again.low, again.high) == pytest.approx((found.low, found.high), rel=1e-4, abs=1e-3)


def test_a_mean_needs_patients_and_numbers():
    with pytest.raises(ModelError, match="got 1, expected at least 2"):
        clustered_mean([1.0, 2.0], ["p", "p"])
    with pytest.raises(ModelError, match="not finite"):
        clustered_mean([1.0, math.nan], ["p", "q"])
    with pytest.raises(ModelError, match="clusters: got shape"):
        clustered_mean([1.0, 2.0], ["p"])


def test_published_vector():
    assert pearson(REFERENCE, PREDICTED) == pytest.approx(0.98513, abs=5e-6)
    # The order of the five is the same: 1 but for rounding.
    assert spearman(REFERENCE, PREDICTED) == pytest.approx(1.0, abs=1e-12)


@untimed
@given(pairs, st.floats(0.01, 100.0), st.floats(-1e3, 1e3))
def test_pearson_is_that_of_scipy_whatever_the_units(cases, scale, shift):
    a, b = (np.array(column, float) for column in zip(*cases, strict=True))
    assume(np.ptp(a) > 0 and np.ptp(b) > 0)
    found = pearson(a, b)
    assert found == pytest.approx(pearsonr(a, b).statistic, abs=1e-9)
    assert pearson(b, a) == pytest.approx(found, abs=1e-12)
    assert pearson(scale * a + shift, -b) == pytest.approx(-found, abs=1e-6)
    assert -1.0 <= found <= 1.0


def test_pearson_of_values_however_small_or_alike():
    assert pearson([1e-200, 2e-200, 4e-200], [1e200, 2e200, 4e200]) == pytest.approx(1.0)
    assert math.isnan(pearson([0.1, 0.1, 0.1], [1, 2, 3]))  # their mean is not quite 0.1
    assert math.isnan(pearson([], []))


@untimed
@given(pairs, st.floats(0.5, 0.999))
def test_fishers_interval_is_that_of_scipy(cases, level):
    a, b = (np.array(column, float) for column in zip(*cases, strict=True))
    assume(a.size > 3 and np.ptp(a) > 0 and np.ptp(b) > 0)
    by_scipy = pearsonr(a, b)
    r = pearson(a, b)
    assume(abs(r) < 0.9999)
    expected = by_scipy.confidence_interval(level)
    found = fisher_interval(r, a.size, level=level)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert found.low < r < found.high


@untimed
@given(st.floats(-0.99, 0.99), st.integers(4, 5000))
def test_bonett_and_wright_widen_fishers_interval(rho, cases):
    found, fisher = bonett_wright_interval(rho, cases), fisher_interval(rho, cases)
    scales = [math.atanh(x.high) - math.atanh(x.low) for x in (found, fisher)]
    assert scales[0] == pytest.approx(math.sqrt(1 + rho**2 / 2) * scales[1], rel=1e-6)
    mirrored = bonett_wright_interval(-rho, cases)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), abs=1e-12)


def test_bonett_and_wright_cover():
    """Normal pairs of correlation 0.6: Spearman's is 6 / pi asin(0.3)."""
    rng = np.random.default_rng(8)
    covered = 0
    for _ in range(600):
        a = rng.normal(size=50)
        found = bonett_wright_interval(spearman(a, 0.6 * a + 0.8 * rng.normal(size=50)), 50)
        covered += found.low <= 6 / math.pi * math.asin(0.3) <= found.high
    assert 0.925 <= covered / 600 <= 0.975


def test_pearson_over_patients_is_near_fishers_interval():
    rng = np.random.default_rng(9)
    a = rng.normal(size=300)
    b = 0.6 * a + 0.8 * rng.normal(size=300)
    found = pearson_interval(a, b, clusters=np.arange(300))
    expected = fisher_interval(pearson(a, b), 300)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.02)
    twice = pearson_interval(np.tile(a, 2), np.tile(b, 2), clusters=np.tile(np.arange(300), 2))
    assert (twice.low, twice.high) == pytest.approx((found.low, found.high), abs=1e-9)
    assert pearson_interval(a, 2 * a, clusters=np.arange(300)) is None


@pytest.mark.parametrize("interval", [fisher_interval, bonett_wright_interval])
def test_a_correlation_that_says_nothing_of_its_spread(interval):
    for value in (1.0, -1.0, math.nan):
        with pytest.raises(ModelError, match="expected one between -1 and 1"):
            interval(value, 20)
    with pytest.raises(ModelError, match="got 3 cases, expected at least 4"):
        interval(0.5, 3)
    with pytest.raises(ValueError, match=r"such as 0\.95"):
        interval(0.5, 20, level=1.0)
