"""Area under the ROC curve: one, its interval, and the paired difference of two.

DeLong, DeLong & Clarke-Pearson, Biometrics 1988;44:837, with placement values from sorted scores
in O(n log n) as in Sun & Xu, IEEE Signal Process Lett 2014;21:1389, and the variance of Obuchowski,
Biometrics 1997;53:567 for several cases a patient. Cases that are their own cluster give DeLong's
variance itself, with no factor between the two: Obuchowski's ``I10 / (I10 - 1) / M`` becomes
``1 / (M - 1)`` and her cross term vanishes.

**Where the standard error is zero.** Two models that order every (positive, negative) pair alike
have a difference of 0 and a standard error of 0, and DeLong's interval would be the point 0: a
certainty that a finite case set cannot give. The interval is then an exact bound. Out of ``k``
pairs that share no patient, none is discordant with probability ``(1 - d)**k``, where ``d`` is
the probability that a pair is; so ``d <= 1 - ((1 - level) / 2)**(1 / k)``, and as a pair moves
the AUC by 1 at the most, so is the difference. At level 0.90 that is the rule of three, ``3 / k``;
at 0.95, ``3.7 / k``. ``k`` is the size of the smaller class. With clusters it is the number of
disjoint pairs of patients, one with a positive and one with a negative case, and the bound takes
it that how many cases a patient gives says nothing of whether they are discordant.

Seldom, the standard error is zero though pairs *are* discordant, as when the candidate gives one
constant score and the reference separates the classes. Then Hoeffding's inequality bounds the
distance from the difference found (J Am Stat Assoc 1963;58:13, two-sample U-statistics), which is
far wider.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError
from cspine_bench.binary import as_binary
from cspine_bench.interval import Interval, normal_quantile, tail

# Rounding leaves a vanishing standard error below 1e-15; half a discordant pair among a million
# positive and a million negative cases leaves 5e-13.
_ROUNDING = 1e-14


@dataclass(frozen=True)
class PairedAuc:
    """Two AUCs on the same cases, and their difference.

    Attributes
    ----------
    auc_reference, auc_candidate
        The two areas.
    difference
        Candidate less reference: negative if the candidate is worse.
    standard_error
        Of the difference; 0 if ``degenerate``.
    interval
        Of the difference, inside [-1, 1].
    z, p
        The difference in standard errors and its two-sided p; ``nan`` if ``degenerate``.
    degenerate
        The standard error is zero, so the interval rests on ``exact_bound``.
    exact_bound
        Half-width of the interval if ``degenerate``, otherwise ``nan``.
    """

    auc_reference: float
    auc_candidate: float
    difference: float
    standard_error: float
    interval: Interval
    z: float
    p: float
    degenerate: bool
    exact_bound: float


def auc(truth: ArrayLike, scores: ArrayLike) -> float:
    """Return the probability that a positive case scores above a negative one, ties half.

    Parameters
    ----------
    truth
        0 or 1 (or booleans) a case, shape (cases,).
    scores
        Finite, shape (cases,), higher for positive; only their order matters.

    Raises
    ------
    ModelError
        If the lengths differ, a score is not finite, or a class has no case.
    """
    return float(_Cases(truth, None).components(scores, name="scores").positive.mean())


def auc_interval(
    truth: ArrayLike,
    scores: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Interval:
    """Return an interval of one AUC, normal on the logit scale so that it stays in (0, 1).

    Where the standard error is zero, the interval is exact: the module says how. For an AUC of 1
    it ends there, for one of 0 it begins there.

    Parameters
    ----------
    truth, scores
        As for :func:`auc`.
    clusters
        What :func:`paired_auc` takes.
    level
        Nominal coverage.

    Raises
    ------
    ModelError
        As :func:`paired_auc`.
    ValueError
        If ``level`` is not strictly between 0 and 1.
    """
    cases = _Cases(truth, clusters)
    components = cases.components(scores, name="scores")
    area = float(components.positive.mean())
    error = cases.standard_error(components)
    if error > 0.0:
        logit = math.log(area / (1.0 - area))
        half = normal_quantile(level) * error / (area * (1.0 - area))
        return Interval(_logistic(logit - half), _logistic(logit + half), level)
    if area in (0.0, 1.0):
        half = _discordance_bound(cases.disjoint_pairs, level=level)
    else:
        half = _hoeffding_bound(cases.disjoint_pairs, span=1.0, level=level)
    return Interval(max(0.0, area - half), min(1.0, area + half), level)


def paired_auc(
    truth: ArrayLike,
    reference: ArrayLike,
    candidate: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> PairedAuc:
    """Compare the AUCs of two models on the same cases.

    Parameters
    ----------
    truth
        0 or 1 (or booleans) a case, shape (cases,).
    reference, candidate
        The two models' scores of these cases, in the same order, as for :func:`auc`.
    clusters
        One identifier a case, shape (cases,), equal within a patient; integers or strings.
        Without it every case is its own cluster, which overstates the evidence when a patient
        gives several.
    level
        Nominal coverage of the interval.

    Raises
    ------
    ModelError
        If the lengths differ, a score is not finite, or a class has cases of fewer than two
        clusters, which leaves its variance unknown.
    ValueError
        If ``level`` is not strictly between 0 and 1.
    """
    cases = _Cases(truth, clusters)
    before = cases.components(reference, name="reference")
    after = cases.components(candidate, name="candidate")
    # The variance is a quadratic form, so that of the difference needs no covariance matrix, and
    # nothing cancels when the models are nearly the same.
    change = _Components(after.positive - before.positive, after.negative - before.negative)
    difference = float(change.positive.mean())
    error = cases.standard_error(change)
    bound = z = p = math.nan
    if error > 0.0:
        half = normal_quantile(level) * error
        z = difference / error
        p = math.erfc(abs(z) / math.sqrt(2.0))
    elif change.positive.any() or change.negative.any():
        half = bound = _hoeffding_bound(cases.disjoint_pairs, span=2.0, level=level)
    else:
        half = bound = _discordance_bound(cases.disjoint_pairs, level=level)
    return PairedAuc(
        auc_reference=float(before.positive.mean()),
        auc_candidate=float(after.positive.mean()),
        difference=difference,
        standard_error=error,
        interval=Interval(max(-1.0, difference - half), min(1.0, difference + half), level),
        z=z,
        p=p,
        degenerate=error == 0.0,
        exact_bound=bound,
    )


@dataclass(frozen=True)
class _Components:
    """DeLong's structural components: what each positive and each negative case adds.

    ``positive`` is V10, shape (positives,); ``negative`` is V01, shape (negatives,); both float64
    with the AUC as their mean.
    """

    positive: NDArray[np.float64]
    negative: NDArray[np.float64]


class _Cases:
    """The truth and the clusters: what two models' scores have in common."""

    def __init__(self, truth: ArrayLike, clusters: ArrayLike | None) -> None:
        self.truth = as_binary(truth, name="truth")
        if self.truth.all() or not self.truth.any():
            raise ModelError(
                f"truth: got {self.truth.sum()} positive of {self.truth.size} cases, "
                "expected both classes: an AUC compares one with the other"
            )
        ids = np.arange(self.truth.size) if clusters is None else np.asarray(clusters)
        self._check(ids.shape, name="clusters")
        names, codes = np.unique(ids, return_inverse=True)
        self.count = names.size
        self.positive = codes[self.truth]
        self.negative = codes[~self.truth]

    def components(self, scores: ArrayLike, *, name: str) -> _Components:
        """Place each case among those of the other class."""
        values = np.asarray(scores, dtype=np.float64)
        self._check(values.shape, name=name)
        if not np.isfinite(values).all():
            raise ModelError(f"{name}: got a score that is not finite, expected finite scores")
        positive, negative = values[self.truth], values[~self.truth]
        return _Components(_placements(positive, negative), _placements(-negative, -positive))

    def standard_error(self, components: _Components) -> float:
        """Return the standard error of the components' mean; exactly 0 if it vanishes."""
        with_positive, with_negative = self._occupied()
        a = self._deviations(components.positive, self.positive)
        b = self._deviations(components.negative, self.negative)
        both = _bessel(self.count)
        # Obuchowski's S10 / M + S01 / N + 2 S11 / (M N), as a sum of squares that cannot go
        # negative: a factor falls as its count of clusters grows, and `both` counts them all.
        variance = (
            both * ((a + b) ** 2).sum()
            + (_bessel(with_positive) - both) * (a**2).sum()
            + (_bessel(with_negative) - both) * (b**2).sum()
        )
        error = math.sqrt(variance)
        return error if error > _ROUNDING else 0.0

    @property
    def disjoint_pairs(self) -> int:
        """How many (positive, negative) pairs of cases can be formed that share no cluster."""
        return min(*self._occupied(), self.count // 2)

    def _occupied(self) -> tuple[int, int]:
        counts = np.unique(self.positive).size, np.unique(self.negative).size
        for count, name in zip(counts, ("positive", "negative"), strict=True):
            if count < 2:
                raise ModelError(
                    f"clusters: got {count} with a {name} case, expected at least 2: "
                    "a variance between patients needs more patients"
                )
        return counts

    def _deviations(
        self, values: NDArray[np.float64], codes: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        centred = values - values.mean()
        return np.bincount(codes, weights=centred, minlength=self.count) / values.size

    def _check(self, shape: tuple[int, ...], *, name: str) -> None:
        if shape != self.truth.shape:
            raise ModelError(f"{name}: got shape {shape}, expected {self.truth.shape} as in truth")


def _placements(values: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the fraction of ``others`` below each value, ties half."""
    ordered = np.sort(others)
    # The sum of both sides is twice the midrank among both classes less that within its own.
    twice = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(twice / (2 * others.size), dtype=np.float64)


def _bessel(count: int) -> float:
    return count / (count - 1)


def _discordance_bound(pairs: int, *, level: float) -> float:
    return -math.expm1(math.log(tail(level)) / pairs)


def _hoeffding_bound(pairs: int, *, span: float, level: float) -> float:
    return span * math.sqrt(-math.log(tail(level)) / (2 * pairs))


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))
