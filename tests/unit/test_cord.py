"""Diameters of the cord: on vectors worked out by hand, and on turned, mirrored ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.cord import CORD, Diameters, cord_diameters

ENDS = {"front": (120, 84), "back": (121, 99), "left": (139, 91), "right": (103, 92)}


@pytest.mark.parametrize(
    ("spacing_mm", "ratio"), [((1, 1), 0.417431), ((0.3, 0.3), 0.417431), ((0.6, 0.4), 0.625075)]
)
def test_the_vectors(spacing_mm: tuple[float, float], ratio: float) -> None:
    assert round(cord_diameters(ENDS, spacing_mm).ratio, 6) == ratio


def test_the_diameters_are_millimetres() -> None:
    found = cord_diameters({"front": (0, 3), "back": (4, 0), "left": (0, 9), "right": (12, 0)},
                           (1, 1))  # fmt: skip
    assert found == Diameters(5, 15)
    assert found.ratio == pytest.approx(1 / 3)


@given(
    turn=st.floats(0, 2 * np.pi),
    mirror=st.booleans(),
    spacing=st.tuples(st.floats(0.2, 2), st.floats(0.2, 2)),
    offset=st.tuples(st.floats(-99, 99), st.floats(-99, 99)),
)
def test_turned_mirrored_and_on_other_pixels_a_cord_stays_as_wide(
    turn: float, mirror: bool, spacing: tuple[float, float], offset: tuple[float, float]
) -> None:
    plain = cord_diameters(ENDS, (0.5, 0.5))
    matrix = 0.5 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = matrix @ np.diag([-1 if mirror else 1, 1])
    row_mm, column_mm = spacing
    seen = {name: (matrix @ ENDS[name] + offset) / (column_mm, row_mm) for name in CORD}
    assert cord_diameters(seen, spacing) == pytest.approx(plain)
