"""Enhanced multi-frame objects: what describes a frame stands in its functional groups."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from highdicom import Image as Highdicom
from pydicom.dataset import Dataset

from cspine.dicom.dataset import read_dataset
from cspine.dicom.frame import frame_header
from cspine.dicom.read import read_slice, render
from cspine.findings import Refused

WINDOWS = [(2000, 4000), (1000, 1500.5), (-3000, 4001)]
SLOPES = [(2, -1000), (0.5, 3), (-1.5, 20)]


def item(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


@pytest.fixture
def enhanced(radiograph: Dataset) -> Dataset:
    """Return an enhanced CT of three frames of 8 x 6, all of whose groups are per frame.

    What its root says of scale, window and place belongs to no frame.
    """
    made = radiograph
    made.SOPClassUID, made.Modality = "1.2.840.10008.5.1.4.1.1.2.1", "CT"
    made.FrameOfReferenceUID = "1.2.3.9"
    made.NumberOfFrames = 3
    frames = np.random.default_rng(5).integers(0, 4096, (3, 8, 6), "<u2")
    made.PixelData = frames.tobytes()
    made.RescaleSlope, made.RescaleIntercept = 77, 777
    made.WindowCenter, made.WindowWidth, made.VOILUTFunction = 1, 2, "SIGMOID"
    made.PixelSpacing = [9, 9]
    made.ImagePositionPatient = [9, 9, 9]
    made.ImageOrientationPatient = [0, 0, 1, 0, 1, 0]
    made.SharedFunctionalGroupsSequence = [
        item(
            PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.25], SliceThickness=2)],
            PlaneOrientationSequence=[item(ImageOrientationPatient=[0, 1, 0, 0, 0, -1])],
        )
    ]
    made.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[3 * number, 0, 0])],
            PixelValueTransformationSequence=[
                item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="HU")
            ],
            FrameVOILUTSequence=[item(WindowCenter=centre, WindowWidth=width)],
        )
        for number, ((slope, intercept), (centre, width)) in enumerate(
            zip(SLOPES, WINDOWS, strict=True)
        )
    ]
    return made


def words(dataset: Dataset) -> npt.NDArray[np.uint16]:
    return np.frombuffer(dataset.PixelData, "<u2").reshape(3, 8, 6)


@pytest.mark.parametrize("frame", range(3))
def test_a_frame_is_scaled_shown_and_placed_by_its_own_groups(
    enhanced: Dataset, frame: int
) -> None:
    slope, intercept = SLOPES[frame]
    seen = read_slice(enhanced, frame=frame)
    assert seen.values == pytest.approx(words(enhanced)[frame].astype(float) * slope + intercept)
    assert seen.plane.to_patient([1, 1]).tolist() == [3 * frame, 0.25, -0.5]
    assert seen.plane.frame_of_reference == "1.2.3.9"
    assert seen.plane.view == "sagittal"


@pytest.mark.parametrize("frame", range(3))
def test_a_frame_is_shown_as_highdicom_shows_it(enhanced: Dataset, frame: int) -> None:
    ours = render(enhanced, frame=frame)
    # highdicom believes the root, where a correct file says nothing.
    for keyword in ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"):
        delattr(enhanced, keyword)
    del enhanced.VOILUTFunction
    file = io.BytesIO()
    enhanced.save_as(file, enforce_file_format=True)
    theirs = Highdicom.from_dataset(read_dataset(file.getvalue())).get_frame(
        frame + 1,
        apply_voi_transform=True,
        apply_modality_transform=True,
        apply_real_world_transform=False,
        voi_output_range=(0, 255),
        dtype=np.float64,
    )
    assert np.ptp(theirs) > 100
    # It scales the window instead of the pixels, and so LINEAR's halves and ones with it.
    moved = (1 + abs(SLOPES[frame][0])) / WINDOWS[frame][1] * 255
    assert np.abs(ours - theirs).max() < 0.5 + moved


def test_groups_may_be_shared_or_own(enhanced: Dataset) -> None:
    before = [read_slice(enhanced, frame=frame) for frame in range(3)]
    shared = enhanced.SharedFunctionalGroupsSequence[0]
    for group in enhanced.PerFrameFunctionalGroupsSequence:
        for keyword in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
            setattr(group, keyword, getattr(shared, keyword))
    enhanced.SharedFunctionalGroupsSequence = []
    for frame, seen in enumerate(before):
        again = read_slice(enhanced, frame=frame)
        assert np.array_equal(again.values, seen.values)
        assert np.array_equal(again.plane.to_patient([3, 4]), seen.plane.to_patient([3, 4]))


def test_what_no_group_says_is_not_taken_from_the_root(enhanced: Dataset) -> None:
    for group in enhanced.PerFrameFunctionalGroupsSequence:
        del group.PixelValueTransformationSequence, group.FrameVOILUTSequence
    assert np.array_equal(read_slice(enhanced, frame=1).values, words(enhanced)[1])
    picture, stored = render(enhanced, frame=1), words(enhanced)[1].astype(float)
    expected = (stored - stored.min()) / np.ptp(stored) * 255
    assert np.abs(picture - expected).max() <= 0.5001
    del enhanced.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    with pytest.raises(Refused) as caught:
        read_slice(enhanced)
    assert caught.value.refusal.code == "INCOMPLETE_SET"


def test_shared_groups_alone_describe_all_frames(enhanced: Dataset) -> None:
    enhanced.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = [
        item(RescaleSlope=3, RescaleIntercept=1, RescaleType="US")
    ]
    del enhanced.PerFrameFunctionalGroupsSequence
    assert frame_header(enhanced, frame=2).RescaleSlope == 3
    assert "WindowCenter" not in frame_header(enhanced, frame=2)


@pytest.mark.parametrize("frame", [-1, 3])
def test_a_frame_that_is_not_there_is_refused(enhanced: Dataset, frame: int) -> None:
    with pytest.raises(Refused):
        read_slice(enhanced, frame=frame)


def test_too_few_groups_are_refused(enhanced: Dataset) -> None:
    enhanced.PerFrameFunctionalGroupsSequence = enhanced.PerFrameFunctionalGroupsSequence[:2]
    assert render(enhanced, frame=1).any()
    with pytest.raises(Refused) as caught:
        render(enhanced, frame=2)
    assert caught.value.refusal.reason == "The object describes fewer frames than it states."


def test_a_classic_header_is_that_of_its_frames(radiograph: Dataset) -> None:
    assert frame_header(radiograph) is radiograph
    radiograph.SharedFunctionalGroupsSequence = []
    assert frame_header(radiograph) is radiograph
