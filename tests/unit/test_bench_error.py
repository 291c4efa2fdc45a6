from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error as by_scikit_learn

from cspine.errors import ModelError
from cspine_bench.metrics.bootstrap import resampled
from cspine_bench.metrics.error import (
    mean_absolute_error,
    mean_absolute_error_interval,
    smape,
    smape_interval,
)

untimed = settings(deadline=None)

REFERENCE = [12, -4, 20.5, 8, 0.5]
PREDICTED = [13.5, -2, 19, 10, -0.5]

number = st.one_of(st.just(0.0), st.floats(-1e3, 1e3, allow_subnormal=False))
pairs = st.lists(st.tuples(number, number), min_size=1, max_size=30)


def test_published_vector():
    assert mean_absolute_error(REFERENCE, PREDICTED) == pytest.approx(1.6, abs=1e-12)
    assert smape(REFERENCE, PREDICTED, denominator="mean") == pytest.approx(61.6497, abs=5e-5)
    assert smape(REFERENCE, PREDICTED, denominator="sum") == pytest.approx(30.8249, abs=5e-5)


@untimed
@given(pairs)
def test_it_is_that_of_scikit_learn_and_symmetric(cases):
    a, b = (np.array(column) for column in zip(*cases, strict=True))
    found = mean_absolute_error(a, b)
    assert found == pytest.approx(by_scikit_learn(a, b), rel=1e-9, abs=1e-12)
    assert mean_absolute_error(b, a) == found
    assert mean_absolute_error(a + 5.0, b + 5.0) == pytest.approx(found, abs=1e-9)
    assert mean_absolute_error(-3.0 * a, -3.0 * b) == pytest.approx(3.0 * found, rel=1e-9)


@untimed
@given(pairs)
def test_smape_case_by_case(cases):
    terms = [abs(f - a) / ((abs(a) + abs(f)) / 2.0) if a or f else 0.0 for a, f in cases]
    a, b = (np.array(column) for column in zip(*cases, strict=True))
    found = smape(a, b, denominator="mean")
    assert found == pytest.approx(100.0 * math.fsum(terms) / len(terms), rel=1e-9, abs=1e-12)
    assert 0.0 <= found <= 200.0 + 1e-9
    assert smape(a, b, denominator="sum") == pytest.approx(found / 2.0)
    assert smape(b, a, denominator="mean") == pytest.approx(found)
    assert smape(-7.0 * a, -7.0 * b, denominator="mean") == pytest.approx(found)


def test_nothing_over_nothing_is_no_error_and_a_sign_is_the_most():
    assert smape([0.0, 0.0], [0.0, 0.0], denominator="mean") == 0.0
    assert smape([0.0, 1.0], [0.0, -1e-9], denominator="mean") == 100.0
    assert smape([1e-9], [-1e-9], denominator="sum") == 100.0


def test_intervals_are_bootstraps_of_patients():
    rng = np.random.default_rng(1)
    ids = np.repeat(np.arange(40), 3)
    a = rng.normal(20.0, 8.0, size=120)
    b = a + rng.normal(size=40)[ids] * 2.0
    found = mean_absolute_error_interval(a, b, clusters=ids, seed=5)
    assert found.low < mean_absolute_error(a, b) < found.high
    draws = resampled(lambda cases: np.abs(b - a)[cases].mean(), ids, seed=5, resamples=2000)
    assert draws.min() < found.low < np.quantile(draws, 0.2)
    assert np.quantile(draws, 0.8) < found.high < draws.max()
    narrow = mean_absolute_error_interval(a, b, clusters=np.arange(120), seed=5)
    assert narrow.high - narrow.low < 0.8 * (found.high - found.low)
    wide = smape_interval(a, b, denominator="mean", clusters=ids, seed=5)
    half = smape_interval(a, b, denominator="sum", clusters=ids, seed=5)
    assert wide.low < smape(a, b, denominator="mean") < wide.high
    assert (half.low, half.high) == pytest.approx((wide.low / 2.0, wide.high / 2.0))


@pytest.mark.parametrize(
    ("reference", "predicted", "message"),
    [
        ([1, 2], [1], r"got shapes \(2,\) of reference and \(1,\)"),
        ([], [], "not empty"),
        ([[1.0]], [[1.0]], r"got shapes \(1, 1\)"),
        ([1, math.inf], [1, 2], "not finite"),
        ([1, 2], [1, math.nan], "not finite"),
    ],
)
def test_malformed_values(reference, predicted, message):
    with pytest.raises(ModelError, match=message):
        mean_absolute_error(reference, predicted)
    with pytest.raises(ModelError, match=message):
        smape(reference, predicted, denominator="mean")


def test_intervals_that_cannot_be_given():
    with pytest.raises(ModelError, match=r"clusters: got shape \(1,\), expected \(2,\)"):
        mean_absolute_error_interval([1, 2], [1, 3], clusters=[1], seed=0)
    with pytest.raises(ModelError, match="add patients"):
        mean_absolute_error_interval(REFERENCE, PREDICTED, clusters=range(5), seed=0)
    with pytest.raises(ModelError, match="same value in all"):
        smape_interval([0.0] * 9, [0.0] * 9, denominator="sum", clusters=range(9), seed=0)
