"""Agreement of two ways to measure: the bias, and the limits that most differences lie within."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cspine.errors import ModelError
from cspine_bench.metrics.distributions import t_quantile
from cspine_bench.metrics.interval import Interval, normal_quantile


@dataclass(frozen=True)
class LimitsOfAgreement:
    """Bias and limits, predicted less reference, in the unit of both.

    Attributes
    ----------
    bias
        Mean of the differences.
    sd
        Their standard deviation, ddof 1.
    lower, upper
        Between which, if differences are normal, the share of cases asked for lies.
    bias_interval, lower_interval, upper_interval
        What the number of cases leaves open of each.
    """

    bias: float
    sd: float
    lower: float
    upper: float
    bias_interval: Interval
    lower_interval: Interval
    upper_interval: Interval


def limits_of_agreement(
    reference: ArrayLike, predicted: ArrayLike, *, share: float = 0.95, level: float = 0.95
) -> LimitsOfAgreement:
    """Return the bias of a measurement and its limits of agreement with a reference.

    Parameters
    ----------
    reference, predicted
        Finite, shape (patients,), three or more; one a patient, as several of one are not
        independent (:func:`~cspine_bench.metrics.bootstrap.bootstrap_interval` takes them).
    share
        Of the differences that the limits are to hold.
    level
        Nominal coverage of the intervals.

    Raises
    ------
    ModelError
        If the shapes differ, the patients are fewer than three, a value is not finite, or the
        differences are all equal, which leaves no limits to give.
    ValueError
        If ``share`` or ``level`` is not strictly between 0 and 1.

    Notes
    -----
    Bland & Altman, Stat Methods Med Res 1999;8:135: the variance of a limit is
    ``sd**2 (1 / n + z**2 / (2 (n - 1)))``, which their Lancet paper of 1986 rounds to
    ``3 sd**2 / n``; Student's t with ``n - 1`` degrees of freedom. No test of zero bias is given:
    not to find one is no agreement.
    """
    a, b = np.asarray(reference, np.float64), np.asarray(predicted, np.float64)
    if a.ndim != 1 or a.shape != b.shape or a.size < 3:
        raise ModelError(
            f"predicted: got shapes {a.shape} of reference and {b.shape}, expected (patients,) "
            "twice, three or more"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ModelError("predicted: got a value that is not finite, expected finite values")
    difference, n = b - a, a.size
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    # Differences that are equal but for the rounding of what they are differences of.
    if sd <= 8.0 * np.finfo(np.float64).eps * float(max(np.abs(a).max(), np.abs(b).max())):
        raise ModelError(
            f"predicted: got {n} equal differences from the reference, expected some spread: "
            "limits of agreement would be a point"
        )
    z, t = normal_quantile(share), t_quantile(level, n - 1)
    of_bias = t * sd / math.sqrt(n)
    of_limit = t * sd * math.sqrt(1.0 / n + z**2 / (2 * (n - 1)))
    lower, upper = bias - z * sd, bias + z * sd
    return LimitsOfAgreement(
        bias=bias,
        sd=sd,
        lower=lower,
        upper=upper,
        bias_interval=Interval(bias - of_bias, bias + of_bias, level),
        lower_interval=Interval(lower - of_limit, lower + of_limit, level),
        upper_interval=Interval(upper - of_limit, upper + of_limit, level),
    )
