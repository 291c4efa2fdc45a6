"""Proportions of several cases a patient, and the exact bound of a proportion."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.errors import ModelError
from cspine_bench.metrics.binary import clustered_wilson, wilson
from cspine_bench.metrics.proportion import clopper_pearson_upper

outcomes = st.lists(st.booleans(), min_size=1, max_size=40)
clustered = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=40)


def ends(interval):
    return pytest.approx((interval.low, interval.high), abs=1e-9)


@given(outcomes, st.floats(0.5, 0.999))
def test_singletons_give_wilson(successes, level):
    found = clustered_wilson(successes, np.arange(len(successes)), level=level)
    assert (found.low, found.high) == ends(wilson(sum(successes), len(successes), level=level))
    assert found.level == level


@given(outcomes, st.integers(2, 6))
def test_copies_add_no_evidence_within_their_cluster(successes, copies):
    patients = np.repeat(np.arange(len(successes)), copies)
    found = clustered_wilson(np.repeat(successes, copies), patients)
    assert (found.low, found.high) == ends(wilson(sum(successes), len(successes)))


@given(clustered)
def test_it_is_never_narrower_than_wilson_and_mirrors(cases):
    successes, clusters = (np.array(column) for column in zip(*cases, strict=True))
    found = clustered_wilson(successes, clusters)
    assert 0.0 <= found.low <= successes.mean() <= found.high <= 1.0
    independent = wilson(int(successes.sum()), successes.size)
    assert found.low <= independent.low + 1e-12
    assert found.high >= independent.high - 1e-12
    mirrored = clustered_wilson(~successes, clusters)
    assert (1.0 - mirrored.high, 1.0 - mirrored.low) == ends(found)
    names = np.array(list("gfedcba"))[clusters]
    renamed = clustered_wilson(successes, names)
    assert (renamed.low, renamed.high) == ends(found)


def test_design_effect_by_hand():
    """Patients with 3, 2, 1 and 0 of 3: residuals 1.5, 0.5, -0.5, -1.5 about 1 of 2."""
    successes = [1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0]
    found = clustered_wilson(successes, np.repeat(["a", "b", "c", "d"], 3))
    variance = 4 / 3 * 5.0 / 12**2
    worth = 1.0 + 0.25 / variance
    z = 1.959963985
    half = z / (1.0 + z**2 / worth) * math.sqrt(0.25 / worth + z**2 / (4.0 * worth**2))
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))


def test_each_patient_counts_once_where_all_cases_agree():
    clusters = np.repeat(np.arange(20), 6)
    assert clustered_wilson(np.ones(120), clusters) == wilson(20, 20)
    assert clustered_wilson(np.zeros(120), clusters) == wilson(0, 20)
    one = clustered_wilson([1, 0, 1, 0], ["p"] * 4)
    assert one.high - one.low > 0.8


def test_equal_fractions_in_every_patient_are_no_better_than_independent():
    found = clustered_wilson([1, 0] * 20, np.repeat(np.arange(20), 2))
    assert found == wilson(20, 40)


def test_of_nothing_nothing_is_known():
    assert clustered_wilson([], []) == wilson(0, 0)


@pytest.mark.parametrize("p", [0.5, 0.9])
def test_correlated_levels_are_covered_as_wilson_is_not(p):
    """Beta-binomial with an intra-cluster correlation of 0.5, six levels of 60 patients."""
    rng = np.random.default_rng(8)
    clusters = np.repeat(np.arange(60), 6)
    covered = naive = 0
    for _ in range(1000):
        successes = rng.random(360) < rng.beta(p, 1.0 - p, size=60)[clusters]
        found = clustered_wilson(successes, clusters)
        covered += found.low <= p <= found.high
        plain = wilson(int(successes.sum()), 360)
        naive += plain.low <= p <= plain.high
    assert 0.93 <= covered / 1000 <= 0.97
    assert naive / 1000 < 0.8


def binomial_cdf(k, n, p):
    return math.fsum(math.comb(n, i) * p**i * (1.0 - p) ** (n - i) for i in range(k + 1))


@given(st.integers(1, 80), st.data(), st.floats(0.5, 0.99))
def test_clopper_pearson_ends_where_as_few_are_just_rare(total, data, level):
    successes = data.draw(st.integers(0, total - 1))
    upper = clopper_pearson_upper(successes, total, level=level)
    assert successes / total < upper < 1.0
    assert binomial_cdf(successes, total, upper) == pytest.approx((1.0 - level) / 2.0, rel=1e-6)


def test_clopper_pearson_of_all_and_of_none():
    assert clopper_pearson_upper(5, 5) == clopper_pearson_upper(0, 0) == 1.0
    assert clopper_pearson_upper(0, 60) == pytest.approx(1.0 - 0.025 ** (1 / 60))
    with pytest.raises(ModelError, match="got 3 of 2"):
        clopper_pearson_upper(3, 2)
    with pytest.raises(ValueError, match=r"such as 0\.95"):
        clopper_pearson_upper(0, 2, level=1.0)


def test_refusals_say_what_is_wrong():
    with pytest.raises(ModelError, match=r"clusters: got shape \(2,\), expected \(3,\)"):
        clustered_wilson([1, 0, 1], [1, 2])
    with pytest.raises(ModelError, match="successes: got a value that is neither 0 nor 1"):
        clustered_wilson([1, 2], [1, 2])
    with pytest.raises(ValueError, match=r"such as 0\.95"):
        clustered_wilson([], [], level=95.0)
