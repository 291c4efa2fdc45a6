"""Levels of a spine are graded in one batch, and the findings say grade, classes and decision."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from cspine.answer import answered, logits, view
from cspine.backends import open_backend
from cspine.findings import Findings, Identity, Spacing
from cspine.image import Image
from cspine.outcome import Clock
from cspine.overlay import overlay_png
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.session import Session
from cspine.spec import Explain, Grade, PipelineSpec
from cspine.stages.classify import classify_feeds, crop_corners, crop_map
from cspine.stages.levels import Body, Disc, Spine
from cspine.transform import zoom
from cspine.work import Levelled, Work

KANG = ["0", "1", "2", "3"]
IDENTITY = Identity(
    pipeline="levels", bundle="", backend="onnxruntime", precision="fp32", target=None
)
MM = 0.5


def stage() -> Grade:
    toy: Grade = load_spec(
        Path(__file__).parents[1] / "data" / "pipelines" / "graded-stack.toml"
    ).only(Grade)
    return msgspec.structs.replace(
        toy,
        crops_from="levels",
        posterior_shift_mm=6.0,
        grey=load_spec(shipped_spec("xray-compression")).stage[0].grey,  # type: ignore[union-attr]
        classes=KANG,
        positive=KANG[1:],
        threshold=0.7,
    )


def network() -> bytes:
    """Return a graph whose logits are steps of a crop's mean, with its map."""
    slope = np.array([[0.0], [8.0], [14.0], [18.0]], np.float32)
    offset = np.array([0, -3, -7, -10], np.float32)
    constants = [
        numpy_helper.from_array(slope, "slope"),
        numpy_helper.from_array(offset, "offset"),
        numpy_helper.from_array(slope[:, :, None, None], "kernel"),
    ]
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "slope", "offset"], ["logits"], transB=1),
        helper.make_node("Conv", ["image", "kernel"], ["cam"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 32, 32])
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 4]),
        helper.make_tensor_value_info("cam", TensorProto.FLOAT, ["batch", 4, 32, 32]),
    ]
    graph = helper.make_graph(nodes, "grades", [image], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


@pytest.fixture
def work() -> Work:
    """Return a neck with three levels, of which a stage found the spine."""
    rng = np.random.default_rng(0)
    shade = rng.normal(0, 0.02, (400, 300))
    for y, share in ((40, 0.15), (100, 0.5), (160, 0.85)):  # of a crop of 32 mm that is bright
        shade[round((y - 16) / MM) : round((y - 16 + 32 * share) / MM)] += 1
    image = Image(
        shade.astype(np.float32), Spacing(row_mm=MM, column_mm=MM, flag="calibrated"), "left"
    )
    down = np.array([0.0, 1.0])
    discs = tuple(
        Disc(label, np.array([70.0, y]), down)
        for label, y in (("C3/4", 40.0), ("C4/5", 100.0), ("C5/6", 160.0))
    )
    bodies = tuple(
        Body(label, np.zeros((1, 2)), np.array([70.0, y]), 200.0)
        for label, y in (("C3", 10.0), ("C4", 70.0), ("C5", 130.0), ("C6", 190.0))
    )
    spine = Spine(bodies, discs, (), "left")
    sessions = {"grade": Session("grade", open_backend("onnxruntime", network()))}
    made = Work([image], sessions, Clock())
    made.products["levels"] = Levelled(spine, zoom(1 / MM))
    return made


def found(work: Work, spec: PipelineSpec) -> Findings:
    work.do(stage())
    work.do(Explain(id="explain", map_from="grade"))
    graded = msgspec.structs.replace(spec, stage=[stage()])
    return answered(work, spec=graded, identity=IDENTITY)


def test_a_level_says_its_grade_its_classes_and_whether_it_is_positive(
    work: Work, spec: PipelineSpec
) -> None:
    findings = found(work, spec)
    assert [level.label for level in findings.levels] == ["C3/4", "C4/5", "C5/6"]
    assert (findings.threshold, findings.decisions) == (0.7, ())
    levelled: Levelled = work.products["levels"]
    crops = [
        levelled.from_mm @ crop_map(disc, facing="left", stage=stage())
        for disc in levelled.spine.discs
    ]
    means = classify_feeds(work.image, crops, stage())["image"].mean((1, 2, 3))
    values = means[:, None] * np.array([0.0, 8, 14, 18]) + np.array([0, -3, -7, -10])
    chance = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
    for level, crop, row in zip(findings.levels, crops, chance, strict=True):
        assert level.grade == KANG[row.argmax()]
        assert [each.label for each in level.classes] == KANG
        assert [each.probability for each in level.classes] == pytest.approx(row, abs=1e-3)
        assert level.probability == pytest.approx(1 - row[0], abs=1e-3)
        assert level.positive == (1 - row[0] >= 0.7)
        assert level.decision == ("1 or 2 or 3" if level.positive else "0")
        np.testing.assert_allclose(level.box_px, crop_corners(crop, (32, 32)), atol=0.006)
        assert logits(work)[level.label] == pytest.approx(np.log(1 / row[0] - 1), abs=1e-2)


def test_the_levels_differ_and_the_picture_shows_what_each_was_graded_by(
    work: Work, spec: PipelineSpec
) -> None:
    findings = found(work, spec)
    assert len({level.grade for level in findings.levels}) > 1
    shown = view(work, title="Grades")
    assert shown.heat is not None
    assert len(shown.crops) == len(shown.heat) == 3
    png = overlay_png(findings, shown)
    levels = tuple(msgspec.structs.replace(level, grade="9") for level in findings.levels)
    assert overlay_png(msgspec.structs.replace(findings, levels=levels), shown) != png
