"""The latency verdict on this machine: a bundle against itself, unchanged and slowed on purpose.

One stage of the candidate is slowed by as much as makes the whole study take so much longer: after
its model has run, it keeps the core busy for a part of the time that the model took.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import numpy as np

from cspine.backends import Array, Backend, TensorSpec, open_backend
from cspine.bundle import Bundle
from cspine.console import counter
from cspine.device import this_device
from cspine.dicom.select import Study, read_all
from cspine.files import write_atomic
from cspine.findings import Identity
from cspine.pipeline import Pipeline
from cspine.precision import fp32, lower
from cspine.session import Session
from cspine_bench.latency.bench import Side, bench, sides
from cspine_bench.latency.comparison import Comparison
from cspine_bench.latency.equivalence import MEDIAN_MARGIN
from cspine_bench.latency.record import Gate, Record, Verdicts
from cspine_bench.latency.scenario import SINGLE_STREAM, TOTAL, run_block
from cspine_bench.latency.stationary import warm_up
from cspine_validation.latency import AT_MOST, BLOCKS, SLOWDOWNS

_BACKEND = "onnxruntime"
_ATTEMPTS = 3
_ROUNDS = 10
_GATE = Gate(median=MEDIAN_MARGIN, p99=None, memory=None)


class LiveRun(msgspec.Struct, frozen=True, kw_only=True):
    """What ``cspine bench --against --until-decided`` said of a slowdown that was known.

    Attributes
    ----------
    slowdown
        By how much the whole study was to take longer, 1 for unchanged.
    stage, stage_factor
        Which stage was slowed, and by how much.
    verdict, ratio, low, high, blocks
        What was found; the ratio is candidate over reference, with its 95 % interval.
    reasons
        Of the verdict.
    void
        Why attempts said nothing, one list an attempt; the last one too if all were void.
    """

    slowdown: float
    stage: str
    stage_factor: float
    verdict: Literal["pass", "fail", "inconclusive", "void"]
    ratio: float | None
    low: float | None
    high: float | None
    blocks: int
    reasons: list[str]
    void: list[list[str]]


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """The record: on which device, and what came of it."""

    device: dict[str, Any]
    runs: tuple[LiveRun, ...]


class Slowed:
    """A backend that takes longer by a factor, busy all the while.

    Parameters
    ----------
    backend
        What runs the model; closed with this one.
    factor
        At least 1, which is the model alone.
    """

    def __init__(self, backend: Backend, *, factor: float) -> None:
        self._backend = backend
        self._longer = factor - 1.0

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that :meth:`run` must be fed."""
        return self._backend.inputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return what the model returns, later."""
        start = time.perf_counter_ns()
        outputs = self._backend.run(feeds)
        done = time.perf_counter_ns()
        until = done + (done - start) * self._longer
        while time.perf_counter_ns() < until:  # asleep, it would let the clocks fall
            pass
        return outputs

    def close(self) -> None:
        """Release the model."""
        self._backend.close()


@dataclass(frozen=True)
class SlowedSide(Side):
    """An arm of which one stage is slowed."""

    stage: str
    factor: float

    def open(self, *, threads: int | None) -> Pipeline:
        """Load what is run, with that stage's backend wrapped."""
        sessions = {}
        for stage in self.bundle.spec.networks:
            model = self.bundle.model(stage.id, target=self.choice.target)
            backend = open_backend(self.choice.backend, model, threads=threads)
            if stage.id == self.stage:
                backend = Slowed(backend, factor=self.factor)
            sessions[stage.id] = Session(stage.id, backend)
        identity = Identity(
            pipeline=self.bundle.spec.name,
            bundle=self.bundle.digest,
            backend=self.choice.backend,
            precision=self.choice.precision,
            target=self.choice.target,
        )
        return Pipeline(self.bundle.spec, sessions=sessions, identity=identity)


def show(
    bundle_path: Path, study_paths: Sequence[Path], *, progress: Callable[[int, int], None]
) -> tuple[LiveRun, ...]:
    """Judge a bundle's INT8 against itself: unchanged, and slowed by the margin and twice that.

    A run under which the clocks moved is void and measured again, up to three times in all.

    Parameters
    ----------
    bundle_path
        Has INT8 models for this CPU.
    study_paths
        As ``cspine bench --study`` takes them; all must be answered.
    progress
        Called with the blocks done and their number, of each run anew.

    Raises
    ------
    StudyError
        If a study is refused.
    """
    bundle, studies = Bundle.open(bundle_path), read_all(study_paths)
    choices = fp32(_BACKEND), lower(_BACKEND, this_device(), "int8")
    comparison = Comparison(bundle, _GATE, AT_MOST)
    reference, candidate = sides(bundle, choices, comparison=comparison)
    stage, share = _longest_stage(candidate, studies)
    found = []
    for slowdown in SLOWDOWNS:
        factor = 1.0 + (slowdown - 1.0) / share
        slowed = SlowedSide(candidate.name, bundle, candidate.choice, stage, factor)
        measure = partial(
            bench,
            (reference, slowed),
            studies,
            repeats=BLOCKS,
            threads=None,
            progress=progress,
            comparison=comparison,
        )
        found.append(_live_run(measure, slowed, slowdown))
    return tuple(found)


def _live_run(measure: Callable[[], Record], side: SlowedSide, slowdown: float) -> LiveRun:
    void: list[list[str]] = []
    for _ in range(_ATTEMPTS):
        record = measure()
        said = cast(Verdicts, record.verdict)  # there is a gate
        if said.verdict != "void":
            break
        void.append(said.reasons)
    (check,) = said.checks
    return LiveRun(
        slowdown=slowdown,
        stage=side.stage,
        stage_factor=round(side.factor, 4),
        verdict=said.verdict,
        ratio=check.ratio,
        low=check.low,
        high=check.high,
        blocks=record.blocks,
        reasons=said.reasons,
        void=void,
    )


def _longest_stage(side: Side, studies: Sequence[Study]) -> tuple[str, float]:
    """Return the network that takes longest, and its share of a whole study."""
    pipeline = side.open(threads=None)
    try:
        warm_up([partial(pipeline.run, study) for study in studies])
        rounds = [run_block(SINGLE_STREAM, pipeline, studies) for _ in range(_ROUNDS)]
    finally:
        pipeline.close()
    shares = {
        stage.id: float(
            np.median([np.divide(rows[stage.id], rows[TOTAL]) for rows in rounds], axis=0).mean()
        )
        for stage in side.bundle.spec.networks
    }
    longest = max(shares, key=lambda stage: shares[stage])
    return longest, shares[longest]


def main() -> None:
    """Show it, and write the record."""
    parser = argparse.ArgumentParser(prog="python -m cspine_validation.live", description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("studies", type=Path, nargs="+")
    parser.add_argument("--record", type=Path, required=True, help="the file to write")
    chosen = parser.parse_args()
    found = show(chosen.bundle, chosen.studies, progress=counter("block"))
    for run in found:
        print(f"slowed by {run.slowdown - 1:.0%}: {run.verdict}; {'; '.join(run.reasons)}")
    record = Live(device=this_device().facts(), runs=found)
    write_atomic(chosen.record, msgspec.json.format(msgspec.json.encode(record)) + b"\n")


if __name__ == "__main__":
    main()
