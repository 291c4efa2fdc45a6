"""The acceptance of the main job: right, the same in INT8, and every convolution in integers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import pytest

from cspine.bundle import Bundle
from cspine.choose import choose
from cspine.device import this_device
from cspine.dicom.select import Study
from cspine.pipeline import Pipeline
from cspine.precision import fp32, lower
from cspine_bench.accuracy.evidence import Report
from cspine_bench.accuracy.verdict import answered_levels, verify
from cspine_bench.cases import read_cases
from cspine_calibration.fusion import integer_kernels


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def report(request: pytest.FixtureRequest, made: Bundle, sets: Path) -> Report:
    cases = read_cases(sets / "test", split="test", levels=answered_levels(made))
    return verify(made, lower(request.param, this_device(), "int8"), cases, threads=None)


def test_fp32_is_right_on_patients_it_never_saw(report: Report) -> None:
    assert report.reference.refused <= 2  # of 60 clean films; the records have the share of many
    found = report.reference.levels
    assert found
    assert found.dice is not None
    assert found.dice >= 0.85
    assert found.auc.value is not None
    assert found.auc.value >= 0.90


def test_int8_is_as_right_as_fp32(report: Report) -> None:
    assert report.verdict == "pass", report.reasons
    before, after, change = report.reference.levels, report.candidate.levels, report.levels
    assert before
    assert after
    assert change
    assert change.difference is not None
    assert -0.01 < change.difference.low <= change.difference.high < 0.01
    assert before.dice is not None
    assert after.dice is not None
    assert after.dice >= before.dice - 0.01
    # What FP32 answers, INT8 answers; of a film at a threshold of the screen it may answer more.
    assert not [name for name in report.answered_by_one if "FP32 only" in name]


def test_evidence_lets_int8_answer_on_that_backend_only(report: Report, made: Bundle) -> None:
    chosen = choose(made, this_device(), backend=report.backend, precision=None)
    assert (chosen.precision, chosen.target) == ("int8", report.target)
    assert choose(made, this_device(), backend="tensorrt", precision=None).precision == "fp32"


@pytest.mark.skipif(not this_device().has_vnni, reason="counts are those of a CPU with VNNI")
@pytest.mark.parametrize(("stage", "heads"), [("screen", 0), ("localise", 1), ("classify", 1)])
def test_every_eligible_convolution_and_add_runs_in_integers(
    made: Bundle, stage: str, heads: int
) -> None:
    name = f"models/{stage}/ort-x64-vnni.int8.onnx"
    summary = made.manifest.provenance[name]
    fusion = integer_kernels(made.read(name))
    operators = Counter(
        node.op_type for node in onnx.load_from_string(made.model(stage)).graph.node
    )
    # A convolution that gives an output, the label map or the activation map, multiplies integers
    # into float.
    assert operators["Conv"] == summary["quantized"]
    assert operators["Conv"] - heads == fusion.integer["QLinearConv"]
    assert fusion.integer.get("MatMulIntegerToFloat", 0) == heads
    assert fusion.float_convolutions == ()
    assert fusion.integer.get("QLinearAdd", 0) == summary["adds"] == operators["Add"]
    assert bool(summary["adds"]) == (stage != "localise")  # the others are residual networks


def test_the_same_study_gives_the_same_bytes(made: Bundle, studies: list[Study]) -> None:
    for choice in (
        fp32("onnxruntime"),
        lower("onnxruntime", this_device(), "int8"),
        fp32("openvino"),
    ):
        first, second = (Pipeline.open(made, choice) for _ in range(2))
        for study in studies:
            assert first.run(study).findings.to_json() == second.run(study).findings.to_json()
        first.close()
        second.close()


def test_a_stream_says_what_single_runs_say(made: Bundle, studies: list[Study]) -> None:
    pipeline = Pipeline.open(made, fp32("onnxruntime"))
    single = [pipeline.run(study).findings for study in studies * 2]
    assert [outcome.findings for outcome in pipeline.stream(studies * 2)] == single
    assert [found.status for found in single[:4]] == ["answered", "answered", "refused", "refused"]
    stream = pipeline.stream(studies)
    assert next(stream).findings == single[0]
    stream.close()  # leaving early cancels the rest
    pipeline.close()


def test_backends_agree_in_fp32(made: Bundle, studies: list[Study]) -> None:
    answers = []
    for backend in ("onnxruntime", "openvino"):
        pipeline = Pipeline.open(made, fp32(backend))
        answers.append([pipeline.run(study).findings for study in studies[:2]])
        pipeline.close()
    for ours, theirs in zip(*answers, strict=True):
        for a, b in zip(ours.levels, theirs.levels, strict=True):
            assert a.probability == pytest.approx(b.probability, abs=2e-3)
            assert a.positive == b.positive
