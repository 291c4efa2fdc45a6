"""Area under the ROC curve: one, its interval, and the paired difference of two.

The normal interval of the difference is that of :mod:`cspine_bench.metrics.clustering`: DeLong's,
or Obuchowski's where a patient gives several cases, and further out on the side to which the
difference is skewed (:mod:`cspine_bench.metrics.skewness`). Where two models order nearly all pairs
alike, it shrinks to a point, a certainty that a finite case set cannot give; so it is never
narrower than the bound of :mod:`cspine_bench.metrics.bounds`, which says what that takes for
granted and what it leaves out. That bound is the same whether no pair changes order or a few do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from numpy.typing import ArrayLike

from cspine_bench.metrics.bounds import (
    hoeffding_bound,
    largest_shift,
    spreadless_bound,
    unseen_bound,
)
from cspine_bench.metrics.clustering import ByClass, ClusteredCases, placements
from cspine_bench.metrics.interval import Interval, normal_quantile
from cspine_bench.metrics.proportion import clopper_pearson_upper
from cspine_bench.metrics.skewness import skewed_interval


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
        Of the difference, inside [-1, 1]; either end is the normal one, corrected for skewness, or
        ``exact_bound`` away, whichever is further.
    z, p
        The difference in standard errors and its two-sided p; ``nan`` if ``degenerate``.
    degenerate
        The standard error is zero, as it is when no pair changes order, so the interval rests on
        ``exact_bound`` alone.
    exact_bound
        Least half-width, above zero: what this case set cannot exclude.
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


def auc(truth: ArrayLike, scores: ArrayLike, *, answered: ArrayLike | None = None) -> float:
    """Return the probability that a positive case scores above a negative one, ties half.

    Parameters
    ----------
    truth
        0 or 1 (or booleans) a case, shape (cases,).
    scores
        Finite, shape (cases,), higher for positive; only their order matters.
    answered
        False (or 0) for a case that has no score, shape (cases,): what stands in ``scores`` is then
        ignored, and a pair with such a case counts half, as chance would rank it.

    Raises
    ------
    ModelError
        If the lengths differ, a score is not finite, or a class has no case.
    """
    scored = ClusteredCases(truth, None).split(scores, name="scores", answered=answered)
    return float(placements(scored).positive.mean())


def auc_interval(
    truth: ArrayLike,
    scores: ArrayLike,
    *,
    answered: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Interval:
    """Return an interval of one AUC, normal on the logit scale so that it stays in (0, 1).

    Where the standard error is zero, the interval is exact. An AUC of 1 is its upper end, one of
    0 its lower: of ``k`` pairs that share no patient none is out of order with probability
    ``(1 - d)**k``, where ``d`` is the probability that a pair is. Another AUC, of constant scores,
    is bounded by Hoeffding's inequality.

    Parameters
    ----------
    truth, scores, answered
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
    cases = ClusteredCases(truth, clusters)
    components = placements(cases.split(scores, name="scores", answered=answered))
    area = float(components.positive.mean())
    error = cases.standard_error(components)
    if error > 0.0:
        logit = math.log(area / (1.0 - area))
        half = normal_quantile(level) * error / (area * (1.0 - area))
        return Interval(_logistic(logit - half), _logistic(logit + half), level)
    if area in (0.0, 1.0):
        half = clopper_pearson_upper(0, cases.disjoint_pairs, level=level)
    else:
        half = hoeffding_bound(cases.disjoint_pairs, span=1.0, level=level)
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
        The two models' scores of these cases, in the same order; only how each ranks them matters.
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
    return paired_auc_at(truth, reference, candidate, clusters=clusters)(level)


def paired_auc_at(
    truth: ArrayLike,
    reference: ArrayLike,
    candidate: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
) -> Callable[[float], PairedAuc]:
    """Rank the cases once, and return what gives :func:`paired_auc` at any level.

    Parameters
    ----------
    truth, reference, candidate, clusters
        What :func:`paired_auc` takes.

    Raises
    ------
    ModelError
        As :func:`paired_auc`.
    """
    cases = ClusteredCases(truth, clusters)
    scores = cases.split(reference, name="reference"), cases.split(candidate, name="candidate")
    before, after = map(placements, scores)
    # The variance is a quadratic form, so that of the difference needs no covariance matrix, and
    # nothing cancels when the models are nearly the same.
    change = ByClass(after.positive - before.positive, after.negative - before.negative)
    difference = float(change.positive.mean())
    error = cases.standard_error(change)
    skewness = cases.skewness(change)
    shift = largest_shift(cases, change)
    z = difference / error if error > 0.0 else math.nan

    def at(level: float) -> PairedAuc:
        if error > 0.0:
            bound = unseen_bound(cases, shift, level=level)
        else:
            bound = spreadless_bound(cases, change, shift, level=level)
        quantile = normal_quantile(level)
        normal = skewed_interval(difference, error, skewness, quantile=quantile, level=level)
        low, high = min(normal.low, difference - bound), max(normal.high, difference + bound)
        return PairedAuc(
            auc_reference=float(before.positive.mean()),
            auc_candidate=float(after.positive.mean()),
            difference=difference,
            standard_error=error,
            interval=Interval(max(-1.0, low), min(1.0, high), level),
            z=z,
            p=math.erfc(abs(z) / math.sqrt(2.0)),
            degenerate=error == 0.0,
            exact_bound=bound,
        )

    return at


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))
