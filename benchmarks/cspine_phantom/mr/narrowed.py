"""The canal that worn discs narrow level by level, and the grades that its geometry gives.

By the mid-sagittal plane of the canal, within `REACH_MM` of a disc along it:

- **lost** is the share of the subarachnoid space, front and back together, that is gone against the
  same canal before its discs were worn; the least gap that is always left counts as none.
- **flattened** is the share of the cord's thickness that is gone.

A level has grade 1 from `LOST`, grade 2 from `FLATTENED` and grade 3 where the cord is bright.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cspine_phantom.mr.grades import THRESHOLDS, Narrowing
from cspine_phantom.patients import LEVELS
from cspine_phantom.volume.canal import GAP_MM, Canal, Depth
from cspine_phantom.volume.column import Column
from cspine_phantom.volume.course import course

REACH_MM = 4.0

LOST = 0.5

FLATTENED = 0.1

_FREE = -2.6  # narrowness below which nothing is lost
_SLOPE = 0.14  # of the cord's thickness, lost for each deviation beyond grade 2
_FLATTEST = 0.5
_MOST_LOSS_MM = 14.0
_HALVINGS = 20
_BRIGHT, _BRIGHTER, _BRIGHTEST = 0.14, 0.12, 0.28  # half of it, in the cord's thickness
_BELOW_MM = (0.1, 0.6)  # what the thoracic discs take


@dataclass(frozen=True)
class Room:
    """What is left for the cord at the six levels; (6,) each, see the module.

    Attributes
    ----------
    bright
        Whether the cord is bright.
    """

    lost: Depth
    flattened: Depth
    bright: tuple[bool, ...]

    @property
    def grades(self) -> tuple[int, ...]:
        """The grades of the geometry, 0 to 3."""
        return tuple(
            3 if bright else 2 if flat > FLATTENED else 1 if lost > LOST else 0
            for lost, flat, bright in zip(self.lost, self.flattened, self.bright, strict=True)
        )


def narrowed(column: Column, narrowing: Narrowing, *, rng: np.random.Generator) -> Canal:
    """Return the canal of a column whose discs take what its narrowing says."""
    way = course(column)
    below = rng.uniform(*_BELOW_MM, 3)
    free = way.canal(np.zeros(9), np.zeros_like(way.along), rng=rng)
    wanted = np.array([_taken(*each) for each in zip(narrowing.narrowness, narrowing.steep,
                                                     strict=True)])  # fmt: skip

    def worn(loss: Depth) -> Canal:
        bulge, ligament = way.worn(np.concatenate([loss, below]))
        return replace(free, bulge=bulge, ligament=ligament)

    # What a level loses rises with what its disc takes, and with hardly anything else.
    least, most = np.zeros(len(LEVELS)), np.full(len(LEVELS), _MOST_LOSS_MM)
    for _ in range(_HALVINGS):
        middle = (least + most) / 2
        room = room_of(worn(middle), free)
        more = room.lost + room.flattened < wanted
        least, most = np.where(more, middle, least), np.where(more, most, middle)
    made = worn(most)
    return replace(made, oedema=_marks(made, narrowing, rng))


def room_of(canal: Canal, free: Canal) -> Room:
    """Return what is left at each level of a canal, against the `free` one that it was."""
    gap, thick = _spaces(canal)
    open_gap, _ = _spaces(free)
    lost, flat = 1 - gap / open_gap, 1 - thick / canal.cord
    near = [np.abs(canal.along - place) < REACH_MM for place in canal.discs[: len(LEVELS)]]
    return Room(
        lost=np.array([lost[each].max() for each in near]),
        flattened=np.array([flat[each].max() for each in near]),
        bright=tuple(
            any(abs(at - place) < 2 * REACH_MM for at, _ in canal.oedema)
            for place in canal.discs[: len(LEVELS)]
        ),
    )


def unworn(column: Column, canal: Canal) -> Canal:
    """Return a canal as it was before the discs of its column were worn."""
    bulge, ligament = course(column).worn(np.zeros(9))
    return replace(canal, bulge=bulge, ligament=ligament, oedema=())


def _spaces(canal: Canal) -> tuple[Depth, Depth]:
    """Return the space that could still be lost and the cord's thickness, along the midline."""
    sac, cord = canal.sac(0.0), canal.cord_at(0.0)
    thick = cord[1] - cord[0]
    gap: Depth = np.maximum(sac[1] - sac[0] - thick - 2 * GAP_MM, 0.0)
    return gap, thick


def _taken(narrowness: float, steep: float) -> float:
    """Return the sum of what is lost and flattened: at a threshold, what its grade begins with."""
    first, second = THRESHOLDS[:2]
    whole = 1.0 + FLATTENED  # the space is gone before the cord gives way
    taken = float(np.interp(narrowness, (_FREE, first, second), (0.0, LOST, whole)))
    return min(taken + max(narrowness - second, 0.0) * _SLOPE * steep, 1 + _FLATTEST)


def _marks(
    canal: Canal, narrowing: Narrowing, rng: np.random.Generator
) -> tuple[tuple[float, float], ...]:
    """Return where the cord is bright, and how much of it: the more, the narrower it is there."""
    off = rng.normal(0, 1.2, len(LEVELS)).clip(-3, 3)
    marks = []
    for index, value in enumerate(narrowing.narrowness):
        beyond = value - THRESHOLDS[2]
        if beyond > 0:
            part = min(_BRIGHT + _BRIGHTER * beyond, _BRIGHTEST)
            marks.append((float(canal.discs[index] + off[index]), part))
    return tuple(marks)
