"""The compression ratio: what is measured, what is not believed, and what is said."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.cord import CORD
from cspine.findings import Source, Spacing, Withheld
from cspine.image import Image
from cspine.spec import Ratio
from cspine.stages.axial import Cut, Cuts
from cspine.stages.cord import Cords
from cspine.stages.landmarks import Placed
from cspine.stages.ratio import NAME, SMALLEST, Compressed, compression, implausible
from cspine.transform import Points

STAGE = Ratio(
    id="ratio",
    points_from="cord",
    minimum_ap_mm=2.0,
    maximum_ap_mm=12.0,
    minimum_transverse_mm=7.0,
    maximum_transverse_mm=18.0,
)
SPACING = (0.6, 0.4)
ENDS = {"front": (0, -3.5), "back": (0, 3.5), "left": (6.5, 0), "right": (-6.5, 0)}


def cord(
    ap: float = 7.0,
    transverse: float = 13.0,
    *,
    turn_deg: float = 0,
    at: tuple[float, float] = (40, 50),
) -> dict[str, Points]:
    """Return the ends of a cord's diameters in millimetres, in pixels of a slice."""
    turn = np.radians(turn_deg)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    scale = np.array([transverse / 13, ap / 7])
    return {
        name: (matrix @ (np.array(end) * scale)) / (SPACING[1], SPACING[0]) + at
        for name, end in ENDS.items()
    }


def source(number: int) -> Source:
    return Source(study_uid="1", series_uid="1.2", instance_uid=f"1.2.{number}", pixels="ab" * 32)


def compressed(cords: Mapping[str, dict[str, Points]], *withheld: Withheld) -> Compressed:
    spacing = Spacing(row_mm=SPACING[0], column_mm=SPACING[1], flag="calibrated")
    images = [
        Image(np.zeros((90, 90), np.float32), spacing, source=source(number))
        for number in range(len(cords) + 1)
    ]
    cuts = tuple(
        Cut(level, number, np.zeros(2), 3.21) for number, level in enumerate(cords, start=1)
    )
    placed = tuple(Placed(points, dict.fromkeys(CORD, 0.9)) for points in cords.values())
    return compression(Cords(Cuts(cuts, withheld), placed), images, STAGE)


def test_every_level_has_its_ratio_and_the_smallest_is_said_again() -> None:
    found = compressed({"C4/5": cord(7.0), "C5/6": cord(4.0), "C6/7": cord(6.0)})
    assert [(each.name, each.level, each.value) for each in found.measurements] == [
        (f"{NAME} C4/5", "C4/5", 0.538),
        (f"{NAME} C5/6", "C5/6", 0.308),
        (f"{NAME} C6/7", "C6/7", 0.462),
        (SMALLEST, "C5/6", 0.308),
    ]
    assert found.shown == 2
    assert not found.withheld
    smallest = found.measurements[-1]
    assert (smallest.unit, smallest.tilt_deg, smallest.calibration) == ("1", 3.2, None)
    assert smallest.source == source(2)
    assert smallest.definition.startswith("the lowest of 3 levels")
    # From front to back, then from the patient's right to the left.
    np.testing.assert_allclose(
        smallest.lines_px, [((40, 46.67), (40, 53.33)), ((23.75, 50), (56.25, 50))], atol=0.01
    )


def test_what_is_withheld_stands_from_the_head_down_with_its_reason() -> None:
    unseen = {name: at for name, at in cord().items() if name != "left"}
    gone = Withheld(label="C2/3", code="INCOMPLETE_SET", reason="There is no slice.")
    found = compressed({"C6/7": unseen, "C4/5": cord(1.5), "C5/6": cord()}, gone)
    assert [(item.label, item.code) for item in found.withheld] == [
        (f"{NAME} C2/3", "INCOMPLETE_SET"),
        (f"{NAME} C4/5", "MODEL_UNSURE"),
        (f"{NAME} C6/7", "MODEL_UNSURE"),
    ]
    assert found.withheld[2].reason == "Not seen with confidence: left of the cord."
    assert [each.name for each in found.measurements] == [f"{NAME} C5/6", SMALLEST]
    assert found.measurements[-1].definition.startswith("the lowest of 1 level,")


def test_without_a_ratio_none_is_the_smallest() -> None:
    found = compressed({"C4/5": cord(30)})
    assert (found.measurements, found.shown, len(found.withheld)) == ((), None, 1)


@given(
    ap=st.floats(2.1, 11.9),
    transverse=st.floats(7.1, 17.9),
    turn=st.floats(-44, 44),
    at=st.tuples(st.floats(0, 80), st.floats(0, 80)),
)
def test_a_cord_is_one_wherever_it_lies(
    ap: float, transverse: float, turn: float, at: tuple[float, float]
) -> None:
    assert implausible(cord(ap, transverse, turn_deg=turn, at=at), SPACING, STAGE) == ""


@pytest.mark.parametrize(("ap", "transverse"), [(1.9, 13), (12.1, 13), (7, 6.9), (7, 18.1)])
def test_diameters_of_no_cord_are_not_believed(ap: float, transverse: float) -> None:
    told = implausible(cord(ap, transverse), SPACING, STAGE)
    assert told == "The diameters found are not those of a cord."


SWAPPED = {"back": "front", "front": "back", "left": "left", "right": "right"}


@pytest.mark.parametrize(
    "points",
    [
        {SWAPPED[name]: at for name, at in cord().items()},
        {{"left": "right", "right": "left"}.get(name, name): at for name, at in cord().items()},
        cord(turn_deg=50),
        cord(turn_deg=180),
        {**cord(), "front": cord()["front"] + (25, 0), "back": cord()["back"] + (25, 0)},
        {**cord(), "left": cord()["left"] + (-14, -9), "right": cord()["right"] + (14, 9)},
        dict.fromkeys(CORD, np.array([40.0, 50.0])),
    ],
    ids=["upside down", "mirrored", "turned", "over", "aside", "askew", "one point"],
)
def test_ends_in_no_order_are_not_believed(points: dict[str, Points]) -> None:
    told = implausible(points, SPACING, STAGE)
    assert told == "The ends of the cord's diameters lie in no order that they can have."
