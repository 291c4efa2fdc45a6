"""Published sizes through NVIDIA's own builder, with no GPU: INT8 and FP16, both its runtimes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("timm")
pytest.importorskip("torchvision")
pytest.importorskip("tensorrt_rtx_libs")

from cspine.engines.compile import Aim, compile_onnx
from cspine.engines.convolutions import convolutions
from cspine.engines.layers import left_in_float
from cspine.onnxfile import read_onnx
from cspine_calibration.emit import emit
from cspine_calibration.observe import Observer
from cspine_calibration.table import CalibrationTable
from cspine_int8.networks import subjects

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@dataclass(frozen=True)
class Net:
    """A network, its table, and the shape that it was calibrated with."""

    name: str
    model: bytes
    table: CalibrationTable
    input: str
    shape: tuple[int, ...]


@pytest.fixture(scope="module", params=subjects())
def net(request: pytest.FixtureRequest) -> Net:
    subject = subjects()[request.param]()
    observer = Observer(subject.model)
    observer.run(subject.calibration[0])
    table = observer.table(set_digest="0" * 64, preprocessing_digest="1" * 64)
    (spec,) = observer.inputs
    observer.close()
    shape = (1, *subject.calibration[0][spec.name].shape[1:])
    return Net(request.param, subject.model, table, spec.name, shape)


@pytest.mark.parametrize("precision", ["int8", "fp16"])
@pytest.mark.parametrize("target", ["trt", "trt-rtx"])
def test_the_emission_builds_and_is_what_it_says(
    net: Net, target: str, precision: Any, figures: dict[str, dict[str, Any]]
) -> None:
    emission = emit(net.model, net.table, target=target, precision=precision)
    compiled = compile_onnx(
        emission.model,
        where=net.name,
        profiles=[{net.input: (net.shape,) * 3}],
        precision=precision,
        aim=Aim(compute_capability="8.9"),
    )
    asked = convolutions(read_onnx(emission.model, where=net.name))
    left = left_in_float(asked, compiled.layers)
    quantized = sum(each.quantized for each in asked)
    kinds = [each.inputs[0].dtype for each in compiled.layers if each.convolves]
    figures.setdefault("rtx", {})[f"{net.name}, {target}, {precision}"] = {
        "megabytes": round(len(emission.model) / 1e6, 1),
        "engine_megabytes": round(len(compiled.plan) / 1e6, 1),
        "convolutions": emission.summary.convolutions,
        "quantized": quantized,
        "kernels": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "left_in_float": [each.name for each in left],
    }
    # TensorRT-RTX has no integer kernel for transposed convolutions.
    assert {each.operator for each in left} <= {"ConvTranspose"}
    assert target == "trt" or not left
    assert quantized == emission.summary.quantized
    assert "Float" not in kinds
    # Of convolutions: TensorRT gets matrix products in FP16.
    if precision == "int8" and asked:
        assert quantized > len(asked) / 2
