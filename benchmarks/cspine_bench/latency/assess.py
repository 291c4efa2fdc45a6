"""What follows from a record's samples: statistics, ratios, and the verdict."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from cspine.evidence import Verdict
from cspine_bench.latency.gate import SEED, TAIL, judged
from cspine_bench.latency.machine import void_reasons
from cspine_bench.latency.quantile import minimum_count, quantile_interval
from cspine_bench.latency.ratio import RatioInterval, quantile_ratio_interval, ratio_interval
from cspine_bench.latency.record import Misses, Ratio, Record, Statistic, Verdicts
from cspine_bench.latency.scenario import NETWORKS, TOTAL
from cspine_bench.metrics.proportion import clustered_wilson
from cspine_bench.report import Check

Rows = list[list[int]]


def assessed(record: Record) -> Record:
    """Return a record with all that follows from its samples computed anew.

    The samples, the gate and the states of the machine decide; what the record said of them
    before does not matter.
    """
    deadline = record.scenario.deadline_ms
    compared = _compared(record)
    return msgspec.structs.replace(
        record,
        statistics={
            arm: {part: _statistic(rows) for part, rows in parts.items()}
            for arm, parts in record.nanoseconds.items()
        },
        speed={part: _speed(ratio_interval(*rows, seed=SEED)) for part, rows in compared.items()},
        speed_p99={
            part: _speed(quantile_ratio_interval(*rows, q=TAIL, seed=SEED))
            for part, rows in compared.items()
            if np.size(rows[0]) >= minimum_count(TAIL)
        },
        misses={
            arm: _misses(parts[TOTAL], deadline)
            for arm, parts in record.nanoseconds.items()
            if deadline is not None
        },
        verdict=_verdict(record, void_reasons(record.machine)),
    )


def record_checks(record: Record) -> list[Check]:
    """Return the verdict as checks for a report; a void run is a check of its own."""
    if record.verdict is None:
        return []
    checks = [
        Check(
            f"{record.candidate}: {check.name}",
            check.verdict if record.verdict.verdict != "void" else "void",
            [check.reason],
            {"margin": f"{check.margin:g}", "equivalent": check.equivalent},
        )
        for check in record.verdict.checks
    ]
    if record.verdict.verdict == "void":
        checks.append(Check("machine", "void", record.verdict.reasons))
    return checks


def _verdict(record: Record, void: list[str]) -> Verdicts | None:
    checks = judged(record)
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


def _compared(record: Record) -> dict[str, tuple[Rows, Rows]]:
    """Return the times of reference and candidate, of what both have: networks and totals."""
    reference, candidate = (record.nanoseconds[arm] for arm in (record.reference, record.candidate))
    parts = {*record.arms[record.candidate].models, NETWORKS, TOTAL}
    return {part: (reference[part], candidate[part]) for part in reference if part in parts}


def _speed(found: RatioInterval) -> Ratio:
    """Return how many times as fast the candidate is."""
    return Ratio(round(1 / found.ratio, 3), round(1 / found.high, 3), round(1 / found.low, 3))


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
