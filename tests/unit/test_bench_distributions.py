from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from cspine_bench.metrics.distributions import f_quantile, incomplete_beta, t_quantile

untimed = settings(deadline=None)

freedom = st.one_of(st.integers(1, 3000), st.floats(0.3, 3000.0))


@untimed
@given(st.floats(0.0, 1.0), st.floats(0.2, 2000.0), st.floats(0.2, 2000.0))
def test_the_incomplete_beta_function_is_that_of_scipy(x, a, b):
    assert incomplete_beta(x, a, b) == pytest.approx(special.betainc(a, b, x), rel=1e-9, abs=1e-12)
    mirrored = 1.0 - incomplete_beta(1.0 - x, b, a)
    # 1 - x is rounded, and where a or b is small the function is steep there.
    assert mirrored == pytest.approx(special.betainc(a, b, 1.0 - (1.0 - x)), abs=1e-9)


@untimed
@given(st.floats(0.001, 0.9995), freedom, freedom)
def test_quantiles_of_f_are_those_of_scipy(probability, numerator, denominator):
    expected = stats.f.ppf(probability, numerator, denominator)
    assert f_quantile(probability, numerator, denominator) == pytest.approx(expected, rel=1e-9)


@untimed
@given(st.floats(0.5, 0.9995), freedom)
def test_quantiles_of_t_are_those_of_scipy(level, freedom):
    expected = stats.t.ppf((1.0 + level) / 2.0, freedom)
    assert t_quantile(level, freedom) == pytest.approx(expected, rel=1e-9)


@untimed
@given(st.floats(0.01, 0.99), freedom, freedom)
def test_f_turned_over_is_f(probability, numerator, denominator):
    turned = 1.0 / f_quantile(1.0 - probability, denominator, numerator)
    assert f_quantile(probability, numerator, denominator) == pytest.approx(turned, rel=1e-9)


def test_printed_tables():
    assert t_quantile(0.95, 10) == pytest.approx(2.228, abs=5e-4)
    assert f_quantile(0.95, 5, 10) == pytest.approx(3.3258, abs=5e-5)
    assert f_quantile(0.975, 1, 1) == pytest.approx(647.789, abs=5e-4)
    assert f_quantile(0.0, 3, 4) == pytest.approx(0.0, abs=1e-300)


@pytest.mark.parametrize("probability", [-0.1, 1.0, math.nan])
def test_impossible_probability(probability):
    with pytest.raises(ValueError, match="expected from 0 to below 1"):
        f_quantile(probability, 2, 3)


@pytest.mark.parametrize("freedom", [0.0, -1.0, math.inf, math.nan])
def test_impossible_degrees_of_freedom(freedom):
    with pytest.raises(ValueError, match="degrees of freedom"):
        f_quantile(0.9, 2, freedom)
    with pytest.raises(ValueError, match="degrees of freedom"):
        f_quantile(0.9, freedom, 2)
