"""TensorRT's own parser and builder, with no GPU: TensorRT-RTX builds ahead of time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import Result
from onnx import numpy_helper

from cspine.backends.capability import tensorrt_module
from cspine.backends.messages import listening
from cspine.bundle import Bundle
from cspine.engines.build import build_engines
from cspine.engines.compile import Aim
from cspine.engines.monitor import Watch
from cspine.engines.store import load_engine
from cspine.engines.summary import summarize
from cspine.errors import BackendError, BundleError
from cspine.precision import Precision

Invoke = Callable[[Sequence[object]], Result]


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("CSPINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def ahead(compute_capability: str) -> Aim:
    return Aim(compute_capability=compute_capability)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.parametrize("compute_capability", ["8.6", "8.9", "12.0"])
def test_engines_of_all_networks_are_built_with_no_gpu(
    made: Bundle, cache: Path, precision: Precision, compute_capability: str
) -> None:
    engines = build_engines(made, precision=precision, aim=ahead(compute_capability))
    assert [engine.manifest.stage for engine in engines] == ["screen", "localise", "classify"]
    for engine in engines:
        assert engine.path.is_relative_to(cache)
        assert cache.stat().st_mode & 0o777 == 0o700
        assert load_engine(engine.path) == engine
        assert engine.manifest.bundle == made.digest
        assert engine.manifest.flags == ("STRONGLY_TYPED",)
        assert engine.manifest.compute_capability == compute_capability
        assert engine.size > 100_000


def test_the_command_builds_and_inspect_reads_it(invoke: Invoke, made: Bundle) -> None:
    built = invoke(["build", made.path, "--compute-capability", "8.9", "--json"])
    assert built.exit_code == 0
    assert built.stderr == ""
    for engine in json.loads(built.stdout):
        shown = json.loads(invoke(["inspect", engine["path"], "--json"]).stdout)
        assert shown["engine"] == engine["engine"]
        assert shown["summary"] == engine["summary"]
        assert shown["bytes"] == Path(engine["path"]).stat().st_size
        summary = engine["summary"]
        assert summary["layers"] == len(shown["layers"]) > len(summary["expected"]) > 10
        assert summary["missing"] == summary["untold"] == summary["unsupported"] == []
        assert 0.9 < summary["integer_share"] <= 1


def test_an_engine_in_single_precision_has_no_integers(made: Bundle) -> None:
    for engine in build_engines(made, precision="fp32", aim=ahead("8.9")):
        found = summarize(engine.manifest)
        assert (found.expected, found.integer_share, found.remark) == ((), 0.0, None)
        assert {each.origins for each in engine.manifest.layers if each.convolves}


def test_a_convolution_that_became_a_float_kernel_is_named(invoke: Invoke, bundle: Bundle) -> None:
    """TensorRT-RTX takes weights with a scale per input channel, and runs them in float."""
    graph = onnx.load_model_from_string(bundle.model("screen", target="trt-rtx"))
    name = "/layer2/layer2.0/conv2/Conv"
    conv = next(node for node in graph.graph.node if node.name == name)
    dequantize = next(node for node in graph.graph.node if conv.input[1] in node.output)
    constants = {each.name: each for each in graph.graph.initializer}
    weights, *outer = (constants[each] for each in dequantize.input)
    dequantize.input[1:] = ["inner_scale", "inner_zero_point"]
    for tensor, each in zip(dequantize.input[1:], outer, strict=True):
        values = np.resize(numpy_helper.to_array(each), weights.dims[1])
        graph.graph.initializer.append(numpy_helper.from_array(values, tensor))
    del dequantize.attribute[:]
    dequantize.attribute.append(onnx.helper.make_attribute("axis", 1))
    bundle.extended({"models/screen/trt-rtx.int8.onnx": graph.SerializeToString()}, {})

    built = invoke(["build", bundle.path, "--compute-capability", "8.9", "--json"])
    assert built.exit_code == 0
    screen, *others = json.loads(built.stdout)
    assert screen["summary"]["missing"] == [name]
    assert screen["summary"]["integer_share"] < 1
    assert not any(each["summary"]["missing"] for each in others)
    asked = len(screen["summary"]["expected"])
    assert built.stderr == (
        f"cspine: stage 'screen': 1 of {asked} convolutions emitted in INT8 run in float: {name}; "
        "the engine answers as it should, but slower; "
        f"see: cspine inspect {screen['path']}\n"
    )
    shown = invoke(["inspect", screen["path"]])
    assert f"in float all the same: 1: {name}" in shown.stdout


def test_a_graph_for_another_runtime_is_rejected_with_tensorrts_reason(
    bundle: Bundle,
) -> None:
    graph = bundle.read("models/localise/ort-x64-vnni.int8.onnx")
    foreign = bundle.extended({"models/localise/trt-rtx.int8.onnx": graph}, {})
    with pytest.raises(BackendError, match="stage 'localise': TensorRT rejects the graph: "):
        build_engines(foreign, precision="int8", aim=ahead("8.9"))


def test_an_unknown_gpu_is_refused(made: Bundle) -> None:
    with pytest.raises(BackendError, match=r"does not build for .* 9\.0; it builds for .*8\.9"):
        build_engines(made, precision="fp32", aim=ahead("9.0"))


def test_a_changed_engine_is_refused(made: Bundle) -> None:
    engine = build_engines(made, precision="fp32", aim=ahead("8.9"))[1]
    data = bytearray(engine.path.read_bytes())
    data[-1] ^= 1
    engine.path.write_bytes(data)
    with pytest.raises(BundleError, match="has changed since it was built; build it again"):
        load_engine(engine.path)


def test_a_build_that_is_ended_leaves_nothing(made: Bundle, cache: Path) -> None:
    def watch(stage: str) -> Watch:
        def step(phase: str, done: int, steps: int) -> None:
            if (stage, done) == ("localise", 1):
                raise KeyboardInterrupt

        return step

    with pytest.raises(KeyboardInterrupt):
        build_engines(made, precision="fp32", aim=ahead("8.9"), watch=watch)
    assert len(list((cache / "engines").iterdir())) == 2, "the first stage's engine and manifest"


@pytest.mark.parametrize("damage", [lambda plan: plan[: len(plan) // 2], lambda plan: b"no plan"])
def test_tensorrt_judges_a_damaged_plan(made: Bundle, damage: Callable[[bytes], bytes]) -> None:
    """RTX reads a plan's header with no GPU; the rest of the loading needs one."""
    trt = tensorrt_module()
    plan = build_engines(made, precision="fp32", aim=ahead("8.9"))[0].path.read_bytes()
    with listening() as (logger, _):
        validity, _ = trt.Runtime(logger).get_engine_validity(damage(plan))
    assert validity == trt.EngineValidity.INVALID
