"""What a latency record is gated by: each ratio judged, and when to stop measuring for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import median
from typing import Literal

import numpy as np

from cspine.evidence import Verdict
from cspine_bench.latency.equivalence import (
    blocks_at_ratio,
    blocks_needed,
    equivalent,
    non_inferior,
)
from cspine_bench.latency.quantile import minimum_count
from cspine_bench.latency.ratio import RatioInterval, quantile_ratio_interval, ratio_interval
from cspine_bench.latency.record import Judged, Record
from cspine_bench.latency.scenario import TOTAL

Arms = tuple[list[list[int]], list[list[int]]]

SEED = 0
TAIL = 0.99


def until_decided(
    record: Record, more: Callable[[Record, int], Record], *, batch: int, at_most: int
) -> Record:
    """Measure on to as many blocks as their spread asks for, in whole batches.

    The spread is looked at after every batch, the ratio never: :func:`blocks_needed` says why.

    Parameters
    ----------
    record
        Of the first batch.
    more
        Returns a record with so many more blocks.
    at_most
        Where to stop in any case.
    """
    while True:
        batches = math.ceil(max(check.blocks_needed or 0 for check in judged(record)) / batch)
        lacking = min(batches * batch, at_most) - record.blocks
        if lacking <= 0:
            return record
        record = more(record, lacking)


def judged(record: Record) -> list[Judged]:
    """Judge all that the gate names; of a record without a gate, nothing."""
    gate = record.gate
    if gate is None:
        return []
    checks = [judged_median(record, margin=gate.median)]
    if gate.p99 is not None:
        checks.append(judged_p99(record, margin=gate.p99))
    if gate.memory is not None:
        checks.append(judged_memory(record, margin=gate.memory))
    return checks


def judged_median(record: Record, *, margin: float) -> Judged:
    """Judge what whole studies take, by :func:`~cspine_bench.latency.ratio.ratio_interval`."""
    now, then = _totals(record)
    return _judged("median", ratio_interval(*now, seed=SEED, baseline=then), margin=margin)


def judged_p99(record: Record, *, margin: float) -> Judged:
    """Judge the tail of whole studies, once there are the samples that show one."""
    now, then = _totals(record)
    least, count = minimum_count(TAIL), np.size(now[0])
    if (fewest := min(count, np.size(then[0]) if then else count)) >= least:
        found = quantile_ratio_interval(*now, q=TAIL, seed=SEED, baseline=then)
        return _judged("p99", found, margin=margin)
    return Judged(
        name="p99",
        verdict="inconclusive",
        equivalent="inconclusive",
        ratio=None,
        low=None,
        high=None,
        margin=margin,
        blocks_needed=math.ceil(least / len(now[0][0])) if count < least else None,
        reason=f"p99: insufficient: {fewest} samples, expected {least}"
        + ("" if count < least else " in the record that it is held against"),
    )


def judged_memory(record: Record, *, margin: float) -> Judged:
    """Judge the peak memory of processes that hold one arm each.

    A process repeats its peak to within a few pages, so the extremes of the starts stand for the
    interval: the largest candidate over the smallest reference, and the reverse.
    """
    new = [start.peak_mib for start in record.starts.get(record.candidate, [])]
    old = (
        record.baseline.peak_mib
        if record.baseline
        else [start.peak_mib for start in record.starts.get(record.reference, [])]
    )
    if not new or not old:
        return Judged(
            name="peak memory",
            verdict="inconclusive",
            equivalent="inconclusive",
            ratio=None,
            low=None,
            high=None,
            margin=margin,
            blocks_needed=None,
            reason="peak memory: insufficient: no process was started for "
            + ("the candidate" if not new else "what it is held against"),
        )
    low, high = min(new) / max(old), max(new) / min(old)
    verdict = non_inferior(low, high, margin=margin)
    return Judged(
        name="peak memory",
        verdict=verdict,
        equivalent=equivalent(low, high, margin=margin),
        ratio=round(median(new) / median(old), 4),
        low=round(low, 4),
        high=round(high, 4),
        margin=margin,
        blocks_needed=None,
        reason=f"peak memory {_span(median(new) / median(old), low, high)} of the old one's, "
        f"{_SIDES[verdict]} {1 + margin:.2f}",
    )


def _totals(record: Record) -> tuple[Arms, Arms | None]:
    """Return what whole studies took, reference and candidate, now and in the baseline."""
    now = record.nanoseconds[record.reference][TOTAL], record.nanoseconds[record.candidate][TOTAL]
    then = record.baseline
    return now, (then.reference, then.candidate) if then else None


def _judged(name: Literal["median", "p99"], found: RatioInterval, *, margin: float) -> Judged:
    verdict = non_inferior(found.low, found.high, margin=margin)
    return Judged(
        name=name,
        verdict=verdict,
        equivalent=equivalent(found.low, found.high, margin=margin),
        ratio=round(found.ratio, 4),
        low=round(found.low, 4),
        high=round(found.high, 4),
        margin=margin,
        blocks_needed=blocks_needed(found, margin=margin),
        reason=_reason(name, found, verdict, margin),
    )


def _reason(name: str, found: RatioInterval, verdict: Verdict, margin: float) -> str:
    said = f"{name} {_span(found.ratio, found.low, found.high)} of the old one's, "
    said += f"{_SIDES[verdict]} {1 + margin:.2f}"
    if verdict != "inconclusive":
        return said
    needed = blocks_needed(found, margin=margin)
    if needed is not None and needed > found.blocks:
        return f"{said}; {needed} blocks would decide, unless it lies near that limit"
    at_ratio = blocks_at_ratio(found, margin=margin)
    if needed is None or at_ratio is None:
        return f"{said}; no number of blocks decides against this record: make it longer"
    return f"{said}, which it lies near; were it as found, {at_ratio} blocks would show the side"


def _span(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


_SIDES: dict[Verdict, str] = {
    "pass": "below",
    "fail": "above",
    "inconclusive": "on both sides of",
}
