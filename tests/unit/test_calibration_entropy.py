"""The entropy estimator against the published algorithm, written out once more, and slowly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy

from cspine_calibration.entropy import entropy_threshold
from cspine_calibration.estimate import clip_range
from cspine_calibration.histogram import Histogram
from cspine_calibration.table import summarize
from cspine_calibration.targets import INT8, INT8_SYMMETRIC, UINT8


def by_the_book(values, levels):
    """Return the threshold by SciPy's divergence over lists of Python numbers."""
    histogram = Histogram.of(values)
    width = histogram.bin_width
    counts, _ = np.histogram(np.abs(values), np.arange(0, 2049) * width)
    while counts[-1] == 0:
        counts = counts[:-1]
    bins = [float(count) for count in counts]
    bins[0] = bins[1]
    divergences = {}
    for size in range(levels, len(bins) + 1):
        p = [*bins[: size - 1], bins[size - 1] + sum(bins[size:])]
        q = [0.0] * size
        for level in range(levels):
            first, stop = (-(-each * size // levels) for each in (level, level + 1))
            filled = [b for b in range(first, stop) if bins[b] > 0]
            for b in filled:
                q[b] = sum(bins[first:stop]) / len(filled)
        divergences[size] = entropy(p, q) if any(q) else np.inf
    least = min(divergences.values())
    # Sums in another order may tell apart what is equal.
    return {size * width for size, value in divergences.items() if value < least + 1e-12}


SAMPLES = {
    "laplace": lambda rng: rng.laplace(size=20_000),
    "rectified": lambda rng: np.maximum(rng.normal(size=20_000), 0) ** 2,
    "outlier": lambda rng: np.append(rng.normal(size=20_000), 40.0),
    "two humps": lambda rng: np.append(rng.normal(3, 0.2, 9_000), rng.normal(-1, 0.1, 9_000)),
}


@pytest.mark.parametrize(
    ("sample", "levels"), [*((name, 128) for name in SAMPLES), ("rectified", 256)]
)
def test_the_threshold_is_that_of_the_book(sample, levels):
    values = SAMPLES[sample](np.random.default_rng(5)).astype(np.float32)
    found = entropy_threshold(Histogram.of(values), levels=levels)
    assert any(found == pytest.approx(each) for each in by_the_book(values, levels))


def test_an_outlier_is_cut_off_and_even_numbers_are_not():
    rng = np.random.default_rng(0)
    outlier = summarize(np.append(rng.normal(size=20_000), 40.0).astype(np.float32))
    low, high = clip_range(outlier, grid=INT8, estimator="entropy")
    assert low == outlier.minimum
    assert high < 10
    even = summarize(rng.uniform(0, 1, 20_000).astype(np.float32))
    assert clip_range(even, grid=UINT8, estimator="entropy")[1] > 0.99


def test_a_symmetric_grid_tells_half_as_many_magnitudes_apart():
    values = np.abs(np.random.default_rng(0).laplace(size=50_000)).astype(np.float32)
    seen = summarize(values)
    unsigned = clip_range(seen, grid=UINT8, estimator="entropy")
    signed = clip_range(seen, grid=INT8_SYMMETRIC, estimator="entropy")
    assert unsigned == (seen.minimum, entropy_threshold(seen.histogram, levels=256))
    assert signed == (seen.minimum, entropy_threshold(seen.histogram, levels=128))
    assert signed[1] < unsigned[1]


@pytest.mark.parametrize("value", [0.0, 0.75, -3.0])
def test_one_number_only_is_its_own_range(value):
    seen = summarize(np.full(9, value, np.float32))
    assert clip_range(seen, grid=UINT8, estimator="entropy") == (value, value)
