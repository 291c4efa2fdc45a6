"""Cases of two classes and of patients: placement values, and the variance of their mean.

Placement values come from sorted scores in O(n log n) (Sun & Xu, IEEE Signal Process Lett
2014;21:1389), the variance from Obuchowski, Biometrics 1997;53:567, for several cases a patient.
Cases that are their own cluster give the variance of DeLong, DeLong & Clarke-Pearson (Biometrics
1988;44:837) itself, with no factor between the two: Obuchowski's ``I10 / (I10 - 1) / M`` becomes
``1 / (M - 1)`` and her cross term vanishes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError
from cspine_bench.metrics.labels import as_binary
from cspine_bench.metrics.skewness import skewness_of_sum

# Rounding leaves a vanishing standard error below 1e-15; half a discordant pair among a million
# positive and a million negative cases leaves 5e-13.
_ROUNDING = 1e-14


@dataclass(frozen=True)
class ByClass:
    """One value a case: ``positive``, shape (positives,), ``negative``, shape (negatives,).

    Both are float64. Scores, or DeLong's structural components V10 and V01, which have the AUC as
    their mean.
    """

    positive: NDArray[np.float64]
    negative: NDArray[np.float64]


class ClusteredCases:
    """The truth and the clusters: what the scores of two models have in common.

    Parameters
    ----------
    truth
        0 or 1 (or booleans) a case, shape (cases,).
    clusters
        One identifier a case, shape (cases,); ``None`` if every case is its own cluster.

    Attributes
    ----------
    truth
        Booleans, shape (cases,).
    count
        How many clusters there are.
    positive, negative
        Number of the cluster from 0, of each case of the class, in the order of the cases.

    Raises
    ------
    ModelError
        If the lengths differ, a truth is neither 0 nor 1, or a class has no case.
    """

    def __init__(self, truth: ArrayLike, clusters: ArrayLike | None) -> None:
        self.truth = as_binary(truth, name="truth")
        if self.truth.all() or not self.truth.any():
            raise ModelError(
                f"truth: got {self.truth.sum()} positive of {self.truth.size} cases, "
                "expected both classes: an AUC compares one with the other"
            )
        ids = np.arange(self.truth.size) if clusters is None else clusters
        names, codes = cluster_codes(ids, self.truth.shape)
        self.count = names.size
        self.positive = codes[self.truth]
        self.negative = codes[~self.truth]

    def split(self, scores: ArrayLike, *, name: str, answered: ArrayLike | None = None) -> ByClass:
        """Check the scores, shape (cases,), and part them by class.

        Parameters
        ----------
        scores
            One a case; ignored where it is not answered.
        name
            What to call them in a message.
        answered
            0 or 1 (or booleans) a case; ``None`` if all are. The result is ``nan`` where it is 0.

        Raises
        ------
        ModelError
            If the length is not that of ``truth`` or a score is not finite.
        """
        values = np.asarray(scores, dtype=np.float64)
        _check_shape(values.shape, self.truth.shape, name=name)
        known = np.ones_like(self.truth) if answered is None else as_binary(answered, name=name)
        _check_shape(known.shape, self.truth.shape, name=name)
        if not np.isfinite(values[known]).all():
            raise ModelError(f"{name}: got a score that is not finite, expected finite scores")
        values = np.where(known, values, np.nan)
        return ByClass(values[self.truth], values[~self.truth])

    def standard_error(self, components: ByClass) -> float:
        """Return the standard error of the components' mean; exactly 0 if it vanishes.

        Raises
        ------
        ModelError
            As :attr:`occupied`.
        """
        with_positive, with_negative = self.occupied
        a, b = self._deviations(components)
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

    def skewness(self, components: ByClass) -> float:
        """Return the skewness of the components' mean between clusters."""
        a, b = self._deviations(components)
        return skewness_of_sum(a + b)

    @cached_property
    def occupied(self) -> tuple[int, int]:
        """How many clusters have a positive case, and how many a negative.

        Raises
        ------
        ModelError
            If either is fewer than two, which leaves the variance unknown.
        """
        counts = np.unique(self.positive).size, np.unique(self.negative).size
        for count, name in zip(counts, ("positive", "negative"), strict=True):
            if count < 2:
                raise ModelError(
                    f"clusters: got {count} with a {name} case, expected at least 2: "
                    "a variance between patients needs more patients"
                )
        return counts

    @property
    def disjoint_pairs(self) -> int:
        """How many (positive, negative) pairs of cases can be formed that share no cluster."""
        return min(*self.occupied, self.count // 2)

    def _deviations(self, components: ByClass) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what each cluster adds to the mean over either class beyond that mean."""
        return (
            self._summed(components.positive, self.positive),
            self._summed(components.negative, self.negative),
        )

    def _summed(self, values: NDArray[np.float64], codes: NDArray[np.intp]) -> NDArray[np.float64]:
        centred = values - values.mean()
        return np.bincount(codes, weights=centred, minlength=self.count) / values.size


def placements(scores: ByClass) -> ByClass:
    """Return what each case adds to the AUC: the fraction of the other class on its right side.

    Ties and cases without a score, ``nan``, count half. The mean over either class is the AUC.
    """
    return ByClass(
        _fraction_below(scores.positive, scores.negative),
        _fraction_below(-scores.negative, -scores.positive),
    )


def cluster_codes(
    clusters: ArrayLike, shape: tuple[int, ...]
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the distinct identifiers, and each case's index among them.

    Parameters
    ----------
    clusters
        One identifier a case; integers or strings.
    shape
        Of the cases, ``(cases,)``.

    Raises
    ------
    ModelError
        If the shapes differ.
    """
    ids = np.asarray(clusters)
    _check_shape(ids.shape, shape, name="clusters")
    names, codes = np.unique(ids, return_inverse=True)
    return names, codes


def _fraction_below(
    values: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    ordered = np.sort(others)  # those without a score come last, beyond every value
    # The sum of both sides is twice the midrank among both classes less that within its own.
    twice = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    twice += np.isnan(others).sum()
    return np.where(np.isnan(values), 0.5, twice / (2 * others.size))


def _bessel(count: int) -> float:
    return count / (count - 1)


def _check_shape(shape: tuple[int, ...], expected: tuple[int, ...], *, name: str) -> None:
    if shape != expected:
        raise ModelError(f"{name}: got shape {shape}, expected {expected}: one a case")
