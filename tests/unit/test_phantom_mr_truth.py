"""Truth of graded studies against what is drawn: the cord by its moments, bones by their labels."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from cspine.dicom.frame import frame_header
from cspine.dicom.plane import plane_of
from cspine_phantom.mr.axials import SHARES, WAYS, Axials, draw_axials
from cspine_phantom.mr.classic import classic
from cspine_phantom.mr.enhanced import enhanced
from cspine_phantom.mr.graded import GradedPhantom, graded_phantom
from cspine_phantom.mr.scanners import SCANNERS, close_of
from cspine_phantom.mr.section import POINTS, section
from cspine_phantom.mr.series import Series, Title
from cspine_phantom.mr.truth import cords, disc_centres, middle_of
from cspine_phantom.patients import LEVELS, draw_patient
from cspine_phantom.volume.tissue import FIRST_BODY, LABEL

OF_WAY = {"along discs": 2, "parallel": 0, "gap": 15, "moved": 16, "none": 6}
"""Patients of seed 5."""


def taken(way: str, *, only: Title = "ax T2") -> GradedPhantom:
    return graded_phantom(seed=5, number=OF_WAY[way], only=(only,))


@pytest.fixture(scope="module")
def parallel() -> GradedPhantom:
    return taken("parallel")


def axials(case: GradedPhantom) -> Series:
    return case.by_title["ax T2"]


def drawn_cords(case: GradedPhantom) -> dict[str, np.ndarray]:
    """By level, (n, 2) millimetres across and down of points of the slice's plane in the cord."""
    sides = np.arange(-9, 9, 0.3)
    planes = [case.anatomy.plane(float(side)) for side in sides]
    way = np.arange(0, 145, 0.1)
    found = {}
    for level, cord in case.cords.items():
        frame = axials(case).frames[cord.frame]
        origin = case.lying.placed_back(frame.origin_mm)
        line = origin[1:] + way[:, None] * case.lying.directed_back(frame.down)[1:]
        column, row = np.rint(case.anatomy.pixel(line)).astype(int).T
        points = []
        for side, labels in zip(sides, planes, strict=True):
            inside = np.isin(labels[row, column], (LABEL["cord"], LABEL["oedema"]))
            # Less is the line that a cord without thickness leaves.
            if inside.sum() * 0.1 > 1.0:
                points += [(side - origin[0], each) for each in way[inside]]
        found[level] = np.array(points)
    return found


def test_key_points_are_those_of_the_drawn_cord(parallel: GradedPhantom) -> None:
    """An ellipse has a variance of a quarter of its half diameter squared.

    A plane's labels are half a millimetre apart: one slice is that far off, the mean is not.
    """
    off = []
    for case in (parallel, taken("along discs")):
        drawn = drawn_cords(case)
        for level, cord in case.cords.items():
            points, frame = drawn[level], axials(case).frames[cord.frame]
            width, depth = 4 * points.std(axis=0)
            off.append((cord.depth_mm - depth, cord.width_mm - width, cord.ratio - depth / width))
            seen = {name: point - frame.origin_mm for name, point in cord.points_mm.items()}
            for point in seen.values():
                assert abs(point @ np.cross(frame.across, frame.down)) < 1e-9
            middle = np.mean([*seen.values()], axis=0)
            found = middle @ frame.across, middle @ frame.down
            assert found == pytest.approx(tuple(points.mean(axis=0)), abs=0.4)
            assert seen["left"] @ frame.across > seen["right"] @ frame.across
            assert seen["back"] @ frame.down > seen["front"] @ frame.down
    assert len(off) == 12
    # Of depth, width and ratio.
    assert (np.abs(np.mean(off, axis=0)) < (0.1, 0.3, 0.015)).all()
    assert (np.abs(off) < (0.5, 0.9, 0.05)).all()


def test_a_cord_ends_where_its_key_points_are(parallel: GradedPhantom) -> None:
    case = parallel
    frame = axials(case).frames[case.cords["C5/6"].frame]
    cut = section(case.anatomy, case.lying, frame)
    points = cut.points()
    assert tuple(points) == POINTS
    half = points["left"][0]
    near, far = cut.at(0.0)
    assert far - near == pytest.approx(case.cords["C5/6"].depth_mm, abs=1e-9)
    assert np.isnan(cut.at(half + 0.1)).all()
    near, far = cut.at(half - 0.01)
    assert 0 < far - near < 1.5


@pytest.mark.parametrize("way", ["along discs", "parallel", "gap", "moved", "none"])
def test_a_level_has_a_ratio_where_a_slice_meets_its_disc(way: str) -> None:
    case = taken(way)
    assert case.axials.way == way
    found = case.cords
    if way in ("moved", "none"):
        assert found == {}
        assert bool(case.series) == (way == "moved")
        return
    lost = {LEVELS[case.axials.missing[0]]} if way == "gap" else set()
    assert set(found) == set(LEVELS) - lost
    series = axials(case)
    for each in found.values():
        assert each.off_mm <= series.spacing_mm / 2 + 1e-6
        assert 0.2 < each.ratio < 0.75
        assert each.tilt_deg < (6.5 if way == "along discs" else 25)
    if way == "along discs":
        assert max(each.off_mm for each in found.values()) < 1e-6


