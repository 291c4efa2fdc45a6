"""Tuning on a network whose best ranges are known, for outliers were put into it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cspine.backends.onnxruntime import OnnxRuntime
from cspine.errors import ModelError
from cspine_calibration import tune_ranges
from cspine_calibration.choices import chosen
from cspine_calibration.emit import emit
from cspine_calibration.estimate import affine, clip_range
from cspine_calibration.numeric import compare
from cspine_calibration.observe import Observer
from cspine_calibration.table import CalibrationTable
from cspine_calibration.targets import INT8, INT8_SYMMETRIC, TARGETS, UINT8
from cspine_calibration.tune_ranges import MARGIN_DB, MOST_TRIALS, Trial, tuned

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,4,8,8] x) => (float[N,2,6,6] y) {
  c = Conv<pads = [1, 1, 1, 1]>(x, w)  r = Relu(c)
  d = Conv<pads = [1, 1, 1, 1]>(r, v)  s = Add(d, r)  t = Relu(s)
  m = MaxPool<kernel_shape = [3, 3]>(t)  y = Conv(m, h)
}"""


@pytest.fixture(scope="module")
def model() -> bytes:
    proto = onnx.parser.parse_model(TEXT)
    rng = np.random.default_rng(0)
    for name, shape in (("w", (16, 4, 3, 3)), ("v", (16, 16, 3, 3)), ("h", (2, 16, 1, 1))):
        values = rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        proto.graph.initializer.append(numpy_helper.from_array(values.astype("f"), name))
    return proto.SerializeToString()


def feeds(seed, *, outlier=0.0, count=4):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        x = rng.normal(size=(2, 4, 8, 8)).astype(np.float32)
        x[0, 0, 0, 0] += outlier
        found.append({"x": x})
    return found


@pytest.fixture(scope="module")
def table(model) -> CalibrationTable:
    """One pixel in every image calibrated on is far brighter than any in other images."""
    observer = Observer(model, threads=1)
    for feed in feeds(1, outlier=60):
        observer.run(feed)
    return observer.table(set_digest="0" * 64, preprocessing_digest="1" * 64)


@pytest.fixture(scope="module")
def calls() -> list[tuple[int, int]]:
    return []


@pytest.fixture(scope="module")
def best(model, table, calls) -> CalibrationTable:
    def progress(done, total):
        calls.append((done, total))

    return tuned(model, table, feeds(2), threads=1, progress=progress)


@pytest.mark.parametrize("target", ["ort-x64-vnni", "ort-arm", "trt-8"])
def test_other_images_gain(model, best, target):
    reference = OnnxRuntime(model, threads=1)
    plain, better = (
        compare(
            reference,
            OnnxRuntime(emit(model, best, target=target, estimator=each).model, threads=1),
            feeds(3),
        )["y"]
        for each in ("minmax", "tuned")
    )
    assert better > plain + 0.3


def test_choices_are_recorded_by_the_kind_of_grid(best):
    assert set(best.choices) == {"asymmetric", "symmetric"}
    assert all(named and "minmax" not in named.values() for named in best.choices.values())
    assert CalibrationTable.from_bytes(best.to_bytes()) == best
    # The same integers, shifted.
    for name in best.tensors:
        assert chosen(best, [name], grid=UINT8) == chosen(best, [name], grid=INT8)
    forms = (affine(-1.3, 2.6, grid=grid) for grid in (UINT8, INT8))
    unsigned, signed = forms
    assert (unsigned.scale, unsigned.zero_point - 128) == (signed.scale, signed.zero_point)


def test_progress_is_bounded_and_reaches_its_end(best, calls):
    total = 2 * MOST_TRIALS
    assert {each for _, each in calls} == {total}
    done = [number for number, _ in calls]
    assert done == sorted(done)
    assert done[-1] == total


def test_trials_are_bounded(model, table, monkeypatch):
    monkeypatch.setattr(tune_ranges, "MOST_TRIALS", 0)
    found = tuned(model, table, feeds(2), threads=1, progress=lambda done, total: None)
    assert found.choices == {"asymmetric": {}, "symmetric": {}}


def test_nothing_is_chosen_for_less_than_the_margin(model, table, monkeypatch):
    monkeypatch.setattr(tune_ranges, "MARGIN_DB", 1000.0)
    found = tuned(model, table, feeds(2), threads=1, progress=lambda done, total: None)
    assert found.choices == {"asymmetric": {}, "symmetric": {}}
    assert MARGIN_DB > 0


@pytest.mark.parametrize("target", ["ort-x64-vnni", "trt-8"])
def test_a_trial_computes_what_the_emission_does(model, table, target):
    """Scales as inputs, against scales in the file, at the estimator that was not built in."""
    row = TARGETS[target]
    trial = Trial(model, table, row, feeds(3), threads=1)
    sources = tune_ranges.place(tune_ranges.read_float_graph(model), row).sources
    forms = {
        name: affine(
            *clip_range(table.statistics(group), grid=row.activation, estimator="mse"),
            grid=row.activation,
        )
        for name, group in sources.items()
    }
    emission = OnnxRuntime(emit(model, table, target=target, estimator="mse").model, threads=1)
    expected = compare(OnnxRuntime(model, threads=1), emission, feeds(3))["y"]
    assert trial.worst(forms) == pytest.approx(expected, abs=0.5)


def test_tensors_that_share_a_scale_and_disagree_take_the_default(table):
    both = replace(table, choices={"symmetric": {"x": "mse", "r": "entropy"}})
    assert chosen(both, ["x"], grid=INT8_SYMMETRIC) == "mse"
    assert chosen(both, ["r", "x"], grid=INT8_SYMMETRIC) == "minmax"
    assert chosen(both, ["t"], grid=INT8_SYMMETRIC) == "minmax"


def test_a_table_that_was_not_tuned_says_so(model, table):
    with pytest.raises(ModelError, match="nothing was tuned; calibrate with --estimator tuned"):
        emit(model, table, target="trt", estimator="tuned")
