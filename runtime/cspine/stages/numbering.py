"""Numbers of vertebral bodies that were found one by one along the column, told at both ends.

Above, C2 is told by its odontoid: the way from its middle to that of C3 is longer than to C1, and
1.3 to 1.5 times the steps below. Beneath, T1 is the first body that was taken for a thoracic one.
The two must agree. A body that was passed over, or one too many, makes them contradict each other
or leaves a step that no neighbours have, and the column is refused: a level is right, or there is
none.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from cspine.findings import Refused
from cspine.stages.row import is_bent
from cspine.transform import Points

Region = Literal["C", "T", "L"]

NUMBERED = ("C2", "C3", "C4", "C5", "C6", "C7", "T1")
# From C2 to C3, in the median of the steps from there to T1: 1.2 to 1.85 in CT. A body that was
# passed over doubles a step.
SHORTEST_ANCHOR, LONGEST_ANCHOR = 1.2, 1.9
# Neighbouring steps below C3, the longer in the shorter.
UNEVEN = 1.5


def number_bodies(centres: Points, regions: Sequence[Region]) -> dict[str, Points]:
    """Return the centres of C2 to T1 by name.

    Parameters
    ----------
    centres
        Shape (bodies, 3), millimetres in the patient (left, back, head), in any order. C1 may be
        among them; what lies below T1 does not matter.
    regions
        The part of the spine that each was taken for.

    Raises
    ------
    Refused
        ``MODEL_UNSURE`` if the bodies do not tell their numbers.
    """
    order = np.argsort(-centres[:, 2], kind="stable").tolist()
    cervical = 0
    while cervical < len(order) and regions[order[cervical]] == "C":
        cervical += 1
    above = cervical - NUMBERED.index("T1")  # how many bodies lie above C2
    if above not in (0, 1) or cervical == len(order) or regions[order[cervical]] != "T":
        raise _unsure("There are not six or seven cervical vertebrae and a thoracic one below.")
    placed = centres[order[: cervical + 1]]
    steps = [float(np.linalg.norm(lower - upper)) for upper, lower in pairwise(placed)]
    *atlas, anchor = steps[: above + 1]
    below = steps[above + 1 :]
    if (
        not SHORTEST_ANCHOR <= anchor / float(np.median(below)) <= LONGEST_ANCHOR
        or max(atlas, default=0.0) >= anchor
        or any(max(pair) > UNEVEN * min(pair) for pair in pairwise(below))
        or is_bent(placed[above:])
    ):
        raise _unsure("The steps from vertebra to vertebra are not those of C2 to T1.")
    return dict(zip(NUMBERED, placed[above:], strict=True))


def _unsure(reason: str) -> Refused:
    return Refused(
        "MODEL_UNSURE",
        reason,
        remedy="Check that the series shows the whole neck, C2 to T1, upright in the patient.",
    )
