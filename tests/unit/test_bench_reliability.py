from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pingouin
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from cspine.errors import ModelError
from cspine_bench.metrics.reliability import icc, icc_interval

untimed = settings(deadline=None)

# Shrout & Fleiss 1979, table 2: six targets, four judges.
RATINGS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
PRINTED = {
    "1,1": 0.1657,
    "2,1": 0.2898,
    "3,1": 0.7148,
    "1,k": 0.4428,
    "2,k": 0.6201,
    "3,k": 0.9093,
}
# What pingouin calls them.
NAMES = {
    "1,1": "ICC(1,1)",
    "2,1": "ICC(A,1)",
    "3,1": "ICC(C,1)",
    "1,k": "ICC(1,k)",
    "2,k": "ICC(A,k)",
    "3,k": "ICC(C,k)",
}
FORMS = list(PRINTED)


@st.composite
def readings(draw):
    """Patients who differ, and readers with a bias each."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, k = draw(st.integers(4, 40)), draw(st.integers(2, 5))
    noise, bias = draw(st.floats(0.05, 1.5)), draw(st.floats(0.0, 2.0))
    return rng.normal(size=(n, 1)) + bias * rng.normal(size=k) + noise * rng.normal(size=(n, k))


@pytest.mark.parametrize("form", FORMS)
def test_published_vector(form):
    assert icc(RATINGS, form=form) == pytest.approx(PRINTED[form], abs=5e-5)


def test_published_intervals():
    """As R's psych prints them for the same table."""
    for form, ends in {"1,1": (-0.13, 0.72), "2,1": (0.02, 0.76), "3,k": (0.68, 0.99)}.items():
        found = icc_interval(RATINGS, form=form)
        assert (found.low, found.high) == pytest.approx(ends, abs=5e-3)


def by_pingouin(ratings):
    n, k = ratings.shape
    long = pd.DataFrame(
        {
            "patient": np.repeat(np.arange(n), k),
            "reader": np.tile(np.arange(k), n),
            "value": ratings.ravel(),
        }
    )
    found = pingouin.intraclass_corr(long, targets="patient", raters="reader", ratings="value")
    return found.set_index("Type")


@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame:DeprecationWarning")
def test_values_and_intervals_agree_with_pingouin(monkeypatch):
    monkeypatch.setitem(pingouin.options, "round.column.CI95", None)
    rng = np.random.default_rng(2)
    for n, k in ((4, 2), (30, 2), (9, 3), (25, 3), (12, 4), (40, 5)):
        biased = rng.normal(size=(n, 1)) + rng.normal(size=k) * rng.uniform(0.0, 1.5)
        ratings = biased + rng.uniform(0.1, 0.8) * rng.normal(size=(n, k))
        expected = by_pingouin(ratings)
        assert expected.loc["ICC(A,1)", "ICC"] > 0.0
        for form, name in NAMES.items():
            assert icc(ratings, form=form) == pytest.approx(expected.loc[name, "ICC"], abs=1e-9)
            found = icc_interval(ratings, form=form)
            ends = expected.loc[name, "CI95"]
            assert (found.low, found.high) == pytest.approx(tuple(ends), rel=1e-9, abs=1e-9)


@untimed
@given(readings(), st.floats(0.1, 10.0), st.floats(-100.0, 100.0), st.sampled_from(FORMS))
def test_order_shift_scale_and_range(ratings, scale, shift, form):
    assume(icc(ratings, form="1,1") > 0.0)
    value = icc(ratings, form=form)
    try:
        found = icc_interval(ratings, form=form, level=0.9)
    except ModelError:
        assert form == "2,k"  # the only lower limit that may not exist
        reject()
    assert found.low <= value <= found.high <= 1.0
    rng = np.random.default_rng(0)
    same = [
        ratings[rng.permutation(len(ratings))],
        ratings[:, rng.permutation(ratings.shape[1])],
        -scale * ratings + shift,
    ]
    for other in same:
        assert icc(other, form=form) == pytest.approx(value, abs=1e-7)
        again = icc_interval(other, form=form, level=0.9)
        assert (again.low, again.high) == pytest.approx((found.low, found.high), abs=1e-6)


