"""A latency record as text for a terminal."""

from __future__ import annotations

from statistics import median

from cspine.console import table
from cspine_bench.latency.record import Record, Statistic
from cspine_bench.latency.scenario import TOTAL


def record_text(record: Record) -> str:
    """Lay out a latency record."""
    arms = [record.reference, record.candidate]
    rows = []
    for part in record.statistics[arms[0]]:
        medians = [record.statistics[arm][part] for arm in arms]
        ratio = record.speed.get(part)
        shown = f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]" if ratio else ""
        rows.append([part, *map(_milliseconds, medians), shown])
    lines = [
        table(["ms, median [95 %]", *arms, "times as fast"], rows),
        "",
        f"{record.scenario.name}: {record.blocks} blocks of {record.studies} studies per arm, "
        f"interleaved; peak memory {record.peak_memory_mib:.0f} MiB",
    ]
    for arm in arms:
        total = record.statistics[arm][TOTAL]
        lines.append(f"{arm}: {_tails(total)}; {_started(record, arm)}")
        if misses := record.misses.get(arm):
            lines.append(
                f"{arm}: {misses.missed} of {misses.arrivals} after "
                f"{record.scenario.deadline_ms:g} ms, "
                f"{misses.share:.4f} [{misses.low:.4f}, {misses.high:.4f}]"
            )
    if record.verdict:
        lines += ["", f"{record.verdict.verdict}: {'; '.join(record.verdict.reasons)}"]
    return "\n".join(lines)


def _milliseconds(statistic: Statistic) -> str:
    ends = ("-" if end is None else f"{end:.2f}" for end in (statistic.low, statistic.high))
    return f"{statistic.median:.2f} [{', '.join(ends)}]"


def _tails(statistic: Statistic) -> str:
    tails = {"p95": statistic.p95, "p99": statistic.p99}
    return ", ".join(
        f"{name} " + ("insufficient" if value is None else f"{value:.2f} ms")
        for name, value in tails.items()
    )


def _started(record: Record, arm: str) -> str:
    starts = record.starts.get(arm, [])
    if not starts:
        return f"load {record.load_ms[arm]:.0f} ms"
    cold, load, first, peak = (
        median(getattr(start, name) for start in starts)
        for name in ("cold_ms", "load_ms", "first_ms", "peak_mib")
    )
    return (
        f"cold start {cold:.0f} ms, of which load {load:.0f} and first study {first:.0f}; "
        f"peak {peak:.0f} MiB alone"
    )
