"""Two models' decisions: McNemar's p values, and the intervals of a paired difference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import binom, norm
from statsmodels.stats.contingency_tables import mcnemar as by_statsmodels
from statsmodels.stats.proportion import proportion_confint

from cspine.errors import ModelError
from cspine_bench.metrics.interval import normal_quantile
from cspine_bench.metrics.mcnemar import mcnemar, paired_decisions
from cspine_bench.metrics.paired import newcombe_interval, tango_interval
from cspine_bench.metrics.proportion import wilson

# Fagerland, Lydersen & Laake 2013 and 2014: airway hyper-responsiveness (Bentur 2009), complete
# response (Cavo 2012); both, gained, lost, neither.
AIRWAY = (1, 1, 7, 12)
RESPONSE = (59, 6, 16, 80)

untimed = settings(deadline=None)
count = st.integers(0, 40)
level = st.floats(0.5, 0.999)
outcomes = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.integers(0, 6)), min_size=1, max_size=40
)


def ends(interval, **tolerance):
    return pytest.approx((interval.low, interval.high), **(tolerance or {"abs": 1e-9}))


def test_published_p_values():
    assert mcnemar(1, 7) == pytest.approx((0.070, 0.039), abs=5e-4)
    assert mcnemar(6, 16) == pytest.approx((0.0525, 0.0347), abs=5e-5)


def test_published_intervals():
    _, gained, lost, _ = AIRWAY
    assert ends(tango_interval(gained, lost, 21), abs=5e-4) == (-0.517, -0.026)
    assert ends(newcombe_interval(*AIRWAY), abs=5e-4) == (-0.507, -0.026)
    assert ends(tango_interval(6, 16, 161), abs=5e-4) == (-0.124, -0.005)
    assert ends(newcombe_interval(*RESPONSE), abs=5e-4) == (-0.119, -0.005)
    # Altman, Statistics with Confidence, 2000, table 6.2.
    assert ends(newcombe_interval(14, 5, 0, 22), abs=5e-4) == (0.011, 0.226)


@untimed
@given(count, count)
def test_p_values_are_those_of_statsmodels_and_scipy(gained, lost):
    exact, mid = mcnemar(gained, lost)
    table = [[0, gained], [lost, 0]]
    assert exact == pytest.approx(by_statsmodels(table, exact=True).pvalue, rel=1e-9)
    if gained + lost:
        less = exact - binom.pmf(gained, gained + lost, 0.5) * (0.5 if gained == lost else 1.0)
        assert mid == pytest.approx(less, rel=1e-9, abs=1e-12)
    else:
        assert (exact, mid) == (1.0, 1.0)
    assert 0.0 < mid <= exact <= 1.0
    assert mcnemar(lost, gained) == (exact, mid)


def profile_z(delta, gained, lost, total):
    """Tango's statistic, its nuisance by numerical maximum of the likelihood."""

    def unlikely(share):
        rest = 1.0 - 2.0 * share - delta
        parts = ((gained, share + delta), (lost, share), (total - gained - lost, rest))
        return -sum(n * math.log(max(p, 1e-300)) for n, p in parts if n)

    least, most = max(0.0, -delta), (1.0 - delta) / 2.0
    share = minimize_scalar(
        unlikely, bounds=(least, most), method="bounded", options={"xatol": 1e-13}
    ).x
    return (gained - lost - total * delta) / math.sqrt(
        total * (2.0 * share + delta * (1.0 - delta))
    )


@pytest.mark.parametrize("table", [AIRWAY, RESPONSE, (30, 4, 2, 5), (270, 3, 9, 18)])
def test_tango_ends_where_the_score_test_just_rejects(table):
    both, gained, lost, neither = table
    total, z = both + gained + lost + neither, norm.ppf(0.975)
    found = tango_interval(gained, lost, total)
    difference = (gained - lost) / total
    low = brentq(lambda d: profile_z(d, gained, lost, total) - z, -0.99, difference)
    high = brentq(lambda d: profile_z(d, gained, lost, total) + z, difference, 0.99)
    # The numerical maximum is flat, so it is known to half the digits only.
    assert ends(found, abs=1e-6) == (low, high)


def test_tango_without_a_change_is_near_the_exact_bound():
    square = norm.ppf(0.975) ** 2
    for total in (20, 300, 5000):
        end = square / (total + square)
        assert ends(tango_interval(0, 0, total), abs=1e-9) == (-end, end)
        assert end == pytest.approx(1.0 - 0.025 ** (1 / total), rel=0.05)
    assert newcombe_interval(150, 0, 0, 150).high < 0.55 * tango_interval(0, 0, 300).high


