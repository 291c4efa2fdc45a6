"""Points to values: published digits, what is withheld and why, what is refused."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cspine.findings import Refused, Spacing
from cspine.image import Image
from cspine.spec import Measure, Sign
from cspine.stages.landmarks import Placed
from cspine.stages.measure import Measured, measure
from cspine.transform import Points
from test_geometry import NECK as VECTOR

STAGE = Measure(
    id="measure",
    points_from="landmarks",
    c0_line="McGregor",
    c2_reference="lower endplate midpoint",
    minimum_depth_mm=8.0,
    maximum_depth_mm=30.0,
    contradiction_percent=5.0,
    contradiction_deg=5.0,
)
HIDDEN = Sign(
    label="C7 hidden",
    code="NOT_VISIBLE",
    threshold=0.5,
    reason="The shoulders hide C7.",
    remedy="Pull them down.",
    withholds_from="C6",
)
NECK: Mapping[str, Points] = {name: np.array(point, float) for name, point in VECTOR.items()}
NAMES = ["Borden", "CCI", "CCL", "C0-C7", "C1-C7", "C2-C7"]


def image(*, flag: str = "calibrated", facing: str | None = None) -> Image:
    spacing = msgspec.convert({"row_mm": 0.2, "column_mm": 0.2, "flag": flag}, Spacing)
    return Image(np.zeros((1100, 1000), np.float32), spacing, facing=facing)  # type: ignore[arg-type]


def measured(
    points: Mapping[str, Points], *, signs: tuple[Sign, ...] = (), stage: Measure = STAGE
) -> Measured:
    placed = Placed(points, dict.fromkeys(NECK, 1.0))
    return measure(placed, image(), signs=signs, stage=stage)


def values(found: Measured) -> dict[str, float]:
    return {each.name: each.value for each in found.measurements}


def test_the_published_vector() -> None:
    found = measured(NECK)
    expected = [5.13, 19.16, 20.81, 21.60, 33.18, 21.89]
    assert values(found) == dict(zip(NAMES, expected, strict=True))
    assert [each.unit for each in found.measurements] == ["mm", "%", "deg", "deg", "deg", "deg"]
    assert (found.facing, found.withheld, found.notes) == ("left", (), ())
    calibrations = [each.calibration for each in found.measurements]
    assert calibrations == ["calibrated", None, None, None, None, None]


def test_the_other_lines_are_said_in_the_result() -> None:
    other = msgspec.structs.replace(STAGE, c0_line="foramen magnum", c2_reference="body centroid")
    found = measured(NECK, stage=other)
    assert (values(found)["C0-C7"], values(found)["CCL"]) == (26.92, 17.42)
    told = {each.name: each.definition for each in found.measurements}
    assert told["C0-C7"].startswith("foramen magnum")
    assert told["CCL"].startswith("centroid of C2")
    assert {each.name: each.definition for each in measured(NECK).measurements} != told


def test_a_mirrored_film_gives_the_same_and_faces_the_other_way() -> None:
    mirrored = {name: np.array([1000 - x, y]) for name, (x, y) in NECK.items()}
    found = measured(mirrored)
    assert values(found) == values(measured(NECK))
    assert found.facing == "right"


@settings(max_examples=30, deadline=None)
@given(turn=st.floats(-25, 25), size=st.floats(0.8, 1.25))
def test_the_lines_are_where_the_values_come_from(turn: float, size: float) -> None:
    angle = np.radians(turn)
    matrix = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([500.0, 650.0])
    found = measured({name: matrix @ (p - middle) + middle for name, p in NECK.items()})
    for each in found.measurements:
        drawn = np.array(each.lines_px) * 0.2
        ways = drawn[:, 1] - drawn[:, 0]
        if each.unit == "deg":
            cross = ways[0][0] * ways[1][1] - ways[0][1] * ways[1][0]
            assert abs(np.degrees(np.arctan2(cross, ways[0] @ ways[1]))) == pytest.approx(
                abs(each.value), abs=0.2
            )
        else:
            depths = np.linalg.norm(ways[1:], axis=1)
            whole = np.linalg.norm(ways[0])
            told = depths.sum() * (100 / whole if each.unit == "%" else 1)
            assert told == pytest.approx(abs(each.value), abs=0.05)
            assert ways[1:] @ ways[0] == pytest.approx(np.zeros(len(depths)), abs=0.05 * whole)


def test_a_hidden_c7_withholds_all_six_and_keeps_what_is_seen() -> None:
    found = measured(NECK, signs=(HIDDEN,))
    assert found.measurements == ()
    assert [item.label for item in found.withheld] == NAMES
    assert {(item.code, item.reason) for item in found.withheld} == {
        ("NOT_VISIBLE", "The shoulders hide C7.")
    }
    assert "C5AI" in found.placed.points
    assert not {"C6AS", "C7PI", "T1AS"} & found.placed.points.keys()


def test_a_point_that_is_not_seen_withholds_what_needs_it() -> None:
    found = measured({name: point for name, point in NECK.items() if name != "HP"})
    (item,) = found.withheld
    assert (item.label, item.code, item.reason) == (
        "C0-C7",
        "MODEL_UNSURE",
        "Not seen with confidence: HP.",
    )
    assert len(found.measurements) == 5


def test_corners_in_no_order_are_not_believed() -> None:
    turned = dict(NECK)
    turned["C5AI"], turned["C5PI"] = turned["C5PI"], turned["C5AI"]
    found = measured(turned)
    assert "C5AS" not in found.placed.points
    assert [item.label for item in found.withheld] == ["Borden", "CCI"]
    assert {item.code for item in found.withheld} == {"MODEL_UNSURE"}
    assert "in no order" in found.withheld[0].reason
    assert values(found)["C2-C7"] == 21.89


def test_a_line_of_the_skull_that_points_back_is_not_believed() -> None:
    turned = {**NECK, "HP": NECK["OC"], "OC": NECK["HP"]}
    assert [item.label for item in measured(turned).withheld] == ["C0-C7"]


@pytest.mark.parametrize("facing", ["left", "right"])
def test_a_header_that_contradicts_the_image_is_refused(facing: str) -> None:
    placed = Placed(NECK, dict.fromkeys(NECK, 1.0))
    if facing == "left":
        assert measure(placed, image(facing=facing), signs=(), stage=STAGE).facing == "left"
        return
    with pytest.raises(Refused) as caught:
        measure(placed, image(facing=facing), signs=(), stage=STAGE)
    assert caught.value.refusal.code == "ORIENTATION_CONFLICT"


def refusal(points: Mapping[str, Points]) -> str:
    with pytest.raises(Refused) as caught:
        measured(points)
    return caught.value.refusal.code


def test_an_image_that_is_upside_down_is_refused() -> None:
    assert refusal({n: np.array([1000 - x, 1300 - y]) for n, (x, y) in NECK.items()}) == (
        "ORIENTATION_CONFLICT"
    )


def test_without_its_anchor_nothing_is_numbered() -> None:
    assert refusal({n: p for n, p in NECK.items() if n != "C2PI"}) == "MODEL_UNSURE"


def test_a_number_passed_over_is_refused() -> None:
    """What is taken for C4 and below is the body beneath it."""
    lower = {f"C{n}{end}": NECK[f"C{n + 1}{end}"] for n in range(4, 7) for end in ENDS}
    kept = {n: p for n, p in NECK.items() if not n.startswith("C7")}
    assert refusal({**kept, **lower}) == "MODEL_UNSURE"


ENDS = ("AS", "PS", "AI", "PI")


def test_bodies_of_no_size_are_refused() -> None:
    small = {n: np.array([500, 650]) + (p - np.array([500, 650])) * 0.4 for n, p in NECK.items()}
    assert refusal(small) == "MODEL_UNSURE"


def test_opposite_signs_are_noted() -> None:
    """The row bends back (CCI), and only the lower endplate of C2 says otherwise."""
    bent = {
        name: point + np.array([60 * np.sin((point[1] - 540) / 490 * np.pi), 0])
        for name, point in NECK.items()
    }
    found = measured(bent)
    index, angle = values(found)["CCI"], values(found)["C2-C7"]
    assert (index < -5, angle > 5) == (True, True), (index, angle)
    (note,) = found.notes
    assert "opposite sign" in note
