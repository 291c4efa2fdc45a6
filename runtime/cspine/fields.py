"""What the fields of a pipeline file may be, and the struct that holds them."""

from __future__ import annotations

from typing import Annotated

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
