"""A pipeline of two stacks: what it is, and the faults that its file can have."""

from __future__ import annotations

import pytest

from cspine.accept import Stacks
from cspine.cord import CORD
from cspine.errors import SpecError
from cspine.pipeline_file import load_spec, parse_spec, shipped_spec
from cspine.spec import Axial, Cord, Explain, Grade, Levels, Ratio, Segment

PATH = shipped_spec("mr-stenosis")
TEXT = PATH.read_text(encoding="utf-8")


def test_the_shipped_pipeline_says_what_it_is() -> None:
    spec = load_spec(PATH)
    assert isinstance(spec.accept, Stacks)
    kinds = [Segment, Levels, Grade, Explain, Axial, Cord, Ratio]
    assert [type(stage) for stage in spec.stage] == kinds
    assert [stage.id for stage in spec.networks] == ["localise", "grade", "cord"]
    assert [spec.largest_batch(stage) for stage in spec.networks] == [1, 6, 6]
    grade, cord = spec.only(Grade), spec.only(Cord)
    assert (grade.classes, grade.positive) == (["0", "1", "2", "3"], ["2", "3"])
    assert cord.points == CORD
    assert cord.architecture.arguments["out_channels"] == len(CORD)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('levels_from = "levels"', 'levels_from = "level"',
         "stage 'axial': levels_from = 'level' is no levels stage before it; did you mean "
         "'levels'?"),
        ('slices_from = "axial"', 'slices_from = "levels"',
         "stage 'cord': slices_from = 'levels' is no axial stage before it"),
        ('points_from = "cord"', 'points_from = "axial"',
         "stage 'ratio': points_from = 'axial' is no cord stage before it"),
        ("maximum_ap_mm = 12.0", "maximum_ap_mm = 2.0",
         "stage 'ratio': minimum_ap_mm is not below maximum_ap_mm"),
        ("minimum_transverse_mm = 7.0", "minimum_transverse_mm = 70.0",
         "stage 'ratio': minimum_transverse_mm is not below maximum_transverse_mm"),
        ("canal_mm = 14.0", "canal_mm = inf", "stage 'axial': canal_mm = inf is no finite number"),
        ('axial = { orientation = "axial"', 'axial = { orientation = "coronal"',
         "accept.axial.orientation = 'coronal', expected 'axial'"),
        ('sagittal = { orientation = "sagittal", weighting = "T2",',
         'sagittal = { orientation = "sagittal",',
         "accept.modality = ['MR'], but a series without weighting is CT"),
        ('view = "stacks"', 'view = "stack"', "unknown field `sagittal`"),
        ("minimum_confidence = 0.3", 'minimum_confidence = 0.3\npoints = ["front"]',
         "stage 'cord'"),
        ('kind = "ratio"', 'kind = "ratios"', "did you mean 'ratio'?"),
    ],
)  # fmt: skip
def test_a_fault_is_told_by_name(old: str, new: str, told: str) -> None:
    assert old in TEXT
    with pytest.raises(SpecError) as caught:
        parse_spec(TEXT.replace(old, new, 1).encode(), where="p.toml")
    assert told in str(caught.value)


def test_stages_on_axial_slices_take_two_stacks() -> None:
    start = TEXT.index("[accept]"), TEXT.index("[[stage]]")
    one = shipped_spec("mr-opll").read_text(encoding="utf-8")
    accept = one[one.index("[accept]") : one.index("[[stage]]")]
    with pytest.raises(SpecError, match="does not look at what"):
        parse_spec((TEXT[: start[0]] + accept + TEXT[start[1] :]).encode(), where="p.toml")
