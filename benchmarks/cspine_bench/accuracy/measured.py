"""Every true point and value of a set as both pipelines give it, in arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cspine_bench.accuracy.answers import Arm, CaseAnswers
from cspine_bench.accuracy.figure import ArmName, Flags, Floats, Patients
from cspine_bench.accuracy.truth import LOWEST_RATIO, RATIO, UNITS
from cspine_bench.metrics.landmarks import radial_errors


@dataclass(frozen=True)
class PairedPoints:
    """The true points of a set; all arrays have one entry a point.

    Attributes
    ----------
    line, name
        Which case and point, by its line in ``cases.csv`` and its name.
    patient
        Number, equal within a patient.
    reference, candidate
        How far off the two place it, in millimetres: ``inf`` where they do not place it, ``nan``
        where they refused the study.
    moved
        Shape (points, 2), how far the candidate's place lies from the reference's, to the right and
        down, in millimetres; ``nan`` unless both placed it.
    """

    line: npt.NDArray[np.int64]
    name: npt.NDArray[np.str_]
    patient: Patients
    reference: Floats
    candidate: Floats
    moved: Floats

    @property
    def placed_by_both(self) -> Flags:
        """Where there are two places to compare."""
        return np.isfinite(self.reference) & np.isfinite(self.candidate)

    def placed_by_several(self, arm: ArmName) -> bool:
        """Return whether an arm placed points of two patients, as a variance takes."""
        return np.unique(self.patient[np.isfinite(getattr(self, arm))]).size >= 2


@dataclass(frozen=True)
class PairedValues:
    """One parameter of a set; all arrays have shape (values,), one a study or level that has one.

    Attributes
    ----------
    line
        Which case, by its line in ``cases.csv``.
    patient
        Number, equal within a patient.
    truth, reference, candidate
        In the parameter's unit; ``nan`` where one of the two gives none.
    """

    line: npt.NDArray[np.int64]
    patient: Patients
    truth: Floats
    reference: Floats
    candidate: Floats

    @property
    def given_by_both(self) -> Flags:
        """Where there are two values to compare."""
        return ~np.isnan(self.reference + self.candidate)


def paired_points(cases: Sequence[CaseAnswers]) -> PairedPoints:
    """Lay out the true points of some cases, in their order.

    Of a case without a spacing both refused, so there is nothing to lay out.
    """
    known = [case for case in cases if case.true_points and case.spacing_mm]
    keys = [(case, name) for case in known for name in case.true_points]
    return PairedPoints(
        line=np.array([case.line for case, _ in keys], np.int64),
        name=np.array([name for _, name in keys], np.str_),
        patient=np.array([case.patient for case, _ in keys], np.int64),
        reference=_joined([_errors(case, case.reference) for case in known]),
        candidate=_joined([_errors(case, case.candidate) for case in known]),
        moved=_joined([_moves(case) for case in known]).reshape(-1, 2),
    )


def paired_values(cases: Sequence[CaseAnswers], name: str) -> PairedValues:
    """Lay out one parameter of the cases that have a true value of it, in their order.

    Parameters
    ----------
    name
        One of ``UNITS``, or a name of the ratio: :mod:`cspine_bench.accuracy.truth`.
    """
    rows = [(case, *row) for case in cases for row in _measured(case, name)]
    return PairedValues(
        line=np.array([case.line for case, *_ in rows], np.int64),
        patient=np.array([case.patient for case, *_ in rows], np.int64),
        truth=np.array([truth for _, truth, _, _ in rows], float),
        reference=np.array([before for _, _, before, _ in rows], float),
        candidate=np.array([after for _, _, _, after in rows], float),
    )


def point_changes(cases: Sequence[CaseAnswers]) -> tuple[Floats, Patients]:
    """Return how much nearer the candidate places a study's points, in the mean, and patients.

    In millimetres, over the points that both placed. Both have shape (studies,).
    """
    points = paired_points(cases)
    both = points.placed_by_both
    lines, study = np.unique(points.line[both], return_inverse=True)
    nearer = points.reference[both] - points.candidate[both]
    changes = np.bincount(study, weights=nearer) / np.bincount(study) if lines.size else nearer
    patient = dict(zip(points.line.tolist(), points.patient.tolist(), strict=True))
    return changes, np.array([patient[line] for line in lines.tolist()], np.int64)


def value_changes(cases: Sequence[CaseAnswers], name: str) -> tuple[Floats, Patients]:
    """Return how much nearer to a true value the candidate's is, and the patients.

    In the parameter's unit, over what both give. Both have shape (values,).
    """
    values = paired_values(cases, name)
    both = values.given_by_both
    before, after = (
        np.abs(arm - values.truth)[both] for arm in (values.reference, values.candidate)
    )
    return before - after, values.patient[both]


def given(cases: Sequence[CaseAnswers]) -> tuple[Flags, Flags, Patients]:
    """Return whether the two give each true value, and the patients; all of shape (values,)."""
    of = [paired_values(cases, name) for name in (*UNITS, RATIO)]
    return (
        np.concatenate([~np.isnan(values.reference) for values in of]),
        np.concatenate([~np.isnan(values.candidate) for values in of]),
        np.concatenate([values.patient for values in of]),
    )


def _measured(case: CaseAnswers, name: str) -> Iterator[tuple[float, float, float]]:
    """Yield each true value of a name in a case, with the reference's and the candidate's."""
    before, after = case.reference, case.candidate
    if name == RATIO:
        for level, ratio in case.true_ratios.items():
            yield ratio, before.ratios.get(level, math.nan), after.ratios.get(level, math.nan)
    elif name == LOWEST_RATIO:
        if case.true_ratios:
            lowest = min(case.true_ratios.values())
            found = [min(each.ratios.values(), default=math.nan) for each in (before, after)]
            yield lowest, found[0], found[1]
    elif name in case.true_values:
        truth = case.true_values[name]
        yield truth, before.values.get(name, math.nan), after.values.get(name, math.nan)


def _errors(case: CaseAnswers, arm: Arm) -> Floats:
    if arm.refusal is not None:
        return np.full(len(case.true_points), math.nan)
    truth, found = _places(case, arm)
    return radial_errors(truth, found, spacing_mm=case.spacing_mm or (math.nan, math.nan))


def _moves(case: CaseAnswers) -> Floats:
    (_, before), (_, after) = (_places(case, arm) for arm in (case.reference, case.candidate))
    row_mm, column_mm = case.spacing_mm or (math.nan, math.nan)
    return np.asarray((after - before) * (column_mm, row_mm))


def _places(case: CaseAnswers, arm: Arm) -> tuple[Floats, Floats]:
    """Return where the true points lie and where an arm places them, shape (points, 2)."""
    lost = (math.nan, math.nan)
    found = [arm.points.get(name, lost) for name in case.true_points]
    return np.array(list(case.true_points.values()), float), np.array(found, float)


def _joined(parts: Sequence[Floats]) -> Floats:
    return np.concatenate([np.empty(0), *(part.ravel() for part in parts)])
