"""How studies arrive: one after another, at a fixed rate, or all at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import cycle
from typing import Literal

import msgspec

from cspine.dicom.select import Study
from cspine.errors import ModelError, StudyError
from cspine.outcome import Outcome
from cspine.pipeline import Pipeline

NETWORKS = "networks"  # all stages that run a model
TOTAL = "study"  # from the files' bytes in memory, or from when it was due, to findings
ARRIVALS = 10

Name = Literal["single-stream", "paced", "offline"]
Rows = dict[str, list[int]]


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What one block does with each arm.

    Attributes
    ----------
    name
        ``single-stream``: the next study comes when the last is answered. ``paced``: studies come
        at a fixed rate, answered or not, and wait their turn. ``offline``: all are there at once,
        and the next ones are decoded while one is inferred.
    rate_hz, deadline_ms
        Of ``paced``: how many studies come a second, and how long each may take.
    """

    name: Name = "single-stream"
    rate_hz: float | None = None
    deadline_ms: float | None = None


SINGLE_STREAM = Scenario()


def scenario(name: Name, *, rate_hz: float | None, deadline_ms: float | None) -> Scenario:
    """Return a scenario; the deadline is when the next study comes, unless it is given.

    Raises
    ------
    ModelError
        If a rate is missing, or stands with a scenario that has none.
    """
    if name != "paced":
        if rate_hz is not None or deadline_ms is not None:
            raise ModelError(f"scenario {name!r}: got a rate or a deadline, which `paced` has")
        return Scenario(name=name)
    if rate_hz is None:
        raise ModelError("scenario 'paced': got no rate, expected how many studies come a second")
    deadline = 1e3 / rate_hz if deadline_ms is None else deadline_ms
    return Scenario(name=name, rate_hz=rate_hz, deadline_ms=deadline)


def run_block(scenario: Scenario, pipeline: Pipeline, studies: Sequence[Study]) -> Rows:
    """Run one arm's turn of a block.

    Returns
    -------
    dict
        Nanoseconds by part, of the parts that every study has. Single-stream, one value a study.
        Paced, one value an arrival, of which there are at least :data:`ARRIVALS`; :data:`TOTAL`
        runs from when the study was due, so a study that waited for another one's answer shows it.
        Offline, one value of :data:`TOTAL` alone: the time of the whole stream over the number of
        studies.

    Raises
    ------
    StudyError
        As :func:`check_answered`.
    """
    if scenario.name == "offline":
        start = time.perf_counter_ns()
        for outcome in pipeline.stream(studies):
            check_answered(outcome)
        return {TOTAL: [(time.perf_counter_ns() - start) // len(studies)]}
    count = len(studies) if scenario.rate_hz is None else max(ARRIVALS, len(studies))
    rows: Rows = {}
    start = time.perf_counter_ns()
    for number, study in zip(range(count), cycle(studies), strict=False):
        due = time.perf_counter_ns()
        if scenario.rate_hz is not None:
            due = start + round(number * 1e9 / scenario.rate_hz)
            time.sleep(max(0, due - time.perf_counter_ns()) / 1e9)
        outcome = pipeline.run(study)
        total = time.perf_counter_ns() - due
        check_answered(outcome)
        times = dict(outcome.nanoseconds)
        # What a study gives no cause for, as a slice that it lacks, was not run.
        times[NETWORKS] = sum(times.get(stage.id, 0) for stage in pipeline.spec.networks)
        times[TOTAL] = total
        for part, value in times.items():
            rows.setdefault(part, []).append(value)
    return {part: values for part, values in rows.items() if len(values) == count}


def check_answered(outcome: Outcome) -> None:
    """Check that a study was answered: a refusal is quick and would flatter both arms.

    Raises
    ------
    StudyError
        If it was refused.
    """
    if outcome.findings.refusal:
        raise StudyError("a study is refused, so its latency says nothing; leave it out")
