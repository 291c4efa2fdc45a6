"""Which series a pipeline judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

Modality = Literal["MR", "CT"]
Weighting = Literal["T1", "T2", "STIR"]
Kernel = Literal["soft", "sharp"]
Orientation = Literal["sagittal", "coronal", "axial"]


class WantedSeries(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a stack of slices must be.

    MR is told by its ``weighting``, which CT has none of; ``kernel`` is the one that is judged of
    CT stacks that could all be. ``minimum_field_mm`` is the least height of a sagittal or coronal
    slice, head to feet, and the least shorter side of an axial one. ``maximum_spacing_mm`` is the
    largest distance between neighbouring slices.
    """

    orientation: Orientation
    weighting: Weighting | None = None
    kernel: Kernel | None = None
    minimum_slices: Annotated[int, msgspec.Meta(ge=1, le=512)]
    minimum_field_mm: Annotated[float, msgspec.Meta(gt=0, le=1000)]
    maximum_spacing_mm: Annotated[float, msgspec.Meta(gt=0, le=100)] | None = None

    @property
    def modality(self) -> Modality:
        """MR if it is weighted by something, else CT."""
        return "MR" if self.weighting else "CT"

    @property
    def words(self) -> str:
        """What it is called."""
        return f"{self.orientation} {self.weighting or self.modality}"


@dataclass(frozen=True)
class Thinning:
    """Which slices of a stack are judged: those nearest to places so far apart, from its first on.

    Attributes
    ----------
    every_mm
        The distance.
    most
        How many they may be.
    """

    every_mm: float
    most: int
