"""Cold start, engine load, first shape and memory of one arm, in a process of its own.

In the process that interleaves the arms, the second to load finds the libraries there already, and
memory is that of both.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from cspine.bundle import Bundle
from cspine.dicom.select import read_all
from cspine.errors import BackendError
from cspine.pipeline import Pipeline
from cspine.precision import Choice
from cspine_bench.latency.machine import peak_memory_mib


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """One start of a process that answers the studies once.

    Attributes
    ----------
    cold_ms
        From the start of the process to the first answer: interpreter, imports, reading the
        bundle and the studies, ``load_ms`` and ``first_ms``.
    load_ms
        Loading all models.
    first_ms
        The first answer, in which the backend meets its shapes.
    peak_mib
        Largest resident memory of the process.
    """

    cold_ms: float
    load_ms: float
    first_ms: float
    peak_mib: float


class _Order(msgspec.Struct, frozen=True):
    bundle: str
    choice: Choice
    paths: list[str]
    threads: int | None


class _Stamps(msgspec.Struct, frozen=True):
    """Readings of the monotonic clock, which all processes of a machine share."""

    opened: int
    loaded: int
    answered: int
    peak_mib: float


def fresh_start(
    bundle: Bundle, choice: Choice, paths: Sequence[Path], *, threads: int | None
) -> Start:
    """Start a process, answer the studies in it, and let it end.

    Parameters
    ----------
    bundle, choice
        What it loads.
    paths
        The studies, as on a command line.
    threads
        CPU threads for one inference.

    Raises
    ------
    BackendError
        If the process does not answer.
    """
    order = _Order(str(bundle.path), choice, [str(path) for path in paths], threads)
    start = time.perf_counter_ns()
    ended = subprocess.run(
        [sys.executable, "-I", "-m", "cspine_bench.latency.fresh"],
        input=msgspec.json.encode(order),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if ended.returncode:
        raise BackendError(
            f"a process of its own for {choice.backend} {choice.precision} ended with "
            f"{ended.returncode}, expected an answer; try: cspine run {bundle.path}"
        )
    stamps = msgspec.json.decode(ended.stdout, type=_Stamps)
    return Start(
        cold_ms=round((stamps.answered - start) / 1e6, 2),
        load_ms=round((stamps.loaded - stamps.opened) / 1e6, 2),
        first_ms=round((stamps.answered - stamps.loaded) / 1e6, 2),
        peak_mib=stamps.peak_mib,
    )


def main() -> None:
    """Answer the order on stdin and print the stamps: the process's own part."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=_Order)
    bundle = Bundle.open(Path(order.bundle))
    studies = read_all(Path(path) for path in order.paths)
    opened = time.perf_counter_ns()
    pipeline = Pipeline.open(bundle, order.choice, threads=order.threads)
    loaded = time.perf_counter_ns()
    pipeline.run(studies[0])
    answered = time.perf_counter_ns()
    for study in studies[1:]:
        pipeline.run(study)
    pipeline.close()
    stamps = _Stamps(opened, loaded, answered, peak_memory_mib())
    sys.stdout.buffer.write(msgspec.json.encode(stamps))


if __name__ == "__main__":
    main()
