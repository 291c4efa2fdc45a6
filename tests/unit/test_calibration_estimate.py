from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.errors import ModelError
from cspine_calibration.estimate import (
    ESTIMATORS,
    SCALE_FLOOR,
    affine,
    clip_range,
    quantization_error,
)
from cspine_calibration.table import summarize
from cspine_calibration.targets import INT8, INT8_SYMMETRIC, UINT8

GRIDS = {"uint8": UINT8, "int8": INT8, "symmetric": INT8_SYMMETRIC}
grids = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)


def rounded(values, form, grid):
    """Quantise and dequantise in numpy."""
    steps = np.rint(values / form.scale) + form.zero_point
    return (np.clip(steps, grid.low, grid.high) - form.zero_point) * form.scale


def long_tailed(seed=0, count=199_999):
    return np.random.default_rng(seed).laplace(size=count).astype(np.float32)


@given(
    low=st.floats(-1e6, 1e6),
    high=st.floats(-1e6, 1e6),
    grid=st.sampled_from(sorted(GRIDS)),
)
def test_affine_covers_the_range_and_keeps_zero_exact(low, high, grid):
    low, high = sorted((low, high))
    grid = GRIDS[grid]
    form = affine(low, high, grid=grid)
    assert form.scale >= np.float32(SCALE_FLOOR)
    assert form.scale == np.float32(form.scale)
    assert grid.low <= form.zero_point <= grid.high
    ends = np.array([low, 0.0, high])
    found = rounded(ends, form, grid)
    assert found[1] == 0.0
    # Half a step of rounding, and as much again where the zero point itself was rounded.
    np.testing.assert_allclose(found, ends, atol=1.001 * form.scale, rtol=1e-6)
    if grid.symmetric:
        assert form.zero_point == 0


def test_zero_point_of_a_rectified_tensor_is_the_lowest_integer():
    assert affine(0.0, 6.0, grid=UINT8).zero_point == 0
    assert affine(0.0, 6.0, grid=INT8).zero_point == -128
    assert affine(-1.0, 1.0, grid=UINT8).zero_point in {127, 128}


@grids
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_rectified_tensor_keeps_its_zero(grid, estimator):
    seen = summarize(np.maximum(long_tailed(), 0))
    low, high = clip_range(seen, grid=grid, estimator=estimator)
    assert (low, affine(low, high, grid=grid).zero_point) == (
        0.0,
        max(grid.low, 0) if grid.symmetric else grid.low,
    )


@grids
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_tensor_of_zeros_gets_the_floor(grid, estimator):
    ends = clip_range(summarize(np.zeros(9, np.float32)), grid=grid, estimator=estimator)
    assert affine(*ends, grid=grid).scale == np.float32(SCALE_FLOOR)


def test_minmax_is_exact():
    values = long_tailed()
    assert clip_range(summarize(values), grid=UINT8, estimator="minmax") == (
        values.min(),
        values.max(),
    )


def test_percentile_leaves_half_of_a_ten_thousandth_out_on_each_side():
    values = long_tailed()
    seen = summarize(values)
    low, high = clip_range(seen, grid=UINT8, estimator="percentile")
    width = seen.histogram.bin_width
    assert (values < low).mean() <= 0.00005 < (values < low + width).mean()
    assert (values > high).mean() <= 0.00005 < (values > high - width).mean()


@grids
def test_expected_error_is_the_simulated_one(grid):
    values = long_tailed()
    for end in (0.7, 4.0, 13.0):
        form = affine(-end, end, grid=grid)
        simulated = np.mean((values - rounded(values, form, grid)) ** 2)
        expected = quantization_error(summarize(values), form, grid=grid)
        assert expected == pytest.approx(simulated, rel=0.02)


@grids
@pytest.mark.parametrize("rectify", [False, True])
def test_mse_beats_every_common_clipping(grid, rectify):
    values = np.maximum(long_tailed(), 0) if rectify else long_tailed()
    seen = summarize(values)

    def simulated(low, high):
        return np.mean((values - rounded(values, affine(low, high, grid=grid), grid)) ** 2)

    best = simulated(*clip_range(seen, grid=grid, estimator="mse"))
    rivals = [
        simulated(seen.minimum * shrink, seen.maximum * shrink)
        for shrink in np.linspace(0.1, 1, 46)
    ]
    # The search goes in steps of an eighth of an octave, and the error is flat at its least.
    assert best <= 1.02 * min(rivals)
    assert best < 0.9 * simulated(seen.minimum, seen.maximum)


def test_unknown_estimator_is_named():
    with pytest.raises(ModelError, match=r"unknown estimator 'percentil', .* mean 'percentile'"):
        clip_range(summarize(np.ones(1, "f")), grid=UINT8, estimator="percentil")
