"""Intraclass correlation: how alike readers measure the same patients, in its six forms.

========  ==========================================================================================
``1``     each patient measured by readers of his own
``2``     the same readers for all, who stand for all readers: what one adds to every patient is
          disagreement ("A", absolute agreement). Model against reference is this one, ``2,1``
``3``     the same readers for all, and no others meant: what one adds to every patient is none
          ("C", consistency)
``,1``    of a single measurement
``,k``    of the mean of the ``k``
========  ==========================================================================================

Shrout & Fleiss, Psychol Bull 1979;86:420; intervals by McGraw & Wong, Psychol Methods 1996;1:30.
Pooling unlike parameters, of which one is of 30 degrees and another of 3, raises the correlation
and says nothing of either: give it one parameter at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from cspine.errors import ModelError
from cspine_bench.metrics.distributions import f_quantile
from cspine_bench.metrics.interval import Interval, tail

Form = Literal["1,1", "2,1", "3,1", "1,k", "2,k", "3,k"]


def icc(ratings: ArrayLike, *, form: Form) -> float:
    """Return the intraclass correlation.

    Parameters
    ----------
    ratings
        Finite, shape (patients, readers), two or more of each; one measurement a patient, as
        several of one patient are not independent.
    form
        See the module.

    Returns
    -------
    float
        At most 1; below 0 if a patient's measurements differ more than those of patients do.

    Raises
    ------
    ModelError
        If the shape is another, a rating is not finite, or the ratings do not vary in a way
        that defines it.

    Notes
    -----
    The form of the mean is that of one measurement by Spearman and Brown's formula.
    """
    squares = _MeanSquares.of(ratings)
    return _of_form(squares.correlation(form), squares, form)


def icc_interval(ratings: ArrayLike, *, form: Form, level: float = 0.95) -> Interval:
    """Return the interval of :func:`icc` by the F distribution; exact for forms 1 and 3.

    Parameters
    ----------
    ratings, form
        As for :func:`icc`.
    level
        Nominal coverage.

    Raises
    ------
    ModelError
        As :func:`icc`, or if the readers do not disagree at all, which leaves the interval no
        width, or if the lower limit of ``2,k`` is one that no mean can have: a few patients who
        hardly differ.
    ValueError
        If ``level`` is not strictly between 0 and 1.

    Notes
    -----
    McGraw & Wong, table 7; the degrees of freedom of form 2 are Satterthwaite's.
    """
    upper = 1.0 - tail(level)
    squares = _MeanSquares.of(ratings)
    one = squares.correlation(form)
    error = squares.within if form[0] == "1" else squares.residual
    if error == 0.0:
        raise ModelError(
            f"ICC({form}): got ratings between which no disagreement is left, expected some: the "
            "interval would be a point"
        )
    n, k = squares.patients, squares.readers
    if form[0] == "2":
        freedom = squares.satterthwaite(one)
        above, below = f_quantile(upper, n - 1, freedom), f_quantile(upper, freedom, n - 1)
        spread = k * squares.readers_mean + (k * n - k - n) * error
        low = n * (squares.between - above * error) / (above * spread + n * squares.between)
        high = n * (below * squares.between - error) / (spread + n * below * squares.between)
    else:
        freedom = n * (k - 1) if form[0] == "1" else (n - 1) * (k - 1)
        ratio = squares.between / error
        least = ratio / f_quantile(upper, n - 1, freedom)
        most = ratio * f_quantile(upper, freedom, n - 1)
        low, high = ((f - 1.0) / (f + k - 1.0) for f in (least, most))
    return Interval(_of_form(low, squares, form), _of_form(high, squares, form), level)


@dataclass(frozen=True)
class _MeanSquares:
    """The two-way analysis of variance: mean squares, in the squared unit of the ratings."""

    patients: int
    readers: int
    between: float  # patients
    within: float  # readers and residual together
    readers_mean: float
    residual: float

    @classmethod
    def of(cls, ratings: ArrayLike) -> _MeanSquares:
        x = np.asarray(ratings, dtype=np.float64)
        if x.ndim != 2 or min(x.shape) < 2:
            raise ModelError(
                f"ratings: got shape {x.shape}, expected (patients, readers), two or more of each"
            )
        if not np.isfinite(x).all():
            raise ModelError("ratings: got one that is not finite, expected finite ratings")
        n, k = x.shape
        centred = x - x.mean()
        patients, readers = centred.mean(axis=1), centred.mean(axis=0)
        # What rounding leaves of ratings that do not differ is no variance.
        noise = x.size * (8.0 * np.finfo(np.float64).eps * float(np.abs(x).max())) ** 2

        def square(values: ArrayLike) -> float:
            total = float(np.sum(np.square(values)))
            return total if total > noise else 0.0

        return cls(
            patients=n,
            readers=k,
            between=k * square(patients) / (n - 1),
            within=square(centred - patients[:, None]) / (n * (k - 1)),
            readers_mean=n * square(readers) / (k - 1),
            residual=square(centred - patients[:, None] - readers) / ((n - 1) * (k - 1)),
        )

    def correlation(self, form: Form) -> float:
        """Return the correlation of a single measurement."""
        n, k = self.patients, self.readers
        error = self.within if form[0] == "1" else self.residual
        spread = self.between + (k - 1) * error
        if form[0] == "2":
            spread += k * (self.readers_mean - error) / n
        if spread <= 0.0:
            raise ModelError(
                f"ICC({form}): got ratings that vary neither between patients nor enough between "
                "readers to define it; add patients"
            )
        return (self.between - error) / spread

    def satterthwaite(self, correlation: float) -> float:
        """Return the degrees of freedom of the denominator of form 2.

        They lie between those of its two terms; a correlation below 0 has no such term, and gets
        the fewer.
        """
        n, k = self.patients, self.readers
        # McGraw & Wong's a and b, both multiplied by n (1 - correlation), which may be zero.
        a = k * correlation * self.readers_mean
        b = (n * (1.0 - correlation) + k * correlation * (n - 1)) * self.residual
        terms = a**2 / (k - 1) + b**2 / ((n - 1) * (k - 1))
        return max(k - 1.0, (a + b) ** 2 / terms) if terms else k - 1.0


def _of_form(one: float, squares: _MeanSquares, form: Form) -> float:
    """Return what a correlation of one measurement is in the form asked for."""
    if form.endswith("1"):
        return one
    k = squares.readers
    room = 1.0 + (k - 1) * one
    if room <= 0.0:
        raise ModelError(
            f"ICC({form}): got patients that differ less than their measurements allow for, "
            "expected some difference between them; add patients"
        )
    return k * one / room
