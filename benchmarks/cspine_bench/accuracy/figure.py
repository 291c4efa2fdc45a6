"""An estimate with its interval, clustered by patient, and what most differences lie within."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from cspine_bench.metrics.interval import Interval, normal_quantile
from cspine_bench.metrics.mean import clustered_mean
from cspine_bench.metrics.proportion import clustered_wilson

ArmName = Literal["reference", "candidate"]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Patients = npt.NDArray[np.int64]

_SHARE = 0.95  # of the differences that limits of agreement are to hold


class Figure(msgspec.Struct, frozen=True):
    """An estimate with its 95 % interval; ``None`` where nothing is to be estimated."""

    value: float | None
    low: float | None
    high: float | None


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The mean of differences, and the limits that 95 % of them lie within if they are normal.

    ``bias`` has its interval, clustered by patient; ``lower`` and ``upper`` are ``None`` of fewer
    than two differences.
    """

    bias: Figure
    lower: float | None
    upper: float | None


NOTHING = Figure(None, None, None)


def figure(value: float | None, interval: Interval | None) -> Figure:
    """Return an estimate with its interval, if there is one."""
    if interval is None:
        return Figure(value, None, None)
    return Figure(value, interval.low, interval.high)


def share(right: Flags, patients: Patients) -> Figure:
    """Return a share with its interval, clustered by patient."""
    if right.size == 0:
        return NOTHING
    return figure(float(right.mean()), clustered_wilson(right, patients))


def mean_figure(values: Floats, patients: Patients) -> Figure:
    """Return a mean with its interval, which takes two patients, clustered by patient."""
    several = np.unique(patients).size > 1
    interval = clustered_mean(values, patients) if several else None
    return figure(mean(values.tolist()), interval)


def limits(differences: Floats, patients: Patients) -> Limits:
    """Return bias and limits of agreement, as Bland and Altman have them.

    They are those of :func:`~cspine_bench.metrics.bland_altman.limits_of_agreement`; a patient may
    give several differences, which may also be all alike, and so the limits have no intervals.
    """
    bias = mean_figure(differences, patients)
    if bias.value is None or differences.size < 2:
        return Limits(bias=bias, lower=None, upper=None)
    half = normal_quantile(_SHARE) * float(differences.std(ddof=1))
    return Limits(bias=bias, lower=bias.value - half, upper=bias.value + half)


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of what is known, ``None`` if nothing is."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def number(value: float) -> float | None:
    """Return a number, ``None`` for ``nan``."""
    return None if math.isnan(value) else value
