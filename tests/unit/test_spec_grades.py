"""A pipeline that detects and grades: its numbers fit together, or the fault is told by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from cspine.errors import SpecError
from cspine.pipeline_file import load_spec, parse_spec
from cspine.spec import Detect, Features, Grade, input_of

PATH = Path(__file__).parents[1] / "data" / "pipelines" / "graded-stack.toml"
TEXT = PATH.read_text(encoding="utf-8")


def fault(old: str, new: str) -> str:
    assert old in TEXT
    with pytest.raises(SpecError) as caught:
        parse_spec(TEXT.replace(old, new, 1).encode(), where="p.toml")
    return str(caught.value)


def without(kind: str) -> str:
    parts = TEXT.split("[[stage]]")
    kept = [part for part in parts if f'kind = "{kind}"' not in part]
    assert len(kept) == len(parts) - 1
    last = "" if "[gate]" in kept[-1] else "[gate]\nauc_margin = 0.02\n"
    return "[[stage]]".join(kept) + last


def test_both_networks_of_a_detector_are_stages_of_one_checkpoint() -> None:
    spec = load_spec(PATH)
    assert [stage.id for stage in spec.networks] == ["features", "detect", "grade"]
    assert [stage.id for stage in spec.trainings] == ["detect", "grade"]
    features, detect, grade = spec.only(Features), spec.only(Detect), spec.only(Grade)
    assert spec.trained(features) is detect
    assert spec.trained(grade) is grade
    assert [spec.largest_batch(stage) for stage in spec.networks] == [1, 12, 5]
    assert [input_of(stage) for stage in spec.networks] == [
        ("image", (1, 96, 64)),
        ("regions", (8, 7, 7)),
        ("image", (1, 32, 32)),
    ]
    numbers = spec.detector_of(detect)
    assert numbers is not None
    assert (numbers.size_px, numbers.anchor_count) == ((96, 64), 2 * (96 + 24 + 6 + 2))
    assert spec.detector_of(grade) is None
    assert spec.threshold == 0.6
    assert grade.negative == ["none"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('features_from = "features"', 'features_from = "feature"',
         "stage 'detect': features_from = 'feature' is no features stage before it; did you mean "
         "'features'?"),
        ('crops_from = "detect"', 'crops_from = "features"',
         "stage 'grade': crops_from = 'features' is no levels or detect stage before it"),
        ('grades_from = "grade"', 'grades_from = "detect"',
         "stage 'worst': grades_from = 'detect' is no grade stage before it"),
        ('map_from = "grade"', 'map_from = "worst"',
         "map_from = 'worst' is no classify or slices or grade stage before it"),
        ("stride_px = [16, 16]", "stride_px = [8, 16]",
         "stage 'detect': anchors of map 'p1': got stride_px (8, 16), expected (16, 16), as (6, 4) "
         "cells lie over (96, 64) pixels"),
        ('maps = ["p0", "p1", "p2"]', 'maps = ["p0", "p1", "p4"]',
         "regions: got map 'p4', expected one of those with anchors: p0, p1, p2, pool"),
        ("scales = [0.125, 0.0625, 0.03125]", "scales = [0.125]",
         "regions: got 1 scales for 3 maps, expected one for each"),
        ("labels = 2", "labels = 3", "predictions.labels = 3, expected 2: the background and the"),
        ("aspect_ratios = [1.0, 2.0]", "aspect_ratio = [1.0, 2.0]",
         "unknown field `aspect_ratio` - at `stage 'features'.anchors[0]`; did you mean "
         "'aspect_ratios'?"),
        ("after_nms = 12", "after_nms = 0", "at `stage 'detect'.proposals.after_nms`"),
        ('"none", "mild", "severe"', '"none", "mild", "mild"', "classes must stand once each"),
        ('positive = ["mild", "severe"]', 'positive = ["mild", "sever"]',
         "positive: 'sever' is none of none, mild, severe; did you mean 'severe'?"),
        ('positive = ["mild", "severe"]', "positive = []", "must name some of the classes and not"),
        ('positive = ["mild", "severe"]', 'positive = ["none", "mild", "severe"]',
         "positive must name some of the classes and not all"),
        ("adjacent = 2", "adjacent = 4", "adjacent = 4 is above minimum_slices = 3"),
        ("[stage.architecture.arguments]", "normalise = { mean = [0.0], std = [1.0] }\n\n"
         "[stage.architecture.arguments]",
         "stage 'detect': architecture.normalise: a detector has its own"),
        ("posterior_shift_mm = 0.0", "posterior_shift_mm = nan", "is no finite number"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_its_stage(old: str, new: str, told: str) -> None:
    message = fault(old, new)
    assert message.startswith("p.toml: ")
    assert told in message


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("worst", "no stage of kind 'worst' makes one answer of what is found on slices"),
        ("detect", "features_from"),
    ],
)
def test_what_would_be_found_and_not_said_is_refused(kind: str, told: str) -> None:
    text = without(kind)
    if kind == "detect":
        text = text.replace('crops_from = "detect"', 'crops_from = "features"')
        told = "crops_from = 'features' is no levels or detect stage before it"
    with pytest.raises(SpecError) as caught:
        parse_spec(text.encode(), where="p.toml")
    assert told in str(caught.value)


def test_a_stage_of_slices_does_not_look_at_a_film() -> None:
    accept = TEXT[TEXT.index("[accept]") : TEXT.index("[[stage]]")]
    film = 'view = "lateral"\nmodality = ["DX"]\nbody_part = ["CSPINE"]\nage_years = [18, 99]\n'
    message = fault(accept, f"[accept]\n{film}")
    assert message == "p.toml: stage 'features' does not look at what [accept] lets in"
