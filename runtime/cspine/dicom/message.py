"""What each message between the isolated reader and its parent is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from cspine.dicom.pixels import MAXIMUM_PIXELS

Count = Annotated[int, msgspec.Meta(ge=1, le=MAXIMUM_PIXELS)]
Shape = tuple[Count, Count]
Array = npt.NDArray[Any]

Fill = Callable[[memoryview], None]
"""Fills a buffer from the other side; raises if it falls silent or closes."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """Immutable; its kind is told by its name."""


def receive_array(fill: Fill, shape: tuple[int, ...], dtype: str) -> Array:
    """Read an array; freshly owned."""
    array = np.empty(shape, dtype)
    fill(array.reshape(-1).data.cast("B"))
    return array
