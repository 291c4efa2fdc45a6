from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cspine.accept import Film, Stack
from cspine.codes import precedence
from cspine.dicom.stacks.wanted import Thinning
from cspine.errors import SpecError
from cspine.fields import Window
from cspine.geometry import LANDMARKS
from cspine.pipeline_file import load_spec, parse_spec, shipped_spec
from cspine.spec import (
    Classify,
    Explain,
    Landmarks,
    Levels,
    Measure,
    PipelineSpec,
    Screen,
    Segment,
    Slices,
)

OWN = Path(__file__).parents[2] / "docs" / "pipelines" / "xray-neck.toml"
SHIPPED = shipped_spec("xray-compression").read_text()
OPLL = shipped_spec("mr-opll").read_text()
KEYS = (
    "name title intended_use modality body_part id size_px spacing_mm grey low high labels "
    "factory masks_from vertebrae posterior minimum_area_mm2 minimum_pitch_mm maximum_pitch_mm "
    "crops_from posterior_shift_mm positive negative threshold map_from auc_margin age_years label "
    "code reason remedy withholds_from"
).split()
HEAD, SCREEN, REST = SHIPPED.split("[[stage]]", maxsplit=2)
EXPLAIN = '[[stage]]\nid = "explain"\nkind = "explain"\nmap_from = "classify"\n'


def fault(old: str, new: str) -> str:
    """Return the message that the shipped file gives with its first ``old`` made ``new``."""
    assert old in SHIPPED
    with pytest.raises(SpecError) as caught:
        parse_spec(SHIPPED.replace(old, new, 1).encode(), where="p.toml")
    return str(caught.value)


def test_the_shipped_pipeline_says_what_it_is(spec: PipelineSpec) -> None:
    assert [type(stage) for stage in spec.stage] == [Screen, Segment, Levels, Classify, Explain]
    assert [stage.id for stage in spec.networks] == ["screen", "localise", "classify"]
    assert spec.screen is spec.stage[0]
    assert [spec.largest_batch(stage) for stage in spec.networks] == [1, 1, 6]
    assert 0 < spec.only(Classify).threshold < 1
    assert isinstance(spec.accept, Film)


def test_a_pipeline_may_measure_and_classify_nothing() -> None:
    spec = load_spec(shipped_spec("xray-sagittal"))
    assert [type(stage) for stage in spec.stage] == [Screen, Landmarks, Measure]
    assert [stage.id for stage in spec.networks] == ["screen", "landmarks"]
    assert spec.vertebrae == ("C2", "C3", "C4", "C5", "C6", "C7", "T1")
    assert spec.threshold is None
    assert {spec.largest_batch(stage) for stage in spec.networks} == {1}
    assert tuple(spec.only(Landmarks).points) == LANDMARKS


def test_both_radiograph_pipelines_are_screened_alike(spec: PipelineSpec) -> None:
    assert load_spec(shipped_spec("xray-sagittal")).screen == spec.screen


def test_a_pipeline_of_ones_own_is_made_of_the_same_stages(spec: PipelineSpec) -> None:
    own = load_spec(OWN)
    shipped = {stage.id: stage for stage in spec.stage}
    shipped |= {stage.id: stage for stage in load_spec(shipped_spec("xray-sagittal")).stage}
    assert {stage.id: stage for stage in own.stage} == shipped


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('points_from = "landmarks"', 'points_from = "screen"', "is no landmarks stage before it"),
        ('"C4PI"', '"C4Pi"', "needs the point 'C4PI', which 'landmarks' does not have"),
        ('"C2T"', '"C2D"', "a point of 'landmarks' stands twice"),
        ("minimum_depth_mm = 8.0", "minimum_depth_mm = 80.0", "is not below maximum_depth_mm"),
        ('c0_line = "McGregor"', 'c0_line = "Chamberlain"', "Invalid enum value 'Chamberlain'"),
        ('withholds_from = "C6"', 'withholds_from = "C3"', "withholds_from = 'C3' is none of C4"),
        ("contradiction_deg", "contradiction_degree", "did you mean 'contradiction_deg'?"),
    ],
)
def test_a_broken_rule_of_measuring_is_told(old: str, new: str, message: str) -> None:
    text = shipped_spec("xray-sagittal").read_text()
    assert old in text
    with pytest.raises(SpecError) as caught:
        parse_spec(text.replace(old, new, 1).encode(), where="p.toml")
    assert message in str(caught.value)


