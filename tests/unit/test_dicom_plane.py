from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from highdicom.spatial import (
    ImageToReferenceTransformer,
    PixelToReferenceTransformer,
    ReferenceToImageTransformer,
    ReferenceToPixelTransformer,
)
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from cspine.dicom.plane import plane_of
from cspine.findings import Refused
from cspine.plane import Plane

millimetres = st.floats(-500, 500)
pixels = st.integers(-400, 800)


@st.composite
def headers(draw: st.DrawFn) -> Dataset:
    """Draw a slice that lies anywhere, its pixels not square."""
    x, y, z, w = draw(st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1))
    x, y, z, w = np.array([x, y, z, w]) / np.linalg.norm([x, y, z, w])
    across = [1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)]
    down = [2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)]
    header = Dataset()
    header.ImagePositionPatient = [round(draw(millimetres), 3) for _ in range(3)]
    header.ImageOrientationPatient = [float(f"{cosine:.10f}") for cosine in (*across, *down)]
    header.PixelSpacing = [round(draw(st.floats(0.05, 5)), 4) for _ in range(2)]
    header.FrameOfReferenceUID = "1.2.3"
    return header


def stated(header: Dataset) -> dict[str, Any]:
    return {
        "image_position": header.ImagePositionPatient,
        "image_orientation": header.ImageOrientationPatient,
        "pixel_spacing": header.PixelSpacing,
    }


@given(header=headers(), x=pixels, y=pixels)
def test_a_pixel_lies_where_highdicom_puts_it(header: Dataset, x: int, y: int) -> None:
    found = plane_of(header).to_patient([x, y])
    centre = PixelToReferenceTransformer(**stated(header))(np.array([[x, y]]))[0]
    assert found == pytest.approx(centre, abs=1e-5)
    # A column and row of the image begin at the outer corner of its first pixel.
    image = ImageToReferenceTransformer(**stated(header))(np.array([[x + 0.5, y + 0.5]]))[0]
    assert found == pytest.approx(image, abs=1e-5)


@given(header=headers(), point=st.tuples(millimetres, millimetres, millimetres))
def test_a_point_falls_where_highdicom_sees_it(
    header: Dataset, point: tuple[float, float, float]
) -> None:
    x, y, distance = plane_of(header).to_pixels(point)
    theirs = ReferenceToImageTransformer(**stated(header))(np.array([point]))[0]
    assert [x + 0.5, y + 0.5] == pytest.approx(theirs[:2], abs=1e-4)
    assert distance == pytest.approx(theirs[2], abs=1e-5)
    inside = ReferenceToPixelTransformer(**stated(header), round_output=False)
    assert [x, y] == pytest.approx(inside(np.array([point]))[0, :2], abs=1e-4)


@given(header=headers(), x=st.floats(-500, 500), y=st.floats(-500, 500))
def test_the_way_there_leads_back(header: Dataset, x: float, y: float) -> None:
    plane = plane_of(header)
    # Cosines of ten digits are that little off a right angle.
    assert plane.to_pixels(plane.to_patient([x, y])) == pytest.approx([x, y, 0], abs=1e-4)
    off = plane.to_patient([x, y]) + 3 * plane.normal
    assert plane.to_pixels(off) == pytest.approx([x, y, 3], abs=1e-4)


def test_points_keep_their_shape() -> None:
    plane = Plane(np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), (2, 3), "")
    assert plane.to_patient([[[1, 1], [2, 0]]]).tolist() == [[[3, 2, 0], [6, 0, 0]]]
    assert plane.to_pixels([[3, 2, 7]]).tolist() == [[1, 1, 7]]


@pytest.mark.parametrize(
    ("cosines", "view"),
    [
        ([0, 1, 0, 0, 0, -1], "sagittal"),
        ([1, 0, 0, 0, 0, -1], "coronal"),
        ([1, 0, 0, 0, 1, 0], "axial"),
        ([-1, 0, 0, 0, -1, 0], "axial"),
        ([1, 0, 0, 0, 0.96, -0.28], "axial"),
        ([1, 0, 0, 0, 0.8, -0.6], "oblique"),
        ([0.96, 0.28, 0, 0, 0, -1], "coronal"),
    ],
)
def test_a_plane_is_named_by_its_normal(cosines: list[float], view: str) -> None:
    assert plane_of(placed(ImageOrientationPatient=cosines)).view == view


def placed(**elements: Any) -> Dataset:
    header = Dataset()
    header.ImagePositionPatient = [1, 2, 3]
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.PixelSpacing = [0.5, 0.25]
    for keyword, value in elements.items():
        setattr(header, keyword, value)
    return header


def test_cosines_of_few_digits_are_made_whole() -> None:
    plane = plane_of(placed(ImageOrientationPatient=[0.7071, 0.7071, 0, -0.7072, 0.7071, 0]))
    assert np.linalg.norm([plane.across, plane.down], axis=1) == pytest.approx([1, 1])
    assert plane.frame_of_reference == ""
    assert plane_of(placed(FrameOfReferenceUID="1.2.3")).frame_of_reference == "1.2.3"


@pytest.mark.parametrize(
    ("elements", "told"),
    [
        ({"ImagePositionPatient": None}, "does not state position"),
        ({"ImagePositionPatient": [1, 2]}, "does not state position"),
        ({"ImageOrientationPatient": [1, 0, 0]}, "does not state position"),
        ({"PixelSpacing": None}, "does not state position"),
        ({"PixelSpacing": [0.5, 0]}, "a position or spacing that none has"),
        ({"PixelSpacing": [0.5, -0.5]}, "a position or spacing that none has"),
        ({"PixelSpacing": [0.5, 0.009]}, "a position or spacing that none has"),
        ({"PixelSpacing": [1e30, 0.5]}, "a position or spacing that none has"),
        ({"ImagePositionPatient": [0, 1e30, 0]}, "a position or spacing that none has"),
        ({"ImagePositionPatient": [0, 0, -10_001]}, "a position or spacing that none has"),
        ({"ImageOrientationPatient": [1e308, 0, 0, 0, 1e308, 0]}, "not at right angles"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "not at right angles"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 2, 0]}, "not at right angles"),
        ({"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, "not at right angles"),
        ({"ImageOrientationPatient": [1, 0, 0, 0.1, 0.995, 0]}, "not at right angles"),
    ],
)
def test_what_has_no_place_is_refused(elements: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused) as caught:
        plane_of(placed(**elements))
    assert caught.value.refusal.code == "INCOMPLETE_SET"
    assert told in caught.value.refusal.reason


@pytest.mark.parametrize("value", ["NaN", "inf"])
@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "PixelSpacing"])
def test_what_is_no_number_has_no_place(keyword: str, value: str) -> None:
    header = placed()
    stated = [str(each) for each in header[keyword].value]
    header.add_new(keyword, "LO", [value, *stated[1:]])
    with pytest.raises(Refused):
        plane_of(header)
