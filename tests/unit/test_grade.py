"""Grades are the classes of a softmax, and positive is the sum of those that are named."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax as scipys
from scipy.special import logit

from cspine.errors import BackendError
from cspine.findings import Spacing
from cspine.image import Image
from cspine.pipeline_file import load_spec
from cspine.spec import Grade
from cspine.stages.detect import Region
from cspine.stages.grade import grade_feeds, log_odds, log_softmax, probability, region_crop, said

STAGE: Grade = load_spec(
    Path(__file__).parents[1] / "data" / "pipelines" / "graded-stack.toml"
).only(Grade)
logits = st.lists(st.floats(-30, 30, width=32), min_size=3, max_size=3)


@given(logits)
def test_the_odds_are_those_of_the_summed_probability(row: list[float]) -> None:
    values = np.array([row], np.float32)
    logs = log_softmax(values)
    np.testing.assert_allclose(logs, scipys(values.astype(float), axis=1), atol=1e-12)
    positive = np.exp(logs[0, 1:]).sum()
    odds = log_odds(logs, STAGE)
    assert probability(odds)[0] == pytest.approx(positive, abs=1e-12)
    if 1e-6 < positive < 1 - 1e-6:
        assert odds[0] == pytest.approx(logit(positive), abs=1e-6)


def test_odds_stay_finite_where_a_probability_is_one() -> None:
    logs = log_softmax(np.array([[-500, 500, 0], [500, -500, -500]], np.float32))
    odds = log_odds(logs, STAGE)
    np.testing.assert_allclose(odds, [1000, -1000 + np.log(2)])
    assert probability(odds).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_no_answer(value: float) -> None:
    with pytest.raises(BackendError, match="output 'logits': the model gave what is no number"):
        log_softmax(np.array([[0, value, 0]], np.float32))


def test_which_classes_are_positive_is_what_the_file_says() -> None:
    logs = np.log([[0.2, 0.5, 0.3]])
    for positive, wanted in ((["severe"], 0.3), (["none", "severe"], 0.5), (["mild"], 0.5)):
        stage = msgspec.structs.replace(STAGE, positive=positive)
        assert probability(log_odds(logs, stage))[0] == pytest.approx(wanted)


def test_a_grade_is_the_most_probable_class() -> None:
    grade, classes = said(np.log(np.array([0.2, 0.50004, 0.29996])), STAGE)
    assert grade == "mild"
    assert [(each.label, each.probability) for each in classes] == [
        ("none", 0.2),
        ("mild", 0.5),
        ("severe", 0.3),
    ]


def test_a_crop_has_its_size_in_millimetres_about_the_region() -> None:
    pixels = np.random.default_rng(0).random((120, 100)).astype(np.float32)
    image = Image(pixels, Spacing(row_mm=0.5, column_mm=0.8, flag="calibrated"))
    corners = np.array([[40.0, 50], [60, 50], [60, 70], [40, 70]])
    crop = region_crop(Region(0, corners, 0.9), image, STAGE)
    assert crop.to_image([15.5, 15.5]) == pytest.approx([50, 60])
    across, down = crop.to_image([[31.5, 15.5], [15.5, 31.5]]) - crop.to_image([15.5, 15.5])
    assert across == pytest.approx([16 / 0.8, 0])
    assert down == pytest.approx([0, 16 / 0.5])
    behind = msgspec.structs.replace(STAGE, posterior_shift_mm=5.0)
    moved = region_crop(Region(0, corners, 0.9), image, behind)
    assert moved.to_image([15.5, 15.5]) == pytest.approx([50, 60 + 5 / 0.5])
    assert moved.corners is corners


def test_every_crop_is_cut_from_its_own_slice() -> None:
    rng = np.random.default_rng(0)
    spacing = Spacing(row_mm=1.0, column_mm=1.0, flag="calibrated")
    images = [Image(rng.random((80, 80)).astype(np.float32), spacing) for _ in range(3)]
    corners = np.array([[35.0, 35], [45, 35], [45, 45], [35, 45]])
    crops = [region_crop(Region(at, corners, 0.9), images[at], STAGE) for at in (2, 0)]
    fed = grade_feeds(images, crops, STAGE)["image"]
    assert fed.shape == (2, 1, 32, 32)
    for tensor, at in zip(fed, (2, 0), strict=True):
        crop = region_crop(Region(0, corners, 0.9), images[at], STAGE)
        alone = grade_feeds([images[at]], [crop], STAGE)
        np.testing.assert_array_equal(tensor, alone["image"][0])
    assert not np.array_equal(fed[0], fed[1])
