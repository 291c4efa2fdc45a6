"""Hall's correction of an interval: solved exactly, on one side only, and it covers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cspine_bench.metrics.auc import paired_auc
from cspine_bench.metrics.mean import clustered_mean
from cspine_bench.metrics.skewness import skewed_interval, skewness_of_sum


@given(
    st.floats(-1.0, 1.0).filter(lambda g: abs(g) > 1e-3),
    st.floats(0.01, 5.0),
)
def test_the_long_end_solves_halls_cubic(skewness: float, quantile: float) -> None:
    found = skewed_interval(10.0, 2.0, skewness, quantile=quantile, level=0.95)
    reach = {True: 10.0 - found.low, False: found.high - 10.0}
    long, short = reach[skewness < 0.0] / 2.0, reach[skewness > 0.0] / 2.0
    assert short == pytest.approx(quantile)
    g = -abs(skewness)
    solved = long + g * long**2 / 3.0 + g**2 * long**3 / 27.0 + g / 6.0
    assert long >= quantile - 1e-9
    assert solved == pytest.approx(quantile, abs=1e-6)


def test_without_skewness_it_is_the_plain_interval() -> None:
    found = skewed_interval(1.0, 0.5, 0.0, quantile=2.0, level=0.95)
    assert (found.low, found.high, found.level) == (0.0, 2.0, 0.95)
    near = skewed_interval(1.0, 0.5, 2e-6, quantile=2.0, level=0.95)
    assert near.high == pytest.approx(2.0, abs=1e-4)


def test_the_skewness_of_a_sum_is_that_of_its_parts_over_the_root_of_their_number() -> None:
    values = np.random.default_rng(1).exponential(size=200)
    found = skewness_of_sum(values - values.mean())
    assert found == pytest.approx(float(stats.skew(values)) / math.sqrt(200))
    assert skewness_of_sum(np.zeros(3)) == 0.0


def test_a_symmetric_sample_gives_students_interval() -> None:
    values = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    found = clustered_mean(values, np.arange(5))
    plain = stats.t.interval(0.95, 4, loc=0.0, scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(plain)


def test_a_mean_of_skewed_values_ends_further_out_on_their_side() -> None:
    values = np.random.default_rng(2).exponential(size=30)
    found = clustered_mean(values, np.arange(30))
    plain = stats.t.interval(0.95, 29, loc=values.mean(), scale=stats.sem(values))
    assert found.low == pytest.approx(plain[0])
    assert found.high > plain[1] + 0.05 * (plain[1] - plain[0])


def test_rare_losses_lower_the_end_of_an_auc_difference() -> None:
    rng = np.random.default_rng(4)
    truth = np.repeat([1, 0], 400)
    reference = 2.3 * truth + rng.normal(size=800)
    candidate = reference.copy()
    candidate[:8] -= 2.0  # a few positive cases lose much
    found = paired_auc(truth, reference, candidate)
    below, above = found.difference - found.interval.low, found.interval.high - found.difference
    assert below > 1.1 * above
