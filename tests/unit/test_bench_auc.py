from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from cspine.errors import ModelError
from cspine_bench.metrics.auc import auc, auc_interval, paired_auc
from cspine_bench.metrics.interval import normal_quantile

TRUTH = np.array([1] * 8 + [0] * 12)
A = np.concatenate(
    (
        [0.95, 0.9, 0.85, 0.8, 0.7, 0.65, 0.6, 0.3],
        [0.75, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05],
    )
)
B = np.concatenate(
    (
        [0.8, 0.9, 0.4, 0.7, 0.5, 0.95, 0.3, 0.6],
        [0.85, 0.55, 0.65, 0.45, 0.5, 0.2, 0.35, 0.25, 0.75, 0.15, 0.1, 0.05],
    )
)

# Two models' scores and a patient; few distinct values, so that ties are the rule.
case = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 5))


@st.composite
def case_sets(draw, *, patients=2):
    """Truth, reference, candidate and clusters, with enough patients in either class."""
    enough = st.lists(case, min_size=2, max_size=15).filter(
        lambda cases: len({cluster for _, _, cluster in cases}) >= patients
    )
    positive, negative = draw(enough), draw(enough)
    columns = np.array(positive + negative).T
    truth = np.repeat([1, 0], [len(positive), len(negative)])
    return truth, columns[0], columns[1], columns[2]


def logit_variance(interval, area):
    """Undo the logit interval: the variance of the area that it was made from."""
    logits = [math.log(end / (1.0 - end)) for end in (interval.low, interval.high)]
    half = (logits[1] - logits[0]) / 2.0
    return (half * area * (1.0 - area) / normal_quantile(interval.level)) ** 2


def half_width(found):
    return (found.interval.high - found.interval.low) / 2.0


def kernel(truth, scores):
    """Every pair, shape (positives, negatives): 1 in order, 0.5 tied or without a score, 0 not."""
    positive, negative = scores[truth == 1][:, None], scores[truth == 0]
    unknown = np.isnan(positive) | np.isnan(negative)
    return (positive > negative) + 0.5 * ((positive == negative) | unknown)


def obuchowski(truth, models, clusters):
    """Covariance of the models' AUCs, term by term as printed in 1997, over all pairs."""
    first, second = clusters[truth == 1], clusters[truth == 0]
    M, N, ids = first.size, second.size, np.unique(clusters)
    pairs = [kernel(truth, scores) for scores in models]
    a = np.array([[(p.mean(1) - p.mean())[first == i].sum() for i in ids] for p in pairs])
    b = np.array([[(p.mean(0) - p.mean())[second == i].sum() for i in ids] for p in pairs])
    I10, I01, total = np.unique(first).size, np.unique(second).size, ids.size
    S10 = I10 / ((I10 - 1) * M) * a @ a.T
    S01 = I01 / ((I01 - 1) * N) * b @ b.T
    S11 = total / (total - 1) * a @ b.T
    return S10 / M + S01 / N + (S11 + S11.T) / (M * N)


def test_published_vector():
    found = paired_auc(TRUTH, B, A)
    assert found.auc_candidate == pytest.approx(0.901042, abs=5e-7)
    assert found.auc_reference == pytest.approx(0.755208, abs=5e-7)
    assert found.difference == pytest.approx(0.145833, abs=5e-7)
    assert found.standard_error == pytest.approx(0.115080, abs=5e-7)
    assert found.z == pytest.approx(1.267231, abs=5e-7)
    assert found.p == pytest.approx(0.205073, abs=5e-7)
    assert not found.degenerate
    # A case moves by half of the range, so anything may move anywhere, on eight positives.
    assert found.exact_bound == pytest.approx(1.0 - 0.025 ** (1 / 8))
    assert half_width(found) == pytest.approx(found.exact_bound)

    of_a, of_b = auc_interval(TRUTH, A), auc_interval(TRUTH, B)
    assert of_a.low == pytest.approx(0.6293, abs=5e-5)
    assert of_a.high == pytest.approx(0.9799, abs=5e-5)
    variance_a = logit_variance(of_a, found.auc_candidate)
    variance_b = logit_variance(of_b, found.auc_reference)
    assert variance_a == pytest.approx(0.005838, abs=5e-7)
    assert variance_b == pytest.approx(0.012292, abs=5e-7)
    covariance = (variance_a + variance_b - found.standard_error**2) / 2.0
    assert covariance == pytest.approx(0.002443, abs=5e-7)
    area, half = found.auc_candidate, normal_quantile(0.95) * math.sqrt(variance_a)
    assert area - half == pytest.approx(0.7513, abs=5e-5)
    assert area + half == pytest.approx(1.0508, abs=5e-5)


