"""The frame in the middle of an image, and studies whose numbers are beyond reason."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from cspine.dicom.select import Study
from cspine.findings import Identity, Refused, Spacing
from cspine.image import Image
from cspine.pipeline import Pipeline
from cspine.spec import PipelineSpec, Segment
from cspine.stages.frame import frame_feeds, frame_map

IDENTITY = Identity(
    pipeline="p", bundle="ab" * 32, backend="onnxruntime", precision="fp32", target=None
)


def ramp() -> np.ndarray:
    return np.tile(np.arange(192, dtype=np.float32), (256, 1))


def feeds(pixels: np.ndarray, stage: Segment) -> dict[str, np.ndarray]:
    image = Image(pixels, Spacing(row_mm=1.0, column_mm=1.0, flag="unknown"))
    return dict(frame_feeds(image, frame_map(image, stage), stage))


def test_a_frame_of_grey_levels_is_fed(spec: PipelineSpec) -> None:
    stage = spec.only(Segment)
    fed = feeds(ramp(), stage)["image"]
    assert fed.shape == (1, 1, *stage.size_px)
    assert np.isfinite(fed).all()


@pytest.mark.parametrize("value", [nan, inf, -inf])
@pytest.mark.parametrize("share", [0.0001, 0.3, 1])
def test_levels_that_are_no_numbers_are_refused(
    spec: PipelineSpec, value: float, share: float
) -> None:
    pixels = ramp()
    pixels[: max(1, round(256 * share))] = value
    with pytest.raises(Refused) as caught:
        feeds(pixels, spec.only(Segment))
    assert caught.value.refusal.code == "LOW_QUALITY"


HOSTILE: list[tuple[dict[str, Any], str]] = [
    *(
        ({"ImagerPixelSpacing": [row, column]}, "INCOMPLETE_SET")
        for row, column in (
            ("1e-30", "1e-30"), ("1e30", "1e30"), ("1e-30", "1e30"), ("1e-320", "1e-320"),
            ("1e308", "1e308"), ("0.1", "1"), ("100", "100"),
        )
    ),
    *(({"RescaleSlope": slope}, "UNSUPPORTED_OBJECT") for slope in ("1e35", "1e308", "-1e36")),
    ({"RescaleIntercept": "1e308"}, "UNSUPPORTED_OBJECT"),
    ({"RescaleSlope": "1e-320"}, "UNSUPPORTED_OBJECT"),
    ({"WindowCenter": "1e9", "WindowWidth": "1"}, "LOW_QUALITY"),
]  # fmt: skip


@pytest.mark.parametrize(("elements", "code"), HOSTILE, ids=str)
def test_a_study_of_numbers_beyond_reason_is_answered_by_a_refusal(
    radiograph: Dataset, spec: PipelineSpec, elements: dict[str, Any], code: str
) -> None:
    for keyword, value in elements.items():
        setattr(radiograph, keyword, value)
    # No model is reached, so none is needed.
    pipeline = Pipeline(spec, sessions={}, identity=IDENTITY)
    studies = [Study((radiograph,))] * 2
    outcomes = [*map(pipeline.run, studies), *pipeline.stream(studies)]
    assert len(outcomes) == 4
    for outcome in outcomes:
        assert outcome.findings.refusal is not None
        assert outcome.findings.refusal.code == code
