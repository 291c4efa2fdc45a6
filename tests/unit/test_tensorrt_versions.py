"""One code path over NVIDIA's bindings of 8.6 to 11.4: their names, and an engine that answers.

There is no GPU here. ``tests/trt`` has modules with exactly the names of each version, as
introspection of NVIDIA's own wheels lists them, over an engine that ONNX Runtime computes; what a
version lacks raises. ``make device`` runs the same contract on a real GPU.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnxruntime as ort
import pytest

from cspine.backends import Array, Backend, open_engine
from cspine.backends.tensorrt import TensorRT
from cspine.engines.compile import Aim, Compiled, compile_onnx
from cspine.engines.inspector import read_inspector
from cspine.errors import BackendError
from cspine.precision import Precision
from cspine_calibration.emit import emit
from small_graphs import EVERYTHING, SHAPES, build, calibrated, cases, random_weights
from trt.guard import SURFACES
from trt.install import Install, Installed

VERSIONS = tuple(SURFACES)
BATCHES = (1, 2, 4, 6)
FP32 = build(EVERYTHING, **random_weights(SHAPES))
HERE = Aim()


@pytest.fixture(params=VERSIONS)
def installed(request: pytest.FixtureRequest, install: Install) -> Installed:
    return install(request.param)


@pytest.fixture(scope="module")
def files() -> dict[tuple[str, str], bytes]:
    """What the builders are given, by target and precision."""
    table = calibrated(FP32, cases())
    return {
        ("trt", "int8"): emit(FP32, table, target="trt").model,
        ("trt", "fp16"): emit(FP32, table, target="trt", precision="fp16").model,
        ("trt-8", "int8"): emit(FP32, table, target="trt-8").model,
    }


def graph_of(files: dict[tuple[str, str], bytes], installed: Installed, precision: str) -> bytes:
    return files.get((installed.can.emission, precision), FP32)


def compiled(
    onnx: bytes, precision: Precision = "fp32", aim: Aim = HERE, **more: object
) -> Compiled:
    shapes = [(rows, 8, 12, 12) for rows in BATCHES]
    return compile_onnx(
        onnx,
        where="graph",
        profiles=[{"x": (shape, shape, shape)} for shape in shapes],
        precision=precision,
        aim=aim,
        **more,  # type: ignore[arg-type]
    )


def image(rows: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(size=(rows, 8, 12, 12)).astype(np.float32)


def reference(onnx: bytes, feed: Array) -> dict[str, Array]:
    """What ONNX Runtime computes of exactly that batch, operator by operator."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, {"x": feed}), strict=True))


def same(got: dict[str, Array], want: dict[str, Array]) -> bool:
    return got.keys() == want.keys() and all(
        np.allclose(got[name], want[name], rtol=1e-3, atol=1e-3) for name in want
    )


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_version_builds_and_answers(
    installed: Installed, files: dict[tuple[str, str], bytes], precision: Precision
) -> None:
    onnx = graph_of(files, installed, precision)
    backend = open_engine(compiled(onnx, precision).plan)
    for rows in (6, 1, 3, 6):
        assert same(backend.run({"x": image(rows)}), reference(onnx, image(rows)))
    backend.close()
    assert installed.cuda.pages == {}
    assert installed.cuda.contexts == 0


def test_only_8_6_is_told_of_batches_and_precision(
    installed: Installed, files: dict[tuple[str, str], bytes]
) -> None:
    compiled(graph_of(files, installed, "int8"), "int8")
    flags = [flag.name for (flag,) in installed.surface.said("IBuilderConfig.set_flag")]
    ((asked,),) = installed.surface.said("Builder.create_network")
    kinds = installed.surface.enumeration("NetworkDefinitionCreationFlag")
    if installed.surface.version.startswith("8.6"):
        assert asked == 1 << int(kinds.EXPLICIT_BATCH)
        assert flags == ["INT8", "FP16"]
    else:
        assert asked == 1 << int(kinds.STRONGLY_TYPED)
        assert flags == []


def test_no_calibrator_is_ever_given(
    installed: Installed, files: dict[tuple[str, str], bytes]
) -> None:
    for precision in ("fp32", "fp16", "int8"):
        compiled(graph_of(files, installed, precision), precision)
    asked = {call.name for call in installed.surface.calls}
    assert not {name for name in asked if "calib" in name.lower() or "dynamic_range" in name}


