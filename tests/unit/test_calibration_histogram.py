from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cspine_calibration.histogram import BINS, Histogram
from cspine_calibration.table import TensorStatistics, summarize

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
streams = arrays(np.float32, st.integers(1, 60), elements=finite)


def merged(batches) -> TensorStatistics:
    total = summarize(batches[0])
    for batch in batches[1:]:
        total = total.merge(summarize(batch))
    return total


@example(values=np.array([0.0, 1e-9], np.float32), seed=0, cuts=[1])
@given(
    values=streams, seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(1, 59), max_size=5)
)
def test_counts_depend_on_neither_order_nor_batches(values, seed, cuts):
    shuffled = np.random.default_rng(seed).permutation(values)
    batches = [part for part in np.split(shuffled, sorted(cuts)) if part.size]
    assert merged(batches) == summarize(values)


@given(values=streams)
def test_every_number_lies_in_its_bin(values):
    histogram = Histogram.of(values)
    lower, upper = histogram.edges[:-1], histogram.edges[1:]
    expected = [
        int(((values >= low) & (values < high)).sum())
        for low, high in zip(lower, upper, strict=True)
        if ((values >= low) & (values < high)).any()
    ]
    assert histogram.counts.sum() == values.size
    assert [count for count in histogram.counts if count] == expected


@pytest.mark.parametrize(
    ("largest", "exponent"), [(0.0, -64), (0.75, 0), (1.0, 1), (-1.0, 1), (255.0, 8), (3e38, 128)]
)
def test_range_is_the_smallest_power_of_two_above(largest, exponent):
    assert Histogram.of(np.array([largest, 0.0], np.float32)).exponent == exponent


def test_widening_merges_neighbours_on_both_sides_of_zero():
    narrow = Histogram(0, np.arange(BINS))
    wide = narrow.widen(1)
    assert wide.bin_width == 2 * narrow.bin_width
    assert wide.counts[BINS // 4 : 3 * BINS // 4].tolist() == (
        np.arange(BINS).reshape(-1, 2).sum(axis=1).tolist()
    )
    assert wide.counts.sum() == narrow.counts.sum()
    # So wide a range leaves everything in the two bins beside zero.
    assert np.flatnonzero(narrow.widen(100).counts).tolist() == [BINS // 2 - 1, BINS // 2]
