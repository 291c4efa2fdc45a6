"""Zeros and ones: the truth, a decision or a success, one a case."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError


def as_binary(values: ArrayLike, *, name: str) -> NDArray[np.bool_]:
    """Return one boolean a case, ``True`` for the positive class.

    Parameters
    ----------
    values
        Booleans or numbers that are all 0 or 1, shape (cases,).
    name
        What the message calls them.

    Raises
    ------
    ModelError
        If the shape or a value is another.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise ModelError(f"{name}: got shape {array.shape}, expected (cases,)")
    if not np.isin(array, (0, 1)).all():
        raise ModelError(f"{name}: got a value that is neither 0 nor 1, expected 1 for positive")
    return array.astype(np.bool_)
