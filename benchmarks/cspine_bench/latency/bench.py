"""``bench``: the latency of two arms, interleaved in one process, as a record.

Each block runs every study once per arm, the arms in random order, so that what drifts meets both
alike; the ratio is bootstrapped over blocks. No sample is removed.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from cspine.bundle import Bundle
from cspine.device import installed, this_device
from cspine.dicom.select import Study
from cspine.pipeline import Pipeline
from cspine.precision import Choice
from cspine_bench.cases import study_digest
from cspine_bench.latency.assess import assessed
from cspine_bench.latency.comparison import (
    RUNTIMES,
    Comparison,
    baseline_of,
    check_comparable,
    model_digests,
)
from cspine_bench.latency.fresh import Start, fresh_start
from cspine_bench.latency.gate import until_decided
from cspine_bench.latency.machine import Machine, peak_memory_mib
from cspine_bench.latency.ratio import blocks
from cspine_bench.latency.record import FORMAT, Arm, Record
from cspine_bench.latency.scenario import SINGLE_STREAM, Scenario, check_answered, run_block
from cspine_bench.latency.stationary import warm_up


@dataclass(frozen=True)
class Side:
    """One arm: a bundle and what is run of it."""

    name: str
    bundle: Bundle
    choice: Choice

    def open(self, *, threads: int | None) -> Pipeline:
        """Load what is run."""
        return Pipeline.open(self.bundle, self.choice, threads=threads)


def sides(
    bundle: Bundle, choices: tuple[Choice, Choice], *, comparison: Comparison | None = None
) -> tuple[Side, Side]:
    """Return the reference and the candidate.

    Parameters
    ----------
    bundle
        Holds the candidate's models, and the reference's unless a bundle is compared with.
    choices
        Reference and candidate. Against a bundle the reference is that bundle's model for the
        candidate's choice, and the first of the two is not run.
    """
    reference, candidate = choices
    new = Side(_arm(candidate), bundle, candidate)
    if comparison and isinstance(comparison.against, Bundle):
        return Side(f"old {_arm(candidate)}", comparison.against, candidate), new
    return Side(_arm(reference), bundle, reference), new


def fresh_starts(
    arms: Sequence[Side], paths: Sequence[Path], *, count: int, threads: int | None
) -> dict[str, list[Start]]:
    """Start each arm in processes of its own, in turn, and return what each start took."""
    starts: dict[str, list[Start]] = {side.name: [] for side in arms if count}
    for _ in range(count):
        for side in arms:
            found = fresh_start(side.bundle, side.choice, paths, threads=threads)
            starts[side.name].append(found)
    return starts


def bench(
    arms: tuple[Side, Side],
    studies: Sequence[Study],
    *,
    repeats: int,
    threads: int | None,
    progress: Callable[[int, int], None],
    scenario: Scenario = SINGLE_STREAM,
    comparison: Comparison | None = None,
    starts: Mapping[str, list[Start]] | None = None,
    seed: int = 0,
) -> Record:
    """Time two arms on the same studies.

    Parameters
    ----------
    arms
        Reference and candidate, as :func:`sides` returns them.
    studies
        Read from disk already; decoding is timed as the part ``read``.
    repeats
        Blocks; each runs every study once per arm. With ``comparison.at_most`` more may follow,
        in as many as the spread of those measured asks for. The ratio itself is looked at once,
        at the end.
    threads
        CPU threads for one inference, for both arms.
    progress
        Called with the blocks done and their number.
    scenario
        How the studies arrive.
    comparison
        What is judged, if a verdict is wanted.
    starts
        Of :func:`fresh_starts`, by arm.

    Raises
    ------
    StudyError
        If a study is refused: a refusal is quick and would flatter both arms.
    ModelError
        If the record to compare with is of something else.
    """
    reference, candidate = arms
    against = comparison.against if comparison else None
    record = Record(
        format=FORMAT,
        bundle=candidate.bundle.digest,
        reference=reference.name,
        candidate=candidate.name,
        arms={side.name: _facts(side) for side in arms},
        scenario=scenario,
        threads=threads,
        studies=len(studies),
        study_digests=[study_digest(study) for study in studies],
        blocks=0,
        gate=comparison.gate if comparison else None,
        baseline=baseline_of(against) if isinstance(against, Record) else None,
        warm_up={},
        load_ms={},
        starts=dict(starts or {}),
        statistics={},
        speed={},
        speed_p99={},
        misses={},
        verdict=None,
        peak_memory_mib=0.0,
        device=this_device().facts(),
        load_average=(0.0, 0.0),
        versions={name: installed(name) for name in ("cspine", "numpy", *RUNTIMES)},
        machine=[],
        nanoseconds={side.name: {} for side in arms},
    )
    if isinstance(against, Record):
        check_comparable(against, record, state=Machine().look())
    pipelines = {}
    try:
        for side in arms:
            start = time.perf_counter_ns()
            pipelines[side.name] = side.open(threads=threads)
            record.load_ms[side.name] = round((time.perf_counter_ns() - start) / 1e6, 2)
        for name, pipeline in pipelines.items():
            for study in studies:
                check_answered(pipeline.run(study))
            record.warm_up[name] = warm_up([partial(pipeline.run, study) for study in studies])
        more = partial(
            _measured,
            pipelines=pipelines,
            studies=studies,
            machine=Machine(),
            rng=np.random.default_rng(seed),
            progress=progress,
        )
        record = more(record, repeats)
        if comparison and comparison.at_most:
            record = until_decided(record, more, batch=repeats, at_most=comparison.at_most)
    finally:
        for pipeline in pipelines.values():
            pipeline.close()
    loads = [state.load for state in record.machine]
    return assessed(
        msgspec.structs.replace(
            record, peak_memory_mib=peak_memory_mib(), load_average=(loads[0], loads[-1])
        )
    )


def _measured(
    record: Record,
    repeats: int,
    *,
    pipelines: Mapping[str, Pipeline],
    studies: Sequence[Study],
    machine: Machine,
    rng: np.random.Generator,
    progress: Callable[[int, int], None],
) -> Record:
    """Return the record with more blocks; they lengthen its samples in place."""
    states = [*record.machine]
    total = record.blocks + repeats
    gc.collect()
    gc.disable()  # a collection would fall on one arm by chance
    try:
        for number, block in enumerate(blocks(rng, tuple(pipelines), repeats=repeats), 1):
            for name in block:
                states.append(machine.look())
                rows = run_block(record.scenario, pipelines[name], studies)
                for part, row in rows.items():
                    record.nanoseconds[name].setdefault(part, []).append(row)
            progress(record.blocks + number, total)
    finally:
        gc.enable()
    return msgspec.structs.replace(record, blocks=total, machine=[*states, machine.look()])


def _facts(side: Side) -> Arm:
    return Arm(
        bundle=side.bundle.digest,
        backend=side.choice.backend,
        precision=side.choice.precision,
        target=side.choice.target,
        models=model_digests(
            side.bundle, target=side.choice.target, precision=side.choice.precision
        ),
    )


def _arm(choice: Choice) -> str:
    return f"{choice.backend} {choice.precision}"
