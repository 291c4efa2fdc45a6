"""One network on one runtime: FP32 and all INT8 files in turn, their noise and integer share."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine.backends import Array, Backend, open_backend
from cspine.backends.openvino import OpenVino
from cspine_bench.latency.machine import Machine, void_reasons
from cspine_bench.latency.ratio import blocks, ratio_interval
from cspine_calibration.numeric import compare
from cspine_int8.integers import integer_share
from cspine_int8.kernels import kernels
from cspine_int8.networks import Subject
from cspine_int8.peers import OURS, PEERS, Peer
from cspine_int8.record import Arm, Result, Share

FP32 = "fp32"
Times = NDArray[np.int64]  # nanoseconds, (blocks, batches)
_BLOCKS = 9
_WARM_UP = 3  # runs; in each block the first run of an arm is not timed either
_SEED = 5


Made = tuple[Path, float]  # a file, and the seconds that it took


def measure(
    subject: Subject, runtime: str, folder: Path, *, kept: dict[str, Made], threads: int
) -> Result:
    """Quantise a network in every way and run them interleaved.

    Each block runs every test batch once per arm, the arms in random order; speeds are paired by
    batch and block, as :func:`cspine_bench.latency.ratio.ratio_interval` says.

    Parameters
    ----------
    folder
        Where the files are left, to be looked into.
    kept
        By peer, what serves every runtime and was made for an earlier one; added to here.
    """
    source = folder / "fp32.onnx"
    source.write_bytes(subject.model)
    files, failed = {FP32: source}, {}
    seconds: dict[str, float] = {}
    for peer in PEERS:
        try:
            made = kept.get(peer.name) or _made(peer, subject, runtime, folder)
        except Exception as error:  # of tools that are not ours, whatever they raise
            if peer.name == OURS:
                raise
            failed[peer.name] = f"cannot be made: {type(error).__name__}"
            continue
        if peer.shared:
            kept[peer.name] = made
        files[peer.name], seconds[peer.name] = made
        if reason := crash(files[peer.name], runtime, subject, folder):
            failed[peer.name] = reason
            del files[peer.name]
    backends = {name: opened(path, runtime, threads=threads) for name, path in files.items()}
    try:
        decibels = {
            name: min(compare(backends[FP32], backend, subject.test).values())
            for name, backend in backends.items()
            if name != FP32
        }
        times, void = _times(backends, subject)
    finally:
        for backend in backends.values():
            backend.close()
    return Result(
        network=subject.name,
        runtime=runtime,
        batch=len(next(iter(subject.test[0].values()))),
        milliseconds=round(float(np.median(times[FP32])) / 1e6, 2),
        arms={
            name: Arm(
                speed=_speed(times[FP32], times[name]),
                over_ours=None if name == OURS else _speed(times[OURS], times[name]),
                decibels=round(decibels[name], 2),
                integer=round(integer_share(subject.model, files[name], runtime), 4),
                seconds=seconds[name],
                megabytes=round(_size(files[name]) / 1e6, 2),
            )
            for name in decibels
        },
        failed=failed,
        void=void,
        nanoseconds={name: rows.tolist() for name, rows in times.items()},
        kernels={
            name: kernels(path, runtime, subject.test[0], threads=threads)
            for name, path in files.items()
        },
    )


def _made(peer: Peer, subject: Subject, runtime: str, folder: Path) -> Made:
    start = time.perf_counter()
    path = peer.make(subject, runtime, folder)
    return path, round(time.perf_counter() - start, 1)


def opened(path: Path, runtime: str, *, threads: int) -> Backend:
    """Load a file, ONNX or OpenVINO's own."""
    if path.suffix == ".xml":
        return OpenVino(path, threads=threads)
    return open_backend(runtime, path.read_bytes(), threads=threads)


def crash(path: Path, runtime: str, subject: Subject, folder: Path) -> str | None:
    """Return what becomes of a process that loads and runs a file, if it ends badly."""
    feeds = folder / "feed.pickle"
    with feeds.open("wb") as file:
        pickle.dump(dict(subject.test[0]), file)
    command = [sys.executable, "-m", "cspine_int8.alone", str(path), runtime, str(feeds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)  # noqa: S603
    if done.returncode < 0:
        return f"the process dies of signal {-done.returncode}"
    return (done.stderr.strip().splitlines() or ["fails"])[-1] if done.returncode else None


def _times(backends: Mapping[str, Backend], subject: Subject) -> tuple[dict[str, Times], list[str]]:
    """Return nanoseconds (blocks, batches) by arm, and why they say nothing, if they do not."""
    machine = Machine()
    states = [machine.look()]
    for backend in backends.values():
        for _ in range(_WARM_UP):
            backend.run(subject.test[0])
    rows: dict[str, list[list[int]]] = {name: [] for name in backends}
    gc.collect()
    gc.disable()  # a collection would fall on one arm by chance
    try:
        for block in blocks(np.random.default_rng(_SEED), tuple(backends), repeats=_BLOCKS):
            for name in block:
                backends[name].run(subject.test[0])  # what the other arm left in the caches
                rows[name].append([_timed(backends[name], feed) for feed in subject.test])
            states.append(machine.look())
    finally:
        gc.enable()
    return {name: np.array(each) for name, each in rows.items()}, void_reasons(states)


def _timed(backend: Backend, feed: Mapping[str, Array]) -> int:
    start = time.perf_counter_ns()
    backend.run(feed)
    return time.perf_counter_ns() - start


def _speed(reference: Times, candidate: Times) -> Share:
    """Return how many times as fast the candidate is."""
    found = ratio_interval(reference, candidate, seed=_SEED)
    return Share(round(1 / found.ratio, 3), round(1 / found.high, 3), round(1 / found.low, 3))


def _size(path: Path) -> int:
    weights = path.with_suffix(".bin")
    return path.stat().st_size + (weights.stat().st_size if path.suffix == ".xml" else 0)
