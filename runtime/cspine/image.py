"""One radiograph: what every stage looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from cspine.findings import Source, Spacing
from cspine.plane import Plane

Facing = Literal["left", "right"]
Unit = Literal["HU"]
Floats = npt.NDArray[np.float32]
Words = npt.NDArray[Any]


@dataclass(frozen=True)
class GreyScale:
    """What stored words mean, one level per possible word.

    Attributes
    ----------
    table
        Shape (256,) for uint8 words or (65536,) for uint16, float32.
    span
        The levels of black and of white where it is stated how to show the image; ``None`` where
        it is not.
    """

    table: Floats
    span: tuple[float, float] | None = None

    def levels(self, words: Words) -> Floats:
        """Map words of shape (rows, columns) to levels, freshly owned."""
        return np.asarray(cv2.LUT(words, self.table), np.float32)


@dataclass(frozen=True)
class Image:
    """Pixels with their geometry; coordinates are pixels of the stored image.

    Attributes
    ----------
    pixels
        Shape (rows, columns), not to be written to. Words as they are stored where ``grey`` says
        what they mean, else float32 levels: bone brighter than air, or as measured.
    spacing
        Millimetres between pixel centres and their calibration flag.
    facing
        Where the face points by the header; ``None`` if the header does not say.
    source
        The instance the pixels came from; ``None`` for an array.
    notes
        What the reader wants said beside the findings.
    grey
        The level of each word, applied where a stage looks and nowhere else.
    step
        Every how many pixels of the stored image one of ``pixels`` lies, from the first on.
    stored_shape
        (rows, columns) of the stored image; ``None`` if that is the shape of ``pixels``.
    plane
        Where the pixels lie in the patient; ``None`` if nothing says, as on a radiograph.
    unit
        What levels are measured in: Hounsfield units on CT; ``None`` if their scale is arbitrary.
    """

    pixels: npt.NDArray[Any]
    spacing: Spacing
    facing: Facing | None = None
    source: Source | None = None
    notes: tuple[str, ...] = ()
    grey: GreyScale | None = None
    step: int = 1
    stored_shape: tuple[int, int] | None = None
    plane: Plane | None = None
    unit: Unit | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the stored image."""
        rows, columns = self.pixels.shape
        return self.stored_shape or (rows, columns)

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """(row, column) spacing."""
        return self.spacing.row_mm, self.spacing.column_mm

    def levels(self, rows: slice = slice(None), columns: slice = slice(None)) -> Floats:
        """Return the levels of a part of ``pixels``, bone brighter than air, float32."""
        part = self.pixels[rows, columns]
        return part if self.grey is None else self.grey.levels(part)