@untimed
@given(count, count, count, count, level)
def test_newcombe_on_the_wilson_intervals_of_statsmodels(both, gained, lost, neither, level):
    total = both + gained + lost + neither
    if not total:
        with pytest.raises(ModelError, match="and a case"):
            newcombe_interval(both, gained, lost, neither)
        return
    first, second = both + gained, both + lost
    (l1, u1), (l2, u2) = (
        proportion_confint(x, total, 1.0 - level, "wilson") for x in (first, second)
    )
    p, q = first / total, second / total
    product = both * neither - gained * lost
    product = product - total / 2 if product > total / 2 else min(product, 0.0)
    scale = math.sqrt(first * (total - first)) * math.sqrt(second * (total - second))
    phi = product / scale if scale else 0.0
    low = (p - l1) ** 2 - 2 * phi * (p - l1) * (u2 - q) + (u2 - q) ** 2
    high = (u1 - p) ** 2 - 2 * phi * (u1 - p) * (q - l2) + (q - l2) ** 2
    found = newcombe_interval(both, gained, lost, neither, level=level)
    # A root of what is zero but for rounding has half its digits.
    assert (found.low, found.high) == pytest.approx(
        (max(-1.0, p - q - math.sqrt(max(low, 0.0))), min(1.0, p - q + math.sqrt(max(high, 0.0)))),
        abs=1e-7,
    )
    wilson_ends = wilson(first, total, level=level)
    assert (wilson_ends.low, wilson_ends.high) == pytest.approx((l1, u1), abs=1e-9)
    turned = newcombe_interval(neither, lost, gained, both, level=level)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-7)


@untimed
@given(count, count, count, level)
def test_tango_holds_the_difference_and_mirrors(gained, lost, same, level):
    total = gained + lost + same
    if not total:
        return
    found = tango_interval(gained, lost, total, level=level)
    assert -1.0 <= found.low <= (gained - lost) / total <= found.high <= 1.0
    assert found.low < found.high
    swapped = tango_interval(lost, gained, total, level=level)
    assert ends(found) == (-swapped.high, -swapped.low)
    wider = tango_interval(gained, lost, total, level=(1.0 + level) / 2.0)
    assert wider.low <= found.low <= found.high <= wider.high


@untimed
@given(outcomes)
def test_single_cases_give_the_counts_their_own_interval(cases):
    before, after, _ = (np.array(column) for column in zip(*cases, strict=True))
    found = paired_decisions(before, after, clusters=np.arange(before.size))
    assert found.gained == np.count_nonzero(after & ~before)
    assert found.lost == np.count_nonzero(before & ~after)
    assert found.both + found.gained + found.lost + found.neither == before.size
    assert found.difference == pytest.approx(after.mean() - before.mean(), abs=1e-12)
    expected = tango_interval(found.gained, found.lost, before.size)
    assert ends(found.interval) == (expected.low, expected.high)
    assert (found.exact_p, found.mid_p) == mcnemar(found.gained, found.lost)


@pytest.mark.parametrize("patients", [12, 47, 100, 250])
def test_one_more_lost_case_never_makes_it_better(patients):
    clusters = np.repeat(np.arange(patients), 6)
    before = np.ones(clusters.size, bool)
    lows = []
    for lost in range(min(patients, 20)):
        after = before.copy()
        after[: 6 * lost : 6] = False  # of as many patients, one case each
        lows.append(paired_decisions(before, after, clusters=clusters).interval.low)
    assert lows == sorted(lows, reverse=True)
    square = normal_quantile(0.95) ** 2
    assert lows[0] == pytest.approx(-square / (patients + square))


def test_losses_of_whole_patients_among_single_ones_seldom_pass_unseen():
    """Truly worse by 0.02: 1.5 % of patients lose all six cases, 3 % one. Seeded, so no chance."""
    rng = np.random.default_rng(2)
    clusters, before = np.repeat(np.arange(100), 6), np.ones(600, bool)
    passed = 0
    for _ in range(300):
        lost = np.zeros((100, 6), bool)
        kind = rng.random(100)
        lost[kind < 0.015] = True
        lost[(kind >= 0.015) & (kind < 0.045), 0] = True
        found = paired_decisions(before, ~lost.ravel(), clusters=clusters)
        passed += found.interval.low > -0.02
    assert passed <= 0.025 * 300


