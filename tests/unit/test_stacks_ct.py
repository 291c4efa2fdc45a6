"""Which stack of a CT study is judged, in which order, in which units, and why not another."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies
from pydicom.dataset import Dataset

import mr_series
from cspine.accept import Stack as Accept
from cspine.codes import Code
from cspine.dicom.select import Study
from cspine.dicom.stacks.choice import stack
from cspine.dicom.stacks.ct import kernel_of, shows_a_body
from cspine.dicom.stacks.stack import Stack
from cspine.dicom.stacks.wanted import Thinning, WantedSeries
from cspine.findings import Refused
from ct_series import axial, classic, enhanced, hounsfield, neck
from mr_series import Cut

WANTED = WantedSeries(
    orientation="axial", minimum_slices=7, minimum_field_mm=75, maximum_spacing_mm=3
)
EVERY = Thinning(every_mm=3.0, most=12)


@cache
def cuts(slices: int = 24, *, seed: int = 1) -> tuple[Cut, ...]:
    return tuple(axial(neck(slices, seed=seed)))


def chosen(
    datasets: Sequence[Dataset],
    wanted: WantedSeries = WANTED,
    thinning: Thinning | None = EVERY,
) -> Stack:
    return stack(Study(tuple(datasets)), wanted, thinning=thinning)


def refused(datasets: Sequence[Dataset], wanted: WantedSeries = WANTED) -> Refused:
    with pytest.raises(Refused) as caught:
        chosen(datasets, wanted)
    return caught.value


def pixels(found: Stack) -> Any:
    return np.array([each.image.pixels for each in found.slices])


def test_a_stack_is_every_third_millimetre_in_hounsfield_units_from_the_feet_up() -> None:
    found = chosen(classic(cuts()))
    assert np.array_equal(pixels(found), [hounsfield(cut) for cut in cuts()[::3]])
    assert {each.image.unit for each in found.slices} == {"HU"}
    assert [each.image.plane.origin_mm[2] for each in found.slices] == pytest.approx(  # type: ignore[union-attr]
        np.arange(9.0, 33.0, 3.0)
    )
    assert found.slices[0].image.pixels.dtype == np.float32
    assert (found.orientation, found.weighting, found.spacing_mm) == ("axial", None, 3.0)
    assert found.slices[0].image.facing is None
    assert found.notes == (
        "CT series found: 1, stacks of slices in them: 1. Judged: axial CT, 24 slices.",
        "Of them, 8 were judged, about every 3 mm.",
    )


@given(
    order=strategies.permutations(range(24)),
    numbers=strategies.permutations(range(1, 25)),
    turn=strategies.tuples(*[strategies.booleans()] * 3),
    tilt=strategies.floats(-24, 24),
    gantry=strategies.booleans(),
    step=strategies.floats(0.5, 3.0),
    form=strategies.sampled_from(["classic", "enhanced", "legacy"]),
)
@settings(max_examples=12, deadline=None)
def test_the_same_slices_are_the_same_stack_however_they_are_stored_and_tilted(
    order: list[int],
    numbers: list[int],
    turn: tuple[bool, ...],
    tilt: float,
    gantry: bool,
    step: float,
    form: str,
) -> None:
    made = axial(neck(), step_mm=step, tilt_deg=tilt, gantry=gantry)
    swap, left_right, top_bottom = turn
    stored = [
        made[k].turned(swap=swap, left_right=left_right, top_bottom=top_bottom) for k in order
    ]
    datasets = (
        classic(stored, numbers=numbers)
        if form == "classic"
        else [enhanced(stored, legacy=form == "legacy")]
    )
    found = chosen(datasets, thinning=None)
    assert np.array_equal(pixels(found), [hounsfield(cut) for cut in made])
    apart = step * np.cos(np.radians(tilt)) if gantry else step
    assert found.spacing_mm == pytest.approx(apart)
    for each, cut in zip(found.slices, made, strict=True):
        assert each.plane.origin_mm == pytest.approx(cut.origin, abs=1e-6)
        assert each.plane.normal[2] > 0


@given(
    step=strategies.floats(0.4, 3.0),
    every=strategies.floats(0.4, 9.0),
    count=strategies.integers(1, 24),
)
@settings(max_examples=25, deadline=None)
def test_no_place_that_is_asked_for_is_farther_than_half_a_step(
    step: float, every: float, count: int
) -> None:
    made = classic(axial(neck(count), step_mm=step))
    wanted = WantedSeries(orientation="axial", minimum_slices=1, minimum_field_mm=75)
    found = chosen(made, wanted, Thinning(every_mm=every, most=256))
    places = [each.plane.origin_mm[2] - 9 for each in found.slices]
    assert places == sorted(set(places))
    for asked in np.arange(0, (count - 1) * step, every):
        assert min(abs(place - asked) for place in places) <= step / 2 + 1e-6
    # None but for a place that was asked for.
    assert len(places) <= (count - 1) * step / every + 2


def test_images_of_a_study_begin_with_the_middle_one_and_keep_all_notes() -> None:
    accept = Accept(
        modality=["CT"], series=WANTED, judged_slices=12, every_mm=3.0, age_years=(18, 100)
    )
    images = Study(tuple(classic(cuts())[::-1])).images(accept)
    places = [float(image.plane.origin_mm[2]) - 9 for image in images if image.plane]
    assert places == [12, 0, 3, 6, 9, 15, 18, 21]
    assert images[0].notes[-1] == "The header does not state the patient's age."
    assert images[0].notes[0].startswith("CT series found: 1")
    assert not any(image.notes for image in images[1:])
    with pytest.raises(Refused, match="an age outside of 18 to 100"):
        Study(tuple(classic(cuts(), PatientAge="012Y"))).images(accept)


def test_padding_and_what_is_below_air_are_air() -> None:
    """Stated padding is as dark as the darkest of the rest; what is not stated is clipped."""
    plain = pixels(chosen(classic(cuts())))
    assert plain.min() == -1020.0
    (cut, *_) = cuts()
    assert (plain[0][np.isnan(cut.pixels)] == np.nanmin(cut.pixels)).all()
    low = [Cut(np.nan_to_num(c.pixels, nan=-2000), c.origin, c.across, c.down, c.spacing)
           for c in cuts()]  # fmt: skip
    found = pixels(chosen(classic(low)))
    assert found.min() == -1024
    assert (found[0][np.isnan(cut.pixels)] == -1024).all()


def test_the_wanted_one_of_many_is_told_and_why_not_the_others() -> None:
    scout = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    datasets = [
        *classic(cuts(), series="1.2.4.1"),
        *classic(cuts()[:1], series="1.2.4.2", ImageType=scout),
        *classic(cuts(), series="1.2.4.3", ImageType=["DERIVED", "SECONDARY", "MPR"]),
        *classic(cuts()[:5], series="1.2.4.4", ImageType=["ORIGINAL", "PRIMARY", "AXIAL", "MIP"]),
        *classic(axial(neck(9), step_mm=5.0), series="1.2.4.5"),
        *classic(mr_series.sagittal(np.ones((4, 90, 80)), spacing_mm=(3, 1, 1)), series="1.2.4.6"),
        *classic(cuts()[:2], series="1.2.4.7", RescaleSlope=None),
        *classic(cuts()[:3], series="1.2.4.8", RescaleType="Z_EFF"),
        *mr_series.classic(mr_series.sagittal(np.ones((2, 9, 8)), spacing_mm=(3, 1, 1))),
    ]
    found = chosen(datasets)
    assert found.slices[0].image.source.series_uid == "1.2.4.1"  # type: ignore[union-attr]
    assert found.notes[0] == (
        "CT series found: 8, stacks of slices in them: 3. Judged: axial CT, 24 slices."
    )
    assert found.notes[2] == (
        "Not judged: axial CT, 9 slices (slices more than 3 mm apart); sagittal CT, 4 slices (not "
        "axial); slices derived from other images: 29; slices of a localiser: 1; slices whose "
        "values are no Hounsfield units: 5."
    )
    assert chosen(datasets[::-1]).notes == found.notes


def test_a_study_of_both_modalities_answers_each() -> None:
    mixed = [*classic(cuts()), *mr_series.classic(mr_series.sagittal(
        mr_series.neck(), spacing_mm=(3.5, 1.0, 1.0)))]  # fmt: skip
    t2 = WantedSeries(orientation="sagittal", weighting="T2", minimum_slices=7, minimum_field_mm=99)
    assert len(chosen(mixed).slices) == 8
    found = chosen(mixed, t2, None)
    assert (len(found.slices), found.middle, found.slices[0].image.unit) == (13, 6, None)


KERNELS = [
    ("B31s", "soft"), ("H60s", "sharp"), (["Br40d", "2"], "soft"), ("Hr64", "sharp"),
    ("STANDARD", "soft"), ("BONEPLUS", "sharp"), ("FC08", "soft"), ("FC30", "sharp"),
    ("FC81", "sharp"), ("L", "sharp"), ("B", "soft"), ("YA", None), ("", None), ("XYZZY", None),
]  # fmt: skip


@pytest.mark.parametrize(("stated", "kernel"), KERNELS)
def test_kernels_are_told_by_their_makers_names(stated: Any, kernel: str | None) -> None:
    header = Dataset()
    header.ConvolutionKernel = stated
    assert kernel_of(header) == kernel


@pytest.mark.parametrize(
    ("kernel", "wins", "why"),
    [("soft", "1.2.5.2", "kernel"), ("sharp", "1.2.5.1", "Number"), (None, "1.2.5.1", "Number")],
)
def test_of_several_kernels_the_wanted_one_is_judged(kernel: Any, wins: str, why: str) -> None:
    both = [
        *classic(cuts(), series="1.2.5.1", SeriesNumber=1, ConvolutionKernel="H60s"),
        enhanced(cuts(), series="1.2.5.2", SeriesNumber=2, ConvolutionKernel="H30s"),
        enhanced(cuts(), series="1.2.5.3", SeriesNumber=3, legacy=True, ConvolutionKernel="FC50"),
    ]
    wanted = WantedSeries(orientation="axial", kernel=kernel, minimum_slices=7, minimum_field_mm=75)
    found = chosen(both, wanted)
    assert found.slices[0].image.source.series_uid == wins  # type: ignore[union-attr]
    told = {"1.2.5.1": "sharp", "1.2.5.2": "soft"}[wins]
    assert f"Judged: axial CT of a {told} kernel, 24 slices." in found.notes[0]
    assert why in found.notes[2]


def test_slices_of_two_thicknesses_are_two_stacks() -> None:
    thick = classic(cuts()[1::2], SliceThickness=2.0)
    found = chosen([*classic(cuts(), SliceThickness=1.0), *thick])
    assert "stacks of slices in them: 2. Judged: axial CT, 24 slices." in found.notes[0]


def test_a_missing_slice_is_counted_and_a_stretch_without_any_refused() -> None:
    found = chosen(classic([*cuts()[:9], *cuts()[12:]]))
    assert "Of the judged stack, 3 slices are missing between others." in found.notes
    assert sum(found.gaps) == 3
    assert len(found.slices) == 8
    refusal = refused(classic([*cuts()[:9], *cuts()[16:]])).refusal
    assert refusal.code == "INCOMPLETE_SET"
    assert refusal.reason == "Slices are missing in a stretch of 8 mm."


def broken(change: Callable[[Dataset], object]) -> list[Dataset]:
    made = classic(cuts())
    for dataset in made:
        change(dataset)
    return made


def of(values: Any) -> list[Dataset]:
    return classic(axial(np.broadcast_to(np.asarray(values, float), (24, 90, 80)).copy()))


REFUSALS: list[tuple[Code, str, Callable[[], list[Dataset]]]] = [
    ("UNSUPPORTED_OBJECT", "None of 24 objects is a CT image",
     lambda: broken(lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"))),
    ("UNSUPPORTED_OBJECT", "cannot be decoded",
     lambda: broken(lambda d: setattr(d, "PixelData", b"12"))),
    ("INCOMPLETE_SET", r"more than 12 slices every 3 mm", lambda: classic(cuts(40))),
    ("INCOMPLETE_SET", r"fewer than 7 slices every 3 mm", lambda: classic(cuts()[:18])),
    ("INCOMPLETE_SET", r"a field of less than 75 mm", lambda: classic(
        [Cut(c.pixels[:70], c.origin, c.across, c.down, c.spacing) for c in cuts()])),
    ("INCOMPLETE_SET", "no Hounsfield units: 24", lambda: classic(cuts(), RescaleType="US")),
    ("INCOMPLETE_SET", "no Hounsfield units: 24", lambda: classic(cuts(), RescaleIntercept=None)),
    ("INCOMPLETE_SET", "no Hounsfield units: 24", lambda: [enhanced(cuts(), RescaleType="US")]),
    ("INCOMPLETE_SET", "slices of a localiser: 24", lambda: [
        enhanced(cuts(), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"])]),
    ("INCOMPLETE_SET", "derived from other images: 24", lambda: [
        enhanced(cuts(), ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "MAX_IP"])]),
    ("INCOMPLETE_SET", "objects in colour: 24", lambda: classic(cuts(), SamplesPerPixel=3)),
    ("WRONG_ANATOMY", "None of 1 axial CT stacks shows air, soft tissue",
     lambda: classic(cuts(), RescaleIntercept=0)),  # words, not Hounsfield units
    ("WRONG_ANATOMY", "soft tissue and bone", lambda: of(np.where(np.eye(90, 80), 900, -1000))),
    ("WRONG_ANATOMY", "soft tissue and bone", lambda: of(np.where(np.eye(90, 80), -900, 40))),
    ("LOW_QUALITY", "all their pixels have one value", lambda: of(40.0)),
]  # fmt: skip


@pytest.mark.parametrize(("code", "reason", "make"), REFUSALS)
def test_what_is_not_as_wanted_is_refused_with_what_was_found(
    code: Code, reason: str, make: Callable[[], list[Dataset]]
) -> None:
    caught = refused(make())
    assert caught.refusal.code == code
    assert re.search(reason, caught.refusal.reason), caught.refusal.reason


def test_a_stack_without_a_body_gives_way_to_the_next() -> None:
    water = of(np.where(np.eye(90, 80), -900, 0))
    for each in water:
        each.BodyPartExamined = "CSPINE"
    found = chosen([*water, *classic(cuts(), series="1.2.5.2")])
    assert found.slices[0].image.source.series_uid == "1.2.5.2"  # type: ignore[union-attr]
    assert "axial CT, 24 slices (shows not air, soft tissue and bone)" in found.notes[-1]


def test_a_body_is_soft_tissue_and_bone() -> None:
    assert shows_a_body([hounsfield(cut) for cut in cuts()])
    assert not shows_a_body([hounsfield(cut) + 1024 for cut in cuts()])


def test_another_body_part_in_the_header_is_noted_and_does_not_decide() -> None:
    found = chosen(classic(cuts(), BodyPartExamined="CHEST"))
    assert "The header states another body part; the image alone decided." in found.notes
    both = [
        *classic(cuts(), series="1.2.5.1", BodyPartExamined="CHEST"),
        *classic(cuts(), series="1.2.5.2", BodyPartExamined="CSPINE"),
    ]
    assert chosen(both).slices[0].image.source.series_uid == "1.2.5.2"  # type: ignore[union-attr]
