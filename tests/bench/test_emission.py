"""What a choice in the emission matrix is worth: decision 7 quotes this."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cspine.backends import open_backend
from cspine.files import sha256
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.spec import Classify, Network
from cspine_calibration import targets
from cspine_calibration.emit import emit
from cspine_calibration.observe import Observer
from cspine_calibration.table import CalibrationTable
from cspine_export.architecture import build_network
from cspine_export.graph.exported import to_onnx
from cspine_export.graph.interface import Interface
from cspine_export.stage_network import stage_network

Calibrated = tuple[bytes, CalibrationTable, np.ndarray]


@pytest.fixture(scope="module", params=load_spec(shipped_spec("xray-compression")).networks)
def calibrated(request: pytest.FixtureRequest) -> Calibrated:
    """A network of the shipped pipeline with fresh weights: speed does not depend on them."""
    stage: Network = request.param
    batch = 6 if isinstance(stage, Classify) else 1
    image = np.random.default_rng(0).random((batch, 1, *stage.size_px), np.float32)
    network = stage_network(build_network(stage.architecture), stage)
    model = to_onnx(network, Interface.of(stage)).data
    observer = Observer(model, threads=1)
    observer.run({"image": image})
    return model, observer.table(set_digest=sha256(b""), preprocessing_digest=sha256(b"")), image


@pytest.mark.parametrize("variant", ["fp32", "shared concat scale", "as shipped"])
def test_variant(
    benchmark: BenchmarkFixture,
    monkeypatch: pytest.MonkeyPatch,
    calibrated: Calibrated,
    variant: str,
) -> None:
    model, table, image = calibrated
    row = targets.TARGETS["ort-x64-vnni"]
    if variant == "shared concat scale":
        row = replace(row, share_concat_scale=True)
    monkeypatch.setitem(targets.TARGETS, row.name, row)
    emitted = model if variant == "fp32" else emit(model, table, target=row.name).model
    backend = open_backend("onnxruntime", emitted, threads=1)
    assert "logits" in benchmark(backend.run, {"image": image})
    backend.close()
