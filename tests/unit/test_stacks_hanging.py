from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from cspine.dicom.stacks.hanging import turn_of
from cspine.plane import Plane

HUNG = {
    "sagittal": ((0, 1, 0), (0, 0, -1)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "axial": ((1, 0, 0), (0, 1, 0)),
}
TURNS = list(product((False, True), repeat=3))


@pytest.mark.parametrize("view", HUNG)
@pytest.mark.parametrize(("swap", "left_right", "top_bottom"), TURNS)
def test_a_slice_hangs_the_same_whichever_way_it_is_stored(
    view: str, swap: bool, left_right: bool, top_bottom: bool
) -> None:
    across, down = (np.array(each, float) for each in HUNG[view])
    hung = Plane(np.array([1.0, -2.0, 3.0]), across, down, (0.5, 0.7), "1.2")
    pixels = np.arange(15, dtype=np.float32).reshape(3, 5)
    stored, shape = pixels, pixels.shape
    if left_right:
        stored, across = stored[:, ::-1], -across
    if top_bottom:
        stored, down = stored[::-1], -down
    corner = hung.to_patient((4 if left_right else 0, 2 if top_bottom else 0))
    spacing = hung.spacing_mm
    if swap:
        stored, across, down, spacing, shape = stored.T, down, across, spacing[::-1], shape[::-1]
    plane = Plane(corner, across, down, spacing, "1.2")
    turn = turn_of(plane)
    assert np.array_equal(turn.pixels(stored), pixels)
    turned = turn.plane(plane, shape)
    assert turned.to_patient((3, 1)) == pytest.approx(hung.to_patient((3, 1)))
    assert (turned.spacing_mm, turned.view) == (hung.spacing_mm, view)


def test_an_oblique_slice_is_left_as_it_is() -> None:
    root = np.sqrt(0.5)
    plane = Plane(np.zeros(3), np.array([-root, -root, 0]), np.array([0, 0, 1.0]), (1, 1), "")
    pixels = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert turn_of(plane).pixels(pixels).tolist() == pixels.tolist()
    assert turn_of(plane).plane(plane, (2, 3)).across.tolist() == plane.across.tolist()
