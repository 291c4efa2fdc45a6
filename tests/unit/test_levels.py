from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cspine.findings import Refused, Withheld
from cspine.image import Facing
from cspine.spec import Levels, PipelineSpec, Segment
from cspine.stages.levels import Spine, find_spine, level_names
from cspine.transform import rounded, scaling

Labels = npt.NDArray[np.uint8]
Draw = Callable[[Facing], Labels]

C2, C3, C4, C6, C7, T1, POSTERIOR = 1, 2, 3, 5, 6, 7, 8
LEVELS = ("C2/3", "C3/4", "C4/5", "C5/6", "C6/7", "C7/T1")
FACINGS: tuple[Facing, Facing] = ("left", "right")


@pytest.fixture(scope="module")
def find(spec: PipelineSpec) -> Callable[..., Spine]:
    """Return ``find_spine`` with all that the shipped pipeline says, but for C2's height.

    The drawn necks are boxes without an odontoid; what that means is tested by itself.
    """

    def found(labels: Labels, *, facing: Facing | None = None, spacing_mm: float = 1) -> Spine:
        names: Sequence[str] = spec.only(Segment).labels
        stage = msgspec.structs.replace(spec.only(Levels), anchor_height=0.5)
        return find_spine(labels, names=names, spacing_mm=spacing_mm, stage=stage, facing=facing)

    return found


def without(labels: Labels, *gone: int) -> Labels:
    return np.where(np.isin(labels, gone), 0, labels).astype(np.uint8)


def test_levels_are_named_as_surgeons_name_them() -> None:
    assert level_names(["C2", "C3", "C4", "C5", "C6", "C7", "T1"]) == LEVELS
    assert level_names(["T1", "T2"]) == ("T1/T2",)


def test_points_of_a_result_are_hundredths() -> None:
    assert rounded([1.23456, -7]) == (1.23, -7.0)


@pytest.mark.parametrize("facing", FACINGS)
@pytest.mark.parametrize("stated", [True, False])
def test_a_whole_neck(
    draw_neck: Draw, find: Callable[..., Spine], facing: Facing, stated: bool
) -> None:
    spine = find(draw_neck(facing), facing=facing if stated else None)
    assert spine.facing == facing
    assert spine.withheld == ()
    assert [body.label for body in spine.bodies] == "C2 C3 C4 C5 C6 C7 T1".split()
    assert [disc.label for disc in spine.discs] == list(LEVELS)
    for number, (body, disc) in enumerate(zip(spine.bodies, spine.discs, strict=False)):
        assert body.centre.tolist() == [95.5, 39.5 + 18 * number]
        assert body.area_mm2 == 16 * 12
        # Midway between the last row of one body and the first of the next.
        assert disc.centre == pytest.approx([95.5, 48.5 + 18 * number])
        assert disc.down == pytest.approx([0, 1])


def test_the_disc_is_between_endplates_not_between_centres(
    draw_neck: Draw, find: Callable[..., Spine]
) -> None:
    labels = draw_neck("left")
    labels[46:50, 88:104] = C2  # C2 grows down to row 49; C3 starts at row 52
    disc = find(labels).discs[0]
    assert disc.centre[1] == pytest.approx(50.5, abs=0.5)


def test_a_slanting_neck_is_followed(draw_neck: Draw, find: Callable[..., Spine]) -> None:
    labels = draw_neck("left")
    for label in range(C3, T1 + 1):
        labels[34 + 18 * (label - 1) :, :] = np.roll(labels[34 + 18 * (label - 1) :, :], -6, axis=1)
    for disc in find(labels).discs:
        assert disc.down == pytest.approx(np.array([-6, 18]) / np.hypot(6, 18))
        assert np.linalg.norm(disc.down) == pytest.approx(1)


def test_lengths_are_millimetres(draw_neck: Draw, find: Callable[..., Spine]) -> None:
    coarse = find(draw_neck("left")[::2, ::2], spacing_mm=2.0)
    assert coarse.bodies[0].area_mm2 == 192
    assert coarse.discs[0].centre == pytest.approx([95, 48], abs=0.5)


def test_a_mirrored_neck_gives_mirrored_levels(draw_neck: Draw, find: Callable[..., Spine]) -> None:
    labels = draw_neck("left")
    labels[60:80] = np.roll(labels[60:80], 5, axis=1)
    spine, mirrored = find(labels), find(labels[:, ::-1])
    assert mirrored.facing == "right"
    for one, other in zip(spine.discs, mirrored.discs, strict=True):
        assert other.centre == pytest.approx([191 - one.centre[0], one.centre[1]])
        assert other.down == pytest.approx(one.down * [-1, 1])


def test_stray_islands_do_not_move_a_vertebra(draw_neck: Draw, find: Callable[..., Spine]) -> None:
    labels = draw_neck("left")
    clean = find(labels)
    labels[200:205, 10:15] = C4
    labels[5:8, 150:154] = C7
    spine = find(labels)
    assert [body.centre.tolist() for body in spine.bodies] == [
        body.centre.tolist() for body in clean.bodies
    ]


