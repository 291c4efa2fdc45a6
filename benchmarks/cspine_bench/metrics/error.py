"""How far measurements are off: mean absolute error, and both forms of SMAPE."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError
from cspine_bench.metrics.bootstrap import bootstrap_interval
from cspine_bench.metrics.interval import Interval

Denominator = Literal["mean", "sum"]
Values = NDArray[np.float64]


def mean_absolute_error(reference: ArrayLike, predicted: ArrayLike) -> float:
    """Return the mean of ``|predicted - reference|``, in their unit.

    Parameters
    ----------
    reference, predicted
        Finite, one a case, shape (cases,), at least one.

    Raises
    ------
    ModelError
        If the shapes differ, there is no case, or a value is not finite.
    """
    return float(_absolute(*_pair(reference, predicted)).mean())


def mean_absolute_error_interval(
    reference: ArrayLike,
    predicted: ArrayLike,
    *,
    clusters: ArrayLike,
    seed: int,
    level: float = 0.95,
) -> Interval:
    """Return the interval of :func:`mean_absolute_error`, by BCa bootstrap of patients.

    Parameters
    ----------
    reference, predicted
        As for :func:`mean_absolute_error`.
    clusters
        One identifier a case, shape (cases,), equal within a patient; integers or strings.
    seed
        Of the bootstrap.
    level
        Nominal coverage.

    Raises
    ------
    ModelError
        As :func:`mean_absolute_error` and
        :func:`~cspine_bench.metrics.bootstrap.bootstrap_interval`.
    ValueError
        If ``level`` is not strictly between 0 and 1.
    """
    return _mean_interval(_absolute(*_pair(reference, predicted)), clusters, seed, level)


def smape(reference: ArrayLike, predicted: ArrayLike, *, denominator: Denominator) -> float:
    """Return the symmetric mean absolute percentage error.

    Parameters
    ----------
    reference, predicted
        As for :func:`mean_absolute_error`.
    denominator
        What an error is a fraction of: ``"mean"``, ``(|reference| + |predicted|) / 2``, as the
        published sagittal parameters have it, with 200 % at most; or ``"sum"``,
        ``|reference| + |predicted|``, which halves it.

    Returns
    -------
    float
        Percent. A case of which both values are 0 has no error and adds 0.

    Raises
    ------
    ModelError
        As :func:`mean_absolute_error`.

    Notes
    -----
    A case whose two values differ in sign adds the most there is, however near to 0 both are: of
    angles about 0 it says little.
    """
    return float(_percentages(*_pair(reference, predicted), denominator).mean())


def smape_interval(
    reference: ArrayLike,
    predicted: ArrayLike,
    *,
    denominator: Denominator,
    clusters: ArrayLike,
    seed: int,
    level: float = 0.95,
) -> Interval:
    """Return the interval of :func:`smape`, by BCa bootstrap of patients.

    Parameters
    ----------
    reference, predicted, denominator
        As for :func:`smape`.
    clusters, seed, level
        As for :func:`mean_absolute_error_interval`.

    Raises
    ------
    ModelError, ValueError
        As :func:`mean_absolute_error_interval`.
    """
    values = _percentages(*_pair(reference, predicted), denominator)
    return _mean_interval(values, clusters, seed, level)


def _mean_interval(values: Values, clusters: ArrayLike, seed: int, level: float) -> Interval:
    ids = np.asarray(clusters)
    if ids.shape != values.shape:
        raise ModelError(f"clusters: got shape {ids.shape}, expected {values.shape}: one a case")
    return bootstrap_interval(
        lambda cases: float(values[cases].mean()), ids, seed=seed, level=level
    )


def _absolute(reference: Values, predicted: Values) -> Values:
    return np.abs(predicted - reference)


def _percentages(reference: Values, predicted: Values, denominator: Denominator) -> Values:
    whole = np.abs(reference) + np.abs(predicted)
    most = {"mean": 200.0, "sum": 100.0}[denominator]
    error = _absolute(reference, predicted)
    fraction = np.zeros_like(whole)
    np.divide(error, whole, out=fraction, where=whole > 0.0)
    return most * fraction


def _pair(reference: ArrayLike, predicted: ArrayLike) -> tuple[Values, Values]:
    a, b = np.asarray(reference, np.float64), np.asarray(predicted, np.float64)
    if a.ndim != 1 or a.shape != b.shape or not a.size:
        raise ModelError(
            f"predicted: got shapes {a.shape} of reference and {b.shape}, expected (cases,) twice "
            "and not empty"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ModelError("predicted: got a value that is not finite, expected finite values")
    return a, b