@given(case_sets())
def test_area_agrees_with_scikit_learn(cases):
    truth, scores, _, _ = cases
    assert auc(truth, scores) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)


@given(case_sets())
def test_only_the_order_of_scores_matters_but_to_the_bound(cases):
    truth, reference, candidate, clusters = cases
    mapped = np.exp(reference / 3.0) - 5.0, candidate.astype(float) ** 3
    assert auc(truth, mapped[0]) == auc(truth, reference)
    here = paired_auc(truth, reference, candidate, clusters=clusters)
    there = paired_auc(truth, *mapped, clusters=clusters)
    for name in ("auc_reference", "auc_candidate", "difference", "standard_error", "z", "p"):
        assert repr(getattr(there, name)) == repr(getattr(here, name)), name


@given(case_sets())
def test_a_common_scale_and_offset_do_not_matter(cases):
    truth, reference, candidate, clusters = cases
    moved = paired_auc(truth, 4.0 * reference - 7.0, 4.0 * candidate - 7.0, clusters=clusters)
    assert repr(moved) == repr(paired_auc(truth, reference, candidate, clusters=clusters))


@given(case_sets())
def test_the_classes_may_change_sides(cases):
    truth, scores, candidate, clusters = cases
    assert auc(1 - truth, -scores) == pytest.approx(auc(truth, scores), abs=1e-12)
    assert auc(1 - truth, scores) == pytest.approx(1.0 - auc(truth, scores), abs=1e-12)
    here = paired_auc(truth, scores, candidate, clusters=clusters)
    there = paired_auc(1 - truth, -scores, -candidate, clusters=clusters)
    assert there.difference == pytest.approx(here.difference, abs=1e-12)
    assert there.standard_error == pytest.approx(here.standard_error, abs=1e-12)


@given(case_sets(), st.randoms(use_true_random=False))
def test_order_of_cases_and_names_of_clusters_do_not_matter(cases, random):
    order = random.sample(range(cases[0].size), cases[0].size)
    truth, reference, candidate, clusters = (column[order] for column in cases)
    names = np.array(["f", "a", "e", "b", "d", "c"])[clusters]
    here = paired_auc(*cases[:3], clusters=cases[3])
    there = paired_auc(truth, reference, candidate, clusters=names)
    assert there.degenerate == here.degenerate
    for name in ("auc_reference", "auc_candidate", "difference", "standard_error"):
        assert getattr(there, name) == pytest.approx(getattr(here, name), abs=1e-12)
    assert there.interval.low == pytest.approx(here.interval.low, abs=1e-12)
    assert there.interval.high == pytest.approx(here.interval.high, abs=1e-12)


@given(case_sets())
def test_the_variance_is_the_printed_one(cases):
    truth, reference, candidate, clusters = cases
    contrast = np.array([-1.0, 1.0])
    for groups in (clusters, np.arange(truth.size)):
        covariance = obuchowski(truth, (reference, candidate), groups)
        found = paired_auc(truth, reference, candidate, clusters=groups)
        variance = contrast @ covariance @ contrast
        assert found.standard_error**2 == pytest.approx(variance, abs=1e-14)
        if 0.0 < found.auc_reference < 1.0 and covariance[0, 0] > 1e-9:
            alone = auc_interval(truth, reference, clusters=groups)
            assert logit_variance(alone, found.auc_reference) == pytest.approx(covariance[0, 0])


