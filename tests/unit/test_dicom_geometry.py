from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
from pydicom.dataset import Dataset

from cspine.dicom.geometry import directions_of, facing_of, spacing_of

IMAGER = {"ImagerPixelSpacing": [0.2, 0.1]}
PIXEL = {"PixelSpacing": [0.16, 0.08]}
EQUAL = {"PixelSpacing": [0.2, 0.1]}


def header(elements: dict[str, Any]) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize(
    ("elements", "row_mm", "flag"),
    [
        (PIXEL, 0.16, "unknown"),
        (IMAGER | {"EstimatedRadiographicMagnificationFactor": 1.25}, 0.16, "geometry"),
        (IMAGER, 0.2, "detector plane"),
        (IMAGER | EQUAL, 0.2, "detector plane"),
        (IMAGER | PIXEL | {"PixelSpacingCalibrationType": "FIDUCIAL"}, 0.16, "calibrated"),
        (IMAGER | PIXEL | {"PixelSpacingCalibrationDescription": "x"}, 0.16, "calibrated"),
        (IMAGER | PIXEL, 0.16, "unknown"),
    ],
)
def test_the_rule_table(elements: dict[str, Any], row_mm: float, flag: str) -> None:
    found = spacing_of(header(elements))
    assert found is not None
    assert (found.row_mm, found.column_mm) == pytest.approx((row_mm, row_mm / 2))
    assert found.flag == flag


def test_rounding_is_no_calibration() -> None:
    found = spacing_of(header(IMAGER | {"PixelSpacing": [0.20001, 0.1]}))
    assert found is not None
    assert found.flag == "detector plane"


@pytest.mark.parametrize(
    "value",
    [
        None, [], [0.2], 0.2, [0.2, 0.2, 0.2], [0, 0.2], [-0.2, 0.2], [inf, 1], [nan, 1],
        [0.0099, 0.0099], [5.1, 5.1], [1e-30, 1e-30], [1e30, 1e30], [0.1, 0.41], [0.41, 0.1],
    ],
)  # fmt: skip
def test_what_is_no_spacing_is_none(value: Any) -> None:
    assert spacing_of(header({})) is None
    assert spacing_of(header({"ImagerPixelSpacing": value})) is None
    kept = spacing_of(header({"ImagerPixelSpacing": value} | PIXEL))
    assert kept is not None
    assert kept.flag == "unknown"


@pytest.mark.parametrize("spacing", [[0.01, 0.01], [5, 5], [0.1, 0.4], [4, 1]])
def test_the_least_and_most_that_a_pixel_can_measure(spacing: list[float]) -> None:
    found = spacing_of(header({"ImagerPixelSpacing": spacing}))
    assert found is not None
    assert [found.row_mm, found.column_mm] == spacing


def test_a_magnification_of_three_is_used() -> None:
    found = spacing_of(header(IMAGER | {"EstimatedRadiographicMagnificationFactor": 3}))
    assert found is not None
    assert (found.row_mm, found.flag) == (pytest.approx(0.2 / 3), "geometry")


@pytest.mark.parametrize("factor", [0, -1.2, None, nan, inf, 0.99, 3.01, 1e30, 1e-30])
def test_an_impossible_magnification_is_not_used(factor: Any) -> None:
    found = spacing_of(header(IMAGER | {"EstimatedRadiographicMagnificationFactor": factor}))
    assert found is not None
    assert (found.row_mm, found.flag) == (0.2, "detector plane")


@pytest.mark.parametrize(
    ("orientation", "facing"),
    [
        (["P", "F"], "left"),
        (["A", "F"], "right"),
        (["PL", "FA"], "left"),
        (["AR", "F"], "right"),
        (["L", "F"], None),
        (["R", "F"], None),
        (["F", "P"], None),
        (["", ""], None),
        ("P", None),
        (["P", "F", "L"], None),
        (None, None),
    ],
)
def test_the_face_points_against_the_way_to_the_back(orientation: Any, facing: str | None) -> None:
    assert facing_of(header({"PatientOrientation": orientation})) == facing


def test_a_header_without_orientation_says_nothing() -> None:
    assert facing_of(Dataset()) is None


@pytest.mark.parametrize(
    ("orientation", "directions"),
    [
        (["P", "F"], ("P", "F")),
        (["al", " HP "], ("A", "H")),
        # No directions, or two of one axis.
        (["P", "X"], ("P", "")),
        (["LE", "RT"], ("", "")),
        (["AP", "PFP"], ("", "")),
        (["PFL", "FLA"], ("P", "F")),
        (["", "H"], ("", "H")),
        (["P", "F", "L"], ("", "")),
        ("P", ("", "")),
        (None, ("", "")),
    ],
)
def test_directions_are_the_main_ones_of_rows_and_columns(
    orientation: Any, directions: tuple[str, str]
) -> None:
    assert directions_of(header({"PatientOrientation": orientation})) == directions
