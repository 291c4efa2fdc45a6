"""A sagittal and an axial series from files to findings, by networks that read grey levels.

What is drawn is so plain that a formula tells it: every vertebra has a grey level of its own, and
the cord is the brightest that an axial slice shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from pydicom.dataset import Dataset

from cspine.accept import Stacks
from cspine.backends import Array, TensorSpec
from cspine.commands.run import findings_table
from cspine.cord import CORD
from cspine.dicom.isolate import IsolatedReader
from cspine.dicom.media import dicom_files
from cspine.dicom.select import Study, read_studies
from cspine.fields import Percentile
from cspine.findings import Findings, Identity
from cspine.outcome import Outcome
from cspine.overlay import HEIGHT, overlay_png
from cspine.picture.axial import WIDTH
from cspine.picture.canvas import PANEL
from cspine.pipeline import Pipeline
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.session import Session
from cspine.spec import Cord, Explain, Grade, PipelineSpec, Segment
from cspine.stages.ratio import NAME, SMALLEST
from cspine_bench.latency.scenario import NETWORKS, Scenario, run_block
from mr_series import T1, Cut, classic, enhanced, sagittal

LEVELS = ("C2/3", "C3/4", "C4/5", "C5/6", "C6/7", "C7/T1")
IDENTITY = Identity(
    pipeline="mr-stenosis", bundle="ab" * 32, backend="none", precision="fp32", target=None
)
PIXEL_MM, STEP_MM = 0.8, 3.5
MUSCLE, CORD_LEVEL, FLUID = 100, 600, 1000
# C2 with its odontoid, then bodies of 12 mm, 17.6 mm apart; the level and rows of each.
BODIES = {160: slice(4, 32)} | {200 + 40 * k: slice(39 + 22 * k, 54 + 22 * k) for k in range(6)}
POSTERIOR = 450
DISC_COLUMN, CANAL_COLUMN = 59.5, 82
DISC_ROWS = (35.0, *(57.0 + 22 * k for k in range(5)))
# Depth and width of the cord in each axial slice, millimetres.
CORDS = dict(zip(LEVELS, [(7, 13), (6.5, 13), (6, 13), (4, 13), (5, 13), (6.5, 12)], strict=True))
EVERYTHING = Percentile(low=0, high=100)


class Formula:
    """A network whose logits are a function of its input, shape (N, 1, rows, columns)."""

    def __init__(self, size_px: tuple[int, int], logits: Callable[[Array], Array]) -> None:
        self.inputs = (TensorSpec("image", np.dtype(np.float32), (None, 1, *size_px)),)
        self._logits = logits

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        return {"logits": self._logits(feeds["image"]).astype(np.float32)}

    def close(self) -> None:
        pass


def labels(image: Array) -> Array:
    """Tell vertebrae by their levels, as near as 0.01 of the largest."""
    known = np.array([*BODIES, POSTERIOR]) / FLUID
    near = 0.01 - np.abs(image - known[:, None, None])
    return np.concatenate([np.zeros_like(image), near], axis=1)


def ends(image: Array) -> Array:
    """Tell front, back, left and right as the outermost of what is brightest, near its axes."""
    bright = image > 0.5
    counts = np.maximum(bright.sum(axis=(2, 3), keepdims=True), 1)
    y, x = (at * np.ones_like(image) for at in np.mgrid[: image.shape[2], : image.shape[3]])
    v, u = (at - (at * bright).sum(axis=(2, 3), keepdims=True) / counts for at in (y, x))
    ways = np.concatenate([-v - abs(u), v - abs(u), u - abs(v), -u - abs(v)], axis=1)
    return np.where(bright, 3 * ways, -1000)


def grades(image: Array) -> Array:
    return np.tile([0.0, 0.0, 2.0, 0.0], (len(image), 1))


@pytest.fixture(scope="module")
def spec() -> PipelineSpec:
    """The shipped pipeline without its map, which shows all grey levels to its networks."""
    shipped = load_spec(shipped_spec("mr-stenosis"))
    stages = [
        msgspec.structs.replace(stage, grey=EVERYTHING)
        if isinstance(stage, Segment | Grade | Cord)
        else stage
        for stage in shipped.stage
        if not isinstance(stage, Explain)
    ]
    return msgspec.structs.replace(shipped, stage=stages)


@pytest.fixture(scope="module")
def pipeline(spec: PipelineSpec) -> Pipeline:
    formulas = {Segment: labels, Grade: grades, Cord: ends}
    sessions = {
        stage.id: Session(stage.id, Formula(stage.size_px, formulas[type(stage)]))
        for stage in spec.networks
    }
    return Pipeline(spec, sessions=sessions, identity=IDENTITY)


@pytest.fixture(scope="module")
def judge(pipeline: Pipeline) -> Callable[[Any], Outcome]:
    return pipeline.run


def neck() -> list[Cut]:
    """Draw seven sagittal slices of 200 x 150 pixels; the middle three show canal and cord."""
    middle = np.zeros((200, 150), np.uint16)
    middle[:, 5:145] = MUSCLE
    for level, rows in BODIES.items():
        middle[rows, 50:70] = level
    middle[20:165, 98:112] = POSTERIOR
    aside = middle.copy()
    middle[:, CANAL_COLUMN - 8 : CANAL_COLUMN + 8] = FLUID
    middle[:, CANAL_COLUMN - 4 : CANAL_COLUMN + 4] = CORD_LEVEL
    slices = [middle if abs(number - 3) < 2 else aside for number in range(7)]
    return sagittal(np.array(slices), spacing_mm=(STEP_MM, PIXEL_MM, PIXEL_MM))


def through(
    level: str, *, tilt_deg: float = 0, spacing: tuple[float, float] = (0.5, 0.5)
) -> list[Cut]:
    """Draw three axial slices along a disc, 3 mm apart, with its cord in the canal."""
    first = neck()[3]
    centre, canal = (
        first.origin + first.across * column * PIXEL_MM + first.down * row * PIXEL_MM
        for column in (DISC_COLUMN, CANAL_COLUMN - 0.5)
        for row in (DISC_ROWS[LEVELS.index(level)],)
    )
    turn = np.radians(tilt_deg)
    across, down = np.array([1.0, 0, 0]), np.array([0.0, np.cos(turn), -np.sin(turn)])
    rows, columns = round(90 / spacing[0]), round(90 / spacing[1])
    y, x = np.mgrid[:rows, :columns]
    depth, width = CORDS[level]
    place = (canal - centre) @ down  # of the canal behind the disc, in the slice
    v = (y - (rows - 1) / 2) * spacing[0] - place
    u = (x - (columns - 1) / 2) * spacing[1]
    inside = (u / width * 2) ** 2 + (v / depth * 2) ** 2 <= 1
    pixels = np.where(inside, FLUID, MUSCLE).astype(np.uint16)
    corner = centre - across * spacing[1] * (columns - 1) / 2 - down * spacing[0] * (rows - 1) / 2
    normal = np.cross(across, down)
    return [Cut(pixels, corner + normal * 3 * k, across, down, spacing) for k in (-1, 0, 1)]


def study(*others: Sequence[Dataset]) -> Study:
    return Study((*classic(neck()), *(each for group in others for each in group)))


def along(*levels: str, **how: Any) -> list[Dataset]:
    """Return an axial series of three slices along each of some discs."""
    cuts = [cut for level in levels for cut in through(level, **how)]
    return classic(cuts, series="1.2.3.5")


@pytest.fixture(scope="module")
def whole(judge: Callable[[Any], Outcome]) -> Outcome:
    return judge(study(along(*LEVELS)))


def ratios(found: Findings) -> dict[str, float]:
    return {each.name: each.value for each in found.measurements}


def test_every_level_is_graded_and_has_its_ratio(whole: Outcome) -> None:
    found = whole.findings
    assert (found.status, found.refusal, found.withheld) == ("answered", None, ())
    assert [level.label for level in found.levels] == list(LEVELS)
    assert {level.grade for level in found.levels} == {"2"}
    assert {level.positive for level in found.levels} == {True}
    drawn = {f"{NAME} {level}": depth / width for level, (depth, width) in CORDS.items()}
    # The outermost whole pixels lie up to a pixel within the outline.
    assert ratios(found) == pytest.approx({**drawn, SMALLEST: 4 / 13}, abs=0.06)
    smallest = found.measurements[-1]
    assert (smallest.name, smallest.level) == (SMALLEST, "C5/6")
    for each in found.measurements:
        assert each.tilt_deg == pytest.approx(0, abs=1)
        assert each.source
        assert each.source.series_uid == "1.2.3.5"
    # The middle slice of three of each disc.
    assert len({str(each.source) for each in found.measurements}) == 6
    assert found.source
    assert found.source.series_uid == "1.2.3.4"
    # All along one direction, so they are one stack.
    assert "Axial slices that are used: 18, in stacks: 1." in found.notes


def test_the_picture_shows_the_slice_where_the_cord_is_narrowest(whole: Outcome) -> None:
    assert whole.view
    assert whole.view.axial
    assert whole.view.axial.source == whole.findings.measurements[-1].source
    png = np.frombuffer(overlay_png(whole.findings, whole.view), np.uint8)
    picture = cv2.imdecode(png, cv2.IMREAD_COLOR)
    width = round(HEIGHT * 150 / 200)
    assert picture.shape == (HEIGHT, width + WIDTH + PANEL, 3)
    plain = replace(whole.view, axial=None)
    beside = overlay_png(whole.findings, plain)
    assert cv2.imdecode(np.frombuffer(beside, np.uint8), 1).shape == (HEIGHT, width + PANEL, 3)


def test_the_table_names_every_ratio(whole: Outcome) -> None:
    table = findings_table([whole.findings])
    assert all(f"{NAME} {level}" in table for level in LEVELS)


@pytest.mark.parametrize("case", ["none", "moved", "T1", "unstated"])
def test_without_axial_slices_in_the_same_place_the_grades_stand(
    judge: Callable[[Any], Outcome], whole: Outcome, case: str
) -> None:
    axials = [] if case == "none" else along(*LEVELS)
    if case == "T1":
        axials = classic(through("C5/6"), series="1.2.3.5", **T1)
    given = study(axials)
    for dataset in axials if case == "moved" else given.instances if case == "unstated" else ():
        dataset.FrameOfReferenceUID = "1.2.3.10" if case == "moved" else ""
    found = judge(given).findings
    assert found.status == "partial"
    assert found.levels == whole.findings.levels
    assert found.measurements == ()
    assert [item.label for item in found.withheld] == [f"{NAME} {level}" for level in LEVELS]
    assert {item.code for item in found.withheld} == {"INCOMPLETE_SET"}
    told = " ".join(found.notes)
    assert "Axial slices that are used: 0" in told
    reasons = {"none": "", "T1": "not T2"}
    assert reasons.get(case, "in another Frame of Reference, or in none") in told


def test_a_network_that_a_study_gives_no_cause_for_costs_nothing(pipeline: Pipeline) -> None:
    with_axials, without = study(along(*LEVELS)), study()
    both = run_block(Scenario(), pipeline, [with_axials, without])
    assert "cord" not in both
    assert {"localise", "grade"} <= both.keys()
    alone = run_block(Scenario(), pipeline, [with_axials])
    assert alone[NETWORKS][0] == sum(alone[name][0] for name in ("localise", "grade", "cord"))
    assert both[NETWORKS][1] == both["localise"][1] + both["grade"][1]


def test_only_levels_with_a_slice_have_a_ratio(judge: Callable[[Any], Outcome]) -> None:
    outcome = judge(study(along("C4/5", "C6/7")))
    found = outcome.findings
    assert list(ratios(found)) == [f"{NAME} C4/5", f"{NAME} C6/7", SMALLEST]
    assert found.measurements[-1].level == "C6/7"
    others = ("C2/3", "C3/4", "C5/6", "C7/T1")
    assert [item.label for item in found.withheld] == [f"{NAME} {level}" for level in others]


def test_stacks_along_discs_that_lean_apart_are_all_used(judge: Callable[[Any], Outcome]) -> None:
    given = study(along("C4/5", tilt_deg=-9), along("C5/6"), along("C6/7", tilt_deg=9))
    found = judge(given).findings
    assert list(ratios(found)) == [*(f"{NAME} {level}" for level in LEVELS[2:5]), SMALLEST]
    assert "Axial slices that are used: 9, in stacks: 3." in found.notes


@pytest.mark.parametrize("tilt", [-15, 8, 30])
def test_the_tilt_of_a_slice_is_said(judge: Callable[[Any], Outcome], tilt: float) -> None:
    found = judge(study(along("C5/6", tilt_deg=tilt))).findings
    said = [each.tilt_deg for each in found.measurements]
    assert said == pytest.approx([abs(tilt)] * 2, abs=1)


def test_neither_the_form_nor_the_shape_of_a_pixel_changes_a_ratio(
    judge: Callable[[Any], Outcome], whole: Outcome
) -> None:
    cuts = [cut for level in LEVELS for cut in through(level)]
    turned = [cut.turned(swap=True, left_right=True, top_bottom=False) for cut in cuts]
    for axials in ([enhanced(cuts[::-1], series="1.2.3.5")], classic(turned, series="1.2.3.5")):
        found = judge(study(axials)).findings
        assert [(each.name, each.value, each.lines_px) for each in found.measurements] == [
            (each.name, each.value, each.lines_px) for each in whole.findings.measurements
        ]
    flat = judge(study(along(*LEVELS, spacing=(0.6, 0.4)))).findings
    assert ratios(flat) == pytest.approx(ratios(whole.findings), abs=0.05)


def test_a_coronal_series_is_not_axial(judge: Callable[[Any], Outcome]) -> None:
    found = judge(study(along("C5/6", tilt_deg=70))).findings
    assert found.measurements == ()
    assert "Axial slices that are used: 0, in stacks: 0." in found.notes


def test_a_cord_that_cannot_be_told_is_withheld(spec: PipelineSpec) -> None:
    def nowhere(image: Array) -> Array:
        return np.zeros((len(image), len(CORD), *image.shape[2:]))

    formulas = {Segment: labels, Grade: grades, Cord: nowhere}
    sessions = {
        stage.id: Session(stage.id, Formula(stage.size_px, formulas[type(stage)]))
        for stage in spec.networks
    }
    found = Pipeline(spec, sessions=sessions, identity=IDENTITY).run(study(along("C5/6"))).findings
    assert found.measurements == ()
    (told,) = (item for item in found.withheld if item.label == f"{NAME} C5/6")
    assert told.code == "MODEL_UNSURE"
    assert told.reason == "Not seen with confidence: front, back, left, right of the cord."


def test_without_a_sagittal_t2_nothing_is_said(judge: Callable[[Any], Outcome]) -> None:
    found = judge(Study(tuple(along(*LEVELS)))).findings
    assert found.refusal
    assert found.refusal.code == "INCOMPLETE_SET"
    assert (found.levels, found.measurements, found.withheld) == ((), (), ())


def test_another_process_reads_both_stacks_in_the_same_order(
    spec: PipelineSpec, judge: Callable[[Any], Outcome], tmp_path: Path
) -> None:
    for number, dataset in enumerate(study(along("C5/6", "C3/4")).instances):
        dataset.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    (plain,), _ = read_studies(dicom_files(tmp_path))
    assert isinstance(spec.accept, Stacks)
    with IsolatedReader() as reader:
        (isolated,), _ = reader.find_studies([tmp_path])
        assert judge(isolated).findings == judge(plain).findings
        images = isolated.images(spec.accept)
    heights = [float(each.plane.origin_mm[2]) for each in images[1:] if each.plane]
    assert heights == sorted(heights)
    assert len(heights) == 6
