"""How what is found goes with the symptom score of a patient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from cspine_bench.accuracy.answers import Arm, CaseAnswers
from cspine_bench.accuracy.figure import ArmName, Figure, Floats, figure, number
from cspine_bench.metrics.correlation import (
    pearson,
    pearson_interval,
    spearman,
    spearman_interval,
)
from cspine_bench.metrics.interval import Interval

Correlation = Callable[[Floats, Floats], float]
Intervals = Callable[..., Interval | None]


class Symptoms(msgspec.Struct, frozen=True, kw_only=True):
    """Correlation with the symptom score, over the studies that have one and what is correlated.

    ``lowest_ratio`` is Pearson's of the lowest compression ratio of a study, ``worst_grade``
    Spearman's of its most severe class.
    """

    studies: int
    lowest_ratio: Figure
    worst_grade: Figure


def symptoms(
    cases: Sequence[CaseAnswers], classes: Sequence[str], *, of: ArmName | None
) -> Symptoms | None:
    """Correlate what an arm found, or the truth, with the symptoms; ``None`` if none are stated.

    Parameters
    ----------
    of
        Whose ratios and grades; ``None`` for the true ones.
    """
    stated = [(case, case.symptom) for case in cases if case.symptom is not None]
    if not stated:
        return None
    ratio = [
        (min(ratios), symptom, case.patient)
        for case, symptom in stated
        if (ratios := _ratios(case, of))
    ]
    grade = [
        (max(map(classes.index, grades)), symptom, case.patient)
        for case, symptom in stated
        if (grades := _grades(case, of))
    ]
    return Symptoms(
        studies=len(stated),
        lowest_ratio=_correlated(ratio, pearson, pearson_interval),
        worst_grade=_correlated(grade, spearman, spearman_interval),
    )


def _ratios(case: CaseAnswers, of: ArmName | None) -> list[float]:
    found: Mapping[str, float] = case.true_ratios if of is None else getattr(case, of).ratios
    return [*found.values()]


def _grades(case: CaseAnswers, of: ArmName | None) -> list[str]:
    if of is None:
        return [*case.true_grades.values()]
    arm: Arm = getattr(case, of)
    return [each.grade for each in arm.grades.values()]


def _correlated(
    rows: Sequence[tuple[float, float, int]], correlation: Correlation, interval: Intervals
) -> Figure:
    """Return the correlation of the first two of each row, the third being the patient."""
    found, symptom, patients = np.array(rows, float).reshape(-1, 3).T
    spread = interval(found, symptom, clusters=patients.astype(np.int64))
    return figure(number(correlation(found, symptom)), spread)
