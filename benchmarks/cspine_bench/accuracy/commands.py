"""The command line of ``cspine verify``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cspine.bundle import Bundle, EmittedPrecision
from cspine.console import (
    backend_option,
    candidate_option,
    counter,
    emit_json,
    json_option,
    threads_option,
)
from cspine.device import this_device
from cspine.errors import ModelError
from cspine.evidence import evidence_path
from cspine.files import check_writable
from cspine.precision import lower
from cspine.spec import Detect
from cspine_bench.accuracy.again import judged_again
from cspine_bench.accuracy.evidence import Report, read_evidence
from cspine_bench.accuracy.layout import report_checks, report_text
from cspine_bench.accuracy.verdict import answered_levels
from cspine_bench.accuracy.verdict import verify as judge_set
from cspine_bench.cases import read_cases
from cspine_bench.report import EXITS, junit_option, markdown_option, write_reports


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), required=False)
@click.option(
    "--set",
    "folder",
    type=click.Path(path_type=Path),
    help="Case set; its split `test` is the locked set.",
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="Run nothing: compute the verdict again from the answers in a file of evidence.",
)
@junit_option
@markdown_option
@backend_option
@candidate_option
@threads_option
@json_option
def verify(
    bundle: Path | None,
    folder: Path | None,
    source: Path | None,
    to_junit: Path | None,
    to_markdown: Path | None,
    backend: str,
    precision: EmittedPrecision,
    threads: int | None,
    as_json: bool,
) -> None:
    """Judge BUNDLE's INT8, or FP16, against its FP32 on the same cases, and keep the evidence.

    After a kill, the same command goes on where it was. With --from, BUNDLE may be left out; if it
    is given, the evidence must be of it.

    Exit status: 0 pass, 1 fail, 3 inconclusive.

    \b
    Example:
      cspine verify build/xray.cspine --set cases/ --junit verdict.xml
      cspine verify --from build/xray.cspine.evidence/FILE.json
    """
    if bool(folder) == bool(source) or (folder and not bundle):
        raise click.UsageError("give BUNDLE and --set to judge, or --from EVIDENCE")
    for path in filter(None, (to_junit, to_markdown)):
        check_writable(path)  # better now than after the work
    opened = Bundle.open(bundle) if bundle else None
    if source:
        kept = source
        report = judged_again(read_evidence(source), where=str(source))
        if opened:
            check_bundle(report, opened, where=str(source))
    elif opened and folder:
        candidate = lower(backend, this_device(), precision)
        cases = read_cases(
            folder,
            split="test",
            levels=answered_levels(opened),
            regions=opened.spec.has(Detect),
        )
        report = judge_set(opened, candidate, cases, threads=threads, progress=counter("case"))
        kept = evidence_path(opened, candidate, set_digest=report.set_digest)
    checks = report_checks(report)
    write_reports("cspine verify", checks, to_junit=to_junit, to_markdown=to_markdown)
    if as_json:
        emit_json(report)
    else:
        click.echo(f"{report_text(report)}\n\nevidence: {kept}")
    sys.exit(EXITS[report.verdict])


def check_bundle(report: Report, bundle: Bundle, *, where: str) -> None:
    """Check that evidence is of a bundle.

    Raises
    ------
    ModelError
        If the digest or the margins differ.
    """
    if report.bundle != bundle.digest:
        raise ModelError(
            f"{where}: is of bundle {report.bundle[:12]}, expected {bundle.digest[:12]}; judge "
            "this bundle with: cspine verify BUNDLE --set DIR"
        )
    if report.gate != bundle.spec.gate:
        raise ModelError(
            f"{where}: the margins are not those of the bundle's pipeline file; judge again"
        )
