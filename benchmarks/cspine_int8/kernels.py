"""Where a runtime spends its time on one file, by kind of kernel, from its own profiler."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import onnxruntime as ort
import openvino as ov

from cspine.backends import Array
from cspine_int8.record import Kernels

Feed = Mapping[str, Array]
Timed = Iterator[tuple[str, float]]  # what ran, and for how many milliseconds

_WARM_UP, _RUNS = 3, 10
_LEAST = 0.01  # of the whole time: what took less is left out
_NODE, _OF_NODE = "Node", "_kernel_time"


def kernels(path: Path, runtime: str, feed: Feed, *, threads: int) -> Kernels:
    """Return how many kernels of each kind there are, and the milliseconds they take together.

    A profiled run is slower than others, so these times compare kernels, not runs.

    Parameters
    ----------
    path
        ONNX, or on OpenVINO its own format.
    runtime
        ``onnxruntime`` or ``openvino``.
    feed
        What is run, several times.

    Returns
    -------
    dict
        By kind, with the precision where OpenVINO tells it, the slowest first.
    """
    profiled = _onnxruntime if runtime == "onnxruntime" else _openvino
    spent: dict[str, list[float]] = defaultdict(list)
    for kind, milliseconds in profiled(path, feed, threads):
        spent[kind].append(milliseconds)
    whole = sum(sum(times) for times in spent.values())
    found = {
        kind: (len(times) // _RUNS, round(sum(times) / _RUNS, 3))
        for kind, times in spent.items()
        if sum(times) >= _LEAST * whole
    }
    return dict(sorted(found.items(), key=lambda item: -item[1][1]))


def _onnxruntime(path: Path, feed: Feed, threads: int) -> Timed:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.enable_profiling = True
    with TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder, "profile"))
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for _ in range(_WARM_UP + _RUNS):
            session.run(None, dict(feed))
        events = json.loads(Path(session.end_profiling()).read_bytes())
    runs: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for event in events:
        if event["cat"] == _NODE and event["name"].endswith(_OF_NODE):
            timed = (event["args"]["op_name"], event["dur"] / 1e3)
            runs[event["name"]].append(timed)
    for times in runs.values():
        yield from times[-_RUNS:]


def _openvino(path: Path, feed: Feed, threads: int) -> Timed:
    core = ov.Core()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "PERF_COUNT": True,
    }
    request = core.compile_model(core.read_model(path), "CPU", settings).create_infer_request()
    for run in range(_WARM_UP + _RUNS):
        request.infer(dict(feed))
        if run >= _WARM_UP:
            yield from _executed(request.profiling_info)


def _executed(profile: Iterable[ov.ProfilingInfo]) -> Timed:
    for node in profile:
        if node.status == ov.ProfilingInfo.Status.EXECUTED:
            # Such as jit_avx512_f32 and brgconv_avx512_I8.
            precision = node.exec_type.rpartition("_")[2].lower()
            yield f"{node.node_type} {precision}", node.real_time.total_seconds() * 1e3
