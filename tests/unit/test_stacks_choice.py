"""Which stack of an MR study is judged: the same however it is stored, and why not another."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies
from pydicom.dataset import Dataset
from pydicom.uid import MPEG2MPML

from cspine.codes import Code
from cspine.dicom.select import Study
from cspine.dicom.stacks.choice import stack
from cspine.dicom.stacks.stack import Stack
from cspine.dicom.stacks.wanted import WantedSeries
from cspine.findings import Refused
from mr_series import STIR, T1, Cut, axial, classic, enhanced, neck, sagittal

WANTED = WantedSeries(
    orientation="sagittal", weighting="T2", minimum_slices=7, minimum_field_mm=120
)
SPACING = (3.5, 1.0, 1.0)


@cache
def cuts(*, fluid: str = "bright", slices: int = 13, seed: int = 1) -> tuple[Cut, ...]:
    """A neck whose middle is slice 6 of 13."""
    return tuple(sagittal(neck(fluid=fluid, slices=slices, seed=seed), spacing_mm=SPACING))


def chosen(datasets: Sequence[Dataset], wanted: WantedSeries = WANTED) -> Stack:
    return stack(Study(tuple(datasets)), wanted)


def refused(datasets: Sequence[Dataset], wanted: WantedSeries = WANTED) -> Refused:
    with pytest.raises(Refused) as caught:
        chosen(datasets, wanted)
    return caught.value


def pixels(found: Stack) -> Any:
    return np.array([each.image.pixels for each in found.slices])


@pytest.fixture(scope="module")
def plain() -> Stack:
    return chosen(classic(cuts()))


def test_a_stack_has_its_slices_in_place_and_the_middle_by_what_is_seen(plain: Stack) -> None:
    assert np.array_equal(pixels(plain), [cut.pixels for cut in cuts()])
    assert plain.slices[0].image.pixels.dtype == np.float32
    assert plain.slices[0].image.spacing.flag == "calibrated"
    assert plain.slices[0].image.facing == "left"
    assert plain.middle == 6
    assert plain.spacing_mm == pytest.approx(3.5)
    assert not any(plain.gaps)
    for each, cut in zip(plain.slices, cuts(), strict=True):
        assert each.plane.origin_mm == pytest.approx(cut.origin)
    shown = [each.canal_mm for each in plain.slices]
    assert all(each is not None for each in shown)
    assert shown[6] > 3 * max(shown[0], shown[-1])  # type: ignore[operator,type-var]
    assert plain.notes == (
        "MR series found: 1, stacks of slices in them: 1. Judged: sagittal T2, 13 slices.",
    )


@given(
    order=strategies.permutations(range(13)),
    numbers=strategies.permutations(range(1, 14)),
    turn=strategies.tuples(*[strategies.booleans()] * 3),
    tilt=strategies.floats(-20, 20),
    step=strategies.floats(0.9, 6.0),
    form=strategies.sampled_from(["classic", "enhanced", "legacy"]),
)
@settings(max_examples=10, deadline=None)
def test_the_same_slices_are_the_same_stack_however_they_are_stored(
    order: list[int],
    numbers: list[int],
    turn: tuple[bool, ...],
    tilt: float,
    step: float,
    form: str,
) -> None:
    made = sagittal(neck(), spacing_mm=(step, 1.0, 1.0), tilt_deg=tilt)
    swap, left_right, top_bottom = turn
    stored = [
        made[k].turned(swap=swap, left_right=left_right, top_bottom=top_bottom) for k in order
    ]
    datasets = (
        classic(stored, numbers=numbers)
        if form == "classic"
        else [enhanced(stored, legacy=form == "legacy")]
    )
    found = chosen(datasets)
    assert np.array_equal(pixels(found), [cut.pixels for cut in made])
    assert found.spacing_mm == pytest.approx(step)
    assert found.middle == chosen(classic(made)).middle
    for each, cut in zip(found.slices, made, strict=True):
        assert each.plane.origin_mm == pytest.approx(cut.origin, abs=1e-6)
        # Coordinates as hung come back to those of the frame as it is stored.
        corner = each.stored.to_pixels(each.plane.to_patient((2, 5)))[:2]
        frame = next(other for other in stored if np.allclose(
            each.stored.to_pixels(other.origin)[2], 0, atol=0.3))  # fmt: skip
        x, y = np.rint(corner).astype(int)
        assert frame.pixels[y, x] == cut.pixels[5, 2]


def test_a_stack_of_each_form_names_its_objects() -> None:
    names = {each.image.source.instance_uid for each in chosen(classic(cuts())).slices}  # type: ignore[union-attr]
    assert len(names) == 13
    found = chosen([enhanced(cuts()[::-1])])
    sources = [each.image.source for each in found.slices]
    assert len({source.instance_uid for source in sources if source}) == 1
    assert sorted(source.frame or 0 for source in sources if source) == list(range(1, 14))
    assert [each.frame for each in found.slices] == list(range(12, -1, -1))


def test_the_wanted_one_of_many_is_told_and_why_not_the_others() -> None:
    datasets = [
        *classic(cuts(fluid="dark"), series="1.2.4.1", **T1),
        *classic(cuts(seed=3), series="1.2.4.2", **STIR),
        *classic(axial(cuts()), series="1.2.4.3"),
        *classic(cuts(), series="1.2.4.4"),
        *classic(cuts()[5:8], series="1.2.4.5", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        *classic(cuts(), series="1.2.4.6", ImageType=["DERIVED", "SECONDARY", "MPR"]),
        *classic(cuts()[5:8], series="1.2.4.7", PhotometricInterpretation="RGB"),
    ]
    found = chosen(datasets)
    assert np.array_equal(pixels(found), [cut.pixels for cut in cuts()])
    assert found.slices[0].image.source.series_uid == "1.2.4.4"  # type: ignore[union-attr]
    assert found.notes == (
        "MR series found: 7, stacks of slices in them: 4. Judged: sagittal T2, 13 slices.",
        "Not judged: sagittal T1, 13 slices (not T2); sagittal STIR, 13 slices (not T2); "
        "axial T2, 13 slices (not sagittal); objects in colour: 3; slices derived from other "
        "images: 13; slices of a localiser: 3.",
    )
    assert chosen(datasets[::-1]).notes == found.notes
    darker = WantedSeries(orientation="sagittal", weighting="T1", minimum_slices=7,
                          minimum_field_mm=120)  # fmt: skip
    assert chosen(datasets, darker).middle == 6
    across = WantedSeries(orientation="axial", weighting="T2", minimum_slices=7,
                          minimum_field_mm=90)  # fmt: skip
    slices = chosen(datasets, across)
    assert slices.slices[0].canal_mm is None
    assert slices.middle == 6


def test_nothing_of_the_patient_is_in_what_is_told(plain: Stack) -> None:
    refusal = refused(classic(cuts(), **T1)).refusal
    for said in (*plain.notes, refusal.reason, refusal.remedy):
        assert "QUILL" not in said
        assert "QF-" not in said


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"SeriesNumber": 3}, "it has the lowest Series Number"),
        ({"BodyPartExamined": "NECK"}, None),
        ({"BodyPartExamined": "LSPINE"}, "its header states the neck, or leaves"),
    ],
)
def test_among_stacks_as_wanted_the_rank_decides(header: dict[str, Any], reason: str) -> None:
    base = classic(cuts(), series="1.2.5.1", SeriesNumber=2)
    other = classic(cuts(seed=2), series="1.2.5.2", **{"SeriesNumber": 2, **header})
    found = chosen([*other, *base])
    wins = "1.2.5.1" if reason else "1.2.5.2"
    assert found.slices[0].image.source.series_uid == wins  # type: ignore[union-attr]
    said = reason or "its header states the neck"
    assert f"One of 2 such stacks was judged: {said}" in found.notes[1]


def test_a_finer_picture_wins_and_one_that_lacks_slices_loses() -> None:
    coarse = [Cut(c.pixels[::2, ::2], c.origin, c.across, c.down, (2.0, 2.0)) for c in cuts()]
    both = [*classic(coarse, series="1.2.5.1"), *classic(cuts(), series="1.2.5.2")]
    found = chosen(both)
    assert found.slices[0].image.shape == (160, 124)
    assert "it has the finest pixels" in found.notes[1]
    both = [*classic(coarse, series="1.2.5.1"), *classic(cuts()[:2] + cuts()[3:], series="1.2.5.2")]
    found = chosen(both)
    assert found.slices[0].image.shape == (80, 62)
    assert "it lacks the fewest slices" in found.notes[1]


def test_a_stack_that_shows_no_canal_gives_way_to_the_next() -> None:
    noise = np.random.default_rng(5).integers(0, 900, (13, 160, 124)).astype(np.uint16)
    blind = classic(
        sagittal(noise, spacing_mm=SPACING), series="1.2.5.1", BodyPartExamined="CSPINE"
    )
    found = chosen([*blind, *classic(cuts(), series="1.2.5.2")])
    assert found.slices[0].image.source.series_uid == "1.2.5.2"  # type: ignore[union-attr]
    assert found.notes[1] == "Not judged: sagittal T2, 13 slices (does not show the canal)."


def test_another_body_part_in_the_header_is_noted_and_does_not_decide() -> None:
    found = chosen(classic(cuts(), BodyPartExamined="KNEE"))
    assert "The header states another body part; the image alone decided." in found.notes
    assert len(chosen(classic(cuts(), BodyPartExamined="C-SPINE")).notes) == 1


def test_two_echoes_in_one_series_are_two_stacks() -> None:
    second = [Cut(c.pixels // 2, c.origin, c.across, c.down, c.spacing) for c in cuts()]
    for datasets in (
        [*classic(second, EchoTime=20), *classic(cuts())],
        [*classic(second, EchoTime=140), *classic(cuts())],
    ):
        found = chosen(datasets)
        assert "stacks of slices in them: 2" in found.notes[0]
        assert len(found.slices) == 13
        assert found.spacing_mm == pytest.approx(3.5)


def test_two_stacks_of_one_series_apart_or_at_an_angle_are_told_apart() -> None:
    lower = [
        Cut(c.pixels, c.origin + np.array([0, 30, -150]), c.across, c.down, c.spacing)
        for c in cuts(seed=2)
    ]
    tilted = sagittal(neck(seed=3), spacing_mm=SPACING, tilt_deg=4)
    for other in (lower, tilted):
        found = chosen([*classic(cuts()), *classic(other)])
        assert "stacks of slices in them: 2" in found.notes[0]
        assert {len(found.slices), found.middle} == {13, 6}


def test_stacks_are_parted_again_until_no_gap_is_left() -> None:
    """Two pairs that only the echo time tells apart, after their directions have."""
    several = [
        frame
        for tilt, echo in ((0, 90), (0, 120), (5, 90), (5, 120))
        for frame in classic(
            sagittal(neck(seed=tilt + echo), spacing_mm=SPACING, tilt_deg=tilt), EchoTime=echo
        )
    ]
    found = chosen(several[::-1])
    assert "stacks of slices in them: 4" in found.notes[0]
    assert (len(found.slices), found.middle) == (13, 6)


def test_an_enhanced_object_that_is_derived_by_its_root_alone_is_derived() -> None:
    made = enhanced(cuts())
    del made.SharedFunctionalGroupsSequence[0].MRImageFrameTypeSequence
    assert len(chosen([made]).slices) == 13
    made.ImageType = ["DERIVED", "PRIMARY", "OTHER"]
    assert "slices derived from other images: 13" in refused([made]).refusal.reason


def test_slices_that_are_there_twice_count_once_the_earlier_one() -> None:
    again = [Cut(c.pixels + 1, c.origin + 1e-3, c.across, c.down, c.spacing) for c in cuts()]
    datasets = [*classic(again, AcquisitionNumber=2), *classic(cuts(), AcquisitionNumber=1)]
    found = chosen(datasets)
    assert np.array_equal(pixels(found), [cut.pixels for cut in cuts()])
    assert "Of the judged stack, 13 more slices at the same places were passed over." in found.notes


def test_missing_slices_are_counted_and_only_near_the_middle_refused() -> None:
    found = chosen(classic([*cuts()[:2], *cuts()[4:]]))
    assert found.gaps == (0, 2, *[0] * 8)
    assert found.spacing_mm == pytest.approx(3.5)
    assert found.middle == 4
    assert "Of the judged stack, 2 slices are missing between others." in found.notes
    for missing in (5, 6, 7):
        there = [cut for place, cut in enumerate(cuts()) if place != missing]
        refusal = refused(classic(there)).refusal
        assert refusal.code == "INCOMPLETE_SET"
        assert "within 10 mm of the middle" in refusal.reason


def test_uneven_slices_are_noted() -> None:
    moved = list(cuts())
    moved[1] = Cut(moved[1].pixels, moved[1].origin + np.array([1.5, 0, 0]), *(
        moved[1].across, moved[1].down, moved[1].spacing))  # fmt: skip
    assert "The slices of the judged stack are unevenly spaced." in chosen(classic(moved)).notes


def broken(change: Callable[[Dataset], object]) -> list[Dataset]:
    made = classic(cuts())
    for dataset in made:
        change(dataset)
    return made


REFUSALS: list[tuple[Code, str, Callable[[], list[Dataset]]]] = [
    ("UNSUPPORTED_OBJECT", "None of 13 objects is an MR image",
     lambda: broken(lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"))),
    ("UNSUPPORTED_OBJECT", "cannot be decoded",
     lambda: broken(lambda d: setattr(d, "PixelData", b"12"))),
    ("INCOMPLETE_SET", r"sagittal T1, 13 slices \(not T2\)", lambda: classic(cuts(), **T1)),
    ("INCOMPLETE_SET", r"STIR, 13 slices \(not T2\)", lambda: classic(cuts(), **STIR)),
    ("INCOMPLETE_SET", r"of another weighting, 13", lambda: classic(cuts(), EchoTime=None)),
    ("INCOMPLETE_SET", r"\(not sagittal\)", lambda: classic(axial(cuts()))),
    ("INCOMPLETE_SET", r"fewer than 7 slices", lambda: classic(cuts()[3:9])),
    ("INCOMPLETE_SET", r"a field of less than 120 mm", lambda: classic(
        [Cut(c.pixels[:100], c.origin, c.across, c.down, c.spacing) for c in cuts()])),
    ("INCOMPLETE_SET", "slices derived from other images: 13",
     lambda: classic(cuts(), ImageType=["DERIVED", "PRIMARY"])),
    ("INCOMPLETE_SET", "slices of a localiser: 13",
     lambda: classic(cuts(), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])),
    ("INCOMPLETE_SET", "objects in colour: 13", lambda: classic(cuts(), SamplesPerPixel=3)),
    ("INCOMPLETE_SET", "objects without pixel data: 13",
     lambda: broken(lambda d: d.pop("PixelData"))),
    ("INCOMPLETE_SET", "objects in a transfer syntax that is not read: 13",
     lambda: broken(lambda d: setattr(d.file_meta, "TransferSyntaxUID", MPEG2MPML))),
    ("INCOMPLETE_SET", "slices without a place in the patient: 13",
     lambda: broken(lambda d: d.pop("ImagePositionPatient"))),
    ("INCOMPLETE_SET", "objects describing other frames than they hold: 13",
     lambda: broken(lambda d: setattr(d, "NumberOfFrames", 2_000_000_000))),
    ("WRONG_ANATOMY", "None of 1 sagittal T2 stacks shows the spinal canal",
     lambda: classic(sagittal(np.ones((9, 160, 124)) * [[[100]], *[[[90]]] * 8],
                              spacing_mm=SPACING))),
    ("LOW_QUALITY", "all their pixels have one value",
     lambda: classic(sagittal(np.ones((9, 160, 124)), spacing_mm=SPACING))),
    ("IDENTITY_CONFLICT", "one SOP Instance UID",
     lambda: broken(lambda d: setattr(d, "SOPInstanceUID", "1.2.3.4.5"))),
]  # fmt: skip


@pytest.mark.parametrize(("code", "reason", "make"), REFUSALS)
def test_what_is_not_as_wanted_is_refused_with_what_was_found(
    code: Code, reason: str, make: Callable[[], list[Dataset]]
) -> None:
    caught = refused(make())
    assert caught.refusal.code == code
    assert re.search(reason, caught.refusal.reason), caught.refusal.reason


def test_a_study_of_two_patients_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        stack(Study(tuple(classic(cuts())), patients=2), WANTED)
    assert caught.value.refusal.code == "IDENTITY_CONFLICT"


def test_copies_of_a_slice_are_one() -> None:
    made = classic(cuts())
    assert len(chosen([*made, *made]).slices) == 13


@pytest.mark.parametrize("header", [T1, STIR, {}])
def test_an_enhanced_object_is_taken_for_what_a_classic_one_is(header: dict[str, Any]) -> None:
    told = []
    for made in (classic(cuts(), **header), [enhanced(cuts(), **header)]):
        many = WantedSeries(orientation="coronal", weighting="T2", minimum_slices=1,
                            minimum_field_mm=1)  # fmt: skip
        told.append(refused(made, many).refusal.reason)
    assert told[0] == told[1]


def test_neighbours_of_the_middle_are_taken_by_place(plain: Stack) -> None:
    whole = plain.slices
    assert plain.around_middle(1) == (whole[6],)
    assert plain.around_middle(3) == whole[5:8]
    assert len(plain.around_middle(4)) == 4
    assert plain.around_middle(99) == whole
    assert plain.source == whole[6].image.source


def test_a_point_of_the_patient_finds_its_slice(plain: Stack) -> None:
    for place, cut in product((0, 7), cuts()[:1]):
        point = cuts()[place].origin + 30 * cut.down + np.array([1.2, 0, 0])
        assert plain.nearest_to(point) == place
