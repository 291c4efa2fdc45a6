from __future__ import annotations

import math

import numpy as np
import onnx
import pytest

from cspine.backends.onnxruntime import OnnxRuntime
from cspine.errors import BackendError, ModelError
from cspine_calibration.fusion import integer_kernels
from cspine_calibration.numeric import compare, sqnr


def scaled(factor: float, outputs="float[N,2] y", body="") -> OnnxRuntime:
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
    g (float[N,2] x) => ({outputs}) {{
      k = Constant<value = float[1] {{{factor}}}>()  y = Mul(x, k) {body}
    }}"""
    return OnnxRuntime(onnx.parser.parse_model(text).SerializeToString(), threads=1)


def test_sqnr_is_in_decibels():
    signal = np.array([3.0, -4.0], np.float32)
    assert sqnr(signal, signal * 1.1) == pytest.approx(20.0, abs=1e-4)
    assert sqnr(signal, signal + np.array([0.05, 0.0])) == pytest.approx(40.0)
    assert sqnr(signal, -signal) == pytest.approx(10 * math.log10(1 / 4))
    assert sqnr(signal, signal) == math.inf
    assert sqnr(np.zeros(2), signal) == -math.inf
    assert sqnr(np.zeros(2), np.zeros(2)) == math.inf


def test_sqnr_of_different_shapes_is_refused():
    with pytest.raises(ModelError, match=r"shapes \(2,\) and \(1, 2\)"):
        sqnr(np.ones(2), np.ones((1, 2)))


def test_comparison_pools_the_cases():
    feeds = [{"x": np.full((n, 2), float(n), np.float32)} for n in (1, 2)]
    outputs, body = "float[N,2] y, float[N,2] z", "z = Add(y, x)"
    reference, candidate = scaled(1.0, outputs, body), scaled(1.1, outputs, body)
    found = compare(reference, candidate, iter(feeds))
    assert found == pytest.approx({"y": 20.0, "z": 20 + 10 * math.log10(4)}, abs=1e-4)


def test_comparison_needs_cases_and_every_output():
    feeds = [{"x": np.ones((1, 2), np.float32)}]
    with pytest.raises(ModelError, match="no cases"):
        compare(scaled(1.0), scaled(1.0), [])
    with pytest.raises(ModelError, match="candidate has outputs y, expected also 'z'"):
        compare(scaled(1.0, "float[N,2] y, float[N,2] z", "z = Add(y, x)"), scaled(1.0), feeds)


def test_float_model_has_no_integer_kernels():
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[N,4,6,6] x, float[4,4,1,1] w) => (float[N,4,6,6] y) {
      [first] c = Conv(x, w)  r = Relu(c)  [second] y = Conv(r, w)
    }"""
    fusion = integer_kernels(onnx.parser.parse_model(text).SerializeToString())
    assert fusion.integer == {}
    assert fusion.float_convolutions == ("first", "second")
    assert fusion.conversions == 0


def test_model_that_cannot_be_loaded_is_refused():
    with pytest.raises(BackendError, match="onnxruntime cannot load the model"):
        integer_kernels(b"not a model")
