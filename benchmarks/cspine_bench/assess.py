"""What follows from a record's samples: statistics, ratios, and the verdict."""

from __future__ import annotations

import math
from statistics import median
from typing import Literal

import msgspec
import numpy as np

from cspine.precision import Verdict
from cspine_bench.equivalence import blocks_at_ratio, blocks_needed, equivalent, non_inferior
from cspine_bench.latency import RatioInterval, ratio_interval
from cspine_bench.machine import void_reasons
from cspine_bench.proportion import clustered_wilson
from cspine_bench.quantile import minimum_count, quantile_interval
from cspine_bench.record import Judged, Misses, Ratio, Record, Statistic, Verdicts
from cspine_bench.report import Check
from cspine_bench.scenario import NETWORKS, TOTAL

Rows = list[list[int]]

_SEED = 0
_QUANTILES = {"median": 0.5, "p99": 0.99}


def assessed(record: Record) -> Record:
    """Return a record with all that follows from its samples computed anew.

    The samples, the gate and the states of the machine decide; what the record said of them
    before does not matter.
    """
    deadline = record.scenario.deadline_ms
    return msgspec.structs.replace(
        record,
        statistics={
            arm: {part: _statistic(rows) for part, rows in parts.items()}
            for arm, parts in record.nanoseconds.items()
        },
        speed=_speeds(record, 0.5),
        speed_p99=_speeds(record, 0.99),
        misses={
            arm: _misses(parts[TOTAL], deadline)
            for arm, parts in record.nanoseconds.items()
            if deadline is not None
        },
        verdict=_verdict(record, void_reasons(record.machine)),
    )


def judged_latency(record: Record, name: Literal["median", "p99"], *, margin: float) -> Judged:
    """Judge one quantile of whole studies, candidate over reference.

    With a baseline, it is this ratio over the baseline's.
    """
    q = _QUANTILES[name]
    rows = record.nanoseconds[record.reference][TOTAL], record.nanoseconds[record.candidate][TOTAL]
    old = (record.baseline.reference, record.baseline.candidate) if record.baseline else None
    least = minimum_count(q)
    counts = [len(each) * len(each[0]) for each in (*rows, *(old or ()))]
    if min(counts) < least:
        enough = math.ceil(least / min(len(each[0]) for each in rows))
        short_now = min(counts[:2]) < least
        return Judged(
            name=name,
            verdict="inconclusive",
            equivalent="inconclusive",
            ratio=None,
            low=None,
            high=None,
            margin=margin,
            blocks_needed=enough if short_now else None,
            reason=f"{name}: insufficient: {min(counts)} samples, expected {least}"
            + ("" if short_now else " in the record that it is held against"),
        )
    found = ratio_interval(*rows, seed=_SEED, q=q, baseline=old)
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


def judged_memory(record: Record, *, margin: float) -> Judged | None:
    """Judge the peak memory of processes that hold one arm each; ``None`` if there were none.

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
        return None
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


def blocks_to_decide(record: Record) -> int:
    """Return how many blocks it takes to judge all that the gate names, as far as blocks help."""
    return max((check.blocks_needed or 0 for check in _judged(record)), default=0)


def record_checks(record: Record) -> list[Check]:
    """Return the verdict as checks for a report; a void run is a check of its own."""
    if record.verdict is None:
        return []
    checks = [
        Check(
            f"{record.candidate}: {judged.name}",
            judged.verdict if record.verdict.verdict != "void" else "void",
            [judged.reason],
            {"margin": f"{judged.margin:g}", "equivalent": judged.equivalent},
        )
        for judged in record.verdict.checks
    ]
    if record.verdict.verdict == "void":
        checks.append(Check("machine", "void", record.verdict.reasons))
    return checks


def _judged(record: Record) -> list[Judged]:
    gate = record.gate
    if gate is None:
        return []
    checks: list[Judged | None] = [judged_latency(record, "median", margin=gate.median)]
    if gate.p99 is not None:
        checks.append(judged_latency(record, "p99", margin=gate.p99))
    checks.append(judged_memory(record, margin=gate.memory))
    return [check for check in checks if check]


def _verdict(record: Record, void: list[str]) -> Verdicts | None:
    checks = _judged(record)
    if not checks:
        return Verdicts(verdict="void", reasons=void, checks=[]) if void else None
    if void:
        return Verdicts(verdict="void", reasons=void, checks=checks)
    verdicts = {check.verdict for check in checks}
    order: tuple[Verdict, ...] = ("fail", "inconclusive", "pass")
    verdict = next(each for each in order if each in verdicts)
    reasons = [check.reason for check in checks if check.verdict == verdict]
    reasons += [
        f"{arm}: its times had not settled after {len(warm.windows_ms)} windows of warm-up"
        for arm, warm in record.warm_up.items()
        if not warm.stationary
    ]
    return Verdicts(verdict=verdict, reasons=reasons, checks=checks)


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


def _statistic(rows: Rows) -> Statistic:
    flat = np.array(rows).ravel() / 1e6
    middle, p95, p99 = (quantile_interval(flat, q) for q in (0.5, 0.95, 0.99))
    return Statistic(
        median=round(middle.value, 3),
        low=_finite(middle.low),
        high=_finite(middle.high),
        p95=_finite(p95.value),
        p99=_finite(p99.value),
    )


def _finite(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


def _speeds(record: Record, q: float) -> dict[str, Ratio]:
    """Return how many times as fast the candidate is, of networks and totals."""
    parts = {*record.arms[record.candidate].models, NETWORKS, TOTAL}
    reference, candidate = (record.nanoseconds[arm] for arm in (record.reference, record.candidate))
    least = minimum_count(q)
    speeds = {}
    for part in reference:
        rows = reference[part], candidate[part]
        if part in parts and min(len(each) * len(each[0]) for each in rows) >= least:
            found = ratio_interval(*rows, seed=_SEED, q=q)
            speeds[part] = Ratio(
                round(1 / found.ratio, 3), round(1 / found.high, 3), round(1 / found.low, 3)
            )
    return speeds


def _misses(rows: Rows, deadline_ms: float) -> Misses:
    late = np.array(rows) > deadline_ms * 1e6
    blocks = np.repeat(np.arange(len(late)), late.shape[1])
    interval = clustered_wilson(late.ravel(), blocks)  # who waits in a queue is not alone
    return Misses(
        missed=int(late.sum()),
        arrivals=late.size,
        share=round(float(late.mean()), 4),
        low=round(interval.low, 4),
        high=round(interval.high, 4),
    )


_SIDES: dict[Verdict, str] = {
    "pass": "below",
    "fail": "above",
    "inconclusive": "on both sides of",
}
