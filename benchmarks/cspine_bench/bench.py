"""``bench``: the latency of INT8 and FP32, interleaved in one process, as a record.

Each block runs every study once per arm, the arms in random order, so that what drifts meets both
alike; the ratio is bootstrapped over blocks. No sample is removed.
"""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from cspine.bundle import Bundle
from cspine.device import installed, this_device
from cspine.dicom.select import Study
from cspine.errors import StudyError
from cspine.pipeline import Pipeline
from cspine.precision import Choice
from cspine_bench.latency import blocks, quantile_interval, ratio_interval

FORMAT = 1
TOTAL = "study"  # from the files' bytes in memory to findings
NETWORKS = "networks"  # all stages that run a model


class Statistic(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds; ``None`` where the samples are too few to say."""

    median: float
    low: float
    high: float
    p95: float | None
    p99: float | None


class Ratio(msgspec.Struct, frozen=True):
    """FP32 time over candidate time: how many times as fast the candidate is; 95 % interval."""

    value: float
    low: float
    high: float


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A latency record: every figure can be computed again from ``nanoseconds``.

    ``nanoseconds`` is arm -> part -> block -> one number per study.
    """

    format: int
    bundle: str
    candidate: str
    threads: int | None
    studies: int
    blocks: int
    load_ms: dict[str, float]
    statistics: dict[str, dict[str, Statistic]]
    speed: dict[str, Ratio]
    peak_memory_mib: float
    device: dict[str, object]
    load_average: tuple[float, float]
    versions: dict[str, str | None]
    nanoseconds: dict[str, dict[str, list[list[int]]]]


def bench(
    bundle: Bundle,
    choices: tuple[Choice, Choice],
    studies: Sequence[Study],
    *,
    repeats: int,
    threads: int | None,
    seed: int = 0,
    progress: Callable[[int, int], None],
) -> Record:
    """Time two choices on the same studies.

    Parameters
    ----------
    bundle
        Holds the models of both.
    choices
        Reference and candidate.
    studies
        Read from disk already; decoding is timed as the part ``read``.
    repeats
        Blocks; each runs every study once per arm.
    threads
        CPU threads for one inference, for both arms.
    progress
        Called with the blocks done and their number.

    Raises
    ------
    StudyError
        If a study is refused: a refusal is quick and would flatter both arms.
    """
    pipelines, load_ms = {}, {}
    for choice in choices:
        start = time.perf_counter_ns()
        pipelines[_arm(choice)] = Pipeline.open(bundle, choice, threads=threads)
        load_ms[_arm(choice)] = round((time.perf_counter_ns() - start) / 1e6, 2)
    networks = [stage.id for stage in bundle.spec.networks]
    for pipeline in pipelines.values():
        for study in list(studies) * 3:  # warm-up: first shapes, caches, page faults
            if pipeline.run(study).findings.refusal:
                raise StudyError("a study is refused, so its latency says nothing; leave it out")
    samples: dict[str, dict[str, list[list[int]]]] = {arm: {} for arm in pipelines}
    load_before = _load()
    gc.collect()
    gc.disable()  # a collection would fall on one arm by chance
    try:
        order = blocks(np.random.default_rng(seed), tuple(pipelines), repeats=repeats)
        for number, block in enumerate(order, 1):
            for arm in block:
                _measure(pipelines[arm], studies, networks, samples[arm])
            progress(number, repeats)
    finally:
        gc.enable()
        for pipeline in pipelines.values():
            pipeline.close()
    reference, candidate = (_arm(choice) for choice in choices)
    parts = list(samples[reference])
    return Record(
        format=FORMAT,
        bundle=bundle.digest,
        candidate=candidate,
        threads=threads,
        studies=len(studies),
        blocks=repeats,
        load_ms=load_ms,
        statistics={
            arm: {part: _statistic(samples[arm][part]) for part in parts} for arm in samples
        },
        speed={
            part: _speed(samples[reference][part], samples[candidate][part])
            for part in (*networks, NETWORKS, TOTAL)
        },
        peak_memory_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        device=this_device().facts(),
        load_average=(load_before, _load()),
        versions={name: installed(name) for name in ("cspine", "numpy", "onnxruntime", "openvino")},
        nanoseconds=samples,
    )


def _measure(
    pipeline: Pipeline,
    studies: Sequence[Study],
    networks: Sequence[str],
    samples: dict[str, list[list[int]]],
) -> None:
    """Run every study once and append one row per part."""
    rows: dict[str, list[int]] = {}
    for study in studies:
        start = time.perf_counter_ns()
        outcome = pipeline.run(study)
        total = time.perf_counter_ns() - start
        times = dict(outcome.nanoseconds)
        times[NETWORKS] = sum(times[name] for name in networks)
        times[TOTAL] = total
        for part, value in times.items():
            rows.setdefault(part, []).append(value)
    for part, row in rows.items():
        samples.setdefault(part, []).append(row)


def _statistic(samples: list[list[int]]) -> Statistic:
    flat = np.array(samples).ravel() / 1e6
    median = quantile_interval(flat, 0.5)
    p95, p99 = (quantile_interval(flat, q) for q in (0.95, 0.99))
    return Statistic(
        median=round(median.value, 3),
        low=round(median.low, 3),
        high=round(median.high, 3),
        p95=round(p95.value, 3) if p95.sufficient else None,
        p99=round(p99.value, 3) if p99.sufficient else None,
    )


def _speed(reference: list[list[int]], candidate: list[list[int]]) -> Ratio:
    found = ratio_interval(np.array(reference), np.array(candidate), seed=0)
    return Ratio(round(1 / found.ratio, 3), round(1 / found.high, 3), round(1 / found.low, 3))


def _arm(choice: Choice) -> str:
    return f"{choice.backend} {choice.precision}"


def _load() -> float:
    with open("/proc/loadavg") as file:
        return float(file.read().split()[0])
