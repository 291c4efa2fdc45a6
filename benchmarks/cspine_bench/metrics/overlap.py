"""Overlap of two segmentations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cspine.errors import ModelError


def dice(a: NDArray[np.uint8], b: NDArray[np.uint8], *, labels: Iterable[int]) -> dict[int, float]:
    """Return the Dice coefficient of each label, ``2 |A and B| / (|A| + |B|)``.

    Parameters
    ----------
    a, b
        Label maps of one shape, any number of axes, uint8; which is the reference is no matter.
        Neither is changed.
    labels
        The labels to compare, 0 to 255. Name the background only if it is meant to count.

    Returns
    -------
    dict
        Label to a value in [0, 1], in the order given; ``nan`` for a label that neither map
        shows: an absent structure that is rightly absent is no evidence of overlap.

    Raises
    ------
    ModelError
        If a map is not uint8, the shapes differ, or a label cannot occur in such a map.

    Notes
    -----
    Dice, Ecology 1945;26:297. Twice the intersection over both, so the F1 of the voxels.
    """
    if a.dtype != np.uint8 or b.dtype != np.uint8:
        raise ModelError(f"label maps: got {a.dtype} and {b.dtype}, expected uint8")
    if a.shape != b.shape:
        raise ModelError(f"label maps: got shapes {a.shape} and {b.shape}, expected one shape")
    return {label: _dice_of(a, b, label) for label in labels}


def mean_dice(per_label: Mapping[int, float]) -> float:
    """Return the mean over the labels that either map shows.

    Parameters
    ----------
    per_label
        What :func:`dice` returns.

    Returns
    -------
    float
        ``nan`` if no label is shown.
    """
    shown = [value for value in per_label.values() if not math.isnan(value)]
    return math.fsum(shown) / len(shown) if shown else math.nan


def overlaps_most(
    found: NDArray[np.uint8], truth: NDArray[np.uint8], *, label: int, labels: Sequence[int]
) -> int | None:
    """Return the true structure that a structure found covers most of.

    Parameters
    ----------
    found, truth
        Label maps of one shape, uint8. Neither is changed.
    label
        The structure found.
    labels
        The structures that it may be; of several covered alike, the one named first.

    Returns
    -------
    int or None
        One of ``labels``, or ``None`` if none of their pixels is covered: the structure was
        found where there is none.
    """
    covered = np.bincount(truth[found == label], minlength=256)[list(labels)]
    return labels[int(covered.argmax())] if covered.any() else None


def _dice_of(a: NDArray[np.uint8], b: NDArray[np.uint8], label: int) -> float:
    if not 0 <= label <= 255:
        raise ModelError(f"label {label}: a uint8 map holds 0 to 255")
    # Masks are compared a label at a time: a joint histogram would widen a volume eightfold.
    in_a, in_b = a == label, b == label
    both = int(np.count_nonzero(in_a)) + int(np.count_nonzero(in_b))
    return 2 * int(np.count_nonzero(in_a & in_b)) / both if both else math.nan
