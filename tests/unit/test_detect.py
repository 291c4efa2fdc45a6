"""The best detection of a slice is told in the pixels of the slice."""

from __future__ import annotations

import numpy as np
import pytest

from cspine.detection.faster_rcnn import NONE, Detections
from cspine.findings import Refused
from cspine.stages.detect import Region, found_regions, region_of
from cspine.transform import Affine, frame

IDENTITY = Affine(np.array([[1.0, 0, 0], [0, 1, 0]]))


def detections(*boxes: tuple[float, ...]) -> Detections:
    scores = np.linspace(0.9, 0.5, len(boxes), dtype=np.float32)
    return Detections(np.array(boxes, np.float32), np.ones(len(boxes), np.int64), scores)


def test_the_first_detection_is_taken() -> None:
    region = region_of(detections((4, 2, 20, 30), (40, 40, 60, 60)), IDENTITY, image=3)
    assert region is not None
    assert (region.image, region.score) == (3, pytest.approx(0.9))
    # Whole numbers are corners of pixels there, and centres of pixels here.
    assert region.corners.tolist() == [[3.5, 1.5], [19.5, 1.5], [19.5, 29.5], [3.5, 29.5]]
    assert region.centre.tolist() == [11.5, 15.5]


def test_a_box_of_the_whole_frame_is_the_frame() -> None:
    to_image = frame((200, 160), spacing_mm=(0.5, 0.4), size_px=(80, 48), to_mm=1.0)
    region = region_of(detections((0, 0, 48, 80)), to_image, image=0)
    assert region is not None
    rows, columns = 80 / 0.5, 48 / 0.4  # pixels of the image
    middle, half = np.array([(160 - 1) / 2, (200 - 1) / 2]), np.array([columns / 2, rows / 2])
    wanted = middle + half * [[-1, -1], [1, -1], [1, 1], [-1, 1]]
    np.testing.assert_allclose(region.corners, wanted)


def test_a_slice_without_a_detection_has_no_region() -> None:
    assert region_of(NONE, IDENTITY, image=0) is None


def test_slices_without_a_region_are_passed_over_and_none_at_all_is_refused() -> None:
    region = Region(1, np.zeros((4, 2)), 0.9)
    assert found_regions([None, region, None]) == (region,)
    with pytest.raises(Refused, match="found on none of 3 slices") as caught:
        found_regions([None] * 3)
    assert caught.value.refusal.code == "MODEL_UNSURE"
