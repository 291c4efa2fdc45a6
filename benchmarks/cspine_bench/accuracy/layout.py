"""How an accuracy verdict is laid out for people and for CI."""

from __future__ import annotations

from cspine.console import table
from cspine_bench.accuracy.evidence import Report
from cspine_bench.accuracy.performance import Figure
from cspine_bench.report import Check


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
        f"flipped decisions: {len(flips)}, of the levels that both answered "
        f"{_shown(report.flip_rate)}",
    ]
    if shift := report.agreement:
        lines.append(
            f"scores: largest shift of a logit {_shown(shift.largest_shift)}, mean change of the "
            f"probability {_shown(shift.mean_change)}, Spearman {_shown(shift.spearman)}"
        )
    if report.difference and report.difference.degenerate:
        lines.append("AUC: no standard error; the interval is what these patients cannot exclude")
    if flips:
        lines.append(table(["line", "level", "truth", "FP32", "INT8"], flips))
    lines += [f"answered by one only: {name}" for name in report.answered_by_one]
    looks = f"look {report.look} at this set"
    return "\n".join([*lines, "", f"{report.verdict}, {looks}:", *report.reasons])


_PERFORMANCE = [
    ("cases", "cases"),
    ("refused", "refused"),
    ("must be refused", "unfit"),
    ("of them refused", "unfit_refused"),
    ("levels", "levels"),
    ("unanswered", "unanswered"),
    ("AUC, answered levels", "auc"),
    ("AUC, others by chance", "auc_of_all"),
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
