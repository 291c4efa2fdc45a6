from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from cspine.errors import ModelError
from cspine_bench.metrics.agreement import confusion_matrix, macro_f1
from cspine_bench.metrics.bootstrap import bootstrap_interval
from cspine_bench.metrics.f1 import f1_interval, macro_f1_interval
from cspine_bench.metrics.proportion import clustered_wilson

untimed = settings(deadline=None)
decisions = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.integers(0, 6)), min_size=1, max_size=40
).filter(lambda cases: any(truth or called for truth, called, _ in cases))


def calls(*, right, patients=40, most=4, classes=3, seed=1):
    """True and called grades; a patient is easy or hard, so that his levels agree."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(patients), rng.integers(1, most + 1, size=patients))
    truth = rng.integers(0, classes, size=ids.size)
    easy = rng.beta(2.0 * right, 2.0 * (1.0 - right), size=patients)[ids]
    other = (truth + rng.integers(1, classes, size=ids.size)) % classes
    return truth, np.where(rng.random(ids.size) < easy, truth, other), ids


@untimed
@given(decisions)
def test_it_holds_f1_in_range_and_ignores_true_negatives(cases):
    truth, called, ids = (np.array(column) for column in zip(*cases, strict=True))
    found = f1_interval(truth, called, clusters=ids)
    value = f1_score(truth, called, zero_division=0.0)
    assert 0.0 <= found.low <= value + 1e-12
    assert value - 1e-12 <= found.high <= 1.0
    assert found.low < found.high
    swapped = f1_interval(called, truth, clusters=ids)
    assert swapped == found
    more = f1_interval(
        np.append(truth, [False] * 9),
        np.append(called, [False] * 9),
        clusters=np.append(ids, [7] * 9),
    )
    assert more == found


def test_by_hand():
    """Seven of eleven that are positive anywhere: F1 is 7 / 9."""
    truth = np.repeat([1, 1, 0, 0], [7, 1, 3, 9])
    called = np.repeat([1, 0, 1, 0], [7, 1, 3, 9])
    found = f1_interval(truth, called, clusters=np.arange(20))
    of_share = clustered_wilson([1] * 7 + [0] * 4, np.arange(11))
    assert found.low == pytest.approx(2 * of_share.low / (1 + of_share.low))
    assert found.high == pytest.approx(2 * of_share.high / (1 + of_share.high))


def test_it_is_near_the_bootstrap():
    truth, called, ids = calls(right=0.8, patients=150, classes=2)

    def of(cases):
        return float(f1_score(truth[cases], called[cases]))

    drawn = bootstrap_interval(of, ids, seed=2, resamples=300)
    found = f1_interval(truth, called, clusters=ids)
    assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), abs=0.02)


def test_f1_is_covered_where_patients_differ():
    truth, called, _ = calls(right=0.85, patients=20_000, most=5, classes=2)
    population = f1_score(truth, called)
    covered = 0
    for seed in range(400):
        truth, called, ids = calls(right=0.85, patients=60, most=5, classes=2, seed=seed + 10)
        found = f1_interval(truth, called, clusters=ids)
        covered += found.low <= population <= found.high
    assert 0.92 <= covered / 400 <= 0.98


def test_macro_f1_is_the_bootstrap_of_itself():
    truth, called, ids = calls(right=0.8)
    found = macro_f1_interval(truth, called, classes=3, clusters=ids, seed=4, level=0.9)
    assert found.low < macro_f1(confusion_matrix(truth, called, classes=3)) < found.high
    assert found.level == 0.9
    again = macro_f1_interval(truth, called, classes=3, clusters=ids, seed=4, level=0.9)
    assert again == found
    renamed = macro_f1_interval(2 - truth, 2 - called, classes=3, clusters=ids, seed=4, level=0.9)
    assert (renamed.low, renamed.high) == pytest.approx((found.low, found.high), abs=1e-12)
    copied = macro_f1_interval(
        np.tile(truth, 2),
        np.tile(called, 2),
        classes=3,
        clusters=np.tile(ids, 2),
        seed=4,
        level=0.9,
    )
    assert (copied.low, copied.high) == pytest.approx((found.low, found.high), abs=1e-12)


def test_all_right_and_all_wrong_are_bounded():
    truth = np.arange(60) % 3
    ids = np.arange(60) // 2
    right = macro_f1_interval(truth, truth, classes=3, clusters=ids, seed=0)
    assert 0.7 < right.low < right.high == 1.0
    more = macro_f1_interval(
        np.tile(truth, 4), np.tile(truth, 4), classes=3, clusters=np.arange(240) // 2, seed=0
    )
    assert right.low < more.low < 1.0
    wrong = macro_f1_interval(truth, (truth + 1) % 3, classes=3, clusters=ids, seed=0)
    assert wrong.low == 0.0 < wrong.high < 0.3
    # What a class of 10 patients may hide counts, whatever the others show.
    few = np.append(np.zeros(50, int), np.ones(10, int))
    found = macro_f1_interval(few, few, classes=2, clusters=np.arange(60), seed=0)
    of_rare = f1_interval(few == 1, few == 1, clusters=np.arange(60), level=0.975)
    of_common = f1_interval(few == 0, few == 0, clusters=np.arange(60), level=0.975)
    assert found.low == pytest.approx((of_rare.low + of_common.low) / 2)


def test_refusals_say_what_is_wrong():
    with pytest.raises(ModelError, match="no case that is positive in truth or decision"):
        f1_interval([0, 0], [0, 0], clusters=[1, 2])
    with pytest.raises(ModelError, match="got 2 true, 1 called and 2 clusters"):
        f1_interval([0, 1], [1], clusters=[1, 2])
    with pytest.raises(ModelError, match="got 2 true, 2 called and 1 clusters"):
        macro_f1_interval([0, 1], [1, 1], classes=2, clusters=[1], seed=0)
    with pytest.raises(ModelError, match="labels from 0 to 2, expected 0 to 1"):
        macro_f1_interval([0, 2], [1, 1], classes=2, clusters=[1, 2], seed=0)
    with pytest.raises(ModelError, match="add patients"):
        macro_f1_interval([0, 1], [1, 1], classes=2, clusters=[1, 2], seed=0)
    with pytest.raises(ModelError, match="expected at least 6"):
        macro_f1_interval([], [], classes=2, clusters=[], seed=0)
