"""From disc levels on a sagittal slice to the axial slices through them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.findings import Spacing, Withheld
from cspine.image import Image
from cspine.plane import Plane
from cspine.spec import Axial
from cspine.stages.axial import Cuts, find_cuts
from cspine.stages.levels import Disc, Spine
from cspine.transform import Affine, scaling

STAGE = Axial(id="axial", levels_from="levels", canal_mm=14.0)
PIXEL_MM, AXIAL_MM, STEP_MM = 0.8, 0.5, 4.0
FROM_MM = Affine(np.array([[1 / PIXEL_MM, 0, 0], [0, 1 / PIXEL_MM, 0]]))
FRAME = "1.2.3.9"
NAMES = ("C2/3", "C3/4", "C4/5")


def picture(plane: Plane) -> Image:
    spacing = Spacing(row_mm=plane.spacing_mm[0], column_mm=plane.spacing_mm[1], flag="calibrated")
    return Image(np.zeros((200, 200), np.float32), spacing, plane=plane)


def sagittal(frame: str = FRAME) -> Image:
    """Return a slice at x = 7 mm, whose first pixel lies 60 mm in front and 80 mm up."""
    down = np.array([0.0, 0.0, -1.0])
    origin = np.array([7.0, -60.0, 80.0])
    return picture(Plane(origin, np.array([0.0, 1, 0]), down, (PIXEL_MM, PIXEL_MM), frame))


def axial(z_mm: float, *, tilt_deg: float = 0, frame: str = FRAME) -> Image:
    """Return a slice at a height, its back lower by a tilt about the patient's left axis."""
    turn = np.radians(tilt_deg)
    down = np.array([0.0, np.cos(turn), -np.sin(turn)])
    origin = np.array([-43.0, 0.0, z_mm]) - 50 * down
    plane = Plane(origin, np.array([1.0, 0, 0]), down, (AXIAL_MM, AXIAL_MM), frame)
    return picture(plane)


def spine(*heights: float, withheld: tuple[Withheld, ...] = ()) -> Spine:
    """Return upright discs in the middle of the patient (y = 0) at heights, in mm of the labels."""
    discs = tuple(
        Disc(name, np.array([60.0, 80.0 - z_mm]), np.array([0.0, 1.0]))
        for name, z_mm in zip(NAMES, heights, strict=False)
    )
    return Spine((), discs, withheld, "left")


def found(neck: Spine, *slices: Image, frame: str = FRAME) -> Cuts:
    return find_cuts(neck, FROM_MM, [sagittal(frame), *slices], STAGE)


@given(st.permutations(range(9)), st.integers(2, 6))
def test_each_disc_has_the_slice_that_it_lies_in(order: list[int], place: int) -> None:
    heights = [STEP_MM * number for number in range(9)]
    slices = [axial(heights[number]) for number in order]
    cuts = found(spine(heights[place] + 1.9, heights[place - 2] - 1.9), *slices)
    assert not cuts.withheld
    assert [cut.level for cut in cuts.found] == ["C2/3", "C3/4"]
    # The first image is the sagittal one.
    assert [cut.image for cut in cuts.found] == [order.index(place) + 1, order.index(place - 2) + 1]
    for cut in cuts.found:
        # 14 mm behind the disc, at x = 7: 100 columns from -43 mm, 128 rows from -50 mm.
        np.testing.assert_allclose(cut.canal, [100, 128])
        assert cut.tilt_deg == pytest.approx(0)


def test_a_disc_beyond_half_of_the_spacing_is_withheld() -> None:
    slices = [axial(0), axial(STEP_MM), axial(5 * STEP_MM)]
    seen = Withheld(label="C7/T1", code="MODEL_UNSURE", reason="It was not found.")
    cuts = found(spine(-2.1, 1.9, 3 * STEP_MM, withheld=(seen,)), *slices)
    assert [cut.level for cut in cuts.found] == ["C3/4"]
    assert [item.label for item in cuts.withheld] == ["C2/3", "C4/5", "C7/T1"]
    assert [item.code for item in cuts.withheld] == [*["INCOMPLETE_SET"] * 2, "MODEL_UNSURE"]


@pytest.mark.parametrize("tilt", [-12.0, 5.0])
def test_a_stack_along_each_disc_has_its_own_tilt_and_spacing(tilt: float) -> None:
    upper = [axial(z, tilt_deg=tilt) for z in (27, 30, 33)]
    lower = [axial(z, tilt_deg=0) for z in (9, 12, 15)]
    cuts = found(spine(30.5, 12.2), *lower, *upper)
    assert [(cut.level, cut.image) for cut in cuts.found] == [("C2/3", 5), ("C3/4", 2)]
    assert [cut.tilt_deg for cut in cuts.found] == pytest.approx([abs(tilt), 0])


def test_the_disc_leans_the_slice_does_not() -> None:
    turn = np.radians(10)
    disc = Disc("C5/6", np.array([60.0, 80.0]), np.array([np.sin(turn), np.cos(turn)]))
    cuts = found(Spine((), (disc,), (), "left"), axial(0), axial(STEP_MM))
    (cut,) = cuts.found
    assert cut.tilt_deg == pytest.approx(10)
    # Back of this disc is upwards too; the slice is met straight below.
    np.testing.assert_allclose(cut.canal, [100, 100 + 28 * np.cos(turn)])


@pytest.mark.parametrize("case", ["none", "other", "unstated", "single"])
def test_without_axial_slices_in_the_same_coordinates_all_is_withheld(case: str) -> None:
    slices = {
        "none": (),
        "other": (axial(0), axial(4, frame="1.2.3.10")),
        "unstated": (axial(0, frame=""), axial(4, frame="")),
        "single": (axial(0),),
    }[case]
    cuts = found(spine(0, 4), *slices, frame="" if case == "unstated" else FRAME)
    assert not cuts.found
    assert [(item.label, item.code) for item in cuts.withheld] == [
        ("C2/3", "INCOMPLETE_SET"),
        ("C3/4", "INCOMPLETE_SET"),
    ]


def test_the_sagittal_slice_may_be_scaled() -> None:
    """A frame of the label map, mapped to the image by corners, still meets the same slice."""
    to_image = scaling(1 / PIXEL_MM, 1 / PIXEL_MM)
    cuts = find_cuts(spine(0.3), to_image, [sagittal(), axial(0), axial(4)], STAGE)
    assert [cut.image for cut in cuts.found] == [1]
