"""What is known of a tensor, and what a rule is given of an operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from cspine.onnxfile import Node
from cspine.onnxtensor import LARGEST_COUNT, LARGEST_RANK

Shape = tuple[int, ...]


class DataDependentError(ValueError):
    """A shape that only the data tells."""


@dataclass(frozen=True)
class Tensor:
    """A shape and, of a small tensor that shapes may be made from, its values, row by row."""

    shape: Shape
    values: tuple[float, ...] | None = None

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> Tensor:
        """Return a tensor with known values."""
        return cls(array.shape, tuple(array.reshape(-1).tolist()))

    def __post_init__(self) -> None:
        if len(self.shape) > LARGEST_RANK or min(self.shape, default=0) < 0:
            raise ValueError(f"a tensor of shape {self.shape[:LARGEST_RANK]}")
        if prod(self.shape) > LARGEST_COUNT:
            raise ValueError("a tensor larger than any device holds")

    @property
    def array(self) -> npt.NDArray[Any] | None:
        """The values in their shape, if they are known."""
        return None if self.values is None else np.array(self.values).reshape(self.shape)

    @property
    def rank(self) -> int:
        """How many dimensions it has."""
        return len(self.shape)

    @property
    def elements(self) -> int:
        """How many elements it has."""
        return prod(self.shape)


@dataclass(frozen=True)
class Call:
    """An operator with its inputs; ``None`` stands for one that is left out."""

    node: Node
    inputs: Sequence[Tensor | None]

    def input(self, place: int) -> Tensor:
        """Return an input that must be there."""
        found = self.optional(place)
        if found is None:
            raise ValueError(f"it lacks input {place}")
        return found

    def optional(self, place: int) -> Tensor | None:
        """Return an input, or ``None`` if it is left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    def constant(self, place: int) -> tuple[int, ...]:
        """Return the integers of an input that decides about shapes."""
        values = self.input(place).values
        if values is None:
            raise DataDependentError(f"its input {place} is computed from the data")
        found = tuple(value for value in values if isinstance(value, int))
        if len(found) < len(values):
            raise ValueError(f"its input {place} is not of integers")
        return found

    def setting(self, name: str, place: int) -> tuple[int, ...] | None:
        """Return what older operator sets have as an attribute, newer ones as an input."""
        stated = self.node.integers(name)
        if stated is None and self.optional(place) is not None:
            return self.constant(place)
        return stated

    def axis(self, default: int, *, rank: int) -> int:
        """Return the attribute ``axis`` counted from the front."""
        return normal_axis(self.node.integer("axis", default), rank=rank)


Rule = Callable[[Call], Sequence[Tensor]]


def normal_axis(axis: int, *, rank: int) -> int:
    """Return an axis counted from the front."""
    if not -rank <= axis < rank:
        raise ValueError(f"its axis {axis} is not one of {rank}")
    return axis % rank


def normal_axes(axes: Sequence[int], *, rank: int) -> tuple[int, ...]:
    """Return axes counted from the front, each once."""
    found = tuple(normal_axis(axis, rank=rank) for axis in axes)
    if len(set(found)) < len(found):
        raise ValueError(f"its axes {tuple(axes)} name one twice")
    return found


def broadcast(*shapes: Shape) -> Shape:
    """Return the shape that several are stretched to, as NumPy does."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(_stretched(sizes) for sizes in zip(*padded, strict=True))


def _stretched(sizes: tuple[int, ...]) -> int:
    wide = {size for size in sizes if size != 1}
    if len(wide) > 1:
        raise ValueError(f"its inputs of {', '.join(map(str, sorted(wide)))} do not broadcast")
    return wide.pop() if wide else 1
