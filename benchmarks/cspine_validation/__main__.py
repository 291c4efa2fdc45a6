"""``python -m cspine_validation``: run every simulation, and write what came of it.

Every cell has a seed of its own, so the record is the same however many processes made it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from cspine.files import write_atomic
from cspine_bench.latency.record import Record, read_record
from cspine_validation import coverage, gate, latency
from cspine_validation.record import FORMAT, Statistics

Setting = TypeVar("Setting")
Cell = TypeVar("Cell")


def main() -> None:
    """Simulate, and write the record."""
    parser = argparse.ArgumentParser(prog="python -m cspine_validation", description=__doc__)
    parser.add_argument("--record", type=Path, required=True, help="the file to write")
    parser.add_argument(
        "--latency", type=Path, nargs="+", required=True, help="records whose times are drawn from"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="all processors")
    chosen = parser.parse_args()
    timed = [(read_record(path), each) for path in chosen.latency for each in latency.SLOWDOWNS]
    with ProcessPoolExecutor(chosen.processes) as pool:
        record = Statistics(
            format=FORMAT,
            versions={"python": sys.version.split()[0], "numpy": np.__version__},
            gate=simulated(pool, "gate", gate.simulate, list(gate.settings())),
            coverage=simulated(pool, "coverage", coverage.simulate, list(coverage.samples())),
            latency=simulated(pool, "latency", _latency, timed),
        )
    write_atomic(chosen.record, lines(record))


def _latency(timed: tuple[Record, float]) -> latency.Simulation:
    record, slowdown = timed
    return latency.simulate(record, runs=1000, seed=4, slowdown=slowdown)


def simulated(
    pool: Executor, name: str, simulate: Callable[[Setting], Cell], settings: Sequence[Setting]
) -> list[Cell]:
    """Return the cell of every setting, in their order, and say on stderr how far it is."""
    # The settings of most patients take longest, and come last: begin with them.
    futures: list[Future[Cell]] = [pool.submit(simulate, each) for each in settings[::-1]]
    for done, _ in enumerate(as_completed(futures), 1):
        print(f"\r{name}: {done} of {len(futures)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return [future.result() for future in futures[::-1]]


def lines(record: Statistics) -> bytes:
    """Return the file: a line a cell."""
    text = msgspec.json.encode(record).replace(b'{"s', b'\n{"s').replace(b"}],", b"}\n],\n")
    return text.replace(b'{"backend', b'\n{"backend') + b"\n"


if __name__ == "__main__":
    main()
