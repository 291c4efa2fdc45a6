"""The latency record: the samples of one run, and what follows from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from cspine.errors import ModelError
from cspine.evidence import Verdict
from cspine.precision import Precision
from cspine.schema import json_schema
from cspine_bench.latency.fresh import Start
from cspine_bench.latency.machine import MachineState
from cspine_bench.latency.scenario import TOTAL, Scenario
from cspine_bench.latency.stationary import WarmUp

FORMAT: Literal[2] = 2

Samples = dict[str, list[list[int]]]


class Statistic(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds; ``None`` where the samples are too few to say."""

    median: float
    low: float | None
    high: float | None
    p95: float | None
    p99: float | None


class Ratio(msgspec.Struct, frozen=True):
    """Reference time over candidate time: how many times as fast the candidate is; 95 %."""

    value: float
    low: float
    high: float


class Misses(msgspec.Struct, frozen=True, kw_only=True):
    """Studies answered after their deadline, and the share of them with its 95 % interval."""

    missed: int
    arrivals: int
    share: float
    low: float
    high: float


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """What one side ran; ``models`` is stage to digest of the ONNX graph."""

    bundle: str
    backend: str
    precision: Precision
    target: str | None
    models: dict[str, str]


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """What may grow by how much, declared before the run; ``None`` is not judged."""

    median: float
    p99: float | None
    memory: float | None


def narrowed(gate: Gate, asked: Gate) -> Gate:
    """Return a gate with no margin wider than what is asked for.

    What the gate does not judge for want of processes or samples stays so: memory, and p99 unless
    it is asked for.
    """
    memory = gate.memory
    if memory is not None and asked.memory is not None:
        memory = min(memory, asked.memory)
    known = [margin for margin in (gate.p99, asked.p99) if margin is not None]
    return Gate(median=min(gate.median, asked.median), p99=min(known, default=None), memory=memory)


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier run's part in the verdict: its reference, FP32, is what both runs share.

    ``reference`` and ``candidate`` are nanoseconds of whole studies, block by block; ``peak_mib``
    is of the candidate, start by start.
    """

    bundle: str
    reference: list[list[int]]
    candidate: list[list[int]]
    peak_mib: list[float]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the verdict rests on.

    ``ratio`` is new over old with its 95 % interval, of ``peak memory`` the range of the starts.
    ``verdict`` says whether it lies below the margin, ``equivalent`` whether within it on both
    sides. ``blocks_needed`` is how many blocks it takes to decide, ``None`` where blocks do not
    help.
    """

    name: Literal["median", "p99", "peak memory"]
    verdict: Verdict
    equivalent: Verdict
    ratio: float | None
    low: float | None
    high: float | None
    margin: float
    blocks_needed: int | None
    reason: str


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on the candidate; ``void`` if the machine changed under the run."""

    verdict: Literal["pass", "fail", "inconclusive", "void"]
    reasons: list[str]
    checks: list[Judged]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A latency record: every figure can be computed again from what was measured.

    ``nanoseconds`` is arm -> part -> block -> one number per study or arrival. ``statistics``,
    ``speed``, ``speed_p99`` (where the samples suffice), ``misses`` (of a scenario with a
    deadline) and ``verdict`` follow from the rest. ``verdict`` is ``None`` if nothing was held
    against another and nothing makes the run void.
    """

    format: Literal[2]
    bundle: str
    reference: str
    candidate: str
    arms: dict[str, Arm]
    scenario: Scenario
    threads: int | None
    studies: int
    study_digests: list[str]
    blocks: int
    gate: Gate | None
    baseline: Baseline | None
    warm_up: dict[str, WarmUp]
    load_ms: dict[str, float]
    starts: dict[str, list[Start]]
    statistics: dict[str, dict[str, Statistic]]
    speed: dict[str, Ratio]
    speed_p99: dict[str, Ratio]
    misses: dict[str, Misses]
    verdict: Verdicts | None
    peak_memory_mib: float
    device: dict[str, Any]
    load_average: tuple[float, float]
    versions: dict[str, str | None]
    machine: list[MachineState]
    nanoseconds: dict[str, Samples]


def read_record(path: Path) -> Record:
    """Read a record.

    Raises
    ------
    ModelError
        If it cannot be read, or is of another format.
    """
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path}: cannot be read as a latency record of format {FORMAT}: {error}; "
            "measure again with: cspine bench BUNDLE --record FILE"
        ) from error
    if fault := _fault(record):
        raise ModelError(f"{path}: {fault}, so that no run can have made it; measure again")
    return record


def _fault(record: Record) -> str | None:
    """Return what of a record does not fit together."""
    for name in (record.reference, record.candidate):
        if name not in record.arms or name not in record.nanoseconds:
            return f"arm {name!r} is missing"
        if TOTAL not in record.nanoseconds[name]:
            return f"arm {name!r} has no times of whole studies"
    for name, parts in record.nanoseconds.items():
        for part, rows in parts.items():
            if len(rows) != record.blocks or len({len(row) for row in rows}) != 1:
                return f"arm {name!r}, {part}: not {record.blocks} blocks of as many times each"
            if min(map(min, rows)) <= 0 or not rows[0]:
                return f"arm {name!r}, {part}: a time is not above zero"
    if len(record.machine) <= len(record.nanoseconds) * record.blocks:
        return "the machine was not looked at before each turn"
    if any(state.spin_ns <= 0 for state in record.machine):
        return "a look at the machine tells no clock"
    return None


def record_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of :class:`Record`."""
    return json_schema(Record)
