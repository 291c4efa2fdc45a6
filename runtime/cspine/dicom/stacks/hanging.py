"""A slice hung as it is read: head up, face left; axial as seen from the feet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cspine.image import Floats
from cspine.plane import Plane, View

# Where rows and columns run to in patient coordinates (left, back, head), by view.
_ACROSS = {"sagittal": (0, 1, 0), "coronal": (1, 0, 0), "axial": (1, 0, 0)}
_DOWN = {"sagittal": (0, 0, -1), "coronal": (0, 0, -1), "axial": (0, 1, 0)}


@dataclass(frozen=True)
class Turn:
    """How stored pixels are turned: rows and columns changed places, then each run backwards."""

    swap: bool
    left_right: bool
    top_bottom: bool

    def pixels(self, stored: Floats) -> Floats:
        """Turn pixels of shape (rows, columns); freshly owned unless nothing is turned."""
        turned = stored.T if self.swap else stored
        turned = turned[:: -1 if self.top_bottom else 1, :: -1 if self.left_right else 1]
        return np.ascontiguousarray(turned)

    def plane(self, stored: Plane, shape: tuple[int, int]) -> Plane:
        """Return where pixels turned from a stored (rows, columns) shape lie: in their places."""
        across, down, spacing = stored.across, stored.down, stored.spacing_mm
        if self.swap:
            across, down, spacing, shape = down, across, spacing[::-1], shape[::-1]
        origin: npt.NDArray[np.float64] = stored.origin_mm
        if self.left_right:
            origin, across = origin + across * spacing[1] * (shape[1] - 1), -across
        if self.top_bottom:
            origin, down = origin + down * spacing[0] * (shape[0] - 1), -down
        return Plane(origin, across, down, spacing, stored.frame_of_reference)


def turn_of(plane: Plane) -> Turn:
    """Return how pixels of a plane are turned to hang; not at all if it is oblique."""
    view: View = plane.view
    if view == "oblique":
        return Turn(swap=False, left_right=False, top_bottom=False)
    row, column = np.array(_ACROSS[view]), np.array(_DOWN[view])
    swap = bool(abs(plane.down @ row) > abs(plane.across @ row))
    across, down = (plane.down, plane.across) if swap else (plane.across, plane.down)
    return Turn(swap, left_right=bool(across @ row < 0), top_bottom=bool(down @ column < 0))
