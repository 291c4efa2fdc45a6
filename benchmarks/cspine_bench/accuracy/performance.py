"""How well one pipeline answers a set: every figure with its interval, clustered by patient."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from cspine_bench.accuracy.answers import Arm, CaseAnswers
from cspine_bench.accuracy.boxes import BoxPerformance, box_performance
from cspine_bench.accuracy.compared import Compared
from cspine_bench.accuracy.figure import ArmName, Figure, Flags, Patients, share
from cspine_bench.accuracy.grades import GradePerformance, grade_performance
from cspine_bench.accuracy.levels import LevelPerformance, level_performance
from cspine_bench.accuracy.measured import paired_values
from cspine_bench.accuracy.points import PointPerformance, point_performance
from cspine_bench.accuracy.symptoms import Symptoms, symptoms
from cspine_bench.accuracy.values import ValuePerformance, value_performance


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """How one pipeline does on a case set. All intervals are clustered by patient.

    ``cases`` are those that it should answer, ``refused`` those of them that it did not; ``unfit``
    are those that it must refuse, and ``unfit_refused`` is the share that it did. ``levels`` is
    ``None`` of a pipeline that judges none, ``points`` of one that places none; ``values`` are by
    parameter, none of a pipeline that does not measure. ``grades``, ``boxes`` and ``symptoms`` are
    ``None`` also where the set has nothing to hold them against.
    """

    cases: int
    refused: int
    unfit: int
    unfit_refused: Figure
    levels: LevelPerformance | None
    points: PointPerformance | None
    values: dict[str, ValuePerformance]
    grades: GradePerformance | None = None
    boxes: BoxPerformance | None = None
    symptoms: Symptoms | None = None


def performance(cases: Sequence[CaseAnswers], of: Compared, *, arm: ArmName) -> Performance:
    """Score one of the two pipelines on cases.

    Parameters
    ----------
    of
        What the cases hold.
    """
    arms: list[Arm] = [getattr(case, arm) for case in cases if not case.unfit]
    return Performance(
        cases=len(arms),
        refused=sum(each.refusal is not None for each in arms),
        unfit=len(cases) - len(arms),
        unfit_refused=share(*refusals(cases, arm=arm)),
        levels=level_performance(cases, of.levels, arm=arm) if of.levels else None,
        points=point_performance(of.points, arm=arm) if of.points else None,
        values={
            name: value_performance(paired_values(cases, name), arm=arm, unit=unit)
            for name, unit in of.units.items()
        },
        grades=grade_performance(of.grades, arm=arm) if of.grades else None,
        boxes=box_performance(of.boxes, arm=arm) if of.boxes else None,
        symptoms=symptoms(cases, of.classes, of=arm),
    )


def refusals(cases: Sequence[CaseAnswers], *, arm: ArmName) -> tuple[Flags, Patients]:
    """Return whether an arm refused each case that it must refuse, and the cases' patients."""
    unfit = [case for case in cases if case.unfit]
    refused = [getattr(case, arm).refusal is not None for case in unfit]
    return np.array(refused, bool), np.array([case.patient for case in unfit], np.int64)
