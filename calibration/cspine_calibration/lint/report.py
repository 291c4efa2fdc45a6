"""What ``cspine inspect --target`` prints of a file, or of every stage of a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from cspine.console import EXIT_GATE_FAILED, emit_json, table
from cspine_calibration.lint.finding import Finding

_HEADER = ("rule", "severity", "tensor or operator", "found", "remedy")


def report(
    findings: Mapping[str, Sequence[Finding]], *, digest: str, target: str, as_json: bool
) -> None:
    """Print the findings of some models, by name.

    Raises
    ------
    click.exceptions.Exit
        With code 1, if one is an error.
    """
    if as_json:
        models = [
            {"model": name, "findings": [each.facts() for each in found]}
            for name, found in findings.items()
        ]
        emit_json({"digest": digest, "target": target, "models": models})
    else:
        for name, found in findings.items():
            click.echo(f"{name} for {target}: {_summary(found)}")
            if found:
                click.echo("\n" + table(_HEADER, [list(each.facts().values()) for each in found]))
    if any(each.severity == "error" for found in findings.values() for each in found):
        raise click.exceptions.Exit(EXIT_GATE_FAILED)


def _summary(findings: Sequence[Finding]) -> str:
    errors = sum(each.severity == "error" for each in findings)
    return f"{errors} errors, {len(findings) - errors} warnings"
