"""Scales in the type of the file that holds them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def storable(scales: npt.ArrayLike, *, half: bool) -> npt.NDArray[np.float32]:
    """Return scales as float32; of an FP16 file, the smallest FP16 numbers that are no smaller.

    Rounding up clips nothing, and integers that are made with the rounded scale are exact in it.
    FP16's subnormal numbers are used: no runtime computes with a scale that is a constant before
    it has widened it.

    Parameters
    ----------
    scales
        Any shape, above zero, at most 65504 if ``half``.
    """
    single = np.asarray(scales, np.float32)
    if not half:
        return single
    nearest = single.astype(np.float16)
    with np.errstate(over="ignore"):  # of the largest, which is not taken
        above = np.nextafter(nearest, np.float16(np.inf))
    return np.where(nearest < single, above, nearest).astype(np.float32)
