"""From the statistics of a tensor to the range its integers shall cover.

Four estimators, all pure functions of the statistics:

``minmax``
    The smallest and the largest number seen. Nothing is clipped.
``percentile``
    Leaves 0.005 % of the numbers out on either side.
``mse``
    The range with the least expected squared error, the rounding inside it and the clipping
    outside it weighed against each other. Numbers are taken as spread evenly within a histogram
    bin, for which the error has a closed form; each end is searched over six octaves.
``entropy``
    The range that loses the least information (:mod:`cspine_calibration.entropy`).

Which one a tensor takes may also be written in the table: :mod:`cspine_calibration.choices`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cspine.errors import ModelError, did_you_mean
from cspine_calibration.entropy import entropy_threshold
from cspine_calibration.table import TensorStatistics
from cspine_calibration.targets import Grid

ESTIMATORS = ("minmax", "percentile", "mse", "entropy")
# Trained networks lose more by what the others clip than they gain in resolution;
# tests/pipeline/test_emission.py measures it on the shipped ones.
DEFAULT = "minmax"

_TAIL = 0.5 * (1.0 - 0.9999)
# Six octaves below the extreme, in eighths.
_SHRINK = tuple(2.0 ** (-step / 8) for step in range(48))
# A tensor that is always zero still needs a scale above zero; TensorRT refuses any other.
SCALE_FLOOR = 1e-8


@dataclass(frozen=True)
class Affine:
    """``real = (integer - zero_point) * scale``; the scale is an exact float32."""

    scale: float
    zero_point: int


def affine(low: float, high: float, *, grid: Grid) -> Affine:
    """Return the finest scale at which the grid covers a range, and zero exactly.

    Parameters
    ----------
    low, high
        The range; zero is added to it, for padding must be exact.
    grid
        If symmetric, the zero point is 0 and both sides reach the larger magnitude.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if grid.symmetric:
        return Affine(_float32(max(-low, high) / grid.high), 0)
    scale = _float32((high - low) / (grid.high - grid.low))
    return Affine(scale, int(np.clip(round(grid.low - low / scale), grid.low, grid.high)))


def clip_range(statistics: TensorStatistics, *, grid: Grid, estimator: str) -> tuple[float, float]:
    """Return the range (low, high) that a tensor's integers shall cover.

    Raises
    ------
    ModelError
        If the estimator is unknown.
    """
    match estimator:
        case "minmax":
            return statistics.minimum, statistics.maximum
        case "percentile":
            return _percentile(statistics)
        case "mse":
            return _least_squares(statistics, grid)
        case "entropy":
            return _least_divergence(statistics, grid)
        case _:
            raise ModelError(
                f"unknown estimator {estimator!r}, expected one of {', '.join(ESTIMATORS)}"
                f"{did_you_mean(estimator, ESTIMATORS)}"
            )


def quantization_error(statistics: TensorStatistics, form: Affine, *, grid: Grid) -> float:
    """Return the expected squared error of a tensor under quantisation.

    Notes
    -----
    With ``k`` the nearest integer step to ``x`` and ``r`` what is left, the squared rounding error
    integrates from 0 to ``x`` to ``k s^3 / 12 + r^3 / 3``; beyond the last integer the error is
    the distance to it, whose square integrates to a third of its cube.
    """
    filled = np.flatnonzero(statistics.histogram.counts)
    counts = statistics.histogram.counts[filled[0] : filled[-1] + 1]
    edges = statistics.histogram.edges[filled[0] : filled[-1] + 2]
    low, high = (float(n - form.zero_point) * form.scale for n in (grid.low, grid.high))
    inside = np.clip(edges, low, high)
    steps = np.round(inside / form.scale)
    integral = (
        steps * (form.scale**3 / 12)
        + (inside - steps * form.scale) ** 3 / 3
        + (edges - inside) ** 3 / 3
    )
    return float(counts @ np.diff(integral) / (statistics.histogram.bin_width * counts.sum()))


def _percentile(statistics: TensorStatistics) -> tuple[float, float]:
    edges = statistics.histogram.edges
    below = np.cumsum(statistics.histogram.counts) / statistics.values
    low = edges[np.searchsorted(below, _TAIL, side="right")]
    high = edges[np.searchsorted(below, 1.0 - _TAIL, side="left") + 1]
    return max(float(low), statistics.minimum), min(float(high), statistics.maximum)


def _least_squares(statistics: TensorStatistics, grid: Grid) -> tuple[float, float]:
    def best(ranges: Iterable[tuple[float, float]]) -> tuple[float, float]:
        def error(ends: tuple[float, float]) -> float:
            return quantization_error(statistics, affine(*ends, grid=grid), grid=grid)

        return min(ranges, key=error)

    low, high = min(statistics.minimum, 0.0), max(statistics.maximum, 0.0)
    if grid.symmetric:
        extreme = max(-low, high)
        clipped, _ = best((-extreme * shrink, extreme * shrink) for shrink in _SHRINK)
        return max(low, clipped), min(high, -clipped)
    lows, highs = ([end * shrink for shrink in _SHRINK] for end in (low, high))
    # The ends are nearly independent, so two sweeps of one end after the other find the pair.
    for _ in range(2):
        low, high = best((low, end) for end in highs)
        low, high = best((end, high) for end in lows)
    return low, high


def _least_divergence(statistics: TensorStatistics, grid: Grid) -> tuple[float, float]:
    integers = grid.high - grid.low + 1
    # A sign costs one bit, and so does a grid that keeps half its integers for it in vain.
    whole = statistics.non_negative and not grid.symmetric
    threshold = entropy_threshold(statistics.histogram, levels=integers if whole else integers // 2)
    return max(-threshold, statistics.minimum), min(threshold, statistics.maximum)


def _float32(scale: float) -> float:
    return float(np.float32(max(scale, SCALE_FLOOR)))
