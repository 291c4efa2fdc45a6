from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from cspine.errors import ModelError
from cspine_bench.latency.quantile import minimum_count, quantile_interval


@pytest.mark.parametrize(("q", "count"), [(0.9, 64), (0.95, 130), (0.99, 662), (0.999, 6636)])
def test_minimum_counts_are_mlperfs(q, count):
    assert minimum_count(q) == count
    assert minimum_count(1.0 - q) == pytest.approx(count, abs=1)
    # With one query over, the quantile is shown at 99 % confidence, and not with one query less.
    assert binom.cdf(1, count, 1.0 - q) <= 0.01 < binom.cdf(1, count - 1, 1.0 - q)

    short = quantile_interval(np.arange(count - 1), q)
    assert not short.sufficient
    assert all(math.isnan(value) for value in (short.value, short.low, short.high))
    enough = quantile_interval(np.arange(count), q)
    assert enough.sufficient
    assert 0 <= enough.low <= enough.value <= enough.high < count


@pytest.mark.parametrize(
    ("count", "low", "high"), [(6, 1, 6), (8, 1, 8), (10, 2, 9), (20, 6, 15), (100, 40, 61)]
)
def test_ranks_of_the_median_are_the_tabulated_ones(count, low, high):
    found = quantile_interval(range(1, count + 1), 0.5)
    assert (found.low, found.high) == (low, high)


def test_median_is_given_for_any_count_with_open_ends():
    found = quantile_interval([3.0, 1.0, 2.0], 0.5)
    assert found.value == 2.0
    assert found.sufficient
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert quantile_interval([7.0], 0.5).value == 7.0


@pytest.mark.parametrize("percent", [7, 29, 50, 55, 90, 95, 99])
def test_value_has_the_exact_rank(percent):
    exact = Fraction(percent, 100)
    for count in (700, 900, 1000, 1009):
        found = quantile_interval(np.arange(1, count + 1)[::-1], percent / 100)
        assert found.value == math.ceil(count * exact)


@given(
    st.integers(1, 3000),
    st.sampled_from([0.1, 0.5, 0.75, 0.9, 0.95, 0.99]),
    st.sampled_from([0.8, 0.9, 0.95, 0.99]),
)
def test_interval_is_the_tightest_that_keeps_both_tails(count, q, level):
    found = quantile_interval(np.arange(1, count + 1), q, level=level)
    assert found.sufficient == (count >= minimum_count(q))
    if not found.sufficient:
        return
    # Of rank r, P(quantile < x_r) = P(fewer than r samples below it).
    each = (1.0 - level) / 2.0
    low = 0 if found.low == -math.inf else int(found.low)
    high = count + 1 if found.high == math.inf else int(found.high)
    assert binom.cdf(low - 1, count, q) <= each < binom.cdf(low, count, q)
    assert binom.sf(high - 1, count, q) <= each + 1e-12
    assert binom.sf(high - 2, count, q) > each - 1e-12
    assert low <= found.value <= high


def test_long_runs_keep_their_precision():
    found = quantile_interval(np.arange(1, 1_000_001), 0.999)
    assert found.value == 999_000
    assert found.low == binom.ppf(0.025, 1_000_000, 0.999)
    assert found.high == binom.ppf(0.975, 1_000_000, 0.999) + 1


@given(st.lists(st.floats(1e-6, 1e6), min_size=6, max_size=80), st.randoms())
def test_order_and_unit_do_not_matter(samples, random):
    found = quantile_interval(samples, 0.5)
    shuffled = random.sample(samples, len(samples))
    assert quantile_interval(shuffled, 0.5) == found
    doubled = quantile_interval([2.0 * sample for sample in samples], 0.5)
    assert (doubled.value, doubled.low, doubled.high) == (
        2.0 * found.value,
        2.0 * found.low,
        2.0 * found.high,
    )


def test_interval_covers_a_skewed_tail():
    rng = np.random.default_rng(4)
    true = -math.log(0.05)
    found = [quantile_interval(rng.exponential(size=200), 0.95) for _ in range(1000)]
    covered = np.mean([one.low <= true <= one.high for one in found])
    ranks = quantile_interval(range(1, 201), 0.95)
    exact = binom.cdf(ranks.high - 1, 200, 0.95) - binom.cdf(ranks.low - 1, 200, 0.95)
    assert exact >= 0.95
    assert covered == pytest.approx(exact, abs=0.02)


def test_refusals_say_what_is_wrong():
    with pytest.raises(ModelError, match=r"samples: got shape \(0,\), expected \(samples\) and"):
        quantile_interval([], 0.5)
    with pytest.raises(ModelError, match="samples: got a time that is not finite"):
        quantile_interval([1.0, math.inf], 0.5)
    with pytest.raises(ValueError, match="quantile: got 99"):
        quantile_interval([1.0], 99)
    with pytest.raises(ValueError, match="level: got 0"):
        quantile_interval([1.0], 0.5, level=0)
