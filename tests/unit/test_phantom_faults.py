from __future__ import annotations

from functools import cache
from typing import get_args

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from cspine.dicom.admit import admit
from cspine.findings import Refused
from cspine.spec import PipelineSpec
from cspine_phantom.aim import Header
from cspine_phantom.cases import phantom
from cspine_phantom.exposure import mark
from cspine_phantom.faults import FAULTS, Fault, Film, expose
from cspine_phantom.parts import HELD_OUT_PARTS, PARTS, other
from cspine_phantom.patients import LEVELS, SITES, VERTEBRAE, draw_patient

SEED = 12
NUMBERS = range(6)
Floats = npt.NDArray[np.float32]


@cache
def film(number: int, fault: Fault | None = None) -> Film:
    return expose(draw_patient(SEED, number), fault)


def bodies(number: int) -> npt.NDArray[np.bool_]:
    mask = film(number).mask
    return np.asarray((mask > 0) & (mask < 8))


def detail(number: int, fault: Fault | None, box: npt.NDArray[np.bool_]) -> Floats:
    """Return what `box` shows between half a millimetre and four."""
    shown = cv2.GaussianBlur(film(number, fault).picture.astype(np.float32), (0, 0), 2.5)
    return np.asarray(shown - cv2.GaussianBlur(shown, (0, 0), 20))[box]


def around(number: int, vertebra: str) -> npt.NDArray[np.bool_]:
    body = (film(number).mask == 1 + VERTEBRAE.index(vertebra)).astype(np.uint8)
    return cv2.dilate(body, np.ones((15, 15))) > 0


