from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cspine_calibration import means
from cspine_calibration.means import Means


def test_means_are_those_of_every_channel():
    values = np.random.default_rng(0).normal(3, 2, (5, 4, 6, 7)).astype(np.float32)
    found = Means.of(values).values()
    np.testing.assert_allclose(found, values.astype(np.float64).mean(axis=(0, 2, 3)), rtol=1e-6)


@given(
    arrays(np.float32, (7, 2), elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
)
def test_means_are_exact(values):
    exact = [float(sum(map(Fraction, column)) / 7) for column in values.T.tolist()]
    assert Means.of(values).values() == tuple(exact)


def test_neither_order_nor_batches_nor_blocks_change_a_bit(monkeypatch):
    rng = np.random.default_rng(1)
    values = (rng.normal(size=(9, 3, 5, 5)) * 10.0 ** rng.integers(-20, 20, (9, 3, 1, 1))).astype(
        "f"
    )
    whole = Means.of(values).values()
    parts = Means.of(values[4:]).merge(Means.of(values[:1])).merge(Means.of(values[1:4]))
    assert parts.values() == Means.of(values[::-1]).values() == whole
    monkeypatch.setattr(means, "_BLOCK", 26)
    assert Means.of(values).values() == whole


def test_a_naive_sum_would_depend_on_the_order():
    """The reason for the module: the sum of these in float64 is not the same both ways."""
    values = np.array([[1e8], [1e-9], [-1e8]], np.float32)
    assert np.sum(values[[0, 1, 2]], dtype=np.float64) != np.sum(
        values[[0, 2, 1]], dtype=np.float64
    )
    assert Means.of(values).values() == (float(Fraction(float(np.float32(1e-9))) / 3),)


def test_vectors_have_means_too():
    assert Means.of(np.array([[1, -2], [2, -6]], np.float32)).values() == (1.5, -4.0)


@pytest.mark.parametrize("value", [0.0, 2.0**-149, -(2.0**-149), float(np.finfo("f").max)])
def test_the_ends_of_float32_fit(value):
    values = np.full((3, 1), value, np.float32)
    assert Means.of(values).values() == (value,)
