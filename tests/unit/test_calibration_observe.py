from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from cspine.backends import TensorSpec
from cspine.backends.onnxruntime import OnnxRuntime
from cspine.errors import ModelError
from cspine_calibration.observe import Observer

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,4,6,6] x) => (float[N,2,6,6] y) {
  c = Conv<pads = [1, 1, 1, 1]>(x, w)  a = Conv<pads = [1, 1, 1, 1]>(c, v)
  s = Add(c, a)  r = Relu(s)  y = Conv(r, h)
}"""
DIGESTS = {"set_digest": "5" * 64, "preprocessing_digest": "6" * 64}


def build(text=TEXT) -> bytes:
    model = onnx.parser.parse_model(text)
    rng = np.random.default_rng(0)
    for name, shape in (("w", (16, 4, 3, 3)), ("v", (16, 16, 3, 3)), ("h", (2, 16, 1, 1))):
        values = rng.normal(size=shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    return model.SerializeToString()


def images(count=6):
    return np.random.default_rng(1).normal(size=(count, 4, 6, 6)).astype(np.float32)


def test_outputs_are_the_models_own():
    observer, reference = Observer(build(), threads=1), OnnxRuntime(build(), threads=1)
    found, expected = observer.run({"x": images()}), reference.run({"x": images()})
    assert list(found) == ["y"]
    np.testing.assert_allclose(found["y"], expected["y"], rtol=1e-4, atol=1e-4)
    kept = found["y"].copy()
    observer.run({"x": 2 * images()})
    np.testing.assert_array_equal(found["y"], kept)
    assert observer.inputs == (TensorSpec("x", np.dtype(np.float32), (None, 4, 6, 6)),)
    observer.close()


def test_statistics_are_those_of_the_reference_evaluator():
    model = onnx.load_model_from_string(build())
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in ("c", "a", "r"))
    expected = ReferenceEvaluator(model).run(None, {"x": images()})
    observer = Observer(build(), threads=1)
    observer.run({"x": images()})
    table = observer.table(**DIGESTS)
    # Of the addition only what leaves its ReLU can be quantised.
    assert sorted(table.tensors) == ["a", "c", "r", "x"]
    for name, values in zip(("c", "a", "r"), expected[1:], strict=True):
        seen = table.tensors[name]
        assert (seen.minimum, seen.maximum) == pytest.approx((values.min(), values.max()), 1e-4)
        assert seen.values == values.size


def test_batches_may_vary():
    whole, parts = Observer(build(), threads=1), Observer(build(), threads=1)
    whole.run({"x": images()})
    for stack in (images()[4:], images()[:1], images()[1:4]):
        parts.run({"x": stack})
    table = parts.table(**DIGESTS)
    assert table.to_bytes() == whole.table(**DIGESTS).to_bytes()
    assert table.samples == 6
    assert table.model_digest == hashlib.sha256(build()).hexdigest()
    assert (table.set_digest, table.preprocessing_digest) == tuple(DIGESTS.values())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_activation_without_a_range_is_refused_and_forgotten(bad):
    observer = Observer(build(), threads=1)
    observer.run({"x": images()})
    before = observer.table(**DIGESTS).to_bytes()
    spoilt = images()
    spoilt[2, 1, 3, 3] = bad
    with pytest.raises(ModelError, match="is not finite"):
        observer.run({"x": spoilt})
    assert observer.table(**DIGESTS).to_bytes() == before


@pytest.mark.parametrize("greys", [[0.5, 0.5], [0.1, 0.9]])
def test_constant_images_are_refused(greys):
    observer = Observer(build(), threads=1)
    for grey in greys:
        observer.run({"x": np.full((1, 4, 6, 6), grey, np.float32)})
    with pytest.raises(ModelError, match="each of the 2 inputs is constant"):
        observer.table(**DIGESTS)
    observer.run({"x": images(1)})
    assert observer.table(**DIGESTS).samples == 3


def test_weights_that_are_not_numbers_are_refused():
    model = onnx.load_model_from_string(build())
    values = numpy_helper.to_array(model.graph.initializer[1]).copy()
    values[3, 2, 1, 0] = np.inf
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(values, "v"))
    with pytest.raises(ModelError, match="constant 'v' holds NaN or infinity"):
        Observer(model.SerializeToString())


def test_an_observer_goes_on_from_what_another_saw():
    whole = Observer(build(), threads=1)
    first, second = Observer(build(), threads=1), Observer(build(), threads=1)
    second.resume(first.seen())  # of nothing
    for observer in (whole, first):
        observer.run({"x": images()[:4]})
    second.resume(first.seen())
    for observer in (whole, second):
        observer.run({"x": images()[4:]})
    assert second.table(**DIGESTS).to_bytes() == whole.table(**DIGESTS).to_bytes()


def test_table_before_any_case_is_refused():
    with pytest.raises(ModelError, match="run the calibration set first"):
        Observer(build(), threads=1).table(**DIGESTS)


def test_model_without_anything_to_quantise_is_refused():
    head = '<ir_version: 8, opset_import: ["" : 17]> g (float[N,4] x) => (float[N,4] y)'
    with pytest.raises(ModelError, match="nothing to quantise"):
        Observer(onnx.parser.parse_model(head + "{ y = Relu(x) }").SerializeToString())


@pytest.mark.parametrize("module", ["cspine_calibration", "cspine_calibration.targets"])
def test_targets_can_be_listed_without_onnx(module):
    code = f"import sys, {module}; print(*{{'onnx', 'onnxruntime', 'torch'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stdout.strip()
