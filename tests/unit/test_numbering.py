"""Numbers of vertebrae from where they lie: right, or refused."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.findings import Refused
from cspine.stages.numbering import NUMBERED, Region, number_bodies
from cspine.transform import Points

NAMES = ("C1", *NUMBERED, "T2", "T3")
STEPS = (17, 24, 17, 16.5, 17, 18, 19, 20, 21)


def column() -> tuple[dict[str, Points], list[Region]]:
    """Return bodies of a neck that bends forward as one does, C1 to T3, and their regions."""
    heights = -np.cumsum([0, *STEPS])
    bent = 0.002 * (heights + 80) ** 2
    bodies = np.column_stack([0.02 * heights, bent, heights])
    regions: list[Region] = ["C" if name < "D" else "T" for name in NAMES]
    return dict(zip(NAMES, bodies, strict=True)), regions


def numbered(left: list[int]) -> bool:
    """Return whether those of the column are numbered, and check that it is rightly."""
    bodies, regions = column()
    centres = np.array([bodies[NAMES[place]] for place in left])
    try:
        found = number_bodies(centres, [regions[place] for place in left])
    except Refused:
        return False
    assert tuple(found) == NUMBERED
    assert all(np.array_equal(found[name], bodies[name]) for name in NUMBERED)
    return True


@given(st.permutations(range(len(NAMES))))
def test_a_whole_column_is_numbered_in_any_order(order: list[int]) -> None:
    assert numbered(order)


def test_what_lacks_a_numbered_body_is_refused_and_what_lacks_another_is_not() -> None:
    needed = {NAMES.index(name) for name in NUMBERED}
    for count in (1, 2, 3):
        for lost in combinations(range(len(NAMES)), count):
            left = [place for place in range(len(NAMES)) if place not in lost]
            assert numbered(left) == needed.issubset(left), lost


@pytest.mark.parametrize("near", NUMBERED[:-1])
def test_one_body_too_many_is_refused(near: str) -> None:
    bodies, regions = column()
    centres = [*bodies.values(), bodies[near] + (4, 2, -7)]
    with pytest.raises(Refused, match=r"six or seven|steps") as caught:
        number_bodies(np.array(centres), [*regions, regions[NAMES.index(near)]])
    assert caught.value.refusal.code == "MODEL_UNSURE"


def test_a_region_that_contradicts_the_steps_is_refused() -> None:
    bodies, regions = column()
    for place in range(1, NAMES.index("T1") + 1):
        other: list[Region] = [*regions]
        other[place] = "T" if other[place] == "C" else "C"
        with pytest.raises(Refused):
            number_bodies(np.array(list(bodies.values())), other)


def test_a_body_far_aside_is_refused() -> None:
    bodies, regions = column()
    bodies["C5"] = bodies["C5"] + (25, 0, 0)
    with pytest.raises(Refused, match="steps"):
        number_bodies(np.array(list(bodies.values())), regions)
