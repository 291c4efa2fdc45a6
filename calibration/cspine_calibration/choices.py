"""The estimator of each tensor as the table records it, by the kind of grid.

UINT8 and INT8 without symmetry are the same integers, shifted by 128, so that what is best for one
is best for the other; a symmetric grid has half the integers for a tensor that is never negative.
"""

from __future__ import annotations

from collections.abc import Sequence

from cspine.errors import ModelError
from cspine_calibration.estimate import DEFAULT, ESTIMATORS
from cspine_calibration.table import CalibrationTable
from cspine_calibration.targets import Grid

TUNED = "tuned"
METHODS = (*ESTIMATORS, TUNED)
"""What ranges may be taken by: one estimator for all tensors, or each its own."""


def grid_kind(grid: Grid) -> str:
    """Return what the choices for a grid are recorded under."""
    return "symmetric" if grid.symmetric else "asymmetric"


def chosen(table: CalibrationTable, sources: Sequence[str], *, grid: Grid) -> str:
    """Return the estimator for tensors that share a scale: theirs if they agree, or the default.

    Raises
    ------
    ModelError
        If no choice was made.
    """
    kind = grid_kind(grid)
    if kind not in table.choices:
        raise ModelError(
            "calibration table: nothing was tuned; calibrate with --estimator tuned on a set that "
            "has cases of split 'tuning', or emit with another estimator"
        )
    names = {table.choices[kind].get(source, DEFAULT) for source in sources}
    return names.pop() if len(names) == 1 else DEFAULT