def test_single_precision_is_not_tf32(installed: Installed) -> None:
    assert "no TF32" in compiled(FP32).flags
    ((flag,),) = installed.surface.said("IBuilderConfig.clear_flag")
    assert flag.name == "TF32"


def test_the_workspace_is_limited_and_the_layers_are_asked_for(installed: Installed) -> None:
    compiled(FP32, aim=replace(HERE, workspace_bytes=1 << 20))
    ((pool, size),) = installed.surface.said("IBuilderConfig.set_memory_pool_limit")
    assert (pool.name, size) == ("WORKSPACE", 1 << 20)
    ((verbosity,),) = installed.surface.said("IBuilderConfig.profiling_verbosity")
    assert verbosity.name == "DETAILED"


def test_timings_of_one_build_serve_the_next(installed: Installed) -> None:
    first = compiled(FP32)
    assert first.timings
    compiled(FP32, timings=first.timings)
    assert installed.surface.said("IBuilderConfig.create_timing_cache")[-1] == (first.timings,)


def test_a_build_tells_how_far_it_is_where_it_can(installed: Installed) -> None:
    told: list[tuple[str, int, int]] = []
    compiled(FP32, watch=lambda *step: told.append(step))
    expected = [("Building engine", done, 2) for done in range(3)] if installed.can.progress else []
    assert told == expected


@pytest.mark.parametrize("stop", [KeyboardInterrupt, TimeoutError])
def test_a_build_is_ended_by_whoever_watches_it(
    installed: Installed, stop: type[BaseException]
) -> None:
    def watch(phase: str, done: int, steps: int) -> None:
        if done == 1:
            raise stop

    if installed.can.progress:
        with pytest.raises(stop):
            compiled(FP32, watch=watch)
    else:
        assert compiled(FP32, watch=watch).plan


def test_what_cannot_be_parsed_is_said(installed: Installed) -> None:
    with pytest.raises(BackendError, match="graph: TensorRT rejects the graph: cannot parse"):
        compiled(b"no model")


def test_what_cannot_be_built_is_said_with_tensorrts_reason(
    installed: Installed, files: dict[tuple[str, str], bytes]
) -> None:
    with pytest.raises(BackendError, match=r"cannot build it: Error Code 4: input x has no prof"):
        compile_onnx(FP32, where="graph", profiles=[], precision="fp32", aim=HERE)


def test_a_dla_gets_half_precision_and_the_gpu_for_the_rest(
    installed: Installed, files: dict[tuple[str, str], bytes]
) -> None:
    typed = replace(HERE, dla_core=1).strongly_typed(installed.can)
    onnx = files["trt", "fp16"] if typed else FP32
    assert compiled(onnx, "fp16", replace(HERE, dla_core=1)).plan
    flags = [flag.name for (flag,) in installed.surface.said("IBuilderConfig.set_flag")]
    assert flags == (["GPU_FALLBACK"] if typed else ["FP16", "GPU_FALLBACK"])
    assert installed.surface.said("IBuilderConfig.DLA_core") == [(1,)]
    assert typed == installed.surface.version.startswith("11")


def test_plans_for_the_lean_runtime_are_an_option(installed: Installed) -> None:
    plan = compiled(FP32, aim=replace(HERE, version_compatible=True)).plan
    flags = [flag.name for (flag,) in installed.surface.said("IBuilderConfig.set_flag")]
    assert flags == ["VERSION_COMPATIBLE"]
    open_engine(plan, host_code=True).close()
    assert installed.surface.said("Runtime.engine_host_code_allowed") == [(True,)]
    open_engine(plan).close()
    assert len(installed.surface.said("Runtime.engine_host_code_allowed")) == 1


def test_a_gpu_that_is_not_here_needs_rtx(installed: Installed) -> None:
    with pytest.raises(BackendError, match="only TensorRT-RTX builds for a GPU that is not here"):
        compiled(FP32, aim=replace(HERE, compute_capability="8.9"))


