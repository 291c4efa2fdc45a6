"""Decisions at one threshold: counts and the fractions read from them.

The intervals of these fractions come with them, from :mod:`cspine_bench.metrics.proportion`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cspine.errors import ModelError
from cspine_bench.metrics.agreement import kappa
from cspine_bench.metrics.labels import as_binary
from cspine_bench.metrics.proportion import clustered_wilson, wilson

__all__ = ["Confusion", "as_binary", "clustered_wilson", "wilson"]


@dataclass(frozen=True)
class Confusion:
    """Cases by truth and decision. A fraction whose denominator is 0 is ``nan``.

    Attributes
    ----------
    tp, fp, fn, tn
        True positives, false positives, false negatives, true negatives.

    Raises
    ------
    ModelError
        If a count is negative.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    def __post_init__(self) -> None:
        if min(self.tp, self.fp, self.fn, self.tn) < 0:
            raise ModelError(f"confusion: got {self}, expected counts of zero or more")

    @classmethod
    def of(cls, truth: ArrayLike, decision: ArrayLike) -> Confusion:
        """Count decisions against the truth.

        Parameters
        ----------
        truth, decision
            0 or 1 (or booleans) a case, shape (cases,), 1 for the positive class.

        Raises
        ------
        ModelError
            If the lengths differ or a value is neither 0 nor 1.
        """
        positive = as_binary(truth, name="truth")
        called = as_binary(decision, name="decision")
        if positive.size != called.size:
            raise ModelError(
                f"decision: got {called.size} cases, expected {positive.size} as in truth"
            )
        return cls(
            tp=int(np.count_nonzero(positive & called)),
            fp=int(np.count_nonzero(~positive & called)),
            fn=int(np.count_nonzero(positive & ~called)),
            tn=int(np.count_nonzero(~positive & ~called)),
        )

    @property
    def total(self) -> int:
        """How many cases there are."""
        return self.tp + self.fp + self.fn + self.tn

    @property
    def accuracy(self) -> float:
        """Fraction decided as the truth has it."""
        return _ratio(self.tp + self.tn, self.total)

    @property
    def sensitivity(self) -> float:
        """Fraction of the positive cases called positive."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """Fraction of the negative cases called negative."""
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def ppv(self) -> float:
        """Fraction of the positive calls that are right; holds for this prevalence only."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def npv(self) -> float:
        """Fraction of the negative calls that are right; holds for this prevalence only."""
        return _ratio(self.tn, self.tn + self.fn)

    @property
    def f1(self) -> float:
        """Harmonic mean of ppv and sensitivity, ``2 tp / (2 tp + fp + fn)``."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def kappa(self) -> float:
        """Cohen's kappa; ``nan`` also if truth and decision are each in the same one class."""
        return kappa(((self.tn, self.fp), (self.fn, self.tp)))


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else math.nan
