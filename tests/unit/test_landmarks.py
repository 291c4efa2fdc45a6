"""Maps to points: position to a part of a pixel, confidence, and what is not seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.errors import BackendError
from cspine.fields import Architecture, Standardise
from cspine.spec import Landmarks
from cspine.stages.landmarks import decode, place
from cspine.transform import Affine, Floats

STAGE = Landmarks(
    id="landmarks",
    size_px=(48, 40),
    spacing_mm=0.5,
    grey=Standardise(),
    points=["C2AS", "C2PS"],
    reach_mm=3.0,
    minimum_confidence=0.5,
    architecture=Architecture(factory="a:b"),
)


def peaked(x: float, y: float, *, sigma: float = 1.2, height: float = 0.0) -> Floats:
    """Return the logarithm of a Gaussian about (x, y), shape (48, 40)."""
    rows, columns = np.mgrid[:48, :40]
    square = (columns - x) ** 2 + (rows - y) ** 2
    return np.asarray(height - square / (2 * sigma**2), np.float32)


@given(st.floats(10, 29), st.floats(10, 37), st.floats(-300, 300))
def test_a_point_is_found_between_the_pixels(x: float, y: float, height: float) -> None:
    positions, shares = decode(peaked(x, y, height=height)[None], reach_px=6)
    assert positions[0] == pytest.approx([x, y], abs=0.01)
    assert shares[0] == pytest.approx(1, abs=1e-3)


def test_two_candidates_share_their_confidence() -> None:
    both = np.logaddexp(peaked(10, 12), peaked(30, 34) - 0.5)
    positions, shares = decode(both[None], reach_px=6)
    assert positions[0] == pytest.approx([10, 12], abs=0.01)
    # The higher of two peaks of odds 1 to exp(-0.5).
    assert shares[0] == pytest.approx(1 / (1 + np.exp(-0.5)), abs=1e-3)


def test_a_flat_map_is_sure_of_nothing() -> None:
    _, shares = decode(np.zeros((1, 48, 40), np.float32), reach_px=6)
    assert shares[0] < 113 / (48 * 40)  # a circle of radius 6, cut by the corner


def test_a_point_of_too_little_confidence_is_not_seen() -> None:
    maps = np.stack([peaked(20, 24), np.zeros((48, 40), np.float32)])
    placed = place({"logits": maps[None]}, Affine(np.array([[2.0, 0, 5], [0, 2, 7]])), STAGE)
    assert list(placed.points) == ["C2AS"]
    assert placed.points["C2AS"] == pytest.approx([45, 55], abs=0.02)
    assert list(placed.confidence) == ["C2AS", "C2PS"]
    (said,) = placed.said
    assert said.name == "C2AS"
    assert said.confidence == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_void(value: float) -> None:
    maps = peaked(20, 24)[None].copy()
    maps[0, 3, 3] = value
    with np.errstate(invalid="ignore"), pytest.raises(BackendError, match="no number"):
        decode(maps, reach_px=6)