def test_vertebrae_are_reported_in_image_pixels(
    draw_neck: Draw, find: Callable[..., Spine]
) -> None:
    first, *_ = find(draw_neck("left")).vertebrae(scaling(4, 4))
    assert (first.label, first.area_mm2) == ("C2", 192.0)
    assert first.centre_px == (383.5, 159.5)


@pytest.mark.parametrize(
    ("gone", "withheld"),
    [((T1,), LEVELS[5:]), ((C7, T1), LEVELS[4:]), (tuple(range(C4, T1 + 1)), LEVELS[1:])],
)
def test_levels_below_the_last_vertebra_are_withheld(
    draw_neck: Draw, find: Callable[..., Spine], gone: tuple[int, ...], withheld: tuple[str, ...]
) -> None:
    spine = find(without(draw_neck("left"), *gone))
    assert tuple(disc.label for disc in spine.discs) == LEVELS[: 6 - len(withheld)]
    assert tuple(item.label for item in spine.withheld) == withheld
    assert {item.code for item in spine.withheld} == {"MODEL_UNSURE"}
    assert {item.reason for item in spine.withheld} == {"A vertebra of this level was not found."}


def hidden(*names: str) -> list[Withheld]:
    return [Withheld(label=name, code="NOT_VISIBLE", reason="It is hidden.") for name in names]


def told(spine: Spine) -> list[tuple[str, str]]:
    return [(item.label, item.code) for item in spine.withheld]


def test_a_spine_without_its_lowest_levels(draw_neck: Draw, find: Callable[..., Spine]) -> None:
    whole = find(draw_neck("left"))
    spine = whole.without(hidden(*LEVELS[4:]))
    assert spine.names == LEVELS[:4]
    # C6 stays, for C5/6 rests on it.
    assert [body.label for body in spine.bodies] == "C2 C3 C4 C5 C6".split()
    assert spine.withheld == tuple(hidden(*LEVELS[4:]))
    assert spine.facing == whole.facing
    assert whole.names == LEVELS


def test_a_spine_without_nothing_is_the_same(draw_neck: Draw, find: Callable[..., Spine]) -> None:
    whole = find(without(draw_neck("left"), T1))
    again = whole.without([])
    assert (again.bodies, again.discs, again.withheld) == (
        whole.bodies,
        whole.discs,
        whole.withheld,
    )


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        # Not found and hidden: the ground that explains the other is told.
        ((C7, T1), [("C6/7", "NOT_VISIBLE"), ("C7/T1", "NOT_VISIBLE")]),
        ((T1,), [("C6/7", "NOT_VISIBLE"), ("C7/T1", "NOT_VISIBLE")]),
        (
            (C6, C7, T1),
            [("C5/6", "MODEL_UNSURE"), ("C6/7", "NOT_VISIBLE"), ("C7/T1", "NOT_VISIBLE")],
        ),
    ],
)
def test_what_is_hidden_adds_to_what_was_not_found(
    draw_neck: Draw,
    find: Callable[..., Spine],
    gone: tuple[int, ...],
    expected: list[tuple[str, str]],
) -> None:
    spine = find(without(draw_neck("left"), *gone)).without(hidden("C6/7", "C7/T1"))
    assert told(spine) == expected
    assert spine.names == LEVELS[: 6 - len(expected)]
    assert len(spine.bodies) == len(spine.discs) + 1


def test_what_was_not_found_above_does_not_come_back(
    draw_neck: Draw, find: Callable[..., Spine]
) -> None:
    spine = find(without(draw_neck("left"), C7, T1)).without(hidden("C7/T1"))
    assert told(spine) == [("C6/7", "MODEL_UNSURE"), ("C7/T1", "NOT_VISIBLE")]


def refusal(find: Callable[..., Spine], labels: Labels, *, facing: Facing | None = None) -> str:
    """Return the code and reason with which a label map is refused."""
    with pytest.raises(Refused) as caught:
        find(labels, facing=facing)
    assert caught.value.refusal.remedy
    return f"{caught.value.refusal.code}: {caught.value.refusal.reason}"


UNANCHORED = "MODEL_UNSURE: C2 and C3, which anchor the numbering, cannot be found with confidence."


@pytest.mark.parametrize("gone", [(C2,), (C3,), (C2, C3), tuple(range(1, 9))])
def test_without_its_anchor_nothing_is_numbered(
    draw_neck: Draw, find: Callable[..., Spine], gone: tuple[int, ...]
) -> None:
    assert refusal(find, without(draw_neck("left"), *gone)) == UNANCHORED


def test_a_vertebra_too_small_to_be_one_is_not_seen(
    draw_neck: Draw, find: Callable[..., Spine]
) -> None:
    labels = draw_neck("left")
    labels[37:46, 88:104] = 0  # C2 keeps 48 mm²
    assert refusal(find, labels) == UNANCHORED
    labels = draw_neck("left")
    labels[145:154, 88:104] = 0  # and so does T1
    assert [item.label for item in find(labels).withheld] == ["C7/T1"]


