"""The command line of ``cspine folds``."""

from __future__ import annotations

from pathlib import Path

import click

from cspine.console import emit_json, json_option
from cspine_bench.accuracy.again import judged_again
from cspine_bench.accuracy.evidence import read_evidence
from cspine_bench.accuracy.folds import fold_summary, fold_text


@click.command()
@click.argument("evidence", type=click.Path(path_type=Path), nargs=-1, required=True)
@json_option
def folds(evidence: tuple[Path, ...], as_json: bool) -> None:
    """Summarise verdicts on the folds of a cross-validation: mean, SD, and all answers together.

    EVIDENCE is what `cspine verify` kept of each fold's bundle, in the order of the folds. Nothing
    is run, and nothing in a file is believed but its answers.

    \b
    Example:
      cspine folds fold-1.cspine.evidence/FILE.json fold-2.cspine.evidence/FILE.json
    """
    reports = [judged_again(read_evidence(path), where=str(path)) for path in evidence]
    summary = fold_summary(reports)
    if as_json:
        emit_json(summary)
    else:
        click.echo(fold_text(summary))