def test_what_answers_nothing_is_no_pipeline() -> None:
    text = shipped_spec("xray-sagittal").read_text()
    start, end = text.index('[[stage]]\nid = "measure"'), text.index("# The margins of")
    with pytest.raises(SpecError, match="no stage of kind 'classify', 'measure',"):
        parse_spec((text[:start] + text[end:]).encode(), where="p.toml")
    with pytest.raises(SpecError, match="gate: no margin, so every candidate would pass"):
        parse_spec((text.split("[gate]")[0] + "[gate]\n").encode(), where="p.toml")


def test_a_pipeline_is_found_by_name_or_by_path(tmp_path: Path) -> None:
    assert shipped_spec("xray-compression").read_text() == SHIPPED
    own = str(tmp_path / "own.toml")
    assert shipped_spec(own) == Path(own)
    with pytest.raises(SpecError) as caught:
        shipped_spec("xray-compresion")
    assert str(caught.value) == (
        "no pipeline 'xray-compresion'; did you mean 'xray-compression'?; shipped are "
        "ct-stenosis, mr-opll, mr-stenosis, xray-compression, xray-sagittal; your own is given as "
        "a path that ends in .toml"
    )


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none\.toml: cannot be read: No such file or directory"):
        load_spec(tmp_path / "none.toml")


@pytest.mark.parametrize("data", [b"schema = ", b"\xff\xfe", b"schema = 1\nschema = 1"])
def test_what_is_not_toml_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(SpecError, match=r"^p\.toml: not TOML: "):
        parse_spec(data, where="p.toml")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"schema = 1\na = " + b"[" * 5000, id="nested"),
        pytest.param(b"schema = 1\na = " + b"1" * 5000, id="digits"),
        pytest.param(b"schema = 1\nstage = [1]\n", id="stage"),
    ],
)
def test_hostile_toml_is_a_fault_of_the_file(data: bytes) -> None:
    # A file of another kind altogether must end in one line, not in a traceback of ours.
    text = SHIPPED.split("[[stage]]", maxsplit=1)[0].replace("schema = 1", data.decode(), 1)
    with pytest.raises(SpecError, match=r"^p\.toml: "):
        parse_spec(text.encode(), where="p.toml")


@pytest.mark.parametrize(("written", "shown"), [("schema = 2", "2"), ("", "None")])
def test_another_schema_is_refused(written: str, shown: str) -> None:
    expected = f"p.toml: schema is {shown}, this version reads schema 1"
    assert fault("schema = 1", written) == expected


@pytest.mark.parametrize("key", KEYS)
def test_a_misspelt_key_fails_and_is_mended(key: str) -> None:
    found = re.search(rf"\b{key} =", SHIPPED)
    assert found
    message = fault(found[0], f"{key}s =")
    assert message.startswith("p.toml: Object contains unknown field")
    assert f"`{key}s`" in message
    assert message.endswith(f"; did you mean {key!r}?")


@pytest.mark.parametrize("table", ["accept", "gate", "stage.architecture", "stage.sign"])
def test_a_misspelt_table_fails_and_is_mended(table: str) -> None:
    assert fault(f"[{table}]", f"[{table}s]").endswith(f"did you mean {table.split('.')[-1]!r}?")


KEEPS = '[keep_float]\nclassify = ["/layer4/*"]\n\n[gate]'


def test_what_is_kept_in_float_is_said_of_a_network() -> None:
    assert parse_spec(SHIPPED.encode(), where="p.toml").keep_float == {}
    kept = parse_spec(SHIPPED.replace("[gate]", KEEPS).encode(), where="p.toml").keep_float
    assert kept == {"classify": ["/layer4/*"]}
    told = fault("[gate]", KEEPS.replace("classify", "clasify"))
    assert told == (
        "p.toml: keep_float: 'clasify' is no stage with a network; did you mean 'classify'?"
    )
    assert "keep_float: 'levels' is no stage" in fault(
        "[gate]", KEEPS.replace("classify", "levels")
    )
    assert fault("[gate]", KEEPS.replace("keep_float", "keep_floats")).endswith(
        "did you mean 'keep_float'?"
    )


CT = """view = "stack"
modality = ["CT"]
series = { orientation = "axial", kernel = "soft", minimum_slices = 20, minimum_field_mm = 90.0 }
judged_slices = 64
every_mm = 3.0
age_years = [18, 100]
"""
WINDOW = 'grey = { kind = "window", center_hu = 300.0, width_hu = 1500.0 }'
HEADED, STAGES = OPLL.split("[accept]")[0], OPLL[OPLL.index("[[stage]]") :]
OF_CT = f"{HEADED}[accept]\n{CT}\n" + STAGES.replace('grey = { kind = "standardise" }', WINDOW)


