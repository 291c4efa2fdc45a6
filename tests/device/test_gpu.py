"""Real engines on a real NVIDIA GPU: ``make device``. Skipped where there is none.

``tests/unit/test_tensorrt_versions.py`` and ``tests/pipeline/test_tensorrt_pipeline.py`` hold the
same code to the same contract without a GPU.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cspine.backends import Array, open_backend, open_engine
from cspine.backends.cuda import gpu_facts
from cspine.bundle import Bundle
from cspine.device import this_device
from cspine.dicom.select import Study, find_studies
from cspine.engines.build import build_engines
from cspine.engines.compile import Aim
from cspine.engines.store import find_engine
from cspine.engines.summary import summarize
from cspine.errors import BackendError
from cspine.pipeline import Pipeline
from cspine.precision import Choice, Precision, fp32, lower
from cspine_bench.latency.ratio import blocks, ratio_interval
from cspine_calibration.numeric import compare

try:
    gpu_facts()
except BackendError as error:
    pytest.skip(str(error), allow_module_level=True)

DEMO = Path(os.environ.get("CSPINE_DEMO", "build/demo"))
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
LEAST_DB = {"fp32": 60.0, "fp16": 40.0, "int8": 15.0}
RUNS, BLOCKS, SEED = 10_000, 40, 7


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Engines of these tests go with them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CSPINE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    if not (DEMO / "xray.cspine").exists():
        pytest.skip(f"there is no bundle in {DEMO}; run: make demo")
    return Bundle.open(DEMO / "xray.cspine")


@pytest.fixture(scope="module")
def studies() -> list[Study]:
    return list(find_studies([DEMO / "studies" / "studies"])[0])


@pytest.fixture(scope="module", params=PRECISIONS)
def precision(request: pytest.FixtureRequest, bundle: Bundle, figures: dict[str, Any]) -> Precision:
    """A precision whose engines are built."""
    chosen: Precision = request.param
    start = time.perf_counter()
    engines = build_engines(bundle, precision=chosen, aim=Aim())
    figures.setdefault("build", {})[chosen] = {
        "seconds": round(time.perf_counter() - start, 1),
        "engines": {
            engine.manifest.stage: {"bytes": engine.size, **summarize(engine.manifest).facts()}
            for engine in engines
        },
    }
    return chosen


def choice(precision: Precision) -> Choice:
    if precision == "fp32":
        return fp32("tensorrt")
    return lower("tensorrt", this_device(), precision)


def plan_of(bundle: Bundle, stage: str, precision: Precision) -> bytes:
    return find_engine(bundle=bundle.digest, stage=stage, precision=precision)[0]


def feed(bundle: Bundle, stage_id: str, rows: int, seed: int = SEED) -> dict[str, Array]:
    stage = next(each for each in bundle.spec.networks if each.id == stage_id)
    shape = (rows, 1, *stage.size_px)
    return {"image": np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32)}


def test_every_quantized_convolution_is_an_integer_kernel(
    bundle: Bundle, precision: Precision, figures: dict[str, Any]
) -> None:
    if precision != "int8":
        return
    for engine in figures["build"]["int8"]["engines"].values():
        assert engine["missing"] == []
        assert engine["integer_share"] is None or engine["integer_share"] > 0.9


def test_engines_compute_what_onnxruntime_computes(
    bundle: Bundle, precision: Precision, figures: dict[str, Any]
) -> None:
    for stage in bundle.spec.networks:
        reference = open_backend("onnxruntime", bundle.model(stage.id))
        engine = open_engine(plan_of(bundle, stage.id, precision))
        feeds = [feed(bundle, stage.id, 1, seed) for seed in range(4)]
        decibels = compare(reference, engine, feeds)
        figures.setdefault("decibels", {}).setdefault(precision, {})[stage.id] = decibels
        engine.close()
        reference.close()
        assert min(decibels.values()) > LEAST_DB[precision], stage.id


def test_findings_are_onnxruntimes(
    bundle: Bundle, studies: list[Study], precision: Precision, figures: dict[str, Any]
) -> None:
    """Decisions and refusals are the same; probabilities differ by what the precision does."""
    shift = 0.0
    pipelines = [
        Pipeline.open(bundle, fp32("onnxruntime")),
        Pipeline.open(bundle, choice(precision)),
    ]
    flips = levels = 0
    for study in studies:
        ours, theirs = (each.run(study).findings for each in reversed(pipelines))
        assert (ours.refusal is None) == (theirs.refusal is None)
        for a, b in zip(ours.levels, theirs.levels, strict=True):
            levels += 1
            flips += a.positive != b.positive
            shift = max(shift, abs(a.probability - b.probability))
    for each in pipelines:
        each.close()
    figures.setdefault("findings", {})[precision] = {
        "levels": levels,
        "flips": flips,
        "largest_shift": shift,
    }
    assert flips == 0 if precision == "fp32" else flips <= levels * 0.05


@pytest.mark.parametrize("rows", [1, 3, 6])
def test_a_batch_is_the_same_as_its_rows(bundle: Bundle, precision: Precision, rows: int) -> None:
    engine = open_engine(plan_of(bundle, "classify", precision))
    batch = feed(bundle, "classify", rows)
    whole = engine.run(batch)
    for row in range(rows):
        alone = engine.run({"image": np.ascontiguousarray(batch["image"][row : row + 1])})
        for name in whole:
            np.testing.assert_allclose(whole[name][row], alone[name][0], rtol=0.02, atol=0.05)
    engine.close()


def test_two_engines_answer_at_once(bundle: Bundle, precision: Precision) -> None:
    plan = plan_of(bundle, "classify", precision)
    engines = [open_engine(plan), open_engine(plan)]
    wants = [engines[n].run(feed(bundle, "classify", 1, n)) for n in range(2)]
    right: list[bool] = []

    def work(number: int) -> None:
        for _ in range(200):
            got = engines[number].run(feed(bundle, "classify", 1, number))
            right.append(all(np.allclose(got[n], wants[number][n], atol=0.05) for n in got))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in engines:
        engine.close()
    assert right == [True] * 400


def test_latency_with_and_without_graphs(
    bundle: Bundle, precision: Precision, figures: dict[str, Any]
) -> None:
    """A figure, not a test of it: the record says what graphs are worth."""
    for stage in bundle.spec.networks:
        plan = plan_of(bundle, stage.id, precision)
        rows = 6 if stage.id == "classify" else 1
        image = feed(bundle, stage.id, rows)
        arms = {name: open_engine(plan, graphs=name == "graph") for name in ("plain", "graph")}
        times: dict[str, list[list[int]]] = {name: [] for name in arms}
        for arm in arms.values():
            for _ in range(50):
                arm.run(image)
        for block in blocks(np.random.default_rng(SEED), tuple(arms), repeats=BLOCKS):
            for name in block:
                samples = []
                for _ in range(10):
                    start = time.perf_counter_ns()
                    arms[name].run(image)
                    samples.append(time.perf_counter_ns() - start)
                times[name].append(samples)
        for arm in arms.values():
            arm.close()
        ratio = ratio_interval(np.array(times["plain"]), np.array(times["graph"]), seed=SEED)
        figures.setdefault("latency", {}).setdefault(precision, {})[stage.id] = {
            "rows": rows,
            "milliseconds": {n: float(np.median(t)) / 1e6 for n, t in times.items()},
            "graph_over_plain": [ratio.ratio, ratio.low, ratio.high],
        }


def test_latency_of_a_study(
    bundle: Bundle, studies: list[Study], precision: Precision, figures: dict[str, Any]
) -> None:
    pipeline = Pipeline.open(bundle, choice(precision))
    study = next(each for each in studies if pipeline.run(each).findings.levels)
    parts: dict[str, list[int]] = {}
    whole = []
    for _ in range(30):
        start = time.perf_counter_ns()
        for name, taken in pipeline.run(study).nanoseconds.items():
            parts.setdefault(name, []).append(taken)
        whole.append(time.perf_counter_ns() - start)
    pipeline.close()
    figures.setdefault("study", {})[precision] = {
        "whole_ms": float(np.median(whole)) / 1e6,
        "parts_ms": {name: float(np.median(each)) / 1e6 for name, each in parts.items()},
    }


def test_memory_stays_flat(bundle: Bundle, precision: Precision, figures: dict[str, Any]) -> None:
    engine = open_engine(plan_of(bundle, "classify", precision))
    feeds = [feed(bundle, "classify", rows) for rows in (1, 2, 3, 4, 5, 6)]
    for each in feeds * 20:
        engine.run(each)
    before = _free()
    for number in range(RUNS):
        engine.run(feeds[number % len(feeds)])
    after = _free()
    engine.close()
    figures.setdefault("memory", {})[precision] = {"runs": RUNS, "lost_bytes": before - after}
    assert before - after <= 0


def _free() -> int:
    """Return the free bytes of the GPU's memory."""
    from cspine.backends.cuda import Gpu

    gpu = Gpu()
    with gpu.current():
        free: int = gpu.cuda.mem_get_info()[0]
    gpu.close()
    return free
