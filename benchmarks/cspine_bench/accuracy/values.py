"""How near one pipeline measures a parameter, and what the other changes of it."""

from __future__ import annotations

import msgspec
import numpy as np

from cspine.errors import ModelError
from cspine_bench.accuracy.figure import (
    NOTHING,
    ArmName,
    Figure,
    Floats,
    Limits,
    Patients,
    figure,
    limits,
    mean_figure,
)
from cspine_bench.accuracy.measured import PairedValues
from cspine_bench.metrics.error import smape
from cspine_bench.metrics.reliability import icc, icc_interval


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """A value of the candidate less that of the reference, with its line of ``cases.csv``."""

    value: float
    line: int


class ValuePerformance(msgspec.Struct, frozen=True, kw_only=True):
    """How near one pipeline comes to the true values of a parameter, in its unit.

    ``given`` are of the ``studies`` with a true value, and all else is of those. ``mae`` is the
    mean absolute error, ``bias`` of what was measured less the truth. ``smape`` is in per cent, the
    denominator being the mean of both values, as the papers print it. ``icc`` is ICC(2,1), over the
    first study of each patient; without an interval where nothing of the disagreement is chance.
    """

    unit: str
    studies: int
    given: int
    mae: Figure
    bias: Limits
    smape: float | None
    icc: Figure


class ValueChange(msgspec.Struct, frozen=True, kw_only=True):
    """What the candidate measures less what the reference does, where both measure.

    ``largest`` is so either way.
    """

    unit: str
    studies: int
    bias: Limits
    largest: Shift | None


def value_performance(values: PairedValues, *, arm: ArmName, unit: str) -> ValuePerformance:
    """Score one of the two pipelines on one parameter of a set."""
    found: Floats = getattr(values, arm)
    given = ~np.isnan(found)
    truth, found, patients = values.truth[given], found[given], values.patient[given]
    return ValuePerformance(
        unit=unit,
        studies=given.size,
        given=found.size,
        mae=mean_figure(np.abs(found - truth), patients),
        bias=limits(found - truth, patients),
        smape=smape(truth, found, denominator="mean") if found.size else None,
        icc=_icc(truth, found, patients),
    )


def value_change(values: PairedValues, *, unit: str) -> ValueChange:
    """Compare the two pipelines on one parameter."""
    both = values.given_by_both
    changes = (values.candidate - values.reference)[both]
    largest = None
    if changes.size:
        at = int(np.abs(changes).argmax())
        largest = Shift(value=float(changes[at]), line=int(values.line[both][at]))
    return ValueChange(
        unit=unit,
        studies=changes.size,
        bias=limits(changes, values.patient[both]),
        largest=largest,
    )


def _icc(truth: Floats, found: Floats, patients: Patients) -> Figure:
    _, first = np.unique(patients, return_index=True)
    ratings = np.stack([truth[first], found[first]], axis=1)
    try:
        value = icc(ratings, form="2,1")
    except ModelError:  # too few patients, or none of them differs from another
        return NOTHING
    try:
        return figure(value, icc_interval(ratings, form="2,1"))
    except ModelError:  # every patient is off by the same
        return figure(value, None)