def test_a_pipeline_of_ct_says_which_slices_and_how_they_are_windowed() -> None:
    read = parse_spec(OF_CT.encode(), where="p.toml")
    assert isinstance(read.accept, Stack)
    assert read.accept.series.modality == "CT"
    assert read.accept.thinning == Thinning(every_mm=3.0, most=64)
    (looking, _) = read.stage
    assert isinstance(looking, Slices)
    assert looking.grey == Window(center_hu=300, width_hu=1500)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["CT"]', '["MR"]', "accept.modality = ['MR'], but a series without weighting is CT"),
        ('["CT"]', "[]", "accept.modality = [], but a series without weighting is CT"),
        ('kernel = "soft"', 'weighting = "T2"', "but a series with weighting is MR"),
        ('kernel = "soft"', 'kernel = "hard"', "Invalid enum value 'hard'"),
        ("every_mm = 3.0", "every_mm = inf", "Expected `float` <= 100.0"),
        ("width_hu = 1500.0", "width_hu = 0.0", "Expected `float` > 0.0"),
        ("center_hu", "centre_hu", "did you mean 'center_hu'?"),
        ("1500.0", "nan", "width_hu"),
        ("center_hu = 300.0", "center_hu = inf", "Expected `float` <= 10000.0"),
        ("center_hu = 300.0", "center_hu = nan", "center_hu"),
    ],
)
def test_a_pipeline_of_ct_is_checked(old: str, new: str, message: str) -> None:
    assert old in OF_CT
    with pytest.raises(SpecError) as caught:
        parse_spec(OF_CT.replace(old, new).encode(), where="p.toml")
    assert message in str(caught.value)


def test_a_window_is_of_ct_alone() -> None:
    for pipeline, grey in ((OPLL, "standardise"), (SHIPPED, "percentile")):
        told = re.sub(rf'grey = {{ kind = "{grey}".*', WINDOW, pipeline)
        with pytest.raises(SpecError, match="'window' takes Hounsfield units, so CT alone"):
            parse_spec(told.encode(), where="p.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "explain"', 'id = "classify"', "stage 'classify' stands twice"),
        (
            'masks_from = "localise"',
            'masks_from = "localize"',
            "stage 'levels': masks_from = 'localize' is no segment stage before it; "
            "did you mean 'localise'?",
        ),
        (
            'masks_from = "localise"',
            'masks_from = "levels"',
            "stage 'levels': masks_from = 'levels' is no segment stage before it",
        ),
        (
            'masks_from = "localise"',
            'masks_from = "classify"',
            "stage 'levels': masks_from = 'classify' is no segment stage before it",
        ),
        (
            'posterior = "posterior elements"',
            'posterior = "posterior element"',
            "stage 'levels': label 'posterior element' is not in stage 'localise'; "
            "did you mean 'posterior elements'?",
        ),
        ('"C6", "C7", "T1", "posterior', '"C7", "T1", "posterior', "label 'C6' is not in stage"),
        (
            EXPLAIN,
            EXPLAIN + EXPLAIN.replace('"explain"', '"again"', 1),
            "2 stages of kind 'explain', expected at most one",
        ),
        (
            "threshold = 0.45  ",
            "threshold = 1.0  ",
            "Expected `float` < 1.0 - at `stage 'classify'",
        ),
        ("threshold = 0.45  ", "threshold = []  ", "got `array` - at `stage 'classify'.threshold`"),
        ("threshold = 0.2", "threshold = 0", "`float` > 0.0 - at `stage 'screen'.sign[0].thresh"),
        ("size_px = [112, 112]", "size_px = [112, 4]", "Expected `int` >= 8"),
        ('id = "levels"', 'id = "Levels 1"', "matching regex"),
        ('kind = "segment"', 'kind = "segments"', "expected screen, segment, levels"),
        ('view = "lateral"', 'sight = "lateral"', "missing required field `view` - at `accept`"),
        (
            'view = "lateral"',
            'view = "frontal"',
            "Invalid value 'frontal' - at `accept.view`, expected lateral, stack",
        ),
        (
            "threshold = 0.45  ",
            "# threshold = 0.45  ",
            "missing required field `threshold` - at `stage 'classify'`",
        ),
    ],
)
def test_a_broken_rule_is_told_with_its_stage(old: str, new: str, message: str) -> None:
    told = fault(old, new)
    assert told.startswith("p.toml: ")
    assert message in told


