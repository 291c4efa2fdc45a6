"""Scores of two models on the same cases, of which everything is known: the binormal model.

Within a class scores are normal with standard deviation 1; positive cases lie higher. The AUC is
then ``Phi(shift / sqrt(2))``. The candidate separates the classes by another shift, which makes its
true AUC any that is asked for. **Correlation** is that of the two models' scores among cases of one
class, so that a candidate may be correlated by 0.9999 and yet be worse. Cases of a patient share
:data:`WITHIN` of the variance, both of the reference's scores and of what the candidate adds to
them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from cspine_bench.accuracy.agreement import UNKNOWN
from cspine_bench.accuracy.pairs import ArmLevels, PairedLevels

NORMAL = NormalDist()
AUC = 0.95
WITHIN = 0.3

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cases:
    """The design of a case set: as many positive as negative cases, alternately.

    Attributes
    ----------
    of_class
        How many cases either class has.
    each
        How many cases a patient gives, half of them positive; 1 if all are of different patients.
    """

    of_class: int
    each: int

    @property
    def truth(self) -> NDArray[np.bool_]:
        """Whether a case is positive, shape (cases,)."""
        return np.asarray(np.arange(2 * self.of_class) % 2 == 0)

    @property
    def patient(self) -> NDArray[np.int64]:
        """Number of the patient of each case, shape (cases,)."""
        return np.arange(2 * self.of_class) // self.each

    def noise(self, rng: np.random.Generator) -> Floats:
        """Return standard normal values that correlate within a patient, shape (cases,)."""
        return within(rng, self.patient)

    def auc(self, shift: float) -> float:
        """Return what the AUC is in the mean of all sets of this design, exactly.

        A pair of one patient differs less by chance than a pair of two.
        """
        counts = [np.bincount(self.patient[self.truth == of]) for of in (False, True)]
        size = min(map(len, counts))
        own = float(counts[0][:size] @ counts[1][:size]) / self.of_class**2
        same = NORMAL.cdf(shift / math.sqrt(2.0 * (1.0 - WITHIN)))
        return (1.0 - own) * NORMAL.cdf(shift / math.sqrt(2.0)) + own * same


@dataclass(frozen=True)
class Binormal:
    """Two models: by how much they part the classes, and how alike their scores are."""

    reference: float
    candidate: float
    correlation: float

    def levels(self, cases: Cases, rng: np.random.Generator) -> PairedLevels:
        """Draw a case set as ``cspine verify`` sees it.

        A logit is the reference's true log odds at equal prevalence, and a decision is positive
        above 0; the candidate's scores are read the same way.
        """
        noise, added = cases.noise(rng), cases.noise(rng)
        other = self.correlation * noise + math.sqrt(1.0 - self.correlation**2) * added
        scores = noise + self.reference * cases.truth, other + self.candidate * cases.truth
        return paired(cases, *(self.reference * (x - self.reference / 2.0) for x in scores))


def parted(auc: float) -> float:
    """Return the shift that gives an AUC, of pairs of two patients."""
    return math.sqrt(2.0) * NORMAL.inv_cdf(auc)


@lru_cache
def worse_auc(cases: Cases, *, by: float, correlation: float) -> Binormal:
    """Return a candidate whose AUC is truly worse, in the mean of all sets of this design."""
    shift = parted(AUC)
    wanted = cases.auc(shift) - by
    lost = shift if by == 0.0 else solved(cases.auc, wanted, 0.0, shift)
    return Binormal(shift, lost, correlation)


def worse_sensitivity(*, by: float, correlation: float) -> Binormal:
    """Return a candidate whose sensitivity at the threshold is truly worse; closed form."""
    shift = parted(AUC)
    sensitivity = NORMAL.cdf(shift / 2.0)
    return Binormal(shift, shift / 2.0 + NORMAL.inv_cdf(sensitivity - by), correlation)


@lru_cache
def changed_by(change: float, *, seed: int) -> Binormal:
    """Return a candidate that changes the probabilities of levels by so much in the mean.

    The correlation that does is found on 400,000 cases of the seed.
    """
    shift = parted(AUC)
    cases, rng = Cases(200_000, 1), np.random.default_rng(seed)
    noise, added = cases.noise(rng), cases.noise(rng)

    def probability(score: Floats) -> Floats:
        return 1.0 / (1.0 + np.exp(-shift * (score + shift * cases.truth - shift / 2.0)))

    before = probability(noise)

    def mean_change(angle: float) -> float:
        after = probability(math.cos(angle) * noise + math.sin(angle) * added)
        return float(np.abs(after - before).mean())

    return Binormal(shift, shift, math.cos(solved(mean_change, change, 0.0, 1.0)))


def paired(cases: Cases, reference: Floats, candidate: Floats) -> PairedLevels:
    """Lay out logits as paired levels, all of them answered."""
    count = reference.size
    return PairedLevels(
        line=np.arange(count),
        level=np.full(count, "C5/6"),
        patient=cases.patient,
        truth=cases.truth,
        severity=np.full(count, np.nan),
        second=np.full(count, UNKNOWN),
        reference=_arm(reference),
        candidate=_arm(candidate),
    )


def within(rng: np.random.Generator, patient: NDArray[np.int64]) -> Floats:
    """Return standard normal values, shape (cases,), that share a part within a patient."""
    own = rng.standard_normal(patient.size)
    shared = rng.standard_normal(int(patient[-1]) + 1)
    if shared.size == patient.size:
        return own
    return math.sqrt(WITHIN) * shared[patient] + math.sqrt(1.0 - WITHIN) * own


def solved(rising: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    """Return where a rising function reaches a value, by bisection."""
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return (low + high) / 2.0


def _arm(logits: Floats) -> ArmLevels:
    return ArmLevels(answered=np.ones(logits.size, bool), logits=logits, positive=logits > 0.0)
