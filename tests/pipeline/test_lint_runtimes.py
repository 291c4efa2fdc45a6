"""What the linter says of broken graphs, shown to the runtimes themselves."""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

import rtx
from broken import CASES, Broken, sound
from cspine.backends import Array
from cspine_calibration.fusion import integer_kernels
from cspine_calibration.numeric import sqnr
from drawing import CHANNELS, Drawing, images
from rtx import builds

RTX = [case for case in CASES if case.target == "trt"]
ORT = [case for case in CASES if case.runtime in ("QLinearConv", "QLinearAdd", "QGemm")]
# The instruction set of most servers, whatever this CPU has besides: with AMX the fault is gone.
NO_AMX = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}
OPENVINO = """
import pickle, sys
import numpy as np
import openvino as ov
model, feeds = pickle.load(sys.stdin.buffer)
core = ov.Core()
settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
compiled = core.compile_model(core.read_model(model), "CPU", settings)
np.save(sys.stdout.buffer, np.array(compiled(feeds)[0]))
"""


def named(cases: list[Broken]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def test_tensorrt_rtx_takes_the_sound_graph() -> None:
    assert builds(sound("trt"))


@named([case for case in RTX if case.runtime == "refuses"])
def test_tensorrt_rtx_refuses_what_the_linter_does(case: Broken) -> None:
    assert case.severity == "error"
    assert not builds(case.model)


@named([case for case in RTX if case.runtime == "accepts"])
def test_tensorrt_rtx_says_nothing_where_only_the_linter_does(case: Broken) -> None:
    assert builds(case.model)


@named([case for case in RTX if case.runtime == "dies"])
def test_tensorrt_rtx_dies_of_what_the_linter_refuses(case: Broken) -> None:
    done = subprocess.run(
        [sys.executable, rtx.__file__], input=case.model, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGSEGV


def computed(model: bytes, *, optimised: bool) -> Array:
    """Return ONNX Runtime's output; without optimisation it is what the file says."""
    options = ort.SessionOptions()
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, images())[0])


def test_onnxruntime_runs_the_sound_graph_in_integers() -> None:
    fusion = integer_kernels(sound("ort-x64-vnni"))
    assert fusion.integer == {"QLinearAdd": 1, "QLinearConv": 2}
    assert len(fusion.floating) == 1


@named(ORT)
def test_onnxruntime_loses_the_integer_kernel_that_the_linter_names(case: Broken) -> None:
    fusion = integer_kernels(case.model)
    assert case.runtime not in fusion.integer
    # The reference implementation computes what the file says, so speed is all that is lost.
    assert sqnr(computed(case.model, optimised=False), computed(case.model, optimised=True)) > 50


def test_onnxruntime_computes_a_matrix_product_along_the_wrong_axis_wrongly() -> None:
    (case,) = (each for each in CASES if each.target.startswith("ort") and each.runtime == "wrong")
    assert integer_kernels(case.model).integer == {"QGemm": 1}
    said, found = (computed(case.model, optimised=optimised) for optimised in (False, True))
    assert sqnr(said, found) < 20


@pytest.mark.parametrize("signed", [True, False], ids=["chain", "rest"])
def test_onnxruntime_makes_signed_activations_unsigned_only_where_one_operator_reads_them(
    signed: bool,
) -> None:
    name = "signed chain" if signed else "signed skip branch"
    (case,) = (each for each in CASES if each.name == f"ort-x64-vnni: {name}")
    assert ("QLinearConv" in integer_kernels(case.model).integer) == signed


def openvino(model: bytes, feeds: dict[str, Any]) -> subprocess.CompletedProcess[bytes]:
    """Run OpenVINO in a process of its own, which may die."""
    return subprocess.run(
        [sys.executable, "-c", OPENVINO],
        input=pickle.dumps((model, feeds)),
        capture_output=True,
        check=False,
        env={**os.environ, **NO_AMX},
    )


@pytest.mark.parametrize("behind", [True, False], ids=["behind", "before"])
@pytest.mark.parametrize(("form", "right"), [((np.int8, 0), False), ((np.uint8, 128), True)])
def test_openvino_is_wrong_where_a_convolution_reads_a_signed_concatenation(
    form: tuple[type[np.integer], int], right: bool, behind: bool
) -> None:
    d = Drawing(*form)
    if behind:
        joined = d.stored(d.node("Concat", "x", d.node("Relu", "x"), axis=1))
    else:
        x = d.stored("x")
        joined = d.node("Concat", x, d.stored(d.node("Relu", x)), axis=1)
    model = d.model(d.head(d.conv(joined, d.weights((CHANNELS, 2 * CHANNELS, 3, 3)))))
    done = openvino(model, images())
    assert done.returncode == 0, done.stderr
    found = np.load(io.BytesIO(done.stdout))
    assert (sqnr(computed(model, optimised=False), found) > 60) == right


@named([case for case in CASES if case.target == "openvino" and case.runtime == "dies"])
def test_openvino_dies_of_what_the_linter_refuses(case: Broken) -> None:
    assert openvino(case.model, images()).returncode == -signal.SIGSEGV
