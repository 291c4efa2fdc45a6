"""Every labelled level of a set as both pipelines answered it, in arrays of one entry a level."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cspine.stages.classify import probabilities
from cspine_bench.accuracy.agreement import UNKNOWN, Classes
from cspine_bench.accuracy.answers import Arm, CaseAnswers
from cspine_bench.accuracy.figure import Flags, Floats
from cspine_bench.metrics.auc import PairedAuc, paired_auc_at


@dataclass(frozen=True)
class ArmLevels:
    """One pipeline's answers, a level without one included; all arrays have shape (levels,).

    Attributes
    ----------
    answered
        Whether there is a score.
    logits
        Float64, ``nan`` where there is none.
    positive
        The decision, false where there is none.
    """

    answered: Flags
    logits: Floats
    positive: Flags

    def chosen(self, which: Flags) -> ArmLevels:
        """Return the answers to some of the levels, in their order."""
        return ArmLevels(self.answered[which], self.logits[which], self.positive[which])

    def probability(self) -> Floats:
        """Return the probability of the positive class, as the pipeline computes it."""
        logits = np.where(self.answered, self.logits, 0.0).astype(np.float32)
        found = probabilities({"logits": logits[:, None]}).astype(np.float64)
        return np.where(self.answered, found, np.nan)


@dataclass(frozen=True)
class PairedLevels:
    """The labelled levels of a set; all arrays have shape (levels,).

    Attributes
    ----------
    line, level
        Which case and level, by its line in ``cases.csv`` and its name.
    patient
        Number, equal within a patient.
    truth
        Whether the level is positive.
    severity
        What a simulated label came from, ``nan`` where none is stated.
    second
        What a second reader says: 0, 1, or :data:`~cspine_bench.accuracy.agreement.UNKNOWN`.
    reference, candidate
        What the two answered.
    """

    line: npt.NDArray[np.int64]
    level: npt.NDArray[np.str_]
    patient: npt.NDArray[np.int64]
    truth: Flags
    severity: Floats
    second: Classes
    reference: ArmLevels
    candidate: ArmLevels

    def right(self, arm: ArmLevels) -> Flags:
        """Return where an arm decides as the truth has it; a level without an answer is wrong."""
        return np.asarray(arm.answered & (arm.positive == self.truth), bool)

    def chosen(self, which: Flags) -> PairedLevels:
        """Return some of the levels, in their order."""
        return PairedLevels(
            line=self.line[which],
            level=self.level[which],
            patient=self.patient[which],
            truth=self.truth[which],
            severity=self.severity[which],
            second=self.second[which],
            reference=self.reference.chosen(which),
            candidate=self.candidate.chosen(which),
        )

    def answered_by_both(self) -> PairedLevels:
        """Return the levels of which both arms have a score: those that can be compared."""
        return self.chosen(self.reference.answered & self.candidate.answered)

    def compared_auc(self) -> Callable[[float], PairedAuc]:
        """Return what compares the arms' AUC at any level of confidence; both answered all.

        Raises
        ------
        ModelError
            If the levels are not :attr:`rankable`.
        """
        scores = self.reference.logits, self.candidate.logits
        return paired_auc_at(self.truth, *scores, clusters=self.patient)

    @property
    def rankable(self) -> bool:
        """Whether either class has levels of two patients or more, as an AUC's variance takes."""
        return all(np.unique(self.patient[of]).size >= 2 for of in (self.truth, ~self.truth))


def paired_levels(cases: Sequence[CaseAnswers]) -> PairedLevels:
    """Lay out the labelled levels of some cases, in their order."""
    keys = [(case, level) for case in cases for level in case.truth]
    return PairedLevels(
        line=np.array([case.line for case, _ in keys], np.int64),
        level=np.array([level for _, level in keys], np.str_),
        patient=np.array([case.patient for case, _ in keys], np.int64),
        truth=np.array([case.truth[level] for case, level in keys], bool),
        severity=np.array([case.severity.get(level, np.nan) for case, level in keys], float),
        second=np.array([case.second.get(level, UNKNOWN) for case, level in keys], np.int64),
        reference=_arm((case.reference, level) for case, level in keys),
        candidate=_arm((case.candidate, level) for case, level in keys),
    )


def _arm(answers: Iterable[tuple[Arm, str]]) -> ArmLevels:
    scores = [arm.scores.get(level) for arm, level in answers]
    return ArmLevels(
        answered=np.array([score is not None for score in scores], bool),
        logits=np.array([np.nan if score is None else score.logit for score in scores], float),
        positive=np.array([score is not None and score.positive for score in scores], bool),
    )
