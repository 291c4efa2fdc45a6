"""A histogram of a stream of numbers whose range is not known beforehand.

The range is a power of two and doubles when a number leaves it, whereupon neighbouring bins merge
in pairs. Bin borders of the wide range are bin borders of the narrow one, so the counts depend on
the numbers alone: not on their order, not on how they were batched, not on the machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 4096
_HALF = BINS // 2
# A tensor of zeros needs a range too, and float32 arithmetic has no use for a smaller one.
MIN_EXPONENT = -64
# No float32 lies outside the range it gives.
MAX_EXPONENT = 128


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts in 4096 equal bins over ``[-2**exponent, 2**exponent)``.

    Attributes
    ----------
    exponent
        The base-two logarithm of the range.
    counts
        int64, shape (4096,), lowest bin first; a bin holds its lower border. Never written to.
    """

    exponent: int
    counts: npt.NDArray[np.int64]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Histogram)
            and self.exponent == other.exponent
            and np.array_equal(self.counts, other.counts)
        )

    @property
    def bin_width(self) -> float:
        """The width of every bin, a power of two."""
        return _bin_width(self.exponent)

    @property
    def edges(self) -> npt.NDArray[np.float64]:
        """The borders of the bins, float64, shape (4097,), ascending."""
        return np.arange(-_HALF, _HALF + 1, dtype=np.float64) * self.bin_width

    @classmethod
    def of(cls, values: npt.NDArray[np.float32]) -> Histogram:
        """Count numbers over the smallest range that holds them.

        Parameters
        ----------
        values
            Finite numbers, at least one, any shape.
        """
        largest = float(np.abs(values).max())
        exponent = max(math.frexp(largest)[1], MIN_EXPONENT) if largest else MIN_EXPONENT
        # Dividing by a power of two is exact, so no number's bin depends on rounding.
        bins = np.floor(values.ravel() / np.float64(_bin_width(exponent))).astype(np.int64)
        return cls(exponent, np.bincount(bins + _HALF, minlength=BINS))

    def widen(self, exponent: int) -> Histogram:
        """Return the same counts over a range of at least ``2**exponent``."""
        doublings = exponent - self.exponent
        if doublings <= 0:
            return self
        counts = np.zeros(BINS, np.int64)
        # An arithmetic shift is the floor of a division, for the bins left of zero too.
        target = (np.arange(-_HALF, _HALF) >> min(doublings, BINS)) + _HALF
        np.add.at(counts, target, self.counts)
        return Histogram(exponent, counts)

    def merge(self, other: Histogram) -> Histogram:
        """Return the histogram of both streams together."""
        exponent = max(self.exponent, other.exponent)
        return Histogram(exponent, self.widen(exponent).counts + other.widen(exponent).counts)


def _bin_width(exponent: int) -> float:
    return math.ldexp(1.0, exponent) / _HALF
