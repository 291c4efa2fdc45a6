"""A mean change, and a change of successes, judged by a margin; both clustered by patient."""

from __future__ import annotations

import math

import numpy as np

from cspine_bench.accuracy.figure import Flags, Floats, Patients
from cspine_bench.accuracy.noninferiority import DEVIATIONS, LEVEL, Criterion, judged
from cspine_bench.metrics.clustering import cluster_codes
from cspine_bench.metrics.interval import Interval, normal_quantile, tail
from cspine_bench.metrics.mcnemar import paired_decisions
from cspine_bench.metrics.mean import clustered_mean
from cspine_bench.metrics.proportion import clopper_pearson_upper


def mean_criterion(
    name: str, changes: Floats, patients: Patients, *, margin: float, unit: str = ""
) -> Criterion:
    """Judge a mean change, in a unit of which more is better.

    Raises
    ------
    ModelError
        If the changes are of fewer than two patients.
    """
    value = float(changes.mean())
    room = margin + value
    needed = None
    if room > 0.0:
        count = np.unique(patients).size
        half = value - clustered_mean(changes, patients).low
        spread = (half / normal_quantile(LEVEL) * DEVIATIONS / room) ** 2 * count
        most = _furthest(changes, patients, margin=margin)
        unseen = math.log(tail(LEVEL)) / math.log1p(-room / most)
        needed = max(2, math.ceil(max(spread, unseen)))

    def at(level: float) -> Interval:
        return mean_interval(changes, patients, margin=margin, level=level)

    return judged(name, value, at, margin=margin, patients_needed=needed, unit=unit)


def mean_interval(changes: Floats, patients: Patients, *, margin: float, level: float) -> Interval:
    """Return the interval of a mean change.

    Its lower end lies no nearer than what the set cannot exclude, as that of the AUC does: that a
    share of patients that none of these is of would change by twice as much as any did, and by ten
    margins at least.

    Raises
    ------
    ModelError
        If the changes are of fewer than two patients.
    """
    found = clustered_mean(changes, patients, level=level)
    unseen = clopper_pearson_upper(0, np.unique(patients).size, level=level)
    bound = float(changes.mean()) - _furthest(changes, patients, margin=margin) * unseen
    return Interval(min(found.low, bound), found.high, level)


def success_criterion(
    name: str,
    reference: Flags,
    candidate: Flags,
    patients: Patients,
    *,
    share: float,
    margin: float,
) -> Criterion:
    """Judge successes on the same cases; ``share`` of the patients give one or more of these.

    Raises
    ------
    ModelError
        If the cases are of fewer than two patients.
    """

    def at(level: float) -> Interval:
        return paired_decisions(reference, candidate, clusters=patients, level=level).interval

    change = candidate.astype(np.float64) - reference
    between = clustered_mean(change, patients)
    half = (between.high - between.low) / 2.0
    spread = (half / normal_quantile(LEVEL) * DEVIATIONS / margin) ** 2 * np.unique(patients).size
    # The interval of n patients without a change is square / (n + square) wide to either side.
    unseen = normal_quantile(LEVEL) ** 2 * (1.0 - margin) / margin
    return judged(
        name,
        float(change.mean()),
        at,
        margin=margin,
        patients_needed=math.ceil(max(spread, unseen) / share),
    )


def _furthest(changes: Floats, patients: Patients, *, margin: float) -> float:
    """Return twice the mean change were all patients like the one that changes most.

    Not less than ten margins: that few patients change by little is no proof that none would.
    """
    names, codes = cluster_codes(patients, changes.shape)
    most = float(np.abs(np.bincount(codes, weights=changes)).max())
    return max(2.0 * most * names.size / changes.size, 10.0 * margin)