def test_the_numbers_are_of_all_sites_and_both_faces() -> None:
    patients = [draw_patient(SEED, number) for number in NUMBERS]
    assert {patient.site for patient in patients} == set(SITES)
    assert {patient.face for patient in patients} == {"left", "right"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_changes_the_picture_and_nothing_about_the_patient(fault: Fault) -> None:
    again = expose(draw_patient(SEED, 0), fault)
    assert np.array_equal(again.picture, film(0, fault).picture)
    assert again.picture.dtype == np.uint16
    assert again.picture.max() < 4096
    assert again.picture.shape == again.mask.shape == film(0).picture.shape
    assert not np.array_equal(again.picture, film(0).picture)
    case = phantom(seed=SEED, number=0, fault=fault)
    assert case.patient == draw_patient(SEED, 0)
    assert case.fault == fault
    kept = fault == "c7 hidden"
    assert bool(case.labels) == bool(case.severity) == bool(case.face) == case.mask.any() == kept


@pytest.mark.parametrize("header", get_args(Header))
@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_headers_say_what_they_are_asked_to(
    fault: Fault | None, header: Header, spec: PipelineSpec
) -> None:
    dataset = phantom(seed=SEED, number=1, fault=fault, header=header).dataset
    wrong: dict[Fault | None, str] = {
        "ap": "WRONG_VIEW",
        "oblique": "WRONG_VIEW",
        "other part": "WRONG_ANATOMY",
        "unseen part": "WRONG_ANATOMY",
    }
    if header == "true" and fault in wrong:
        with pytest.raises(Refused) as caught:
            admit(dataset, spec.accept)
        assert caught.value.refusal.code == wrong[fault]
    else:
        # Neither part nor view is stated, and where the face points only on a mirrored film.
        notes = {"stripped": 2 if fault == "mirrored" else 3}
        assert len(admit(dataset, spec.accept)) == notes.get(header, 0)
    clean = phantom(seed=SEED, number=1).dataset
    stated = header != "stripped" or fault == "mirrored"
    assert ("PatientOrientation" in dataset) == stated
    if header == "lying":
        for keyword in ("PatientOrientation", "BodyPartExamined", "SeriesDescription"):
            assert dataset[keyword].value == clean[keyword].value
    same = fault is None and header == "true"
    assert (dataset.SOPInstanceUID == clean.SOPInstanceUID) == same


def test_parts_are_drawn_from_the_patients_own_stream_and_some_are_held_out() -> None:
    rng = np.random.default_rng(0)
    drawn = {other(PARTS, rng).part for _ in range(80)}
    assert drawn == set(PARTS)
    assert len(PARTS) >= 6
    assert len(HELD_OUT_PARTS) >= 2
    assert not set(PARTS) & set(HELD_OUT_PARTS)
    codes = {film(number, "other part").aim.title for number in NUMBERS}
    assert len(codes) > 2
    assert codes <= set(PARTS)
    assert {film(number, "unseen part").aim.title for number in NUMBERS} == set(HELD_OUT_PARTS)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_oblique_does_not_show_the_lateral_spine(number: int) -> None:
    clean, shown = (detail(number, fault, bodies(number)) for fault in (None, "oblique"))
    assert np.corrcoef(clean, shown)[0, 1] < 0.6


def test_what_touches_c7_is_hidden_and_what_lies_above_is_not() -> None:
    ends = set()
    for number in range(12):
        case = film(number, "c7 hidden")
        first = LEVELS.index(case.hidden[0])
        assert case.hidden == LEVELS[first:]
        assert first in (3, 4)
        if not np.array_equal(case.mask, film(number).mask):
            assert case.mask[-1].any()  # the film ends in the vertebra
            ends.add("film")
            continue
        lost = around(number, VERTEBRAE[first + 1])
        lost[: round(np.nonzero(lost)[0].mean())] = False
        clean, shown = (detail(number, fault, lost) for fault in (None, "c7 hidden"))
        assert shown.std() < 0.9 * clean.std()
        assert np.dot(clean, shown) < 0.25 * np.dot(clean, clean)
        third = around(number, "C3")
        clean, shown = (detail(number, fault, third) for fault in (None, "c7 hidden"))
        assert np.corrcoef(clean, shown)[0, 1] > 0.95
        ends.add("shoulders" if case.picture[lost].any() else "shutter")
    assert ends == {"film", "shoulders", "shutter"}


@pytest.mark.parametrize("number", NUMBERS)
def test_metal_is_near_white_and_large_enough_to_see(number: int) -> None:
    clean, shown = film(number).picture.astype(int), film(number, "hardware").picture
    device = film(number).device
    added = (shown > clean + 500) & (shown > 0.75 * shown.max())
    assert added.sum() * device.spacing_mm**2 > 60
    untouched = np.abs(shown - clean) < 40
    assert untouched.mean() > 0.5


@pytest.mark.parametrize("number", NUMBERS)
def test_stored_pictures_are_turned_as_their_fault_says(number: int) -> None:
    clean, inside = film(number).picture, bodies(number)
    assert np.array_equal(film(number, "inverted").picture[inside], 4095 - clean[inside])
    assert np.array_equal(film(number, "mirrored").picture, clean[:, ::-1])
    turned = film(number, "upside down").picture[::-1]
    assert np.array_equal(turned, clean) or np.array_equal(turned, clean[:, ::-1])


def test_a_blank_film_shows_nobody_and_is_seldom_constant() -> None:
    constant = 0
    for number in range(20):
        picture = film(number, "blank").picture
        constant += int(np.ptp(picture) == 0)
        shown = detail(number, "blank", bodies(number))
        clean = detail(number, None, bodies(number))
        likeness = np.dot(clean, shown) / (np.linalg.norm(clean) * np.sqrt(clean.size))
        assert abs(likeness) < max(1.0, 0.3 * float(shown.std()))  # grey levels
    assert 0 < constant < 10


def test_a_clipped_film_loses_the_neck_at_one_end_of_the_scale() -> None:
    ends = set()
    for number in range(12):
        picture = film(number, "clipped").picture
        for end in (picture.min(), picture.max()):
            if np.mean(picture[bodies(number)] == end) > 0.3:
                ends.add(end == 0)
                neck = film(number).picture > 150
                assert np.mean(picture[neck] == end) > 0.25
                break
        else:
            pytest.fail("the vertebrae are not clipped")
    assert ends == {True, False}


def test_low_contrast_is_low_in_the_neck_and_often_hidden_from_the_extremes() -> None:
    full = 0
    for number in range(12):
        picture = film(number, "low contrast").picture
        smooth = cv2.GaussianBlur(picture, (0, 0), 8)[bodies(number)]
        assert np.ptp(np.percentile(smooth, [5, 95])) < 0.12 * 4095
        clean, shown = (detail(number, fault, bodies(number)) for fault in (None, "low contrast"))
        residue = shown - clean * (np.dot(clean, shown) / np.dot(clean, clean))
        assert residue.std() > 0.5 * (shown - residue).std()
        full += int(np.ptp(picture) > 0.9 * 4095)
    assert 4 <= full < 12


def test_a_marker_is_white_and_small() -> None:
    film = np.zeros((1024, 864), np.float32)
    mark(film, np.random.default_rng(3))
    assert round(float(film.max())) == 4095
    assert 0 < np.mean(film > 0) < 0.03
