"""A detector's description survives its files, and one that does not fit together is refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cspine.detection.spec import DetectorSpec

JSON = (Path(__file__).parents[1] / "data" / "faster_rcnn" / "spec.json").read_bytes()


def test_a_description_survives_json() -> None:
    spec = msgspec.json.decode(JSON, type=DetectorSpec)
    assert msgspec.json.decode(msgspec.json.encode(spec), type=DetectorSpec) == spec
    assert spec.size_px == (96, 128)
    assert spec.anchor_count == sum(anchors.count for anchors in spec.anchors) == 3072
    assert spec.anchors[-1].stride_px == (48, 64)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (b'"p3"\n  ]', b'"p4"\n  ]', "got map 'p4', expected one of those with anchors: p0, p1"),
        (b",\n   0.03125", b"", "got 3 scales for 4 maps, expected one for each"),
        (b'"nms_threshold": 0.7', b'"nms_threshold": 1.7', "proposals.nms_threshold"),
        (b'"labels": 4', b'"labels": 1', "predictions.labels"),
        (b'"per_image"', b'"per_imag"', "per_imag"),
        (b'"channels": 8', b'"channels": 8.5', "regions.channels"),
    ],
)
def test_one_that_does_not_fit_together_is_refused(before: bytes, after: bytes, told: str) -> None:
    assert before in JSON
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(JSON.replace(before, after), type=DetectorSpec)
    assert told in str(caught.value)


def test_regions_are_cut_from_some_map() -> None:
    spec = msgspec.json.decode(JSON, type=DetectorSpec)
    regions = msgspec.structs.replace(spec.regions, maps=(), scales=())
    with pytest.raises(ValueError, match="got 0 scales for 0 maps, expected one for each"):
        msgspec.structs.replace(spec, regions=regions)
