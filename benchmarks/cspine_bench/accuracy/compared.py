"""What of a set can be compared: of each thing that a pipeline answers, all of it in arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cspine.errors import ModelError
from cspine_bench.accuracy.answers import CaseAnswers
from cspine_bench.accuracy.boxes import PairedBoxes, paired_boxes
from cspine_bench.accuracy.grades import PairedGrades, paired_grades
from cspine_bench.accuracy.measured import PairedPoints, paired_points
from cspine_bench.accuracy.pairs import PairedLevels, paired_levels
from cspine_bench.accuracy.trial import Trial
from cspine_bench.accuracy.truth import LOWEST_RATIO, RATIO, UNITS


@dataclass(frozen=True)
class Compared:
    """What two pipelines answer of a set; ``None`` and empty of what there is nothing of.

    Attributes
    ----------
    levels, points, grades, boxes
        Decided levels, landmarks, graded levels, and regions on slices.
    units
        Of what is measured, by its name.
    """

    levels: PairedLevels | None = None
    points: PairedPoints | None = None
    grades: PairedGrades | None = None
    boxes: PairedBoxes | None = None
    units: Mapping[str, str] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the graded levels; none where there are none of those."""
        return self.grades.classes if self.grades else ()


def compared(trial: Trial) -> Compared:
    """Lay out all that the cases of a trial hold.

    Raises
    ------
    ModelError
        If the set, or what the reference answered of it, is too one-sided to judge.
    """
    cases = trial.answers
    units = dict(UNITS) if trial.lines else {}
    if any(case.true_ratios for case in cases):
        units |= {RATIO: "", LOWEST_RATIO: ""}
    return Compared(
        levels=None if trial.threshold is None else _judgeable_levels(cases),
        points=None if trial.lines is None else _judgeable_points(cases),
        grades=paired_grades(cases, trial.classes),
        boxes=paired_boxes(cases),
        units=units,
    )


def _judgeable_levels(cases: Sequence[CaseAnswers]) -> PairedLevels:
    levels = paired_levels(cases)
    if not levels.rankable:
        raise ModelError(
            "the set has labelled levels of fewer than two patients of one of the classes; add "
            "cases"
        )
    if not levels.chosen(levels.reference.answered).rankable:
        raise ModelError(
            "FP32 answered levels of fewer than two patients of one of the classes; look at what "
            "it refused"
        )
    return levels


def _judgeable_points(cases: Sequence[CaseAnswers]) -> PairedPoints:
    if len({case.patient for case in cases if case.true_points}) < 2:
        raise ModelError("the set has points of fewer than two patients; add cases with points")
    points = paired_points(cases)
    if not points.placed_by_several("reference"):
        raise ModelError("FP32 placed points of fewer than two patients; look at what it refused")
    return points
