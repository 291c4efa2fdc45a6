"""How far landmarks are off, in millimetres, and how many lie near enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError
from cspine_bench.metrics.interval import Interval
from cspine_bench.metrics.mean import clustered_mean
from cspine_bench.metrics.proportion import clustered_wilson


@dataclass(frozen=True)
class Within:
    """The share of landmarks no further off than a limit, ``limit_mm`` itself included."""

    limit_mm: float
    share: float
    interval: Interval


@dataclass(frozen=True)
class LandmarkError:
    """Radial error over landmarks, clustered by patient.

    Attributes
    ----------
    landmarks, missing
        How many there are in truth, and how many of these were not found.
    mean_mm, sd_mm
        Of those found; ddof 1.
    mean_interval
        Of ``mean_mm``.
    within
        By limit, in the order asked for; one that was not found is in no limit.
    """

    landmarks: int
    missing: int
    mean_mm: float
    sd_mm: float
    mean_interval: Interval
    within: tuple[Within, ...]


def radial_errors(
    reference: ArrayLike, predicted: ArrayLike, *, spacing_mm: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the distance of each landmark from where it should be.

    Parameters
    ----------
    reference
        Finite, shape (landmarks, 2), (column, row) in pixels of the image.
    predicted
        The same landmarks in the same order; ``nan`` twice for one that was not found.
    spacing_mm
        (row, column) spacing of the image, as in DICOM.

    Returns
    -------
    ndarray
        Millimetres, shape (landmarks,), float64; ``inf`` for a landmark that was not found.

    Raises
    ------
    ModelError
        If a shape is another, a true coordinate is not finite, a predicted landmark has one
        coordinate only, or a spacing is not above zero.
    """
    true, found = np.asarray(reference, np.float64), np.asarray(predicted, np.float64)
    if true.ndim != 2 or true.shape[1] != 2 or true.shape != found.shape:
        raise ModelError(
            f"landmarks: got shapes {true.shape} and {found.shape}, expected (landmarks, 2) twice"
        )
    lost = np.isnan(found).all(axis=1)
    if not (np.isfinite(true).all() and np.isfinite(found[~lost]).all()):
        raise ModelError(
            "landmarks: got a coordinate that is not finite, expected finite ones, or nan for both "
            "of a landmark that was not found"
        )
    row_mm, column_mm = spacing_mm
    if not (0.0 < row_mm < np.inf and 0.0 < column_mm < np.inf):
        raise ModelError(f"spacing: got {spacing_mm} mm, expected two lengths above zero")
    off = (found - true) * (column_mm, row_mm)
    return np.where(lost, np.inf, np.hypot(off[:, 0], off[:, 1]))


def landmark_error(
    errors_mm: ArrayLike,
    clusters: ArrayLike,
    *,
    limits_mm: Sequence[float] = (3.0, 4.0),
    level: float = 0.95,
) -> LandmarkError:
    """Sum up radial errors of all landmarks of all patients.

    Parameters
    ----------
    errors_mm
        What :func:`radial_errors` returns, shape (landmarks,).
    clusters
        One identifier a landmark, shape (landmarks,), equal within a patient.
    limits_mm
        How near is near enough.
    level
        Nominal coverage of the intervals.

    Raises
    ------
    ModelError
        If the shapes differ, an error is negative or ``nan``, or fewer than two patients have a
        landmark that was found.
    ValueError
        If ``level`` is not strictly between 0 and 1.
    """
    errors, ids = np.asarray(errors_mm, np.float64), np.asarray(clusters)
    if errors.ndim != 1 or errors.shape != ids.shape:
        raise ModelError(
            f"errors: got shape {errors.shape} and clusters {ids.shape}, expected (landmarks,)"
        )
    if not (errors >= 0.0).all():  # written so that nan is caught too
        raise ModelError("errors: got one that is negative or nan, expected distances")
    found = np.isfinite(errors)
    interval = clustered_mean(errors[found], ids[found], level=level)
    return LandmarkError(
        landmarks=errors.size,
        missing=errors.size - int(found.sum()),
        mean_mm=float(errors[found].mean()),
        sd_mm=float(errors[found].std(ddof=1)),
        mean_interval=interval,
        within=tuple(
            Within(
                limit_mm=limit,
                share=float((errors <= limit).mean()),
                interval=clustered_wilson(errors <= limit, ids, level=level),
            )
            for limit in limits_mm
        ),
    )
