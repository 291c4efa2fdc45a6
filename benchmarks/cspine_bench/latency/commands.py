"""The command line of ``cspine bench``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

import click
import msgspec

from cspine.bundle import Bundle, EmittedPrecision
from cspine.console import (
    backend_option,
    candidate_option,
    counter,
    emit_json,
    json_option,
    studies_option,
    threads_option,
)
from cspine.device import this_device
from cspine.dicom.select import read_all
from cspine.errors import ModelError
from cspine.files import check_writable, write_atomic
from cspine.layout import is_bundle
from cspine.precision import DLA, fp32, lower
from cspine_bench.latency.assess import assessed, record_checks
from cspine_bench.latency.bench import bench as measure
from cspine_bench.latency.bench import fresh_starts, sides
from cspine_bench.latency.comparison import Comparison, check_digests
from cspine_bench.latency.equivalence import MEDIAN_MARGIN, MEMORY_MARGIN
from cspine_bench.latency.layout import record_text
from cspine_bench.latency.record import Gate, Record, narrowed, read_record
from cspine_bench.latency.scenario import Name
from cspine_bench.latency.scenario import scenario as arriving
from cspine_bench.report import EXITS, junit_option, markdown_option, write_reports

POSITIVE = click.FloatRange(0, min_open=True)


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), required=False)
@studies_option(required=False)
@click.option(
    "--scenario",
    type=click.Choice(get_args(Name)),
    default="single-stream",
    show_default=True,
    help="Studies come one after another, at a fixed rate, or all at once.",
)
@click.option("--rate", type=POSITIVE, help="Studies a second, of `paced`.")
@click.option(
    "--deadline-ms", type=POSITIVE, help="Of `paced` [default: until the next study comes]."
)
@click.option("--blocks", type=click.IntRange(6), default=40, show_default=True)
@click.option(
    "--starts",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="Processes per arm that show cold start and memory.",
)
@click.option(
    "--against",
    type=click.Path(path_type=Path, exists=True),
    help="Judge it: against that of another bundle, run in turn, or against a record.",
)
@click.option(
    "--margin",
    type=POSITIVE,
    default=MEDIAN_MARGIN,
    show_default=True,
    help="By how much the median may grow.",
)
@click.option(
    "--p99-margin", type=POSITIVE, help="By how much p99 may grow [default: it is not judged]."
)
@click.option(
    "--memory-margin",
    type=POSITIVE,
    default=MEMORY_MARGIN,
    show_default=True,
    help="By how much peak memory may grow.",
)
@click.option(
    "--until-decided",
    "at_most",
    type=click.IntRange(6),
    metavar="BLOCKS",
    help="With --against: go on to as many blocks as their spread asks for, at most so many.",
)
@click.option("--record", type=click.Path(path_type=Path), help="Write the record, with samples.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="Measure nothing: compute a record's statistics and verdict again from its samples.",
)
@junit_option
@markdown_option
@backend_option
@candidate_option
@threads_option
@json_option
def bench(
    bundle: Path | None,
    paths: tuple[Path, ...],
    scenario: Name,
    rate: float | None,
    deadline_ms: float | None,
    blocks: int,
    starts: int,
    against: Path | None,
    margin: float,
    p99_margin: float | None,
    memory_margin: float,
    at_most: int | None,
    record: Path | None,
    source: Path | None,
    to_junit: Path | None,
    to_markdown: Path | None,
    backend: str,
    precision: EmittedPrecision,
    threads: int | None,
    as_json: bool,
) -> None:
    """Time BUNDLE's INT8, or FP16, and its FP32 on the same studies, interleaved in random order.

    With --against, exit status: 0 pass, 1 fail, 3 inconclusive. A run under which the machine's
    clocks moved is void, with or without: 3.

    \b
    Example:
      cspine bench build/xray.cspine --study study1/ --study study2/ --record latency.json
      cspine bench build/new.cspine --study study1/ --against build/xray.cspine --until-decided 400
      cspine bench build/new.cspine --study study1/ --against latency.json --junit latency.xml
      cspine bench --from latency.json build/xray.cspine
    """
    if source and (paths or against):
        raise click.UsageError("--from measures nothing: leave out --study and --against")
    if at_most and not against:
        raise click.UsageError("--until-decided goes with --against: nothing else is decided")
    for path in filter(None, (record, to_junit, to_markdown)):
        check_writable(path)  # better now than after the measurement
    opened = Bundle.open(bundle) if bundle else None
    gate = Gate(median=margin, p99=p99_margin, memory=memory_margin if starts else None)
    if source:
        result = _again(source, gate, judge=bool(to_junit or to_markdown))
        if opened:
            check_digests(result, opened)
    elif opened and paths:
        comparison = Comparison(_earlier(against), gate, at_most) if against else None
        # A DLA computes no FP32: what it does is held against the GPU's.
        reference = fp32("tensorrt" if backend == DLA else backend)
        choices = (reference, lower(backend, this_device(), precision))
        arms = sides(opened, choices, comparison=comparison)
        result = measure(
            arms,
            read_all(paths),
            repeats=blocks,
            threads=threads,
            progress=counter("block"),
            scenario=arriving(scenario, rate_hz=rate, deadline_ms=deadline_ms),
            comparison=comparison,
            starts=fresh_starts(arms, paths, count=starts, threads=threads),
        )
    else:
        raise click.UsageError("give BUNDLE and --study to measure, or --from RECORD")
    if record:
        write_atomic(record, msgspec.json.encode(result) + b"\n")
    checks = record_checks(result)
    write_reports("cspine bench", checks, to_junit=to_junit, to_markdown=to_markdown)
    if as_json:
        emit_json(result)
    else:
        click.echo(record_text(result))
    sys.exit(EXITS[result.verdict.verdict] if result.verdict else 0)


def _again(source: Path, gate: Gate, *, judge: bool) -> Record:
    """Compute a record again, by the narrower of its margins and those that are asked for."""
    record = read_record(source)
    if record.gate:
        record = msgspec.structs.replace(record, gate=narrowed(record.gate, gate))
    elif judge:
        raise ModelError(
            f"{source}: holds no verdict, as nothing was to be judged; measure with --against"
        )
    return assessed(record)


def _earlier(path: Path) -> Bundle | Record:
    """Read what a bundle is held against: another bundle, or the record of one."""
    return Bundle.open(path) if path.is_dir() or is_bundle(path) else read_record(path)
