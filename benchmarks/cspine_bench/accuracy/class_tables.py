"""The parts of a report on classes, regions and symptoms, as tables."""

from __future__ import annotations

from collections.abc import Iterator

from cspine.console import table
from cspine_bench.accuracy.agreement import ClassAgreement
from cspine_bench.accuracy.boxes import BoxChange, BoxPerformance
from cspine_bench.accuracy.evidence import Report
from cspine_bench.accuracy.grades import GradeChange, GradePerformance
from cspine_bench.accuracy.performance import Performance
from cspine_bench.accuracy.shown import shown

_HEADER = ["agreement", "named", "accuracy", "macro F1", "kappa", "linear", "quadratic"]


def class_rows(arm: Performance) -> Iterator[tuple[str, str]]:
    """Yield what one pipeline grades and finds, and how it goes with the symptoms."""
    if arm.grades:
        yield from _grade_rows(arm.grades)
    if arm.boxes:
        yield from _box_rows(arm.boxes)
    if arm.symptoms:
        yield "symptoms, lowest ratio, Pearson", shown(arm.symptoms.lowest_ratio)
        yield "symptoms, worst grade, Spearman", shown(arm.symptoms.worst_grade)


def agreement_table(report: Report) -> str:
    """Return who names classes as whom, decisions being two classes; or nothing."""
    graded: list[tuple[str, ClassAgreement | None]] = []
    for name, arm in (("FP32", report.reference), (report.name, report.candidate)):
        if arm.grades:
            graded.append((f"grades, {name} and truth", arm.grades.truth))
            graded.append((f"grades, {name} and second reader", arm.grades.second))
        if arm.levels:
            graded.append((f"decisions, {name} and second reader", arm.levels.second))
    if report.readers:
        graded.append(("grades, second reader and truth", report.readers.grades))
        graded.append(("decisions, second reader and truth", report.readers.levels))
    rows = [[name, *agreement_cells(found)] for name, found in graded if found]
    return table(_HEADER, rows) if rows else ""


def agreement_cells(found: ClassAgreement) -> list[str]:
    """Return the figures of an agreement as text."""
    figures = (
        found.accuracy,
        found.macro_f1,
        found.kappa,
        found.linear_kappa,
        found.quadratic_kappa,
    )
    return [str(found.named), *(shown(each, digits=3) for each in figures)]


def class_lines(report: Report) -> Iterator[str]:
    """Yield what a candidate grades and finds otherwise than FP32."""
    if report.grades:
        yield from _grade_lines(report.grades, name=report.name)
    if report.boxes:
        yield _box_line(report.boxes)
    if report.readers and report.readers.symptoms:
        found = report.readers.symptoms
        yield (
            f"symptoms of {found.studies} studies go with the true lowest ratio by "
            f"{shown(found.lowest_ratio)}, with the true worst grade by {shown(found.worst_grade)}"
        )


def _grade_rows(found: GradePerformance) -> Iterator[tuple[str, str]]:
    yield "graded levels", str(found.graded)
    yield "without a grade", str(found.unanswered)
    yield "graded right", shown(found.right)


def _box_rows(found: BoxPerformance) -> Iterator[tuple[str, str]]:
    yield "regions", str(found.regions)
    yield "found at IoU 0.5", shown(found.recall)
    yield "their IoU", shown(found.iou)
    yield "found where there is none", str(found.elsewhere)


def _grade_lines(change: GradeChange, *, name: str) -> Iterator[str]:
    yield f"quadratic kappa difference {shown(change.quadratic_kappa, signed=True)}"
    yield (
        f"changed grades: {len(change.regrades)}, of the levels that both graded "
        f"{shown(change.change_rate)}; largest shift of a probability {shown(change.largest_shift)}"
    )
    if change.regrades:
        rows = [
            [each.line, each.level, each.truth, each.reference, each.candidate]
            for each in change.regrades
        ]
        yield table(["line", "level", "truth", "FP32", name], rows)


def _box_line(change: BoxChange) -> str:
    least = ""
    if change.least:
        least = f", the least {shown(change.least.value)} on slice {change.least.slice} of line "
        least += str(change.least.line)
    return (
        f"regions kept at IoU 0.9: {shown(change.kept)} of {change.boxes}; lost {change.lost}, "
        f"gained {change.gained}; their IoU {shown(change.iou)}{least}"
    )
