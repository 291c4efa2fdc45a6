"""Several tests at once: Holm's step-down, under which any false rejection is rare."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cspine.errors import ModelError


def holm_adjusted(p: ArrayLike) -> NDArray[np.float64]:
    """Return each p value as Holm's procedure leaves it.

    Parameters
    ----------
    p
        In [0, 1], shape (tests,), in any order; the tests may depend on each other in any way.

    Returns
    -------
    ndarray
        Shape (tests,), float64, in the same order: the least level for the family at which the
        test rejects, at most 1.

    Raises
    ------
    ModelError
        If the shape is another, or a value lies outside [0, 1], as that of a test that cannot be
        made does.

    Notes
    -----
    Holm, Scand J Stat 1979;6:65.

    Examples
    --------
    >>> holm_adjusted([0.01, 0.04, 0.03, 0.005]).round(3).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    values = np.asarray(p, np.float64)
    if values.ndim != 1 or not ((values >= 0.0) & (values <= 1.0)).all():
        raise ModelError(
            f"p values: got shape {values.shape} or a value outside [0, 1], expected (tests,) "
            "within: leave out a test that could not be made"
        )
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def holm_rejects(p: ArrayLike, *, alpha: float = 0.05) -> NDArray[np.bool_]:
    """Return which null hypotheses Holm's procedure rejects.

    Parameters
    ----------
    p
        As for :func:`holm_adjusted`.
    alpha
        The most that the probability of any false rejection may be.

    Raises
    ------
    ModelError
        As :func:`holm_adjusted`.
    ValueError
        If ``alpha`` is not strictly between 0 and 1.
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha: got {alpha}, expected a fraction between 0 and 1, such as 0.05")
    return np.asarray(holm_adjusted(p) <= alpha)
