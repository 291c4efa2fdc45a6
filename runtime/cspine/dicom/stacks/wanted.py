"""Which MR series a pipeline judges."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Weighting = Literal["T1", "T2", "STIR"]
Orientation = Literal["sagittal", "coronal", "axial"]


class WantedSeries(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a stack of slices must be.

    ``minimum_field_mm`` is the least height of a sagittal or coronal slice, head to feet, and the
    least shorter side of an axial one.
    """

    orientation: Orientation
    weighting: Weighting
    minimum_slices: Annotated[int, msgspec.Meta(ge=1, le=512)]
    minimum_field_mm: Annotated[float, msgspec.Meta(gt=0, le=1000)]
