"""The mean of a tensor per channel, over a stream of samples, exact to the last bit.

A sample's mean is a float32, hence a whole number of units of ``2**-192``. Such numbers are added
as integers of eleven 32-bit limbs, which no order and no batching of the samples can change; a sum
of floats would differ in its last digits, and with it the bytes of the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_LIMB = 32
_LIMBS = 11
# A fraction of 24 bits times the least power of two that frexp gives a float32 is above this.
_UNIT = -192
_MANTISSA = 24
# Rows are summed in float64 some at a time, for a float64 copy of a whole tensor is large.
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class Means:
    """Sums of sample means, per channel.

    Attributes
    ----------
    samples
        How many were seen.
    limbs
        int64, shape (channels, 11), least significant first: the sum in units of ``2**-192``, in
        digits of 32 bits that are not carried. Never written to.
    """

    samples: int
    limbs: npt.NDArray[np.int64]

    @classmethod
    def of(cls, values: npt.NDArray[np.float32]) -> Means:
        """Average finite numbers over all axes but the first two.

        Parameters
        ----------
        values
            Shape (samples, channels, ...).
        """
        samples, channels = values.shape[:2]
        fractions, exponents = np.frexp(_row_means(values.reshape(samples * channels, -1)))
        digits = (fractions * np.float32(1 << _MANTISSA)).astype(np.int64)
        limb, shift = np.divmod(exponents.astype(np.int64) - _MANTISSA - _UNIT, _LIMB)
        shifted = digits << shift
        channel = np.tile(np.arange(channels), samples)
        limbs = np.zeros((channels, _LIMBS), np.int64)
        # The shift to the right rounds down, so both parts add up for negative numbers too.
        np.add.at(limbs, (channel, limb), shifted & ((1 << _LIMB) - 1))
        np.add.at(limbs, (channel, limb + 1), shifted >> _LIMB)
        return cls(samples, limbs)

    @classmethod
    def of_bytes(cls, limbs: bytes, *, samples: int) -> Means:
        """Return sums whose limbs were written as little-endian int64."""
        return cls(samples, np.frombuffer(limbs, "<i8").astype(np.int64).reshape(-1, _LIMBS))

    def merge(self, other: Means) -> Means:
        """Return the sums of both streams together."""
        return Means(self.samples + other.samples, self.limbs + other.limbs)

    def values(self) -> tuple[float, ...]:
        """Return the means, each the float64 nearest to the exact one."""
        return tuple(
            sum(int(digit) << (_LIMB * place) for place, digit in enumerate(row))
            / (self.samples << -_UNIT)
            for row in self.limbs
        )


def _row_means(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the mean of every row, float32; a row's does not depend on the rows beside it."""
    size = rows.shape[1]
    some = max(_BLOCK // size, 1)
    sums = [
        rows[start : start + some].astype(np.float64).sum(axis=1)
        for start in range(0, len(rows), some)
    ]
    return np.asarray(np.concatenate(sums) / size, np.float32)
