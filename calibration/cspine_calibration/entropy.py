"""The range that loses the least information, by the Kullback-Leibler divergence.

Szymon Migacz, "8-bit Inference with TensorRT", GPU Technology Conference 2017: of the histogram of
magnitudes the first n bins are kept, for every n from the number of integer levels up. P is what is
kept, with all that is cut off in its last bin. Q is the same without, each run of bins that share a
level replaced by its mean over those bins that are not empty. The n with the least
``sum(P log(P / Q))``, both brought to a sum of 1, is taken; the largest, if several are equal.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cspine_calibration.histogram import BINS, Histogram

_HALF = BINS // 2


def entropy_threshold(histogram: Histogram, *, levels: int) -> float:
    """Return the magnitude at which clipping loses the least information.

    Parameters
    ----------
    histogram
        Of the tensor; negative numbers count by their magnitude.
    levels
        How many integers the magnitudes below the threshold are told apart by.
    """
    magnitudes = histogram.counts[_HALF:] + histogram.counts[_HALF - 1 :: -1]
    filled = np.flatnonzero(magnitudes)
    bins = magnitudes[: filled[-1] + 1].astype(np.float64)
    if bins.size <= levels:
        return bins.size * histogram.bin_width
    # Zeros are exact at every scale, and after a ReLU they would outweigh all else.
    bins[0] = bins[1]
    sizes = range(bins.size, levels - 1, -1)
    best = min(sizes, key=lambda size: _divergence(bins, size, levels))
    return best * histogram.bin_width


def _divergence(bins: npt.NDArray[np.float64], size: int, levels: int) -> float:
    kept = bins[:size]
    # Where P is empty it adds nothing, and Q is empty where what is kept is.
    filled = kept > 0
    level = np.arange(size) * levels // size
    sums = np.bincount(level, kept, minlength=levels)
    spread = np.bincount(level, filled, minlength=levels)
    cut = bins[size:].sum()
    if not filled.any() or (cut > 0 and not filled[-1]):
        return np.inf
    p = kept.copy()
    p[-1] += cut
    p, q = p[filled], (sums / np.maximum(spread, 1))[level][filled]
    return float(p @ np.log((p / p.sum()) / (q / q.sum()))) / float(p.sum())