def test_a_moved_patient_has_another_frame_of_reference() -> None:
    case = taken("moved", only="ax T2")
    still = graded_phantom(seed=5, number=OF_WAY["moved"], only=("sag T2",))
    uids = {ds.FrameOfReferenceUID for each in (case, still) for ds in each.datasets}
    assert len(uids) == 2
    series = axials(case)
    assert cords(case.anatomy, case.lying, series) == {}
    # Slices lie along the discs of the patient as he lay then, not of the other series.
    (lying,) = (case.axials.lying,)
    assert lying is not None
    centre = disc_centres(case.anatomy, lying)["C4/5"]
    off = [
        abs(float((centre - frame.origin_mm) @ np.cross(frame.across, frame.down)))
        for frame in series.frames
    ]
    assert min(off) < 1e-6


def test_both_forms_say_where_the_cord_is(parallel: GradedPhantom) -> None:
    """Key points in the patient are found again in the pixels of either kind of object."""
    case = parallel
    series, cord = axials(case), case.cords["C7/T1"]
    stored = series.frames[cord.frame].pixels
    for write, frame in ((classic, 0), (enhanced, cord.frame)):
        ds = write(case.patient, case.scanner, series, study="a")[cord.frame - frame]
        plane = plane_of(frame_header(ds, frame=frame))
        points = {name: plane.to_pixels(point) for name, point in cord.points_mm.items()}
        assert max(abs(float(point[2])) for point in points.values()) < 1e-3
        # Fluid lies all about a cord that nothing presses on.
        x, y = np.mean([point[:2] for point in points.values()], axis=0)
        inside = stored[round(y) - 2 : round(y) + 3, round(x) - 4 : round(x) + 5].mean()
        beside = stored[round(y) - 1 : round(y) + 2, round(points["left"][0]) + 2].mean()
        assert beside > 1.5 * inside


def test_bones_are_where_they_are_drawn() -> None:
    case = taken("along discs", only="sag T2")
    series = case.by_title["sag T2"]
    mask, frame = case.mask, middle_of(series, case.lying)
    assert set(np.unique(mask)) == set(range(9))
    # In the patient: C2 to T1 from the head down, their arches behind them.
    rows, columns = mask.shape
    centres = []
    for label in range(1, 9):
        row, column = (float(each.mean()) for each in np.nonzero(mask == label))
        centres.append(
            frame.origin_mm
            + series.pixel_mm * (row * frame.down + column * frame.across)
        )  # fmt: skip
    height = [centre[2] for centre in centres[:7]]
    assert height == sorted(height, reverse=True)
    assert centres[7][1] > np.mean([centre[1] for centre in centres[:7]]) + 20
    discs = case.discs
    for upper, level in enumerate(LEVELS):
        between = (centres[upper] + centres[upper + 1]) / 2
        assert np.linalg.norm((between - discs[level])[1:]) < (8 if upper == 0 else 3)
    # The marrow of each body is inside of its mask.
    labels = case.anatomy.plane(0.0)
    for body in range(7):
        row, column = (
            round(float(each.mean())) for each in np.nonzero(labels == FIRST_BODY + body)
        )
        at = np.array([0.0, *_position(case, column, row)])
        offset = case.lying.place(at) - frame.origin_mm
        x = round(float(offset @ frame.across) / series.pixel_mm)
        y = round(float(offset @ frame.down) / series.pixel_mm)
        assert mask[y, x] == body + 1
    assert (rows, columns) == frame.pixels.shape


def _position(case: GradedPhantom, column: int, row: int) -> tuple[float, float]:
    corner, step = case.anatomy.pixel(np.zeros(2)), case.anatomy.pixel(np.ones(2))
    x, y = (np.array([column, row]) - corner) / (step - corner)
    return float(x), float(y)


def test_ways_are_as_frequent_as_stated() -> None:
    drawn = Counter(draw_axials(draw_patient(8, number)).way for number in range(1500))
    for way, share in zip(WAYS, SHARES, strict=True):
        assert drawn[way] / 1500 == pytest.approx(share, abs=0.04)


def test_one_stack_holds_all_discs_whatever_its_tilt() -> None:
    case = taken("none")
    for tilt in (-8.0, 0.0, 8.0):
        whole = Axials("parallel", (tilt,) * 6, (2, 4), None)
        protocol = close_of(SCANNERS["A"])
        (stack,) = whole.stacks(protocol, case.anatomy, middle_mm=np.zeros(3))
        off = [(np.array([0.0, *at]) - stack.middle_mm) @ stack.normal
               for at, _ in case.anatomy.discs]  # fmt: skip
        assert min(stack.offsets_mm) < min(off)
        assert max(off) < max(stack.offsets_mm)


def test_a_head_may_lie_in_the_place_of_a_neck_whose_discs_are_sliced() -> None:
    case = graded_phantom(
        seed=5, number=OF_WAY["along discs"], fault="brain", only=("sag T2", "ax T2")
    )
    assert "sag T2" in case.by_title
    assert case.datasets
