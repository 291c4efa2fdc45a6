"""The protocol that a runtime is used through, and the specification of a tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and shape of one input; ``None`` in the shape is a dimension left open."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        dims = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.dtype.name} ({dims})"


class Backend(Protocol):
    """One model loaded on one device."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that :meth:`run` must be fed."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return freshly owned arrays, complete on the host; any thread may call."""

    def close(self) -> None:
        """Release the model; :meth:`run` may not be called again."""
