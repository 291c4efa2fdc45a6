"""Emissions of the trained networks, computed by the backend that will run them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cspine.backends import Array, open_backend
from cspine.backends.recorder import Recorder
from cspine.bundle import Bundle
from cspine.dicom.select import Study
from cspine.pipeline import Pipeline
from cspine.precision import fp32
from cspine.session import Session
from cspine_calibration.calibrate import read_table
from cspine_calibration.emit import emit
from cspine_calibration.estimate import DEFAULT, ESTIMATORS
from cspine_calibration.numeric import compare
from cspine_calibration.reference import Reference

RUNS_ON = {
    "ort-x64-vnni": "onnxruntime",
    "ort-x64-avx2": "onnxruntime",
    "ort-arm": "onnxruntime",
    "openvino": "openvino",
    "trt": None,  # the file as it says, the nearest there is without a GPU
}


@pytest.fixture(scope="module")
def feeds(made: Bundle, studies: list[Study]) -> Mapping[str, list[dict[str, Array]]]:
    """What each network sees of two studies that calibrated nothing."""
    recorders = {
        stage.id: Recorder(open_backend("onnxruntime", made.model(stage.id)))
        for stage in made.spec.networks
    }
    pipeline = Pipeline(
        made.spec,
        sessions={name: Session(name, recorder) for name, recorder in recorders.items()},
        identity=Pipeline.open(made, fp32("onnxruntime")).identity,
    )
    for study in studies[:2]:
        pipeline.run(study)
    return {name: recorder.feeds for name, recorder in recorders.items()}


@pytest.mark.parametrize("target", RUNS_ON)
@pytest.mark.parametrize("number", [0, 1, 2], ids=["screen", "localise", "classify"])
def test_the_default_estimator_is_close_and_no_other_much_closer(
    made: Bundle, feeds: Mapping[str, list[dict[str, Array]]], number: int, target: str
) -> None:
    stage = made.spec.networks[number]
    reference = open_backend("onnxruntime", made.model(stage.id), threads=1)
    decibels = {}
    for estimator in ESTIMATORS:
        emission = emit(
            made.model(stage.id), read_table(made, stage), target=target, estimator=estimator
        )
        runs_on = RUNS_ON[target]
        candidate = (
            open_backend(runs_on, emission.model, threads=1)
            if runs_on
            else Reference(emission.model)
        )
        decibels[estimator] = min(compare(reference, candidate, feeds[stage.id]).values())
    # The screen decides by wide margins; what it decides in INT8 is what admission measures.
    # A classifier's logits of two studies are few numbers: FP16 alone moves their ratio by two.
    least, apart = (20, 12) if stage.id == "screen" else (30, 4)
    assert decibels[DEFAULT] >= least, decibels
    assert decibels[DEFAULT] >= max(decibels.values()) - apart, decibels
