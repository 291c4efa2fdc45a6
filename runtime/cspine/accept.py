"""What a pipeline accepts: the images of a study that it judges."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from cspine.dicom.stacks.wanted import Modality, Thinning, WantedSeries
from cspine.fields import Age, Struct


class Film(Struct, frozen=True, kw_only=True, tag="lateral", tag_field="view"):
    """One lateral radiograph: what its header must state before any network sees it."""

    modality: list[str]
    body_part: list[str]
    age_years: tuple[Age, Age]


class Stack(Struct, frozen=True, kw_only=True, tag="stack", tag_field="view"):
    """Parallel slices of one series: which, and how many of them are judged.

    They are those about its middle; with ``every_mm``, those nearest to places so far apart, from
    its first slice to its last, and a series that needs more of them is refused.
    """

    modality: list[Modality]
    series: WantedSeries
    judged_slices: Annotated[int, msgspec.Meta(ge=1, le=256)]
    every_mm: Annotated[float, msgspec.Meta(gt=0, le=100)] | None = None
    age_years: tuple[Age, Age]

    @property
    def thinning(self) -> Thinning | None:
        """Which slices are judged if they are not those about the middle."""
        return Thinning(self.every_mm, most=self.judged_slices) if self.every_mm else None


class Stacks(Struct, frozen=True, kw_only=True, tag="stacks", tag_field="view"):
    """Two stacks of MR slices in one system of coordinates: a sagittal one and an axial one.

    The sagittal slice in the middle of the canal is judged, and axial slices where its levels lie.
    Without axial slices what takes only the sagittal one stands.
    """

    modality: list[Literal["MR"]]
    sagittal: WantedSeries
    axial: WantedSeries
    age_years: tuple[Age, Age]


Accept = Film | Stack | Stacks
