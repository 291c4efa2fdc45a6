"""How an accuracy verdict is laid out for people and for CI."""

from __future__ import annotations

from cspine.console import table
from cspine_bench.accuracy.class_tables import agreement_cells, agreement_table, class_lines
from cspine_bench.accuracy.evidence import Report
from cspine_bench.accuracy.noninferiority import Criterion
from cspine_bench.accuracy.shown import difference, shown, shown_limits
from cspine_bench.accuracy.tables import (
    DIGITS,
    change_table,
    digits_of,
    level_lines,
    parameter_table,
    performance_rows,
)
from cspine_bench.report import Check


def report_checks(report: Report) -> list[Check]:
    """Return what a report found: the whole, each criterion, each subgroup that fails."""
    whole = Check(
        "verdict",
        report.verdict,
        report.reasons,
        {
            "bundle": report.bundle[:12],
            "candidate": f"{report.backend} {report.target} {report.precision}",
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
                "difference": _of(difference(criterion), criterion.unit),
                "margin": _of(f"{-criterion.margin:+.4f}", criterion.unit),
                "p": f"{criterion.p:.2g}",
                **_behind(report, criterion),
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
    criteria = [
        [
            _of(each.name, each.unit, join=", "),
            difference(each),
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
            each.compared if each.positive is None else f"{each.positive} of {each.compared}",
            difference(each),
            "-" if each.adjusted is None else f"{each.adjusted:.2g}",
            each.verdict,
        ]
        for each in report.subgroups
    ]
    by = report.subgroups[0].by if report.subgroups else ""
    compared = "positive" if report.levels else "studies"
    judged = [f"{report.name} is better by", "difference [95 %]", "margin", "p", "verdict"]
    parts = [
        table(["", "FP32", f"{report.name}, {report.backend}"], performance_rows(report)),
        agreement_table(report),
        parameter_table(report),
        change_table(report),
        table(judged, criteria),
        table(["subgroup", "patients", compared, by, "Holm p", "verdict"], groups)
        if groups
        else "",
        "\n".join(
            [
                *(level_lines(report.levels, name=report.name) if report.levels else ()),
                *class_lines(report),
                *(f"answered by one only: {name}" for name in report.answered_by_one),
            ]
        ),
        "\n".join([f"{report.verdict}, look {report.look} at this set:", *report.reasons]),
    ]
    return "\n\n".join(filter(None, parts))


def report_summary(report: Report) -> str:
    """Return in a few words what a candidate answers otherwise than FP32."""
    said = []
    if report.levels and report.candidate.levels:
        said.append(
            f"flips {len(report.levels.flips)} of {report.candidate.levels.labelled} decisions"
        )
    if report.grades and report.candidate.grades:
        said.append(
            f"changes {len(report.grades.regrades)} of {report.candidate.grades.graded} grades"
        )
    if report.boxes:
        said.append(f"keeps {shown(report.boxes.kept.value, digits=3)} of the regions")
    if report.points:
        said.append(f"moves landmarks by {shown(report.points.distance.value, digits=3)} mm")
    return " and ".join(said)


def _behind(report: Report, criterion: Criterion) -> dict[str, str]:
    """Return what a criterion follows from, of both pipelines, where it is no single figure."""
    found = {}
    for arm, performance in (("FP32", report.reference), (report.name, report.candidate)):
        points, value = performance.points, performance.values.get(criterion.name)
        if points and criterion.name == "landmarks":
            found[f"{arm} radial error"] = (
                f"{shown(points.error_mm, digits=DIGITS + 1)} mm, SD "
                f"{shown(points.sd_mm, digits=DIGITS + 1)} mm, within 3 mm "
                f"{shown(points.within_3_mm)}, within 4 mm {shown(points.within_4_mm)}"
            )
        if performance.grades and criterion.name == "quadratic kappa" and performance.grades.truth:
            cells = agreement_cells(performance.grades.truth)
            names = ("graded", "accuracy", "macro F1", "kappa", "linear", "quadratic")
            found[f"{arm} against the truth"] = ", ".join(
                map(" ".join, zip(names, cells, strict=True))
            )
        if value:
            digits = digits_of(value.unit)
            found[f"{arm} error"] = (
                f"mean absolute {_of(shown(value.mae, digits=digits), value.unit)}, bias "
                f"{shown(value.bias.bias, signed=True, digits=digits)}, 95 % within "
                f"{shown_limits(value.bias, digits=digits)}, SMAPE "
                f"{shown(value.smape, digits=DIGITS)} %, ICC(2,1) "
                f"{shown(value.icc, digits=DIGITS + 1)}"
            )
    if report.points and criterion.name == "landmarks":
        moved = shown(report.points.distance, digits=DIGITS + 1)
        found[f"{report.name} less FP32"] = (
            f"moved {moved} mm, to the right "
            f"{shown(report.points.across.bias, signed=True, digits=DIGITS + 1)}, down "
            f"{shown(report.points.down.bias, signed=True, digits=DIGITS + 1)}"
        )
    if change := report.values.get(criterion.name):
        digits = digits_of(change.unit)
        found[f"{report.name} less FP32"] = (
            f"bias {shown(change.bias.bias, signed=True, digits=digits + 1)}, 95 % within "
            f"{_of(shown_limits(change.bias, digits=digits), change.unit)}"
        )
    return found


def _of(text: str, unit: str, *, join: str = " ") -> str:
    return f"{text}{join}{unit}" if unit else text