def test_a_reference_of_the_wrong_kind_is_not_suggested_back() -> None:
    message = fault('crops_from = "levels"', 'crops_from = "localise"')
    assert "crops_from = 'localise' is no levels stage before it" in message
    assert "did you mean 'localise'" not in message


def test_a_stage_refers_only_to_stages_before_it() -> None:
    head, screen, localise, levels, rest = SHIPPED.split("[[stage]]", maxsplit=4)
    swapped = "[[stage]]".join([head, screen, levels, localise, rest])
    with pytest.raises(SpecError, match="masks_from = 'localise' is no segment stage before it"):
        parse_spec(swapped.encode(), where="p.toml")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("spacing_mm = 1.0", "spacing_mm = inf"),
        ("posterior_shift_mm = 10.0", "posterior_shift_mm = nan"),
        ("low = 1.0, high = 99.0", "low = 99.0, high = 1.0"),
        ("minimum_pitch_mm = 8.0", "minimum_pitch_mm = 80.0"),
        ('"C2", "C3", "C4", "C5", "C6", "C7", "T1"]\nposterior', '"C2"]\nposterior'),
        ('"C2", "C3", "C4", "C5", "C6", "C7", "T1"]\nposterior', '"C2", "C2"]\nposterior'),
    ],
)
def test_what_can_never_work_fails_before_a_study_does(old: str, new: str) -> None:
    assert fault(old, new).startswith("p.toml: ")


def test_the_screen_may_be_left_out() -> None:
    spec = parse_spec("[[stage]]".join([HEAD, REST]).encode(), where="p.toml")
    assert spec.screen is None
    assert [stage.id for stage in spec.networks] == ["localise", "classify"]


def test_there_is_at_most_one_screen() -> None:
    second = SCREEN.replace('id = "screen"', 'id = "again"', 1)
    told = "2 stages of kind 'screen', expected at most one"
    with pytest.raises(SpecError, match=rf"^p\.toml: {told}$"):
        parse_spec("[[stage]]".join([HEAD, SCREEN, second, REST]).encode(), where="p.toml")


def test_signs_of_the_shipped_screen_stand_in_the_order_of_the_codes(spec: PipelineSpec) -> None:
    assert spec.screen is not None
    places = [precedence(sign.code) for sign in spec.screen.sign]
    assert places == sorted(places)
    assert spec.screen.architecture.arguments["num_classes"] == len(places)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('label = "frontal"', 'label = "oblique"', "sign 'oblique' stands twice"),
        ('code = "HARDWARE"', 'code = "METAL"', "enum value 'METAL' - at `stage 'screen'.sign[13]"),
        (
            'withholds_from = "C6"',
            'withholds_from = "C77"',
            "sign 'C7 hidden': withholds_from = 'C77' is none of C4, C5, C6, C7, T1; "
            "did you mean 'C7'?",
        ),
        # From there on no level would be left: that is a refusal.
        ('withholds_from = "C6"', 'withholds_from = "C2"', "withholds_from = 'C2' is none of C4"),
        ('withholds_from = "C6"', 'withholds_from = "C3"', "withholds_from = 'C3' is none of C4"),
        ("= [18, 100]", "= [100, 18]", "accept.age_years: 100 is above 18"),
        ("= [18, 100]", "= [18, 151]", "Expected `int` <= 150 - at `accept.age_years[1]`"),
        ("= [18, 100]", "= [18]", "Expected `array` of length 2, got 1 - at `accept.age_years`"),
    ],
)
def test_a_broken_rule_of_admission_is_told(old: str, new: str, message: str) -> None:
    told = fault(old, new)
    assert told.startswith("p.toml: ")
    assert message in told


def test_one_age_alone_may_be_accepted() -> None:
    text = SHIPPED.replace("age_years = [18, 100]", "age_years = [40, 40]")
    assert parse_spec(text.encode(), where="p.toml").accept.age_years == (40, 40)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    edits=st.lists(st.tuples(st.integers(0, len(SHIPPED)), st.binary(max_size=3)), max_size=6),
    cut=st.tuples(st.integers(0, len(SHIPPED)), st.integers(0, 40)),
)
def test_a_damaged_file_is_refused_or_still_a_pipeline(
    edits: list[tuple[int, bytes]], cut: tuple[int, int]
) -> None:
    data = bytearray(SHIPPED.encode())
    for start, text in edits:
        data[start : start + len(text)] = text
    del data[cut[0] : sum(cut)]
    told = "p.toml: "
    try:
        assert len(parse_spec(bytes(data), where="p.toml").networks) == 3
    except SpecError as error:
        told = str(error)
    assert told.startswith("p.toml: ")
