"""Several verdicts of one pipeline, each on patients of its own, as those of a cross-validation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from cspine.console import table
from cspine.errors import ModelError
from cspine.precision import Precision
from cspine_bench.accuracy.answers import CaseAnswers
from cspine_bench.accuracy.compared import compared
from cspine_bench.accuracy.evidence import Report
from cspine_bench.accuracy.figure import ArmName, Figure
from cspine_bench.accuracy.performance import Performance, performance
from cspine_bench.accuracy.shown import shown
from cspine_bench.accuracy.trial import Trial


class FoldFigure(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of every fold, their mean and standard deviation, and it of all answers together.

    The deviation is between folds, with one degree of freedom less than there are; folds share
    training patients, so it is no standard error. ``pooled`` has its interval, clustered by
    patient. A fold that has nothing to estimate is ``None`` and counts in neither.
    """

    folds: tuple[float | None, ...]
    mean: float | None
    sd: float | None
    pooled: Figure


class FoldSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of both pipelines over folds, by name."""

    folds: int
    cases: int
    precision: Precision
    reference: dict[str, FoldFigure]
    candidate: dict[str, FoldFigure]


def fold_summary(reports: Sequence[Report]) -> FoldSummary:
    """Summarise verdicts on folds.

    Parameters
    ----------
    reports
        Two or more, in the order of the folds; of bundles of one pipeline, and of studies that no
        two of them share.

    Raises
    ------
    ModelError
        If they do not answer the same, or a study is in two of them.
    """
    if len(reports) < 2:
        raise ModelError(f"folds: got {len(reports)} file of evidence, expected two or more")
    asked = {(each.classes, each.lines, each.threshold is None) for each in reports}
    if len(asked) > 1:
        raise ModelError("folds: got evidence of pipelines that answer other things, expected one")
    if len({each.precision for each in reports}) > 1:
        raise ModelError("folds: got evidence of INT8 and of FP16, expected one precision")
    answers = _pooled(reports)
    facts = msgspec.structs.asdict(reports[0]) | {"answers": answers}
    of = compared(Trial(**{name: facts[name] for name in Trial.__struct_fields__}))

    def figures(arm: ArmName) -> dict[str, FoldFigure]:
        every = [dict(_figures(getattr(each, arm))) for each in reports]
        pooled = dict(_figures(performance(answers, of, arm=arm)))
        return {
            name: _fold_figure([each.get(name) for each in every], pooled[name]) for name in pooled
        }

    return FoldSummary(
        folds=len(reports),
        cases=sum(not case.unfit for case in answers),
        precision=reports[0].precision,
        reference=figures("reference"),
        candidate=figures("candidate"),
    )


def fold_text(summary: FoldSummary) -> str:
    """Lay out a summary."""
    rows = [
        [name if arm == "FP32" else "", arm, _spread(found), shown(found.pooled)]
        for name in summary.reference
        for arm, found in (
            ("FP32", summary.reference[name]),
            (summary.precision.upper(), summary.candidate[name]),
        )
    ]
    head = f"{summary.folds} folds, {summary.cases} cases"
    return table([head, "", "mean, SD of folds", "all answers [95 %]"], rows)


def _pooled(reports: Sequence[Report]) -> tuple[CaseAnswers, ...]:
    """Return the answers of all folds; lines and patients go on counting from fold to fold."""
    found: list[CaseAnswers] = []
    fold_of: dict[str, int] = {}
    start = 0
    for fold, report in enumerate(reports, 1):
        for case in report.answers:
            # Films that must be refused may be alike, as blank ones are.
            if not case.unfit and fold_of.setdefault(case.study, fold) != fold:
                raise ModelError(
                    f"folds {fold_of[case.study]} and {fold}: line {case.line} of the latter is a "
                    "study of both, expected folds that share no patient"
                )
            found.append(
                msgspec.structs.replace(case, line=start + case.line, patient=start + case.patient)
            )
        start += max((case.line for case in report.answers), default=0)
    return tuple(found)


def _figures(found: Performance) -> Iterator[tuple[str, Figure]]:
    """Yield the figures that a paper tells of a cross-validation."""
    if levels := found.levels:
        yield "AUC", levels.auc
        yield "accuracy", levels.accuracy
        yield "sensitivity", levels.sensitivity
        yield "specificity", levels.specificity
        yield "F1", Figure(levels.f1, None, None)
    if found.grades and (truth := found.grades.truth):
        yield "grades, accuracy", truth.accuracy
        yield "grades, macro F1", truth.macro_f1
        yield "grades, kappa", truth.kappa
        yield "grades, linear kappa", truth.linear_kappa
        yield "grades, quadratic kappa", truth.quadratic_kappa
    if found.points:
        yield "radial error, mm", found.points.error_mm
    for name, value in found.values.items():
        yield f"{name}, MAE", value.mae
        yield f"{name}, ICC(2,1)", value.icc
    if found.boxes:
        yield "regions found at IoU 0.5", found.boxes.recall
    if found.symptoms:
        yield "symptoms, lowest ratio", found.symptoms.lowest_ratio
        yield "symptoms, worst grade", found.symptoms.worst_grade


def _fold_figure(found: Sequence[Figure | None], pooled: Figure) -> FoldFigure:
    values = [each.value if each else None for each in found]
    known = [value for value in values if value is not None]
    return FoldFigure(
        folds=tuple(values),
        mean=math.fsum(known) / len(known) if known else None,
        sd=float(np.std(known, ddof=1)) if len(known) > 1 else None,
        pooled=pooled,
    )


def _spread(found: FoldFigure) -> str:
    return f"{shown(found.mean)}, {shown(found.sd)}"
