"""How well one pipeline answers a set: every figure with its interval, clustered by patient."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from cspine_bench.accuracy.answers import Arm, CaseAnswers
from cspine_bench.accuracy.figure import ArmName, Figure, Flags, Patients, share
from cspine_bench.accuracy.levels import LevelPerformance, level_performance
from cspine_bench.accuracy.measured import PairedPoints, paired_values
from cspine_bench.accuracy.pairs import PairedLevels
from cspine_bench.accuracy.points import PointPerformance, point_performance
from cspine_bench.accuracy.truth import UNITS
from cspine_bench.accuracy.values import ValuePerformance, value_performance


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """How one pipeline does on a case set. All intervals are clustered by patient.

    ``cases`` are those that it should answer, ``refused`` those of them that it did not; ``unfit``
    are those that it must refuse, and ``unfit_refused`` is the share that it did. ``levels`` is
    ``None`` of a pipeline that judges none, ``points`` of one that places none; ``values`` are by
    parameter, none of a pipeline that does not measure.
    """

    cases: int
    refused: int
    unfit: int
    unfit_refused: Figure
    levels: LevelPerformance | None
    points: PointPerformance | None
    values: dict[str, ValuePerformance]


def performance(
    cases: Sequence[CaseAnswers],
    levels: PairedLevels | None,
    points: PairedPoints | None,
    *,
    arm: ArmName,
) -> Performance:
    """Score one of the two pipelines on cases.

    Parameters
    ----------
    levels, points
        Of the cases; ``None`` of what the pipeline does not answer.
    """
    arms: list[Arm] = [getattr(case, arm) for case in cases if not case.unfit]
    return Performance(
        cases=len(arms),
        refused=sum(each.refusal is not None for each in arms),
        unfit=len(cases) - len(arms),
        unfit_refused=share(*refusals(cases, arm=arm)),
        levels=level_performance(cases, levels, arm=arm) if levels else None,
        points=point_performance(points, arm=arm) if points else None,
        values={
            name: value_performance(paired_values(cases, name), arm=arm, unit=unit)
            for name, unit in (UNITS if points else {}).items()
        },
    )


def refusals(cases: Sequence[CaseAnswers], *, arm: ArmName) -> tuple[Flags, Patients]:
    """Return whether an arm refused each case that it must refuse, and the cases' patients."""
    unfit = [case for case in cases if case.unfit]
    refused = [getattr(case, arm).refusal is not None for case in unfit]
    return np.array(refused, bool), np.array([case.patient for case in unfit], np.int64)