@pytest.mark.parametrize(
    "damage",
    [lambda plan: plan[:-1], lambda plan: plan[:8], lambda plan: b"", lambda plan: plan + b"x"],
    ids=["cut", "cut to its mark", "empty", "longer"],
)
def test_a_damaged_plan_is_refused_with_tensorrts_reason(
    installed: Installed, damage: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(BackendError, match=r"not built for .* \(Serialization .*; run: cspine bu"):
        open_engine(damage(compiled(FP32).plan))
    assert installed.cuda.contexts == 0


def test_a_plan_of_another_version_is_refused(install: Install) -> None:
    install("10.3.0")
    plan = compiled(FP32).plan
    install("11.4.0.106")
    with pytest.raises(BackendError, match=r"\(The engine plan file is of 10\.3\.0\); run: cspine"):
        open_engine(plan)


@pytest.mark.parametrize("version", ["8.6.1", "10.3.0", "11.4.0.106"])
@pytest.mark.parametrize("integrated", [False, True])
def test_an_integrated_gpu_copies_nothing(install: Install, version: str, integrated: bool) -> None:
    installed = install(version, integrated=integrated)
    backend = open_engine(compiled(FP32).plan)
    copies = installed.cuda.copies
    assert same(backend.run({"x": image(2)}), reference(FP32, image(2)))
    assert (installed.cuda.copies == copies) == integrated
    backend.close()


def test_a_batch_that_ran_once_is_a_graph_from_then_on(installed: Installed) -> None:
    backend = open_engine(compiled(FP32).plan)
    for seed in range(3):
        for rows in (6, 1):
            assert same(backend.run({"x": image(rows, seed)}), reference(FP32, image(rows, seed)))
    # Twice two runs, and one of each batch that compared the graph with the plain run.
    assert installed.cuda.launches == 4 + 2
    assert len(installed.surface.said("IExecutionContext.execute_async_v3")) == 2 + 2
    backend.close()
    assert installed.cuda.graphs == {}


def test_graphs_can_be_left_out(installed: Installed) -> None:
    backend = open_engine(compiled(FP32).plan, graphs=False)
    for _ in range(3):
        backend.run({"x": image(1)})
    assert installed.cuda.launches == 0
    backend.close()


@pytest.mark.parametrize(
    ("fault", "launches"),
    [({"capturable": False}, 0), ({"unfaithful": True}, 1)],
    ids=["cannot be captured", "answers otherwise"],
)
def test_an_engine_answers_without_a_graph_that_is_of_no_use(
    install: Install, fault: dict[str, bool], launches: int
) -> None:
    installed = install("10.3.0", **fault)
    backend = open_engine(compiled(FP32).plan)
    for seed in range(3):
        assert same(backend.run({"x": image(2, seed)}), reference(FP32, image(2, seed)))
    assert installed.cuda.launches == launches
    backend.close()


def test_shapes_and_addresses_are_said_once(installed: Installed) -> None:
    backend = open_engine(compiled(FP32).plan, graphs=False)
    for rows in (1, 6, 1, 6, 5):
        backend.run({"x": image(rows)})
    assert len(installed.surface.said("IExecutionContext.set_input_shape")) == 2
    assert len(installed.surface.said("IExecutionContext.set_tensor_address")) == 2 * 3
    backend.close()


def test_a_larger_batch_than_the_engines_is_refused(installed: Installed) -> None:
    backend = open_engine(compiled(FP32).plan)
    with pytest.raises(BackendError, match="a batch of 7, and the engine was built for at most 6"):
        backend.run({"x": image(7)})
    backend.close()


def test_two_engines_answer_at_once(installed: Installed) -> None:
    plan = compiled(FP32).plan
    backends: list[Backend] = [open_engine(plan), open_engine(plan)]
    right: list[bool] = []

    def work(number: int) -> None:
        want = reference(FP32, image(1, number))
        right.extend(same(backends[number].run({"x": image(1, number)}), want) for _ in range(10))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for backend in backends:
        backend.close()
    assert right == [True] * 20


def test_memory_stays_flat(installed: Installed) -> None:
    backend = open_engine(compiled(FP32).plan)
    for rows in BATCHES:
        backend.run({"x": image(rows)})
    held = len(installed.cuda.pages), len(installed.cuda.graphs)
    for seed in range(100):
        backend.run({"x": image(1 + seed % 6)})
    assert (len(installed.cuda.pages), len(installed.cuda.graphs)) == held
    backend.close()


def test_an_engine_tells_its_layers(
    installed: Installed, files: dict[tuple[str, str], bytes]
) -> None:
    backend = TensorRT(compiled(graph_of(files, installed, "int8"), "int8").plan)
    layers = read_inspector(backend.described())
    assert {layer.inputs[0].dtype for layer in layers} == {"Int8"}
    asked = installed.surface.said("EngineInspector.execution_context")
    assert len(asked) == 1, "TensorRT up to 10 withholds the types without it"
    backend.close()
