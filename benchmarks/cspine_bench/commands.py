"""``cspine verify`` and ``cspine bench``."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from cspine.bundle import Bundle
from cspine.console import (
    EXIT_GATE_FAILED,
    EXIT_INCONCLUSIVE,
    backend_option,
    bundle_argument,
    counter,
    emit_json,
    json_option,
    studies_option,
    table,
    threads_option,
)
from cspine.device import this_device
from cspine.dicom.select import read_all
from cspine.files import check_writable, write_atomic
from cspine.precision import evidence_path, fp32, int8
from cspine_bench.answers import Figure
from cspine_bench.bench import Record
from cspine_bench.bench import bench as measure
from cspine_bench.cases import read_cases
from cspine_bench.verdict import Report, answered_levels
from cspine_bench.verdict import verify as judge

EXITS = {"pass": 0, "fail": EXIT_GATE_FAILED, "inconclusive": EXIT_INCONCLUSIVE}


@click.command()
@bundle_argument
@click.option(
    "--set",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    help="Case set; its split `test` is the locked set.",
)
@backend_option
@threads_option
@json_option
def verify(bundle: Path, folder: Path, backend: str, threads: int | None, as_json: bool) -> None:
    """Judge BUNDLE's INT8 against its FP32 on the same cases, and keep the evidence.

    Exit status: 0 pass, 1 fail, 3 inconclusive.

    \b
    Example:
      cspine verify build/xray.cspine --set cases/
    """
    opened = Bundle.open(bundle)
    candidate = int8(backend, this_device())
    cases = read_cases(folder, split="test", levels=answered_levels(opened))
    report = judge(opened, candidate, cases, threads=threads)
    if as_json:
        emit_json(report)
    else:
        click.echo(report_text(report))
        kept = evidence_path(opened, candidate, set_digest=report.set_digest)
        click.echo(f"\nevidence: {kept}")
    sys.exit(EXITS[report.verdict])


@click.command()
@bundle_argument
@studies_option
@click.option("--blocks", type=click.IntRange(6), default=40, show_default=True)
@click.option("--record", type=click.Path(path_type=Path), help="Write the record, with samples.")
@backend_option
@threads_option
@json_option
def bench(
    bundle: Path,
    paths: tuple[Path, ...],
    blocks: int,
    record: Path | None,
    backend: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Time BUNDLE's INT8 and FP32 on the same studies, interleaved in random order.

    \b
    Example:
      cspine bench build/xray.cspine --study study1/ --study study2/ --record latency.json
    """
    if record:
        check_writable(record)  # better now than after the measurement
    opened = Bundle.open(bundle)
    result = measure(
        opened,
        (fp32(backend), int8(backend, this_device())),
        read_all(paths),
        repeats=blocks,
        threads=threads,
        progress=counter("block"),
    )
    if record:
        write_atomic(record, msgspec.json.encode(result) + b"\n")
    if as_json:
        emit_json(result)
    else:
        click.echo(record_text(result))


def report_text(report: Report) -> str:
    """Lay out a verdict."""
    rows = [
        [name, _shown(getattr(report.reference, field)), _shown(getattr(report.candidate, field))]
        for name, field in _PERFORMANCE
    ]
    flips = [
        [flip.line, flip.level, int(flip.truth), f"{flip.reference:.4f}", f"{flip.candidate:.4f}"]
        for flip in report.flips
    ]
    difference = report.difference
    lines = [
        table(["", "FP32", f"INT8, {report.backend}"], rows),
        "",
        f"AUC difference {difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"
        + (" (no spread was seen: exact bound)" if difference.degenerate else ""),
        f"flipped decisions: {len(flips)} of {report.candidate.levels}",
    ]
    if flips:
        lines.append(table(["line", "level", "truth", "FP32", "INT8"], flips))
    lines += [f"answered by one only: {name}" for name in report.answered_by_one]
    return "\n".join([*lines, "", f"{report.verdict}: {'; '.join(report.reasons)}"])


def record_text(record: Record) -> str:
    """Lay out a latency record."""
    arms = list(record.statistics)
    rows = []
    for part in record.statistics[arms[0]]:
        medians = [record.statistics[arm][part] for arm in arms]
        ratio = record.speed.get(part)
        shown = f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]" if ratio else ""
        rows.append(
            [part, *(f"{m.median:.2f} [{m.low:.2f}, {m.high:.2f}]" for m in medians), shown]
        )
    header = ["ms, median [95 %]", *arms, "times as fast"]
    note = f"{record.blocks} blocks of {record.studies} studies per arm, interleaved"
    return table(header, rows) + f"\n\n{note}; peak memory {record.peak_memory_mib:.0f} MiB"


_PERFORMANCE = [
    ("cases", "cases"),
    ("refused", "refused"),
    ("levels", "levels"),
    ("unanswered", "unanswered"),
    ("AUC", "auc"),
    ("accuracy", "accuracy"),
    ("sensitivity", "sensitivity"),
    ("specificity", "specificity"),
    ("F1", "f1"),
    ("kappa", "kappa"),
    ("Dice", "dice"),
    ("worst vertebra's Dice", "worst_vertebra"),
]


def _shown(value: Figure | float | int | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, Figure):
        if value.value is None or value.low is None or value.high is None:
            return "-"
        return f"{value.value:.4f} [{value.low:.4f}, {value.high:.4f}]"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