@pytest.mark.parametrize(("gone", "name"), [((C4,), "C4"), ((C6,), "C6"), ((C4, C6), "C4")])
def test_a_gap_in_the_row_is_refused(
    draw_neck: Draw, find: Callable[..., Spine], gone: tuple[int, ...], name: str
) -> None:
    told = f"{name}, which lies between vertebrae that are seen, cannot be found with confidence."
    assert refusal(find, without(draw_neck("left"), *gone)) == f"MODEL_UNSURE: {told}"


@pytest.mark.parametrize(("odontoid", "numbered"), [(0, False), (6, False), (8, True), (14, True)])
def test_c2_is_told_by_its_odontoid(
    draw_neck: Draw, spec: PipelineSpec, odontoid: int, numbered: bool
) -> None:
    labels = draw_neck("left")
    labels[34 - odontoid : 34, 92:100] = C2
    segment: Segment = spec.only(Segment)
    stage: Levels = spec.only(Levels)

    def found() -> Spine:
        return find_spine(labels, names=segment.labels, spacing_mm=1, stage=stage, facing=None)

    if numbered:
        assert found().names == LEVELS
        return
    with pytest.raises(Refused, match="What was found as C2 lacks its height") as caught:
        found()
    assert caught.value.refusal.code == "MODEL_UNSURE"


@pytest.mark.parametrize("left", [0, 40])
def test_without_posterior_elements_front_and_back_are_unknown(
    draw_neck: Draw, find: Callable[..., Spine], left: int
) -> None:
    labels = without(draw_neck("left"), POSTERIOR)
    labels[40:44, 120 : 120 + left // 4] = POSTERIOR  # 40 mm² are too few
    assert refusal(find, labels) == (
        "MODEL_UNSURE: The posterior elements, which tell front from back, cannot be found with "
        "confidence."
    )


@pytest.mark.parametrize(("header", "seen"), [FACINGS, FACINGS[::-1]])
def test_a_header_against_the_image_is_refused(
    draw_neck: Draw, find: Callable[..., Spine], header: Facing, seen: Facing
) -> None:
    assert refusal(find, draw_neck(seen), facing=header) == (
        f"ORIENTATION_CONFLICT: The header says that the face points {header}, the image shows "
        f"it pointing {seen}."
    )


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_an_image_that_is_not_upright_is_refused(
    draw_neck: Draw, find: Callable[..., Spine], turns: int
) -> None:
    assert refusal(find, np.rot90(draw_neck("left"), turns)) == (
        "ORIENTATION_CONFLICT: The spine does not run down the image: it is upside down or lies "
        "on its side."
    )


CROOKED = "MODEL_UNSURE: The vertebrae found do not line up as a cervical spine does."


def test_a_row_bent_like_no_spine_is_refused(draw_neck: Draw, find: Callable[..., Spine]) -> None:
    labels = draw_neck("left")
    labels[70:82] = np.roll(labels[70:82], -30, axis=1)  # C4 alone steps forward by 30 mm
    assert refusal(find, labels) == CROOKED


@pytest.mark.parametrize("top", [38, 80])
def test_a_row_with_an_impossible_step_is_refused(
    draw_neck: Draw, find: Callable[..., Spine], top: int
) -> None:
    labels = without(draw_neck("left"), *range(C2, T1 + 1))
    labels[34:38, 88:104] = C2
    labels[top : top + 4, 88:104] = C3  # 4 and 46 mm below C2
    assert refusal(find, labels) == CROOKED


def test_a_ring_around_a_vertebra_is_no_spine(draw_neck: Draw, find: Callable[..., Spine]) -> None:
    # Both have one centre, so that there is no direction from one to the other.
    labels = without(draw_neck("left"), *range(C2, T1 + 1))
    labels[40:70, 80:110] = C3
    labels[48:62, 88:102] = C2
    assert refusal(find, labels).startswith("MODEL_UNSURE")


boxes = st.tuples(
    st.integers(0, 9), st.integers(0, 28), st.integers(0, 28), st.integers(1, 9), st.integers(1, 9)
)


@settings(deadline=None)
@given(drawn=st.lists(boxes, max_size=12))
def test_whatever_was_labelled_is_answered_or_refused(
    find: Callable[..., Spine], drawn: list[tuple[int, int, int, int, int]]
) -> None:
    labels = np.zeros((32, 32), np.uint8)
    for label, row, column, height, width in drawn:
        labels[row : row + height, column : column + width] = label
    try:
        spine = find(labels, spacing_mm=4.0)
    except Refused as refused:
        code = refused.refusal.code
    else:
        code = "MODEL_UNSURE"
        assert len(spine.discs) + len(spine.withheld) == 6
        assert np.isfinite([disc.centre for disc in spine.discs]).all()
    assert code in ("MODEL_UNSURE", "ORIENTATION_CONFLICT")
