"""Decisions at one threshold: counts, the fractions read from them, and their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError
from cspine_bench.agreement import kappa
from cspine_bench.interval import Interval, normal_quantile


def as_binary(values: ArrayLike, *, name: str) -> NDArray[np.bool_]:
    """Return one boolean a case, ``True`` for the positive class.

    Parameters
    ----------
    values
        Booleans or numbers that are all 0 or 1, shape (cases,).
    name
        What the message calls them.

    Raises
    ------
    ModelError
        If the shape or a value is another.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise ModelError(f"{name}: got shape {array.shape}, expected (cases,)")
    if not np.isin(array, (0, 1)).all():
        raise ModelError(f"{name}: got a value that is neither 0 nor 1, expected 1 for positive")
    return array.astype(np.bool_)


def wilson(successes: int, total: int, *, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of a proportion.

    It stays inside [0, 1], holds ``successes / total`` and has a positive width even when none
    or all succeed. The trials must be independent: levels of one patient are not.

    Parameters
    ----------
    successes, total
        Counts; of no trial at all nothing is known, and the interval is [0, 1].
    level
        Nominal coverage.

    Raises
    ------
    ModelError
        If not ``0 <= successes <= total``.
    ValueError
        If ``level`` is not strictly between 0 and 1.

    Notes
    -----
    Wilson, J Am Stat Assoc 1927;22:209, without continuity correction.

    Examples
    --------
    >>> interval = wilson(7, 8)
    >>> round(interval.low, 4), round(interval.high, 4)
    (0.5291, 0.9776)
    """
    if not 0 <= successes <= total:
        raise ModelError(
            f"proportion: got {successes} of {total}, expected 0 <= successes <= total"
        )
    z = normal_quantile(level)
    if total == 0:
        return Interval(0.0, 1.0, level)
    p = successes / total
    centre = p + z**2 / (2 * total)
    spread = z * math.sqrt(p * (1.0 - p) / total + (z / (2 * total)) ** 2)
    scale = 1.0 + z**2 / total
    # Algebra keeps both ends beyond p and inside [0, 1]; rounding does not.
    low = max(0.0, min(p, (centre - spread) / scale))
    high = min(1.0, max(p, (centre + spread) / scale))
    return Interval(low, high, level)


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