def test_a_lower_limit_that_no_mean_can_have():
    """Four patients who hardly differ, and readers who differ less than chance lets them."""
    ratings = [[-0.459, -0.061], [-1.353, -0.053], [0.101, 0.343], [1.652, -0.219]]
    assert icc_interval(ratings, form="2,1").low < -1.0
    with pytest.raises(ModelError, match=r"ICC\(2,k\): got patients that differ less"):
        icc_interval(ratings, form="2,k")


@untimed
@given(readings())
def test_what_a_reader_adds_matters_to_absolute_agreement_only(ratings):
    biased = ratings.copy()
    biased[:, 0] += 50.0
    assert icc(biased, form="3,1") == pytest.approx(icc(ratings, form="3,1"), abs=1e-9)
    assert icc(biased, form="2,1") < 0.1


def test_exact_coverage_of_the_first_form():
    """Patients and errors of variance 1: the correlation is a half."""
    rng = np.random.default_rng(3)
    missed = [0, 0]
    for _ in range(400):
        ratings = rng.normal(size=(12, 1)) + rng.normal(size=(12, 2))
        found = icc_interval(ratings, form="1,1")
        missed[0] += found.low > 0.5
        missed[1] += found.high < 0.5
    assert 3 <= missed[0] <= 20
    assert 3 <= missed[1] <= 20


def test_pooling_unlike_parameters_raises_it():
    rng = np.random.default_rng(1)
    centres = np.repeat([0.0, 10.0, 30.0], 20)[:, None]
    truth = centres + rng.normal(size=(60, 1))
    ratings = truth + 0.7 * rng.normal(size=(60, 2))
    alone = [icc(ratings[i : i + 20], form="2,1") for i in (0, 20, 40)]
    assert icc(ratings, form="2,1") > 0.99 > max(alone) + 0.05


@pytest.mark.parametrize("form", FORMS)
def test_equal_readings(form):
    """The value is 1; the interval would be a point."""
    equal = np.repeat([[1.0], [2.5], [4.1]], 3, axis=1)
    assert icc(equal, form=form) == 1.0
    with pytest.raises(ModelError, match="no disagreement is left"):
        icc_interval(equal, form=form)
    with pytest.raises(ModelError, match="vary neither between patients"):
        icc(np.full((4, 3), 0.1), form=form)


def test_a_constant_offset_is_consistent_but_no_agreement():
    offset = np.array([[1.1], [2.3], [4.7], [3.1]]) + np.array([0.0, 0.1])
    assert icc(offset, form="3,1") == 1.0
    assert icc(offset, form="2,1") < 1.0
    with pytest.raises(ModelError, match=r"ICC\(3,1\): got ratings between which no disagreement"):
        icc_interval(offset, form="3,1")


def test_degrees_of_freedom_of_a_correlation_below_zero():
    """Patients do not differ: a variance below zero has no degrees of freedom of its own."""
    ratings = np.array([[1.0, 5.1], [2.0, 4.0], [1.5, 4.2], [1.0, 4.9]])
    found = icc_interval(ratings, form="2,1")
    value = icc(ratings, form="2,1")
    assert found.low < value < min(0.0, found.high)
    assert found.high < 1.0


def test_patients_who_do_not_differ():
    """A mean of readers is undefined at the least correlation that two can have."""
    ratings = [[1, 2, 3], [2, 3, 1], [3, 1, 2]]
    assert icc(ratings, form="1,1") == -0.5
    with pytest.raises(ModelError, match=r"ICC\(1,k\): got patients that differ less"):
        icc(ratings, form="1,k")
    low = icc_interval([[1, 2], [2, 1], [1, 2], [2, 2]], form="2,1").low
    assert math.isfinite(low)


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ([1.0, 2.0], r"got shape \(2,\), expected \(patients, readers\)"),
        ([[1.0, 2.0]], r"got shape \(1, 2\)"),
        ([[1.0], [2.0]], r"got shape \(2, 1\)"),
        ([[1.0, 2.0], [math.nan, 1.0]], "not finite"),
    ],
)
def test_malformed_ratings(ratings, message):
    with pytest.raises(ModelError, match=message):
        icc(ratings, form="2,1")


def test_impossible_level():
    with pytest.raises(ValueError, match=r"such as 0\.95"):
        icc_interval(RATINGS, form="2,1", level=1.0)
