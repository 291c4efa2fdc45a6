"""What the fields of a pipeline file may be, and the tables that several stages have."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

Identifier = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Pixels = Annotated[int, msgspec.Meta(ge=8, le=8192)]
Size = tuple[Pixels, Pixels]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Age = Annotated[int, msgspec.Meta(ge=0, le=150)]
Share = Annotated[float, msgspec.Meta(gt=0, le=0.1)]
Probability = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Immutable, and strict about the keys of its table."""


class Percentile(Struct, frozen=True, kw_only=True, tag="percentile", tag_field="kind"):
    """Map the grey levels between two percentiles of the tensor to 0..1 and clip the rest."""

    low: Percent
    high: Percent


class Standardise(Struct, frozen=True, kw_only=True, tag="standardise", tag_field="kind"):
    """Subtract the mean of each crop and divide by its standard deviation."""


class Window(Struct, frozen=True, kw_only=True, tag="window", tag_field="kind"):
    """Map a window of Hounsfield units to 0..1 and clip the rest, as VOI LINEAR_EXACT does."""

    center_hu: Annotated[float, msgspec.Meta(ge=-10_000, le=10_000)]
    width_hu: Annotated[float, msgspec.Meta(gt=0, le=100_000)]


Grey = Percentile | Standardise | Window


class Normalise(Struct, frozen=True, kw_only=True):
    """What a network expects that was made for colour: grey in each channel, less a mean, by an SD.

    Both are in the units that the grey mapping gives, one for each channel.
    """

    mean: list[float]
    std: list[Positive]


class Architecture(Struct, frozen=True, kw_only=True):
    """The network a checkpoint belongs to; only export reads it."""

    factory: Annotated[str, msgspec.Meta(pattern=r"^[\w.]+:\w+$")]
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
    normalise: Normalise | None = None