@given(case_sets())
def test_a_case_without_a_score_ranks_as_chance_does(cases):
    truth, scores, other, clusters = cases
    answered = other > 1
    known = np.where(answered, scores, np.nan)
    pairs = kernel(truth, known)
    area = auc(truth, np.where(answered, scores, np.inf), answered=answered)
    assert area == pytest.approx(pairs.mean())
    variance = obuchowski(truth, [known], clusters)[0, 0]
    if 0.0 < area < 1.0 and variance > 1e-9:
        interval = auc_interval(truth, known, answered=answered, clusters=clusters)
        assert logit_variance(interval, area) == pytest.approx(variance)


@given(case_sets())
def test_without_clusters_it_is_delong_and_so_it_is_with_singletons(cases):
    truth, reference, candidate, _ = cases
    found = paired_auc(truth, reference, candidate)
    change = kernel(truth, candidate) - kernel(truth, reference)
    delong = (
        change.mean(1).var(ddof=1) / change.shape[0] + change.mean(0).var(ddof=1) / change.shape[1]
    )
    assert found.standard_error**2 == pytest.approx(delong, abs=1e-14)
    singletons = np.arange(truth.size)[::-1]
    again = paired_auc(truth, reference, candidate, clusters=singletons)
    assert again.standard_error == pytest.approx(found.standard_error, rel=1e-12, abs=1e-15)
    assert again.exact_bound == pytest.approx(found.exact_bound)


@given(case_sets(), st.integers(2, 4))
def test_copies_of_a_case_add_no_evidence_within_their_cluster(cases, copies):
    truth, reference, candidate, _ = cases
    once = paired_auc(truth, reference, candidate)
    repeated = (np.repeat(column, copies) for column in (truth, reference, candidate))
    clusters = np.repeat(np.arange(truth.size), copies)
    clustered = paired_auc(*repeated, clusters=clusters)
    assert clustered.standard_error == pytest.approx(once.standard_error, abs=1e-12)
    assert clustered.exact_bound == pytest.approx(once.exact_bound)


