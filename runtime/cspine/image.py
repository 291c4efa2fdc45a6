"""One radiograph, decoded: what every stage looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from cspine.findings import Source, Spacing

Facing = Literal["left", "right"]


@dataclass(frozen=True)
class Image:
    """Pixels with their geometry.

    Attributes
    ----------
    pixels
        Shape (rows, columns), float32, bone brighter than air; the scale is arbitrary. Not to be
        written to.
    spacing
        Millimetres between pixel centres and their calibration flag.
    facing
        Where the face points by the header; ``None`` if the header does not say.
    source
        The instance the pixels came from; ``None`` for an array.
    notes
        What the reader wants said beside the findings.
    """

    pixels: npt.NDArray[np.float32]
    spacing: Spacing
    facing: Facing | None = None
    source: Source | None = None
    notes: tuple[str, ...] = ()

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """(row, column) spacing."""
        return self.spacing.row_mm, self.spacing.column_mm
