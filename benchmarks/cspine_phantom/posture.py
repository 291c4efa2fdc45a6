"""How a neck is held: bent as its patient stands, for a film, and as he lies, for a scanner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Posture = Literal["lordotic", "straight", "kyphotic", "forward head"]

Spread = tuple[float, float]
"""A mean and a standard deviation, in degrees."""


@dataclass(frozen=True)
class Curve:
    """How a neck is bent.

    Attributes
    ----------
    lordosis_deg
        Of the lower endplate of C2 against that of T1, lordosis positive.
    t1_slope_deg
        How far T1 leans forward.
    """

    lordosis_deg: float
    t1_slope_deg: float


@dataclass(frozen=True)
class Stance:
    """How one neck is held; angles are in degrees.

    Attributes
    ----------
    standing, lying
        The neck on a film, and in a scanner.
    gaze_deg
        How far the head is tipped back on the axis.
    tilt_deg
        How far all of the patient leans on the film.
    incidence_deg
        How far the odontoid leans back of what the lower endplate of C2 is perpendicular to.
    """

    posture: Posture
    standing: Curve
    lying: Curve
    gaze_deg: float
    tilt_deg: float
    incidence_deg: float


@dataclass(frozen=True)
class _Kind:
    """How many necks are held so, and the spread of their angles: lordosis, then slope of T1."""

    posture: Posture
    share: float
    gaze_deg: Spread
    lying: tuple[Spread, Spread]
    standing: tuple[Spread, Spread]


# Two in three necks are lordotic, and the mean angle of C2 and C7 of those who stand lies between
# the 6.6 and 18.8 degrees that Guo et al. (2018) give as the interval of the mean; single series
# spread by 12 degrees and more. A straight neck stands on a flat T1, a forward head on a steep one
# and looks up from it. Who lies is bent less.
_KINDS = (
    _Kind("lordotic", 0.52, (0, 4), ((20, 5.5), (25, 4.5)), ((26, 9), (31, 4))),
    _Kind("straight", 0.20, (1, 4), ((5, 2.5), (19, 4)), ((7, 3), (20, 4))),
    _Kind("kyphotic", 0.12, (4, 4), ((-7, 4), (15, 3.5)), ((-16, 9), (10, 3.5))),
    _Kind("forward head", 0.16, (10, 4), ((12, 4.5), (32, 3.5)), ((14, 8), (33, 3.5))),
)
_SHARES = np.cumsum([kind.share for kind in _KINDS])[:-1]

_FOLLOWS = 0.6
"""Part of what a standing neck is bent more than its like by which T1 leans more."""

# Lee, Hyun and Kim (2022) found 17.7 ± 3.7; with the odontoid's own shape it is 19 here.
_INCIDENCE_DEG = (16.0, 3.7)


def draw_stance(rng: np.random.Generator) -> Stance:
    """Draw how a neck is held: who is bent more standing is bent more lying, too."""
    kind = _KINDS[int(np.searchsorted(_SHARES, rng.random(), side="right"))]
    bend, slope, gaze = (_apart(rng) for _ in range(3))
    return Stance(
        posture=kind.posture,
        standing=_curve(kind.standing, bend, slope, follows=_FOLLOWS),
        lying=_curve(kind.lying, bend, slope, follows=0.0),
        gaze_deg=_at(kind.gaze_deg, gaze),
        tilt_deg=float(np.clip(rng.normal(0, 4), -9, 9)),
        incidence_deg=_at(_INCIDENCE_DEG, _apart(rng)),
    )


def _apart(rng: np.random.Generator) -> float:
    """Draw how many standard deviations a patient is from the mean: at most two and a half."""
    return float(np.clip(rng.standard_normal(), -2.5, 2.5))


def _at(spread: Spread, apart: float) -> float:
    mean, deviation = spread
    return mean + deviation * apart


def _curve(spreads: tuple[Spread, Spread], bend: float, slope: float, *, follows: float) -> Curve:
    lordosis, t1_slope = spreads
    return Curve(_at(lordosis, bend), _at(t1_slope, slope) + follows * lordosis[1] * bend)
