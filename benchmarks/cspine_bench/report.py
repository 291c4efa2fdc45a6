"""Checks as JUnit XML, Markdown and exit status, for a team's CI; what was checked is no matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import click

from cspine.console import EXIT_GATE_FAILED, EXIT_INCONCLUSIVE
from cspine.files import write_atomic

Verdict = Literal["pass", "fail", "inconclusive", "void"]

EXITS: dict[Verdict, int] = {
    "pass": 0,
    "fail": EXIT_GATE_FAILED,
    "inconclusive": EXIT_INCONCLUSIVE,
    "void": EXIT_INCONCLUSIVE,
}

junit_option = click.option(
    "--junit",
    "to_junit",
    type=click.Path(path_type=Path),
    help="Write the verdict as JUnit XML.",
)
markdown_option = click.option(
    "--markdown",
    "to_markdown",
    type=click.Path(path_type=Path),
    help="Write the verdict as Markdown.",
)


@dataclass(frozen=True)
class Check:
    """One line of a report.

    Attributes
    ----------
    name
        What was checked, unique in its report.
    verdict
        ``void`` if what was measured says nothing.
    reasons
        Why, one sentence each.
    figures
        What the verdict follows from, by name, as text for people.
    """

    name: str
    verdict: Verdict
    reasons: Sequence[str] = ()
    figures: Mapping[str, str] = field(default_factory=dict)


def write_reports(
    title: str, checks: Sequence[Check], *, to_junit: Path | None, to_markdown: Path | None
) -> None:
    """Write what was asked for.

    Raises
    ------
    OSError
        If a file cannot be written; what was there before still is.
    """
    if to_junit:
        write_atomic(to_junit, junit(title, checks))
    if to_markdown:
        write_atomic(to_markdown, markdown(title, checks).encode())


def junit(suite: str, checks: Sequence[Check]) -> bytes:
    """Return a JUnit XML document.

    A ``fail`` is a failure. ``inconclusive`` and ``void`` are errors, not skipped tests, which CI
    shows as green.

    Parameters
    ----------
    suite
        Name of the whole, and class name of every test case.
    """
    failed = sum(check.verdict == "fail" for check in checks)
    undecided = sum(check.verdict in ("inconclusive", "void") for check in checks)
    counts = {"tests": len(checks), "failures": failed, "errors": undecided, "skipped": 0}
    root = ElementTree.Element(
        "testsuite", {"name": suite, **{name: str(count) for name, count in counts.items()}}
    )
    for check in checks:
        case = ElementTree.SubElement(root, "testcase", {"classname": suite, "name": check.name})
        if check.figures:
            properties = ElementTree.SubElement(case, "properties")
            for name, value in check.figures.items():
                ElementTree.SubElement(properties, "property", {"name": name, "value": value})
        text = "\n".join(check.reasons)
        if check.verdict == "pass":
            ElementTree.SubElement(case, "system-out").text = text
        else:
            kind = "failure" if check.verdict == "fail" else "error"
            first = check.reasons[0] if check.reasons else check.verdict
            attributes = {"type": check.verdict, "message": first}
            ElementTree.SubElement(case, kind, attributes).text = text
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def markdown(title: str, checks: Sequence[Check]) -> str:
    """Return a Markdown section: a table of the checks, with their figures and reasons."""
    rows = [
        [
            check.name,
            f"**{check.verdict}**",
            "<br>".join(f"{name} {value}" for name, value in check.figures.items()),
            "<br>".join(check.reasons),
        ]
        for check in checks
    ]
    lines = [["check", "verdict", "figures", "reasons"], ["---"] * 4, *rows]
    table = "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)
    return f"## {title}\n\n{table}\n"


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", "<br>")
