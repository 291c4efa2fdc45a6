from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from cspine.errors import ModelError
from cspine_bench.metrics.binary import Confusion, as_binary, wilson
from cspine_bench.metrics.interval import normal_quantile

TRUTH = [1] * 8 + [0] * 12
SCORES = np.concatenate(
    (
        [0.95, 0.9, 0.85, 0.8, 0.7, 0.65, 0.6, 0.3],
        [0.75, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05],
    )
)
DECISION = SCORES >= 0.5

decisions = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def test_published_vector():
    found = Confusion.of(TRUTH, DECISION)
    assert found == Confusion(tp=7, fp=3, fn=1, tn=9)
    assert found.total == 20
    assert found.accuracy == 0.8
    assert found.sensitivity == 0.875
    assert found.specificity == 0.75
    assert found.f1 == pytest.approx(0.7778, abs=5e-5)
    assert found.kappa == pytest.approx(0.6, abs=1e-12)
    interval = wilson(found.tp, found.tp + found.fn)
    assert interval.low == pytest.approx(0.5291, abs=5e-5)
    assert interval.high == pytest.approx(0.9776, abs=5e-5)
    assert interval.level == 0.95


@given(decisions)
def test_agrees_with_scikit_learn(cases):
    truth, called = (np.array(column) for column in zip(*cases, strict=True))
    found = Confusion.of(truth, called)

    def score(metric, **options):
        return pytest.approx(metric(truth, called, zero_division=np.nan, **options), nan_ok=True)

    assert found.sensitivity == score(metrics.recall_score)
    assert found.specificity == score(metrics.recall_score, pos_label=False)
    assert found.ppv == score(metrics.precision_score)
    assert found.npv == score(metrics.precision_score, pos_label=False)
    assert found.f1 == score(metrics.f1_score)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, called))


def test_nothing_over_nothing_is_nan():
    nothing = Confusion(0, 0, 0, 0)
    for name in ("accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "kappa"):
        assert math.isnan(getattr(nothing, name)), name
    all_negative = Confusion(tp=0, fp=0, fn=0, tn=5)
    assert math.isnan(all_negative.sensitivity)
    assert math.isnan(all_negative.ppv)
    assert math.isnan(all_negative.kappa)
    assert all_negative.accuracy == all_negative.specificity == all_negative.npv == 1.0


@given(st.integers(1, 10**6), st.data(), st.floats(0.01, 0.999))
def test_wilson_holds_the_proportion_and_mirrors(total, data, level):
    successes = data.draw(st.integers(0, total))
    interval = wilson(successes, total, level=level)
    assert 0.0 <= interval.low <= successes / total <= interval.high <= 1.0
    assert interval.low < interval.high
    mirrored = wilson(total - successes, total, level=level)
    assert mirrored.low == pytest.approx(1.0 - interval.high, abs=1e-12)
    assert mirrored.high == pytest.approx(1.0 - interval.low, abs=1e-12)


@given(st.integers(1, 10**5), st.data())
def test_wilson_ends_where_the_score_test_just_rejects(total, data):
    successes = data.draw(st.integers(1, total))
    low = wilson(successes, total).low
    z = (successes / total - low) / math.sqrt(low * (1.0 - low) / total)
    assert z == pytest.approx(normal_quantile(0.95), rel=1e-6)


def test_wilson_of_none_all_and_nothing():
    assert wilson(0, 20).low == 0.0
    assert wilson(0, 20).high == pytest.approx(0.1611, abs=5e-5)
    assert wilson(20, 20).high == 1.0
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "total"), [(-1, 5), (6, 5), (0, -1)])
def test_impossible_proportion(successes, total):
    with pytest.raises(ModelError, match=f"got {successes} of {total}"):
        wilson(successes, total)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, -0.5, math.nan])
def test_impossible_level(level):
    with pytest.raises(ValueError, match=r"such as 0\.95"):
        wilson(1, 2, level=level)


def test_refusals_say_what_is_wrong():
    with pytest.raises(ModelError, match="decision: got 2 cases, expected 3"):
        Confusion.of([0, 1, 1], [0, 1])
    with pytest.raises(ModelError, match="truth: got a value that is neither 0 nor 1"):
        Confusion.of([0, 2], [0, 1])
    with pytest.raises(ModelError, match="decision: got a value that is neither 0 nor 1"):
        Confusion.of([0, 1], [0.0, math.nan])
    with pytest.raises(ModelError, match=r"truth: got shape \(1, 2\)"):
        as_binary([[0, 1]], name="truth")
    with pytest.raises(ModelError, match="expected counts of zero or more"):
        Confusion(1, 2, -3, 4)
