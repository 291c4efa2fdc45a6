"""A stage slowed on purpose answers as before, and later."""

from __future__ import annotations

from cspine.bundle import Bundle
from cspine.device import this_device
from cspine.dicom.select import Study
from cspine.precision import lower
from cspine_bench.latency.bench import Side
from cspine_bench.latency.scenario import SINGLE_STREAM, run_block
from cspine_validation.live import SlowedSide


def test_a_slowed_stage_answers_the_same_later(made: Bundle, studies: list[Study]) -> None:
    choice = lower("onnxruntime", this_device(), "int8")
    found = []
    for side in (
        Side("as it is", made, choice),
        SlowedSide("slowed", made, choice, stage="localise", factor=10.0),
    ):
        pipeline = side.open(threads=1)
        findings = pipeline.run(studies[0]).findings
        rows = run_block(SINGLE_STREAM, pipeline, studies[:1] * 3)
        pipeline.close()
        found.append((findings, min(rows["localise"]), min(rows["classify"])))
    (plain, localise, classify), (slowed, later, as_before) = found
    assert slowed == plain
    assert later > 3 * localise
    assert as_before < 3 * classify
