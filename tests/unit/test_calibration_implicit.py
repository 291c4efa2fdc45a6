"""The cache that old TensorRT takes scales from, against its format written out by hand."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from cspine.errors import ModelError
from cspine.files import sha256
from cspine_calibration.implicit import calibration_cache
from cspine_calibration.table import CalibrationTable, summarize
from small_graphs import build, random_weights

MODEL = build(
    """<ir_version: 8, opset_import: ["" : 17]>
    g (float[N,4,9,9] x) => (float[N,2,7,7] y) { c = Conv(x, w) r = Relu(c) y = Conv(r, h) }""",
    **random_weights({"w": (16, 4, 3, 3), "h": (2, 16, 1, 1)}),
)


def table(**extremes: float) -> CalibrationTable:
    tensors = {name: summarize(np.array([0, end], np.float32)) for name, end in extremes.items()}
    return CalibrationTable(sha256(MODEL), "0" * 64, "1" * 64, 1, tensors, {}, {})


def test_every_line_is_a_name_and_the_bits_of_a_scale() -> None:
    cache = calibration_cache(MODEL, table(x=127.0, r=254.0), tensorrt=(10, 3, 0))
    # 1.0 and 2.0 in IEEE 754; `c` is rectified into `r`, the head has no scale.
    assert cache == (b"TRT-100300-EntropyCalibration2\nc: 40000000\nr: 40000000\nx: 3f800000\n")


def test_the_version_is_numbered_as_its_headers_do() -> None:
    cache = calibration_cache(MODEL, table(x=1.0, r=1.0), tensorrt=(8, 6, 2))
    assert cache.startswith(b"TRT-8602-EntropyCalibration2\n")
    (scale,) = struct.unpack(">f", bytes.fromhex(cache.split()[-1].decode()))
    assert scale == pytest.approx(1 / 127, rel=1e-3)


def test_a_table_of_another_model_is_refused() -> None:
    with pytest.raises(ModelError, match="belongs to model"):
        calibration_cache(b"another", table(x=1.0, r=1.0), tensorrt=(10, 3, 0))
