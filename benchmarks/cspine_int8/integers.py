"""Which share of a network a runtime really computes in integers, read from the runtime."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import openvino as ov

from cspine.complexity import weighted_flops
from cspine.onnxfile import read_onnx
from cspine_calibration.fusion import integer_kernels

_INTEGER = frozenset({"i8", "u8"})
_WEIGHTED = frozenset({"Convolution", "Deconvolution", "FullyConnected", "MatMul"})


def integer_share(source: bytes, made: Path, runtime: str) -> float:
    """Return the share of the FP32 graph's FLOPs that an INT8 file of it runs in integers.

    Parameters
    ----------
    source
        The FP32 ONNX model.
    made
        What was made of it.
    runtime
        ``onnxruntime`` or ``openvino``; its optimised graph is asked for what is left in float, and
        its operators are told by the names that they have in the source.
    """
    left = _onnxruntime(made) if runtime == "onnxruntime" else _openvino(made)
    names = set(left)
    total = floating = 0
    for node, flops in weighted_flops(read_onnx(source, where="FP32 model")):
        total += flops
        if names.intersection((node.name, *node.outputs)):
            floating += flops
    return 1.0 - floating / total


def _onnxruntime(made: Path) -> Iterable[str]:
    fusion = integer_kernels(made.read_bytes())
    return [name.removeprefix("fused ") for _, name in fusion.floating]


def _openvino(made: Path) -> Iterable[str]:
    core = ov.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(core.read_model(made), "CPU", settings)
    names: list[str] = []
    for node in compiled.get_runtime_model().get_ordered_ops():
        facts = node.get_rt_info()
        kind, precision = (str(facts[key].astype(str)) for key in ("layerType", "runtimePrecision"))
        if kind in _WEIGHTED and precision not in _INTEGER:
            names += str(facts["originalLayersNames"].astype(str)).split(",")
    return names
