"""The command line of ``cspine verify``, and how a verdict is laid out."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cspine.bundle import Bundle
from cspine.console import (
    EXIT_GATE_FAILED,
    EXIT_INCONCLUSIVE,
    backend_option,
    counter,
    emit_json,
    json_option,
    table,
    threads_option,
)
from cspine.device import this_device
from cspine.errors import ModelError
from cspine.files import check_writable, write_atomic
from cspine.precision import evidence_path, int8
from cspine_bench.cases import read_cases
from cspine_bench.evidence import Report, read_evidence
from cspine_bench.judge import judged_again
from cspine_bench.performance import Figure
from cspine_bench.report import Check
from cspine_bench.report import junit as junit_xml
from cspine_bench.report import markdown as markdown_table
from cspine_bench.verdict import answered_levels
from cspine_bench.verdict import verify as judge_set

EXITS = {"pass": 0, "fail": EXIT_GATE_FAILED, "inconclusive": EXIT_INCONCLUSIVE}


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
@click.option("--junit", type=click.Path(path_type=Path), help="Write the verdict as JUnit XML.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the verdict as Markdown.")
@backend_option
@threads_option
@json_option
def verify(
    bundle: Path | None,
    folder: Path | None,
    source: Path | None,
    junit: Path | None,
    markdown: Path | None,
    backend: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Judge BUNDLE's INT8 against its FP32 on the same cases, and keep the evidence.

    After a kill, the same command goes on where it was. With --from, BUNDLE may be left out; if it
    is given, the evidence must be of it.

    Exit status: 0 pass, 1 fail, 3 inconclusive.

    \b
    Example:
      cspine verify build/xray.cspine --set cases/ --junit verdict.xml
      cspine verify --from build/xray.cspine.evidence/FILE.json
    """
    for path in filter(None, (junit, markdown)):
        check_writable(path)  # better now than after the work
    opened = Bundle.open(bundle) if bundle else None
    if source and not folder:
        kept = source
        report = judged_again(read_evidence(source), where=str(source))
        if opened:
            check_bundle(report, opened, where=str(source))
    elif opened and folder and not source:
        candidate = int8(backend, this_device())
        cases = read_cases(folder, split="test", levels=answered_levels(opened))
        report = judge_set(opened, candidate, cases, threads=threads, progress=counter("case"))
        kept = evidence_path(opened, candidate, set_digest=report.set_digest)
    else:
        raise click.UsageError("give BUNDLE and --set to judge, or --from EVIDENCE")
    if junit:
        write_atomic(junit, junit_xml("cspine verify", report_checks(report)))
    if markdown:
        write_atomic(markdown, markdown_table("cspine verify", report_checks(report)).encode())
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


def report_checks(report: Report) -> list[Check]:
    """Return what a report found: the whole, each criterion, each subgroup that fails."""
    whole = Check(
        "verdict",
        report.verdict,
        report.reasons,
        {
            "bundle": report.bundle[:12],
            "candidate": f"{report.backend} {report.target}",
            "cases": str(report.reference.cases),
            "look": str(report.look),
        },
    )
    criteria = [
        Check(
            criterion.name,
            criterion.verdict,
            (criterion.reason,),
            {
                "difference": _interval(criterion.value, criterion.low, criterion.high),
                "margin": f"{-criterion.margin:+.4f}",
                "p": f"{criterion.p:.2g}",
            },
        )
        for criterion in report.criteria
    ]
    harmed = [
        Check(f"{group.factor} {group.value}", group.verdict)
        for group in report.subgroups
        if group.verdict == "fail"
    ]
    return [whole, *criteria, *harmed]


def report_text(report: Report) -> str:
    """Lay out a verdict."""
    rows = [
        [name, _shown(getattr(report.reference, field)), _shown(getattr(report.candidate, field))]
        for name, field in _PERFORMANCE
    ]
    criteria = [
        [
            each.name,
            _interval(each.value, each.low, each.high),
            f"{-each.margin:+.4f}",
            f"{each.p:.2g}",
            each.verdict,
        ]
        for each in report.criteria
    ]
    groups = [
        [
            f"{each.factor} {each.value}",
            each.patients,
            f"{each.positive} of {each.levels}",
            _shown(Figure(each.difference, each.low, each.high), signed=True),
            "-" if each.adjusted is None else f"{each.adjusted:.2g}",
            each.verdict,
        ]
        for each in report.subgroups
    ]
    flips = [
        [flip.line, flip.level, int(flip.truth), f"{flip.reference:.4f}", f"{flip.candidate:.4f}"]
        for flip in report.flips
    ]
    shift = report.agreement
    lines = [
        table(["", "FP32", f"INT8, {report.backend}"], rows),
        "",
        table(["INT8 less FP32", "difference [95 %]", "margin", "p", "verdict"], criteria),
        *(
            ["", table(["subgroup", "patients", "positive", "AUC", "Holm p", "verdict"], groups)]
            if groups
            else []
        ),
        "",
        f"Dice difference {_shown(report.dice_difference, signed=True)}",
        f"scores: largest shift of a logit {_shown(shift.largest_shift)}, mean change of the "
        f"probability {_shown(shift.mean_change)}, Spearman {_shown(shift.spearman)}",
        f"flipped decisions: {len(flips)} of {report.candidate.levels}, {_shown(report.flip_rate)}",
    ]
    if flips:
        lines.append(table(["line", "level", "truth", "FP32", "INT8"], flips))
    lines += [f"answered by one only: {name}" for name in report.answered_by_one]
    looks = f"look {report.look} at this set"
    return "\n".join([*lines, "", f"{report.verdict}, {looks}:", *report.reasons])


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
    ("severity, Spearman", "severity"),
    ("numbered right", "numbering"),
    ("Dice", "dice"),
    ("worst vertebra's Dice", "worst_vertebra"),
]


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:+.4f} [{low:+.4f}, {high:+.4f}]"


def _shown(value: Figure | float | int | None, *, signed: bool = False) -> str:
    if value is None:
        return "-"
    if isinstance(value, Figure):
        if value.value is None or value.low is None or value.high is None:
            return "-"
        form = "+.4f" if signed else ".4f"
        return f"{value.value:{form}} [{value.low:{form}}, {value.high:{form}}]"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
