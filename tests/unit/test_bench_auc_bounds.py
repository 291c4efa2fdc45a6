"""The least width of the interval of an AUC difference: no jump, no certainty, coverage."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine_bench.metrics.auc import paired_auc
from cspine_bench.metrics.bounds import largest_shift
from cspine_bench.metrics.clustering import ByClass, ClusteredCases
from cspine_bench.metrics.interval import normal_quantile

PATIENTS, LEVELS = 60, 6
CLUSTERS = np.repeat(np.arange(PATIENTS), LEVELS)
# Neighbours in score are a negative and a positive case of one patient, then of another.
TRUTH = np.arange(PATIENTS * LEVELS) % 2 == 0
SCORES = np.random.default_rng(7).permutation(PATIENTS * LEVELS // 2).repeat(2) * 2.0 + TRUTH
FRACTION = 1.0 - 0.025 ** (1 / PATIENTS)


def half_width(found):
    return (found.interval.high - found.interval.low) / 2.0


def swapped(pairs, *, both_ways):
    """Swap one pair of neighbours in each of the first patients; half of them the other way."""
    candidate = SCORES.copy()
    for pair in range(pairs):
        positive = pair * LEVELS
        if both_ways and pair % 2:
            candidate[positive] += 2.0  # past the next negative case
        else:
            candidate[[positive, positive + 1]] = SCORES[[positive + 1, positive]]
    return candidate


@pytest.mark.parametrize("both_ways", [False, True])
def test_the_width_never_shrinks_as_pairs_are_swapped(both_ways):
    halves = []
    for pairs in (0, 1, 2, 5, 20, 40):
        candidate = swapped(pairs, both_ways=both_ways)
        found = paired_auc(TRUTH, SCORES, candidate, clusters=CLUSTERS)
        assert found.degenerate == (pairs == 0)
        assert (found.standard_error > 0.0) == (pairs > 0)
        halves.append(half_width(found))
    assert all(after >= 0.999 * before for before, after in pairwise(halves))
    assert 0.0 < halves[0] <= halves[1] < 0.005  # no step up either that would close a gate


def test_scores_alike_but_for_noise_pass_a_margin():
    noise = 1e-7 * np.random.default_rng(1).normal(size=SCORES.size)
    for candidate in (SCORES, SCORES + noise):
        found = paired_auc(TRUTH, SCORES, candidate, clusters=CLUSTERS)
        assert found.degenerate
        assert found.difference == found.standard_error == 0.0
        assert math.isnan(found.z)
        assert math.isnan(found.p)
        assert found.exact_bound == pytest.approx(2 * FRACTION / PATIENTS)  # a rank is one patient
        assert -0.02 < found.interval.low == -found.exact_bound
        assert found.interval.high == found.exact_bound


def test_the_fraction_counts_patients_of_the_smaller_class():
    truth = np.repeat([1, 0], [8, 12])
    spread = np.arange(20.0)
    found = paired_auc(truth, spread, spread)
    assert found.exact_bound == pytest.approx((1.0 - 0.025 ** (1 / 8)) * 2 / 8)
    level = paired_auc(truth, spread, spread, level=0.9).exact_bound
    assert level == pytest.approx((1.0 - 0.05 ** (1 / 8)) * 2 / 8)


def test_the_scale_of_the_scores_is_no_matter():
    candidate = swapped(5, both_ways=False)
    found = paired_auc(TRUTH, SCORES, candidate, clusters=CLUSTERS)
    assert paired_auc(TRUTH, SCORES, np.exp(candidate / 100.0), clusters=CLUSTERS) == found


def test_rank_changes_within_a_class_are_no_discordance():
    truth = np.array([1, 1, 1, 0, 0, 0])
    found = paired_auc(truth, np.array([9, 8, 3, 7, 1, 0]), np.array([8, 9, 3, 7, 0, 1]))
    assert found.degenerate
    assert found.difference == 0.0
    assert found.exact_bound == pytest.approx((1.0 - 0.025 ** (1 / 3)) * 2 / 3)  # two ranks


def test_shifts_that_cancel_in_a_patient_leave_no_spread_and_no_jump():
    """One positive of a patient passes a negative of another, and one falls behind the other."""
    truth, clusters, reference = TRUTH, CLUSTERS, 10.0 * np.arange(TRUTH.size)
    positive, negative = np.flatnonzero(truth)[:2], np.flatnonzero(~truth)[LEVELS : LEVELS + 2]
    reference[positive], reference[negative] = (-10.0, -19.0), (-9.0, -20.0)
    candidate = reference.copy()
    candidate[positive] = -8.0, -21.0
    found = paired_auc(truth, reference, candidate, clusters=clusters)
    assert found.degenerate
    assert found.difference == 0.0
    untouched = paired_auc(truth, reference, reference, clusters=clusters).exact_bound
    assert untouched < found.exact_bound < 0.01


@given(
    st.lists(st.floats(-1, 1), min_size=2, max_size=8),
    st.lists(st.floats(-1, 1), min_size=2, max_size=8),
)
def test_largest_shift_is_twice_the_furthest_or_two_ranks(positive, negative):
    cases = ClusteredCases(np.repeat([1, 0], [len(positive), len(negative)]), None)
    furthest = max(map(abs, positive + negative))
    rank = 1.0 / min(len(positive), len(negative))
    found = largest_shift(cases, ByClass(np.array(positive), np.array(negative)))
    assert found == pytest.approx(min(1.0, 2.0 * max(furthest, rank)))


def test_the_normal_interval_stands_where_it_is_wider():
    rng = np.random.default_rng(3)
    truth = np.repeat([1, 0], 400)
    reference, candidate = 1.5 * truth + rng.normal(size=(2, 800))
    found = paired_auc(truth, reference, candidate)
    assert found.exact_bound == pytest.approx(1.0 - 0.025 ** (1 / 400))
    normal = normal_quantile(0.95) * found.standard_error
    ends = found.difference - found.interval.low, found.interval.high - found.difference
    assert min(ends) == pytest.approx(normal)
    assert max(ends) == pytest.approx(normal, rel=0.02)  # so little is skewed here


@pytest.mark.parametrize("count", [30, 60])
@pytest.mark.parametrize(("correlation", "lost"), [(0.999, 0.0), (0.999, 0.05), (0.9999, 0.02)])
def test_nearly_equal_scores_are_covered_on_few_cases(count, correlation, lost):
    """AUC 0.95; the candidate separates by ``lost`` less. Monte-Carlo error: about 1 point."""
    rng = np.random.default_rng(12)
    apart = math.sqrt(2.0) * NormalDist().inv_cdf(0.95)
    true = NormalDist().cdf((apart - lost) / math.sqrt(2.0)) - 0.95
    truth = np.repeat([1, 0], count)
    covered = normal = 0
    for _ in range(400):
        noise, other = rng.normal(size=(2, truth.size))
        other = correlation * noise + math.sqrt(1.0 - correlation**2) * other
        found = paired_auc(truth, noise + apart * truth, other + (apart - lost) * truth)
        covered += found.interval.low <= true <= found.interval.high
        reached = normal_quantile(0.95) * found.standard_error
        normal += abs(found.difference - true) <= reached
    assert covered >= 0.95 * 400
    if lost == 0.02 and count == 30:  # here pairs seldom change order, and DeLong is sure of it
        assert normal < 0.85 * 400
