"""How two who name a class agree: a pipeline with the truth, or either with a second reader."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from cspine.errors import ModelError
from cspine_bench.accuracy.figure import NOTHING, Figure, Patients, figure, number, share
from cspine_bench.metrics.agreement import (
    Weights,
    clustered_kappa_interval,
    confusion_matrix,
    kappa,
    macro_f1,
)
from cspine_bench.metrics.f1 import macro_f1_interval
from cspine_bench.metrics.interval import Interval

Classes = npt.NDArray[np.int64]

UNKNOWN = -1
"""Where no class was named."""


class ClassAgreement(msgspec.Struct, frozen=True, kw_only=True):
    """How one names classes as another does, over what both named.

    ``counts`` has a row a class of the one who is agreed with, and a column a class of the other,
    both in order of severity. ``accuracy`` is the share on the diagonal; of the kappas, a
    disagreement counts as one, by its distance in classes, and by the square of that.
    """

    named: int
    counts: tuple[tuple[int, ...], ...]
    accuracy: Figure
    macro_f1: Figure
    kappa: Figure
    linear_kappa: Figure
    quadratic_kappa: Figure


def class_agreement(
    truth: Classes, called: Classes, patients: Patients, *, classes: int
) -> ClassAgreement | None:
    """Compare the classes that two named; ``None`` if they named none of the same.

    Parameters
    ----------
    truth, called, patients
        Shape (levels,): classes from 0, :data:`UNKNOWN` where none was named, and whose they are.
    classes
        How many there are.
    """
    both = (truth != UNKNOWN) & (called != UNKNOWN)
    if not both.any():
        return None
    truth, called, patients = truth[both], called[both], patients[both]
    matrix = confusion_matrix(truth, called, classes=classes)

    def weighted(weights: Weights) -> Figure:
        return _figure(
            kappa(matrix, weights=weights),
            lambda: clustered_kappa_interval(
                truth, called, patients, classes=classes, weights=weights
            ),
        )

    return ClassAgreement(
        named=truth.size,
        counts=tuple(map(tuple, matrix.tolist())),
        accuracy=share(truth == called, patients),
        macro_f1=_figure(
            macro_f1(matrix),
            lambda: macro_f1_interval(truth, called, classes=classes, clusters=patients, seed=0),
        ),
        kappa=weighted("none"),
        linear_kappa=weighted("linear"),
        quadratic_kappa=weighted("quadratic"),
    )


def _figure(value: float, interval: Callable[[], Interval]) -> Figure:
    """Return an estimate, and its interval unless these cases leave it unknown."""
    known = number(value)
    if known is None:
        return NOTHING
    try:
        return figure(known, interval())
    except ModelError:  # too few patients, or none of them differs from another
        return figure(known, None)