@given(case_sets(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_an_interval_holds_its_estimate_and_is_never_a_point(cases, level):
    truth, reference, candidate, clusters = cases
    found = paired_auc(truth, reference, candidate, clusters=clusters, level=level)
    assert -1.0 <= found.interval.low <= found.difference <= found.interval.high <= 1.0
    assert found.interval.low < found.interval.high
    area = auc(truth, reference)
    alone = auc_interval(truth, reference, clusters=clusters, level=level)
    assert 0.0 <= alone.low <= area + 1e-12
    assert area - 1e-12 <= alone.high <= 1.0
    assert alone.low < alone.high
    opposite = paired_auc(truth, candidate, reference, clusters=clusters, level=level)
    assert opposite.interval.low == pytest.approx(-found.interval.high, abs=1e-12)


def test_standard_error_is_the_jackknife_over_patients():
    rng = np.random.default_rng(11)
    truth, reference, candidate, clusters = patients(rng, 80, shared_truth=False)
    left_out = []
    for patient in np.unique(clusters):
        rest = clusters != patient
        left_out.append(auc(truth[rest], candidate[rest]) - auc(truth[rest], reference[rest]))
    jackknife = math.sqrt(79 / 80 * np.sum((left_out - np.mean(left_out)) ** 2))
    found = paired_auc(truth, reference, candidate, clusters=clusters)
    assert found.standard_error == pytest.approx(jackknife, rel=0.03)
    assert found.standard_error < 0.9 * paired_auc(truth, reference, candidate).standard_error


def test_large_sets_take_no_matrix_of_pairs():
    rng = np.random.default_rng(3)
    truth = rng.random(200_000) < 0.5
    scores = rng.normal(size=truth.size) + truth
    assert auc(truth, scores) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    swapped = scores.copy()
    first, second = np.flatnonzero(truth)[0], np.flatnonzero(~truth)[0]
    swapped[[first, second]] = scores[[second, first]]
    assert paired_auc(truth, scores, swapped).standard_error > 0.0


def test_a_constant_difference_is_bounded_by_hoeffding():
    truth = np.repeat([1, 0], 500)
    found = paired_auc(truth, truth, np.zeros(1000))
    assert found.degenerate
    assert found.difference == -0.5
    assert math.isnan(found.p)
    assert 2.0 * math.exp(-2.0 * 500 * (found.exact_bound / 2.0) ** 2) == pytest.approx(0.05)
    assert found.interval.high == pytest.approx(-0.5 + found.exact_bound)
    constant = auc_interval(truth, np.zeros(1000))
    assert 2.0 * math.exp(-2.0 * 500 * (constant.high - 0.5) ** 2) == pytest.approx(0.05)
    assert constant.low == pytest.approx(1.0 - constant.high)


def test_two_patients_who_change_places_are_degenerate_yet_discordant():
    truth, clusters = [1, 0, 1, 0], ["p", "p", "q", "q"]
    found = paired_auc(truth, [2, 1, 4, 3], [4, 3, 2, 1], clusters=clusters)
    assert found.difference == 0.0
    assert found.degenerate
    assert (found.interval.low, found.interval.high) == (-1.0, 1.0)


def test_perfect_separation_has_an_exact_interval():
    truth = np.repeat([1, 0], [20, 30])
    best, worst = auc_interval(truth, truth), auc_interval(truth, 1 - truth)
    assert best.high == 1.0
    assert best.low == pytest.approx(0.025 ** (1 / 20))
    assert worst.low == 0.0
    assert worst.high == pytest.approx(1.0 - best.low)


@given(st.lists(st.sampled_from(["positive", "negative", "both"]), min_size=2, max_size=9))
def test_exact_bound_counts_pairs_of_patients_that_share_none(kinds):
    def disjoint(left):
        """Try every way to pair patients off."""
        if len(left) < 2:
            return 0
        first, rest = left[0], left[1:]
        best = disjoint(rest)
        for i, other in enumerate(rest):
            if other != first or first == "both":
                best = max(best, 1 + disjoint(rest[:i] + rest[i + 1 :]))
        return best

    labels = {"positive": [1], "negative": [0], "both": [1, 0]}
    truth = np.array([label for kind in kinds for label in labels[kind]])
    clusters = np.array([i for i, kind in enumerate(kinds) for _ in labels[kind]])
    if min(np.unique(clusters[truth == label]).size for label in (0, 1)) < 2:
        with pytest.raises(ModelError):
            paired_auc(truth, truth, truth, clusters=clusters)
        return
    low = auc_interval(truth, truth, clusters=clusters).low
    assert low ** disjoint(kinds) == pytest.approx(0.025)


def binormal(separation):
    return NormalDist().cdf(separation / math.sqrt(2.0))


def normal_covers(found, true):
    return abs(found.difference - true) <= normal_quantile(0.95) * found.standard_error


def patients(rng, count, *, shared_truth):
    """Simulate four levels a patient, where a patient shifts the scores of all four.

    Either the patient decides the truth of all levels, or two are positive and two negative. Both
    models have the same distribution, so that their true difference is exactly 0.
    """
    clusters = np.repeat(np.arange(count), 4)
    truth = np.repeat(rng.random(count) < 0.5, 4) if shared_truth else np.arange(4 * count) % 2 == 0
    shift, noise = (rng.normal(size=(2, size)) for size in (count, 4 * count))
    reference, candidate = 1.5 * truth + 0.8 * shift[:, clusters] + 0.6 * noise
    return truth, reference, candidate, clusters


def test_delong_covers_the_paired_difference():
    rng = np.random.default_rng(20)
    truth = np.repeat([1, 0], 60)
    true = binormal(1.4) - binormal(1.6)
    found = []
    for _ in range(500):
        noise = rng.normal(size=120)
        other = 0.8 * noise + 0.6 * rng.normal(size=120)
        found.append(paired_auc(truth, noise + 1.6 * truth, other + 1.4 * truth))
    assert 0.92 <= np.mean([normal_covers(one, true) for one in found]) <= 0.98
    assert np.mean([one.interval.low <= true <= one.interval.high for one in found]) >= 0.94
    spread = np.std([one.difference for one in found])
    assert np.mean([one.standard_error for one in found]) == pytest.approx(spread, rel=0.1)


def test_logit_interval_covers_a_high_area():
    rng = np.random.default_rng(21)
    truth = np.repeat([1, 0], [30, 90])
    true, covered = binormal(2.3), 0
    for _ in range(500):
        interval = auc_interval(truth, rng.normal(size=120) + 2.3 * truth)
        covered += interval.low <= true <= interval.high
    assert 0.92 <= covered / 500 <= 0.985


@pytest.mark.parametrize("shared_truth", [True, False])
def test_clusters_give_the_spread_that_delong_mistakes(shared_truth):
    rng = np.random.default_rng(22)
    clustered, plain = [], []
    for _ in range(1000):
        *cases, clusters = patients(rng, 60, shared_truth=shared_truth)
        clustered.append(paired_auc(*cases, clusters=clusters))
        plain.append(paired_auc(*cases).standard_error)
    assert 0.92 <= np.mean([normal_covers(one, 0.0) for one in clustered]) <= 0.97
    spread = np.std([one.difference for one in clustered])
    assert np.mean([one.standard_error for one in clustered]) == pytest.approx(spread, rel=0.06)
    if shared_truth:  # four cases are worth little more than one, and DeLong counts four
        assert np.mean(plain) < 0.7 * spread
    else:  # the patients' shifts cancel between the classes, unseen by DeLong
        assert np.mean(plain) > 1.1 * spread


def test_refusals_say_what_is_wrong():
    with pytest.raises(ModelError, match="truth: got 3 positive of 3 cases, expected both classes"):
        auc([1, 1, 1], [1, 2, 3])
    with pytest.raises(ModelError, match="truth: got 0 positive of 0 cases"):
        auc([], [])
    with pytest.raises(ModelError, match=r"scores: got shape \(3,\), expected \(2,\)"):
        auc([0, 1], [1, 2, 3])
    with pytest.raises(ModelError, match="candidate: got a score that is not finite"):
        paired_auc([0, 1, 0, 1], [1, 2, 3, 4], [1, 2, math.nan, 4])
    with pytest.raises(ModelError, match="scores: got a score that is not finite"):
        auc([0, 1], [1, math.nan], answered=[0, 1])
    with pytest.raises(ModelError, match=r"scores: got shape \(1,\), expected \(2,\)"):
        auc([0, 1], [1, 2], answered=[1])
    with pytest.raises(ModelError, match=r"clusters: got shape \(1,\), expected \(4,\)"):
        paired_auc([0, 1, 0, 1], [1, 2, 3, 4], [1, 2, 3, 4], clusters=[1])
    with pytest.raises(ModelError, match="got 1 with a positive case, expected at least 2"):
        auc_interval([0, 1, 0], [1, 2, 3])
    with pytest.raises(ModelError, match="got 1 with a negative case"):
        paired_auc([0, 1, 0, 1], [1, 2, 3, 4], [1, 2, 3, 4], clusters=[1, 2, 1, 3])
    with pytest.raises(ValueError, match=r"level: got 1\.5"):
        paired_auc(TRUTH, A, B, level=1.5)
    assert auc([0, 1], [1, 2]) == 1.0
