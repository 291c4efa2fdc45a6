"""A file that computes something else is not kept, whatever accepts it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cspine.device import this_device
from cspine.errors import ModelError
from cspine_calibration.emit import emit
from cspine_calibration.smoke import FLOOR_DB, SmokeTest
from cspine_calibration.targets import TARGETS
from small_graphs import EVERYTHING, SHAPES, build, calibrated, cases, random_weights


@pytest.fixture(scope="module")
def model() -> bytes:
    return build(EVERYTHING, **random_weights(SHAPES))


@pytest.mark.parametrize("target", TARGETS)
def test_every_emission_computes_its_network(model: bytes, target: str) -> None:
    table = calibrated(model, cases())
    made = emit(model, table, target=target).model
    seen = SmokeTest(model, table).check(made, target=target, device=this_device())
    assert set(seen.decibels) == {"y", "z"}
    assert min(seen.decibels.values()) > 3 * FLOOR_DB
    here = {this_device().onnxruntime_target: "onnxruntime", "openvino": "openvino"}
    assert seen.backend == here.get(target, "reference")


@pytest.mark.parametrize("target", ["ort-x64-vnni", "openvino", "trt"])
def test_a_wrong_file_is_refused_by_its_target(model: bytes, target: str) -> None:
    table = calibrated(model, cases())
    proto = onnx.load_model_from_string(emit(model, table, target=target).model)
    (weights,) = (t for t in proto.graph.initializer if t.name == "c5_weight_quantized")
    wrong = np.roll(numpy_helper.to_array(weights), 3, axis=0)
    weights.CopyFrom(numpy_helper.from_array(wrong, weights.name))
    test = SmokeTest(model, table)
    with pytest.raises(
        ModelError, match=rf"target '{target}': output 'y' is -?\d+\.\d dB from FP32"
    ):
        test.check(proto.SerializeToString(), target=target, device=this_device())
