from __future__ import annotations

import gc
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from cspine.errors import ModelError
from cspine_bench.metrics.holm import holm_adjusted, holm_rejects

untimed = settings(deadline=None)

values = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20)


@pytest.fixture
def few_objects():
    """Statsmodels collects garbage at every call: a second each, where a whole suite has run."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("few_objects")
@untimed
@given(values)
def test_adjusted_values_are_those_of_statsmodels(p):
    _, expected, _, _ = multipletests(p, method="holm")
    np.testing.assert_allclose(holm_adjusted(p), expected, rtol=1e-9, atol=1e-12)


@untimed
@given(values, st.floats(0.01, 0.2))
def test_the_steps_go_down_until_one_fails(p, alpha):
    """Holm 1979 as he words it, over a sorted list."""
    rejected = set()
    for step, index in enumerate(sorted(range(len(p)), key=lambda i: (p[i], i))):
        if p[index] * (len(p) - step) > alpha:
            break
        rejected.add(index)
    found = holm_rejects(p, alpha=alpha)
    assert set(np.flatnonzero(found)) == rejected
    assert not found[np.array(p) > alpha].any()


@untimed
@given(values, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_no_value_falls(p, random):
    adjusted = holm_adjusted(p)
    assert (adjusted >= p).all()
    assert (adjusted <= 1.0).all()
    order = list(range(len(p)))
    random.shuffle(order)
    np.testing.assert_array_equal(holm_adjusted(np.array(p)[order]), adjusted[order])


def test_of_one_and_of_none():
    assert holm_adjusted([0.03]).tolist() == [0.03]
    assert holm_adjusted([]).size == 0


@pytest.mark.parametrize("p", [[0.5, math.nan], [-0.1], [1.1], [[0.5]], 0.5])
def test_what_is_no_p_value_is_refused(p):
    with pytest.raises(ModelError, match=r"expected \(tests,\) within: leave out a test"):
        holm_adjusted(p)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 5.0, math.nan])
def test_impossible_alpha(alpha):
    with pytest.raises(ValueError, match=r"such as 0\.05"):
        holm_rejects([0.5], alpha=alpha)
