from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cspine.errors import ModelError
from cspine_bench.metrics.landmarks import landmark_error, radial_errors
from cspine_bench.metrics.mean import clustered_mean
from cspine_bench.metrics.proportion import clustered_wilson

REFERENCE = [(100, 200), (150, 220), (160, 260), (90, 300), (200, 310)]
PREDICTED = [(103, 204), (150, 232), (168, 266), (90, 300), (221, 338)]

untimed = settings(deadline=None)
coordinate = st.floats(-2000.0, 2000.0)
points = st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), min_size=1)


def test_published_vector():
    errors = radial_errors(REFERENCE, PREDICTED, spacing_mm=(0.143, 0.143))
    assert errors == pytest.approx([0.715, 1.716, 1.43, 0.0, 5.005], abs=5e-4)
    found = landmark_error(errors, np.arange(5))
    assert found.mean_mm == pytest.approx(1.773, abs=5e-4)
    assert found.sd_mm == pytest.approx(1.925, abs=5e-4)
    assert [(each.limit_mm, each.share) for each in found.within] == [(3.0, 0.8), (4.0, 0.8)]
    assert (found.landmarks, found.missing) == (5, 0)


@untimed
@given(points, st.floats(0.05, 2.0), st.floats(0.05, 2.0))
def test_distance_is_in_millimetres_and_symmetric(rows, row_mm, column_mm):
    values = np.array(rows)
    true, found = values[:, :2], values[:, 2:]
    errors = radial_errors(true, found, spacing_mm=(row_mm, column_mm))
    in_mm = [
        math.dist((x * column_mm, y * row_mm), (u * column_mm, v * row_mm)) for x, y, u, v in rows
    ]
    assert errors == pytest.approx(in_mm, rel=1e-9, abs=1e-9)
    np.testing.assert_array_equal(
        radial_errors(found, true, spacing_mm=(row_mm, column_mm)), errors
    )
    moved = radial_errors(true + 7.0, found + 7.0, spacing_mm=(row_mm, column_mm))
    assert moved == pytest.approx(errors, abs=1e-9)
    mirrored = radial_errors(true * (-1, 1), found * (-1, 1), spacing_mm=(row_mm, column_mm))
    assert mirrored == pytest.approx(errors)


def test_rows_and_columns_have_spacings_of_their_own():
    assert radial_errors([(0, 0)], [(3, 0)], spacing_mm=(1.0, 0.5)) == 1.5
    assert radial_errors([(0, 0)], [(0, 3)], spacing_mm=(1.0, 0.5)) == 3.0


def test_a_landmark_that_was_not_found_is_near_nothing():
    predicted = [(103, 204), (math.nan, math.nan), (160, 260), (90, 300), (200, 310)]
    errors = radial_errors(REFERENCE, predicted, spacing_mm=(1.0, 1.0))
    assert errors.tolist() == [5.0, math.inf, 0.0, 0.0, 0.0]
    found = landmark_error(errors, np.arange(5), limits_mm=(5.0, 1000.0))
    assert found.missing == 1
    assert found.mean_mm == 1.25
    assert [each.share for each in found.within] == [0.8, 0.8]  # a limit holds what lies on it


def test_intervals_are_clustered_by_patient():
    rng = np.random.default_rng(4)
    ids = np.repeat(np.arange(25), 34)
    errors = rng.exponential(1.0, size=25)[ids] + rng.exponential(0.5, size=ids.size)
    found = landmark_error(errors, ids, limits_mm=(1.0,), level=0.9)
    assert found.mean_interval == clustered_mean(errors, ids, level=0.9)
    assert found.within[0].interval == clustered_wilson(errors <= 1.0, ids, level=0.9)
    naive = landmark_error(errors, np.arange(ids.size), limits_mm=(1.0,), level=0.9)
    for wide, narrow in (
        (found.mean_interval, naive.mean_interval),
        (found.within[0].interval, naive.within[0].interval),
    ):
        assert wide.high - wide.low > 2.0 * (narrow.high - narrow.low)


@pytest.mark.parametrize(
    ("reference", "predicted", "spacing_mm", "message"),
    [
        ([(1, 2)], [(1, 2), (3, 4)], (1, 1), r"got shapes \(1, 2\) and \(2, 2\)"),
        ([1, 2], [1, 2], (1, 1), r"expected \(landmarks, 2\) twice"),
        ([(1, math.nan)], [(1, 2)], (1, 1), "coordinate that is not finite"),
        ([(1, 2)], [(math.nan, 2)], (1, 1), "nan for both"),
        ([(1, 2)], [(math.inf, 2)], (1, 1), "coordinate that is not finite"),
        ([(1, 2)], [(1, 2)], (0, 1), "expected two lengths above zero"),
        ([(1, 2)], [(1, 2)], (1, math.nan), "expected two lengths above zero"),
    ],
)
def test_malformed_landmarks(reference, predicted, spacing_mm, message):
    with pytest.raises(ModelError, match=message):
        radial_errors(reference, predicted, spacing_mm=spacing_mm)


def test_malformed_errors():
    with pytest.raises(ModelError, match=r"got shape \(2,\) and clusters \(1,\)"):
        landmark_error([1.0, 2.0], [1])
    with pytest.raises(ModelError, match="negative or nan"):
        landmark_error([1.0, math.nan], [1, 2])
    with pytest.raises(ModelError, match="negative or nan"):
        landmark_error([1.0, -1.0], [1, 2])
    with pytest.raises(ModelError, match="clusters: got 1, expected at least 2"):
        landmark_error([1.0, math.inf], [1, 2])
