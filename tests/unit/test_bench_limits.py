from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from cspine.errors import ModelError
from cspine_bench.metrics.bland_altman import limits_of_agreement

untimed = settings(deadline=None)

REFERENCE = [12, -4, 20.5, 8, 0.5]
PREDICTED = [13.5, -2, 19, 10, -0.5]

pairs = st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=3, max_size=30)


def columns(cases):
    a, b = (np.array(column) for column in zip(*cases, strict=True))
    assume(np.std(b - a) > 1e-3)
    return a, b


def test_published_vector():
    found = limits_of_agreement(REFERENCE, PREDICTED)
    assert found.bias == pytest.approx(0.6, abs=1e-12)
    assert found.lower == pytest.approx(-2.752, abs=5e-4)
    assert found.upper == pytest.approx(3.952, abs=5e-4)


@untimed
@given(pairs, st.floats(0.5, 0.99), st.floats(0.5, 0.99))
def test_it_is_what_scipy_gives(cases, share, level):
    a, b = columns(cases)
    found = limits_of_agreement(a, b, share=share, level=level)
    difference = b - a
    expected = stats.ttest_1samp(difference, 0.0).confidence_interval(level)
    ends = found.bias_interval.low, found.bias_interval.high
    assert ends == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-9)
    sd, n = difference.std(ddof=1), a.size
    limits = stats.norm.interval(share, difference.mean(), sd)
    assert (found.lower, found.upper) == pytest.approx(limits, rel=1e-9, abs=1e-9)
    z = stats.norm.ppf((1 + share) / 2)
    error = sd * math.sqrt(1 / n + z**2 / (2 * (n - 1)))
    for limit, interval in zip(limits, (found.lower_interval, found.upper_interval), strict=True):
        expected = stats.t.interval(level, n - 1, limit, error)
        assert (interval.low, interval.high) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@untimed
@given(pairs)
def test_swapping_turns_it_over_and_shift_and_scale_carry_over(cases):
    a, b = columns(cases)
    found, swapped = limits_of_agreement(a, b), limits_of_agreement(b, a)
    assert swapped.bias == pytest.approx(-found.bias, abs=1e-9)
    assert swapped.lower == pytest.approx(-found.upper, abs=1e-9)
    assert swapped.upper_interval.high == pytest.approx(-found.lower_interval.low, abs=1e-9)
    moved = limits_of_agreement(2.0 * a, 2.0 * b + 1.0)
    assert moved.bias == pytest.approx(2.0 * found.bias + 1.0, abs=1e-9)
    assert moved.upper == pytest.approx(2.0 * found.upper + 1.0, abs=1e-9)
    order = np.argsort(a)
    assert limits_of_agreement(a[order], b[order]).sd == pytest.approx(found.sd)


def test_limits_are_covered():
    rng = np.random.default_rng(1)
    missed = 0
    for _ in range(400):
        found = limits_of_agreement(np.zeros(40), rng.normal(size=40))
        missed += not found.upper_interval.low <= 1.959964 <= found.upper_interval.high
    assert 0.025 <= missed / 400 <= 0.085


@pytest.mark.parametrize(
    ("reference", "predicted", "message"),
    [
        ([1, 2, 3], [1, 2], r"got shapes \(3,\) of reference and \(2,\)"),
        ([1, 2], [1, 3], "three or more"),
        ([1, 2, 3], [1, 2, math.nan], "not finite"),
        ([1, 2, 3], [2, 3, 4], "got 3 equal differences"),
        ([0.1, 0.7, 1.3], [0.4, 1.0, 1.6], "got 3 equal differences"),
    ],
)
def test_what_has_no_limits_is_refused(reference, predicted, message):
    with pytest.raises(ModelError, match=message):
        limits_of_agreement(reference, predicted)


def test_impossible_share_and_level():
    for options in ({"share": 1.0}, {"level": 95.0}):
        with pytest.raises(ValueError, match=r"such as 0\.95"):
            limits_of_agreement(REFERENCE, PREDICTED, **options)
