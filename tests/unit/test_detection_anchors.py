"""Anchors: as torchvision's, and in the order that the graph's outputs have."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from cspine.detection.anchors import all_anchors
from cspine.detection.spec import Anchors, DetectorSpec

DATA = Path(__file__).parents[1] / "data" / "faster_rcnn"
SPEC = msgspec.json.decode((DATA / "spec.json").read_bytes(), type=DetectorSpec)


def test_they_are_those_of_torchvision() -> None:
    made = all_anchors(SPEC)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, np.load(DATA / "golden.npz")["anchors"])


def test_ratios_come_before_sizes_and_columns_before_rows() -> None:
    one = Anchors(
        map="p0", grid=(2, 2), stride_px=(48, 64), sizes_px=(10, 20), aspect_ratios=(1, 4)
    )
    anchors = (one, *SPEC.anchors[1:])
    made = all_anchors(msgspec.structs.replace(SPEC, anchors=anchors))[:16]
    middles, sides = (made[:, :2] + made[:, 2:]) / 2, made[:, 2:] - made[:, :2]
    assert sides[:4].tolist() == [[10, 10], [20, 20], [4, 20], [10, 40]]  # halves to even
    assert middles[::4].tolist() == [[0, 0], [64, 0], [0, 48], [64, 48]]