@pytest.mark.parametrize("copies", range(2, 8))
def test_where_every_case_changes_rounding_makes_no_more_changes_than_cases(copies):
    for patients in range(2, 40):
        after = np.repeat(np.arange(patients) % 3 > 0, copies)
        found = paired_decisions(~after, after, clusters=np.repeat(np.arange(patients), copies))
        assert found.gained + found.lost == after.size
        assert found.interval.low <= found.difference <= found.interval.high


@untimed
@given(outcomes, st.integers(2, 5))
def test_copies_within_a_patient_teach_nothing(cases, copies):
    before, after, _ = (np.array(column) for column in zip(*cases, strict=True))
    ids = np.arange(before.size)
    one = paired_decisions(before, after, clusters=ids)
    again = paired_decisions(
        *(np.repeat(x, copies) for x in (before, after)), clusters=np.repeat(ids, copies)
    )
    # Several cases a patient may hide what one a patient cannot.
    assert again.interval.low <= one.interval.low + 1e-9
    assert again.interval.high >= one.interval.high - 1e-9
    assert (again.exact_p, again.mid_p) == (one.exact_p, one.mid_p)


@untimed
@given(outcomes, st.randoms(use_true_random=False))
def test_clusters_widen_and_order_does_not_matter(cases, random):
    before, after, ids = (np.array(column) for column in zip(*cases, strict=True))
    found = paired_decisions(before, after, clusters=ids)
    alone = paired_decisions(before, after, clusters=np.arange(before.size))
    assert found.interval.low <= alone.interval.low + 1e-12
    assert found.interval.high >= alone.interval.high - 1e-12
    swapped = paired_decisions(after, before, clusters=ids)
    assert ends(swapped.interval) == (-found.interval.high, -found.interval.low)
    assert swapped.exact_p == found.exact_p
    order = list(range(before.size))
    random.shuffle(order)
    names = np.array(list("gfedcba"))[ids][order]
    shuffled = paired_decisions(before[order], after[order], clusters=names)
    assert ends(shuffled.interval) == (found.interval.low, found.interval.high)


def test_no_change_counts_patients():
    ids = np.repeat(np.arange(60), 5)
    right = np.ones(300, bool)
    assert paired_decisions(right, right, clusters=ids).interval == tango_interval(0, 0, 60)


def test_correlated_changes_are_covered_as_independent_ones_are_not():
    """A patient in ten changes, all five levels at once, either way alike."""
    rng = np.random.default_rng(2)
    ids = np.repeat(np.arange(60), 5)
    missed = naive = rejected = 0
    for _ in range(300):
        net = rng.choice([-1, 0, 1], p=[0.05, 0.9, 0.05], size=60)[ids]
        before, after = net <= 0, net >= 0
        found = paired_decisions(before, after, clusters=ids)
        missed += not found.interval.low <= 0.0 <= found.interval.high
        rejected += found.exact_p <= 0.05
        alone = paired_decisions(before, after, clusters=np.arange(300))
        naive += not alone.interval.low <= 0.0 <= alone.interval.high
    assert missed <= 0.08 * 300
    assert rejected <= 0.05 * 300
    assert naive >= 0.15 * 300


def test_refusals_say_what_is_wrong():
    with pytest.raises(ModelError, match="candidate: got 1 cases, expected 2 as in reference"):
        paired_decisions([0, 1], [1], clusters=[1, 2])
    with pytest.raises(ModelError, match="candidate: got 0 cases"):
        paired_decisions([], [], clusters=[])
    with pytest.raises(ModelError, match="reference: got a value that is neither 0 nor 1"):
        paired_decisions([2], [1], clusters=[1])
    with pytest.raises(ModelError, match=r"clusters: got shape \(2,\), expected \(1,\)"):
        paired_decisions([0], [1], clusters=[1, 2])
    with pytest.raises(ModelError, match="changes: got -1 and 2"):
        mcnemar(-1, 2)
    for gained, lost, total in ((-1, 0, 5), (3, 3, 5), (0, 0, 0), (0, math.nan, 5)):
        with pytest.raises(ModelError, match="no more than all, and a case"):
            tango_interval(gained, lost, total)
    with pytest.raises(ModelError, match="none below zero"):
        newcombe_interval(5, -1, 0, 3)
    with pytest.raises(ValueError, match=r"such as 0\.95"):
        tango_interval(1, 2, 5, level=1.0)
