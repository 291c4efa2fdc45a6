from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from cspine.dicom.stacks.canal import Fluid, canal_mm, middle_of
from mr_series import neck


@pytest.mark.parametrize("fluid", ["bright", "dark"])
def test_the_middle_shows_most_and_neither_scale_nor_fall_off_matters(fluid: Fluid) -> None:
    drawn = neck(fluid=fluid).astype(np.float32)
    shown = canal_mm(drawn, (1, 1), fluid=fluid)
    assert len(shown) == 13
    assert 120 < shown[6] <= 160
    assert shown[6] > 2 * max(shown[0], shown[12])
    assert middle_of(shown, [3.5 * k for k in range(13)]) == 6
    # A coil at the nape, thirty times the gain, and levels that begin below zero.
    coil = np.linspace(0.6, 1.4, 124, dtype=np.float32) * 30
    other = canal_mm(drawn * coil - 500, (1, 1), fluid=fluid)
    assert middle_of(other, [3.5 * k for k in range(13)]) == 6
    assert other[6] == pytest.approx(shown[6], rel=0.15)


def test_pixels_of_another_size_show_the_same() -> None:
    drawn = neck().astype(np.float32)
    fine = drawn.repeat(2, axis=1).repeat(3, axis=2)
    assert canal_mm(fine, (1 / 2, 1 / 3), fluid="bright") == pytest.approx(
        canal_mm(drawn, (1, 1), fluid="bright"), rel=0.02, abs=1
    )


@pytest.mark.parametrize("fluid", ["bright", "dark"])
def test_what_is_no_neck_shows_little(fluid: Fluid) -> None:
    rng = np.random.default_rng(3)
    noise = np.hypot(*rng.normal(0, 20, (2, 2, 250, 250))).astype(np.float32)
    _, x = np.mgrid[:250, :250]
    bottle = noise + 900 * (np.abs(x - 125) < 60)
    tube = noise + 900 * (np.abs(x - 125) < 7) - 500 * (np.abs(x - 125) < 4)
    for levels in (noise, bottle, tube.astype(np.float32), np.ones_like(noise)):
        assert max(canal_mm(levels, (1, 1), fluid=fluid)) < 50


@given(
    middle=strategies.floats(12, 40),
    step=strategies.floats(0.8, 5),
    plateau=strategies.floats(3, 8),
)
@settings(max_examples=50)
def test_the_middle_is_that_of_the_slices_that_show_the_canal(
    middle: float, step: float, plateau: float
) -> None:
    places = np.arange(0, 52, step)
    shown = 20 + 100 * (np.abs(places - middle) < plateau)
    if shown.max() > 20:
        found = places[middle_of(shown.tolist(), places.tolist())]
        assert abs(found - middle) <= step


def test_a_missing_slice_does_not_move_the_middle() -> None:
    shown, places = [10, 60, 120, 130, 120, 60, 10], [4.0 * k for k in range(7)]
    for missing in (1, 2, 4, 5):
        there = [k for k in range(7) if k != missing]
        found = middle_of([shown[k] for k in there], [places[k] for k in there])
        assert there[found] == 3


def test_a_single_slice_is_the_middle() -> None:
    assert middle_of([12.0], [0.0]) == 0
