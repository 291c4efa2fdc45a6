"""How near one pipeline places the landmarks, and how far the other moves them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from cspine_bench.accuracy.answers import Arm, CaseAnswers
from cspine_bench.accuracy.figure import (
    NOTHING,
    ArmName,
    Figure,
    Floats,
    Limits,
    figure,
    limits,
    mean_figure,
    share,
)
from cspine_bench.accuracy.measured import PairedPoints
from cspine_bench.metrics.landmarks import landmark_error

NEAR_MM = (3.0, 4.0)  # as the papers have it


class Extreme(msgspec.Struct, frozen=True, kw_only=True):
    """The largest of some figures: ``name`` is of a point, ``line`` of ``cases.csv``."""

    value: float
    name: str
    line: int | None = None


class PointPerformance(msgspec.Struct, frozen=True, kw_only=True):
    """How near one pipeline places the true points of the studies that it answered.

    ``missing`` of the ``points`` were not placed. ``error_mm`` is the mean radial error of those
    that were, ``sd_mm`` its standard deviation over points; ``within_3_mm`` and ``within_4_mm`` are
    shares of all of them, a missing one being near nothing. ``worst`` is the point with the largest
    mean error.
    """

    points: int
    missing: int
    error_mm: Figure
    sd_mm: float | None
    within_3_mm: Figure
    within_4_mm: Figure
    worst: Extreme | None


class PointChange(msgspec.Struct, frozen=True, kw_only=True):
    """How far the candidate places the points from where the reference does, in millimetres.

    ``points`` are those that both placed, ``placed_by_one`` of the true points only one.
    ``across`` is to the right and ``down`` downwards on the image, where a shift of a whole map
    shows; ``distance`` is the mean length and ``furthest`` the largest.
    """

    points: int
    placed_by_one: int
    across: Limits
    down: Limits
    distance: Figure
    furthest: Extreme | None


def point_performance(points: PairedPoints, *, arm: ArmName) -> PointPerformance:
    """Score one of the two pipelines on the true points of a set."""
    errors: Floats = getattr(points, arm)
    answered = ~np.isnan(errors)
    near = [share(errors[answered] <= limit, points.patient[answered]) for limit in NEAR_MM]
    error, sd = NOTHING, None
    if points.placed_by_several(arm):
        found = landmark_error(errors[answered], points.patient[answered], limits_mm=())
        error, sd = figure(found.mean_mm, found.mean_interval), found.sd_mm
    return PointPerformance(
        points=int(answered.sum()),
        missing=int(np.isinf(errors).sum()),
        error_mm=error,
        sd_mm=sd,
        within_3_mm=near[0],
        within_4_mm=near[1],
        worst=_worst(points, errors),
    )


def point_change(cases: Sequence[CaseAnswers], points: PairedPoints) -> PointChange:
    """Compare the two pipelines on the points that both placed."""
    both = points.placed_by_both
    moved, patients = points.moved[both], points.patient[both]
    distance = np.hypot(moved[:, 0], moved[:, 1])
    furthest = None
    if distance.size:
        at = int(distance.argmax())
        furthest = Extreme(
            value=float(distance[at]),
            name=str(points.name[both][at]),
            line=int(points.line[both][at]),
        )
    return PointChange(
        points=distance.size,
        placed_by_one=sum(len(_placed(case.reference) ^ _placed(case.candidate)) for case in cases),
        across=limits(moved[:, 0], patients),
        down=limits(moved[:, 1], patients),
        distance=mean_figure(distance, patients),
        furthest=furthest,
    )


def _worst(points: PairedPoints, errors: Floats) -> Extreme | None:
    placed = np.isfinite(errors)
    if not placed.any():
        return None
    names, which = np.unique(points.name[placed], return_inverse=True)
    means = np.bincount(which, weights=errors[placed]) / np.bincount(which)
    return Extreme(value=float(means.max()), name=str(names[means.argmax()]))


def _placed(arm: Arm) -> frozenset[str]:
    return frozenset(arm.points)
