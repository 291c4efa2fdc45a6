"""Every graded level of a set as both pipelines graded it, and what one changes of the other.

A graded level without an answer has no class. It counts as wrong where the share that is right is
told; agreement is over what was answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from cspine.errors import ModelError
from cspine_bench.accuracy.agreement import UNKNOWN, ClassAgreement, Classes, class_agreement
from cspine_bench.accuracy.answers import CaseAnswers, Graded
from cspine_bench.accuracy.figure import (
    ArmName,
    Figure,
    Flags,
    Floats,
    Patients,
    mean_figure,
    share,
)
from cspine_bench.metrics.paired_kappa import kappa_changes


@dataclass(frozen=True)
class PairedGrades:
    """The graded levels of a set; all arrays have shape (levels,).

    Attributes
    ----------
    classes
        In order of severity; a class is its index in here.
    line, level
        Which case and level, by its line in ``cases.csv`` and its name.
    patient
        Number, equal within a patient.
    truth, second
        The true class, and that of a second reader, :data:`UNKNOWN` where there is none.
    reference, candidate
        The class that either answers, :data:`UNKNOWN` where it has none.
    shift
        The largest change of a class's probability; ``nan`` unless both answered.
    """

    classes: tuple[str, ...]
    line: npt.NDArray[np.int64]
    level: npt.NDArray[np.str_]
    patient: Patients
    truth: Classes
    second: Classes
    reference: Classes
    candidate: Classes
    shift: Floats

    @property
    def answered_by_both(self) -> Flags:
        """Where there are two classes to compare."""
        return np.asarray((self.reference != UNKNOWN) & (self.candidate != UNKNOWN), bool)

    def agreement(self, one: Classes, other: Classes) -> ClassAgreement | None:
        """Return how two of the arrays agree; ``None`` if they have nothing in common."""
        return class_agreement(one, other, self.patient, classes=len(self.classes))


class GradePerformance(msgspec.Struct, frozen=True, kw_only=True):
    """How one pipeline grades the levels of a set that have a true class.

    ``unanswered`` of the ``graded`` levels have no class; ``right`` is the share of all of them
    that is graded as the truth has it. ``truth`` is the agreement with that, ``second`` with the
    second reader; ``None`` of nothing that both graded.
    """

    graded: int
    unanswered: int
    right: Figure
    truth: ClassAgreement | None
    second: ClassAgreement | None


class Regrade(msgspec.Struct, frozen=True):
    """A class that differs; the case is named by its line in ``cases.csv``."""

    line: int
    level: str
    truth: str
    reference: str
    candidate: str


class GradeChange(msgspec.Struct, frozen=True, kw_only=True):
    """What the candidate grades otherwise than the reference, where both graded.

    ``quadratic_kappa`` is the difference of the two against the truth; ``change_rate`` the share of
    the levels whose class differs, ``largest_shift`` of a class's probability.
    """

    quadratic_kappa: Figure
    change_rate: Figure
    largest_shift: float | None
    regrades: tuple[Regrade, ...]


def paired_grades(cases: Sequence[CaseAnswers], classes: tuple[str, ...]) -> PairedGrades | None:
    """Lay out the graded levels of some cases, in their order; ``None`` if there are none."""
    keys = [(case, level) for case in cases for level in case.true_grades]
    if not keys:
        return None
    before = [case.reference.grades.get(level) for case, level in keys]
    after = [case.candidate.grades.get(level) for case, level in keys]

    def numbered(names: Iterable[str | None]) -> Classes:
        indices = (UNKNOWN if name is None else classes.index(name) for name in names)
        return np.fromiter(indices, np.int64)

    return PairedGrades(
        classes=classes,
        line=np.array([case.line for case, _ in keys], np.int64),
        level=np.array([level for _, level in keys], np.str_),
        patient=np.array([case.patient for case, _ in keys], np.int64),
        truth=numbered(case.true_grades[level] for case, level in keys),
        second=numbered(case.second_grades.get(level) for case, level in keys),
        reference=numbered(each.grade if each else None for each in before),
        candidate=numbered(each.grade if each else None for each in after),
        shift=np.array([_shift(*pair) for pair in zip(before, after, strict=True)], float),
    )


def grade_performance(grades: PairedGrades, *, arm: ArmName) -> GradePerformance:
    """Score one of the two pipelines on the graded levels of a set."""
    found: Classes = getattr(grades, arm)
    return GradePerformance(
        graded=found.size,
        unanswered=int((found == UNKNOWN).sum()),
        right=share(found == grades.truth, grades.patient),
        truth=grades.agreement(grades.truth, found),
        second=grades.agreement(grades.second, found),
    )


def grade_change(grades: PairedGrades) -> GradeChange:
    """Compare the two pipelines on the graded levels of a set."""
    both = grades.answered_by_both
    differ = both & (grades.reference != grades.candidate)
    return GradeChange(
        quadratic_kappa=mean_figure(*quadratic_changes(grades)),
        change_rate=share(differ[both], grades.patient[both]),
        largest_shift=float(grades.shift[both].max()) if both.any() else None,
        regrades=tuple(_regrade(grades, int(index)) for index in np.flatnonzero(differ)),
    )


def quadratic_changes(grades: PairedGrades) -> tuple[Floats, Patients]:
    """Return what each level that both graded adds to the difference of the quadratic kappas.

    And the patients, both of shape (levels,); empty where a kappa is not defined, as of one class.
    """
    both = grades.answered_by_both
    called = grades.reference[both], grades.candidate[both]
    try:
        changes = kappa_changes(
            grades.truth[both], *called, classes=len(grades.classes), weights="quadratic"
        )
    except ModelError:
        return np.empty(0), np.empty(0, np.int64)
    return changes, grades.patient[both]


def _shift(before: Graded | None, after: Graded | None) -> float:
    if before is None or after is None:
        return float("nan")
    return max(
        abs(new - old) for old, new in zip(before.probabilities, after.probabilities, strict=True)
    )


def _regrade(grades: PairedGrades, index: int) -> Regrade:
    truth, reference, candidate = (
        grades.classes[each[index]] for each in (grades.truth, grades.reference, grades.candidate)
    )
    return Regrade(
        line=int(grades.line[index]),
        level=str(grades.level[index]),
        truth=truth,
        reference=reference,
        candidate=candidate,
    )
