"""What a finite case set cannot exclude about the difference of two AUCs.

Two models that order nearly every (positive, negative) pair alike have a difference near 0 and a
standard error near 0: a certainty that rests on the few cases whose placement moved, if any did.
What no case showed may still happen to a patient yet to come. This is its bound, **fraction times
shift**, and an interval is never narrower:

*Fraction.* None of the ``n`` patients moved further than the furthest did, so the fraction that
would is at most ``1 - ((1 - level) / 2)**(1 / n)``, the Clopper-Pearson bound of 0 of ``n``. It is
the same whether 0, 1 or all patients moved at all: what was seen is in the standard error, and
this is about what was not. ``n`` counts the patients with a case of the class that has fewer, as
one swapped pair moves a case of either class and the classes together are no more trials than one.

*Shift.* The largest plausible shift of a placement: twice the largest that any case showed, which
is at least one rank, one patient of the opposite class, as less would not have shown. Placements,
like the AUC, know nothing of the scale of the scores.

**It takes for granted** that no patient's placement would move by more than twice the furthest
seen here, and that how many cases a patient gives says nothing of whether they move. **It does not
cover** a rare large change of which this set has no example (an image kind that it lacks, a level
lost altogether); models that order all cases alike are bounded by two ranks only.

The standard error may be zero although cases moved, as when the candidate gives one constant
score and the reference separates the classes, or when shifts cancel within every patient. Nothing
is known of the spread then. The fraction is that of the patients who moved, bounded above by
Clopper-Pearson, or the difference is bounded by Hoeffding's inequality (J Am Stat Assoc 1963;
58:13, two-sample U-statistics, with disjoint pairs of patients), whichever is less: the first is
close where few moved, the second where all did.
"""

from __future__ import annotations

import math

import numpy as np

from cspine_bench.metrics.clustering import ByClass, ClusteredCases
from cspine_bench.metrics.interval import tail
from cspine_bench.metrics.proportion import clopper_pearson_upper


def unseen_bound(cases: ClusteredCases, shift: float, *, level: float) -> float:
    """Bound what patients who move further than any seen add to the difference.

    Parameters
    ----------
    cases
        Whose patients were seen.
    shift
        What :func:`largest_shift` returns.
    level
        Two-sided; half of the rest is at either end.

    Raises
    ------
    ModelError
        If a class has cases of fewer than two clusters.
    """
    return shift * clopper_pearson_upper(0, min(cases.occupied), level=level)


def spreadless_bound(
    cases: ClusteredCases, change: ByClass, shift: float, *, level: float
) -> float:
    """Bound the difference where its standard error is zero, whether or not cases moved.

    Equals :func:`unseen_bound` if none did.

    Parameters
    ----------
    cases
        Whose placements are compared.
    change
        Placement under the candidate less that under the reference.
    shift, level
        As for :func:`unseen_bound`.

    Raises
    ------
    ModelError
        If a class has cases of fewer than two clusters.
    """
    moved = (
        np.unique(cases.positive[change.positive != 0.0]).size,
        np.unique(cases.negative[change.negative != 0.0]).size,
    )
    fraction = max(
        clopper_pearson_upper(some, all_, level=level)
        for some, all_ in zip(moved, cases.occupied, strict=True)
    )
    return min(fraction * shift, hoeffding_bound(cases.disjoint_pairs, span=2.0, level=level))


def largest_shift(cases: ClusteredCases, change: ByClass) -> float:
    """Return the largest plausible shift of a placement, in (0, 1].

    Parameters
    ----------
    cases
        Whose clusters say how much one rank is.
    change
        Placement under the candidate less that under the reference.

    Raises
    ------
    ModelError
        If a class has cases of fewer than two clusters.
    """
    seen = max(float(np.abs(change.positive).max()), float(np.abs(change.negative).max()))
    return min(1.0, 2.0 * max(seen, 1.0 / min(cases.occupied)))


def hoeffding_bound(pairs: int, *, span: float, level: float) -> float:
    """Return the half-width for a mean over pairs whose values lie within a range of ``span``."""
    return span * math.sqrt(-math.log(tail(level)) / (2 * pairs))
