"""What verdicts on grades, regions and ratios say, as parts of a model card."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import card
from cspine_bench.accuracy.agreement import ClassAgreement
from cspine_bench.accuracy.class_tables import agreement_cells
from cspine_bench.accuracy.evidence import Report
from cspine_bench.accuracy.performance import Performance
from graded_cards import Card

AGREEMENT = ["", "named", "accuracy", "macro F1", "kappa", "linear", "quadratic"]


def further(reports: Sequence[Report]) -> Iterator[list[str]]:
    """Yield what is told beside the levels: grades, regions, ratios."""
    first = reports[0].reference
    arms = [first, *(report.candidate for report in reports)]

    def row(name: str, of: Callable[[Performance], str]) -> list[str]:
        return [name, *map(of, arms)]

    if first.grades:
        yield row("graded right", lambda arm: card.figure(arm.grades.right) if arm.grades else "")
        changes = [each.grades for each in reports if each.grades]
        yield ["grades changed", "", *(card.figure(each.change_rate) for each in changes)]
    if first.boxes:
        regions = [arm.boxes for arm in arms if arm.boxes]
        yield ["slices with a region", *(str(each.regions) for each in regions)]
        yield ["region found at IoU 0.5", *(card.figure(each.recall) for each in regions)]
        yield ["mean IoU", *(card.figure(each.iou) for each in regions)]
        yield ["slices without one where one is found", *(str(each.elsewhere) for each in regions)]
        kept = [each.boxes for each in reports if each.boxes]
        yield ["FP32's regions kept at IoU 0.9", "", *(card.figure(each.kept) for each in kept)]
    for name in first.values:
        values = [arm.values[name] for arm in arms]
        yield [f"{name}, given", *(f"{each.given} of {each.studies}" for each in values)]
        yield [f"{name}, mean absolute error", *(card.figure(each.mae) for each in values)]
        yield [f"{name}, bias and limits", *(card.limits(each.bias) for each in values)]
        yield [f"{name}, ICC(2,1)", *(card.figure(each.icc) for each in values)]
        moved = [report.values[name].bias for report in reports]
        yield [f"{name}, INT8 from FP32: bias and limits", "", *map(card.limits, moved)]


def reasons(reports: Sequence[Report]) -> str:
    """Return why verdicts are not a pass."""
    return "".join(
        f"- {report.backend}: {reason}\n"
        for report in reports
        if report.verdict != "pass"
        for reason in report.reasons
    )


def agreement(reports: Sequence[Report]) -> str:
    """Return who names classes as whom, decisions being two classes."""
    arms = [("FP32", reports[0].reference)]
    arms += [(f"INT8, {report.backend}", report.candidate) for report in reports]
    found: list[tuple[str, ClassAgreement | None]] = []
    for other in ("truth", "second"):
        words = "second reader" if other == "second" else other
        found += [
            (f"grades, {name} and {words}", getattr(arm.grades, other))
            for name, arm in arms
            if arm.grades
        ]
    if reports[0].readers:
        found.append(("grades, second reader and truth", reports[0].readers.grades))
    found += [
        (f"decisions, {name} and second reader", arm.levels.second)
        for name, arm in arms
        if arm.levels
    ]
    if reports[0].readers:
        found.append(("decisions, second reader and truth", reports[0].readers.levels))
    return (
        "Over what both named. Kappas count a disagreement as one, by its distance in classes, and "
        "by the\nsquare of that.\n\n"
        + card.table(AGREEMENT, [[name, *agreement_cells(each)] for name, each in found if each])
    )


def best(report: Report, of: Card) -> str:
    rows = [
        [name, f"{value():.4f}", card.figure(measured(report))] for name, value, measured in of.best
    ]
    return (
        "A label is the evidence of the phantom read with an error, so nobody is right always."
        " Who reads\nthe evidence itself has on these patients an AUC of "
        f"{card.figure(card.ideal(report))}; beside figures of\nwhat was "
        "judged stands what is expected of all that could be drawn:\n\n"
        + card.table(["", "expected", "here"], rows)
    )


def symptoms(reports: Sequence[Report]) -> str:
    told = [reports[0].readers and reports[0].readers.symptoms, reports[0].reference.symptoms]
    told += [report.candidate.symptoms for report in reports]
    found = [each for each in told if each]
    rows = [
        ["lowest ratio, Pearson", *(card.figure(each.lowest_ratio) for each in found)],
        ["worst grade, Spearman", *(card.figure(each.worst_grade) for each in found)],
    ]
    header = ["", "truth", "FP32", *(f"INT8, {report.backend}" for report in reports)]
    return (
        f"Correlation with the symptom score of {found[0].studies} patients, which on a phantom "
        "follows from its narrowest\nlevel and from much else.\n\n" + card.table(header, rows)
    )
