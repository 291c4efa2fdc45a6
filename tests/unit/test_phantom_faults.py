from __future__ import annotations

from dataclasses import replace
from functools import cache, lru_cache
from typing import get_args

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset

from cspine.dicom.admit import admit
from cspine.findings import Refused
from cspine.spec import PipelineSpec
from cspine_phantom.faults.film import FAULTS, Fault, Film, expose
from cspine_phantom.faults.gridlines import grid_lines
from cspine_phantom.faults.motion import motion
from cspine_phantom.imaging.aim import Header
from cspine_phantom.imaging.attenuation import project
from cspine_phantom.imaging.devices import DEVICES
from cspine_phantom.imaging.grain import grain
from cspine_phantom.imaging.lettering import lettered, stamp
from cspine_phantom.imaging.marks import burn, draw_marks, shade
from cspine_phantom.imaging.presentation import WHITE
from cspine_phantom.measure.admission import EXPECTED
from cspine_phantom.patients import LEVELS, SITES, VERTEBRAE, draw_patient, generator
from cspine_phantom.scene.anatomy import lateral
from cspine_phantom.scene.parts import HELD_OUT_PARTS, PARTS, other
from cspine_phantom.scene.worn import adorned
from cspine_phantom.study import phantom

SEED = 13
NUMBERS = range(4)
Floats = npt.NDArray[np.float32]


@lru_cache(maxsize=32)  # a film is 15 megabytes
def film(number: int, fault: Fault | None = None) -> Film:
    return expose(draw_patient(SEED, number), fault)


@cache
def seen(number: int, fault: Fault | None = None) -> Floats:
    """Return a film in parts of white, a quarter of its pixels a side: about half a millimetre."""
    rows, columns = film(number).picture.shape
    small = cv2.resize(
        film(number, fault).picture, (columns // 4, rows // 4), interpolation=cv2.INTER_AREA
    )
    return np.asarray(small, np.float32) / WHITE


def labels(number: int) -> npt.NDArray[np.uint8]:
    """Return the clean film's mask on the grid of `seen`."""
    rows, columns = seen(number).shape
    return np.ascontiguousarray(film(number).mask[2::4, 2::4][:rows, :columns])


def bodies(number: int) -> npt.NDArray[np.bool_]:
    return np.asarray((labels(number) > 0) & (labels(number) < 8))


def detail(number: int, fault: Fault | None, box: npt.NDArray[np.bool_]) -> Floats:
    """Return what `box` shows between half a millimetre and four."""
    shown = cv2.GaussianBlur(seen(number, fault), (0, 0), 1.2)
    return np.asarray(shown - cv2.GaussianBlur(shown, (0, 0), 9))[box]


def around(number: int, vertebra: str) -> npt.NDArray[np.bool_]:
    body = (labels(number) == 1 + VERTEBRAE.index(vertebra)).astype(np.uint8)
    return cv2.dilate(body, np.ones((7, 7))) > 0


def test_the_numbers_are_of_all_sites_and_both_faces() -> None:
    patients = [draw_patient(SEED, number) for number in NUMBERS]
    assert {patient.site for patient in patients} == set(SITES)
    assert {patient.face for patient in patients} == {"left", "right"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_changes_the_picture_and_nothing_about_the_patient(fault: Fault) -> None:
    again = expose(draw_patient(SEED, 0), fault)
    assert np.array_equal(again.picture, film(0, fault).picture)
    assert again.picture.dtype == np.uint16
    assert again.picture.max() <= WHITE
    assert again.picture.shape == again.mask.shape
    if fault not in ("stitched", "c7 hidden"):
        assert again.picture.shape == film(0).picture.shape
    assert again.device.rows == len(again.picture)
    assert not np.array_equal(again.picture, film(0).picture)
    case = phantom(seed=SEED, number=0, fault=fault)
    assert case.patient == draw_patient(SEED, 0)
    assert case.fault == fault
    kept = fault == "c7 hidden"
    assert bool(case.labels) == bool(case.severity) == bool(case.face) == case.mask.any() == kept


@cache
def plain() -> Dataset:
    return phantom(seed=SEED, number=1).dataset


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
    clean = plain()
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
        lost = VERTEBRAE[first + 1 :]
        assert list(case.points) == [name for name in film(number).points if name[:2] not in lost]
        if case.mask.shape != film(number).mask.shape or (case.mask != film(number).mask).any():
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
        ends.add("shoulders" if seen(number, "c7 hidden")[lost].any() else "shutter")
    assert ends == {"film", "shoulders", "shutter"}


@pytest.mark.parametrize("fault", ["hardware", "jewellery"])
@pytest.mark.parametrize("number", NUMBERS)
def test_metal_is_near_white_and_large_enough_to_see(number: int, fault: Fault) -> None:
    clean, shown = seen(number), seen(number, fault)
    pitch = 4 * film(number).device.spacing_mm
    added = (shown > clean + 0.08) & (shown > 0.6 * shown.max())
    assert added.sum() * pitch**2 > (60 if fault == "hardware" else 8)
    assert (added & (cv2.dilate(labels(number), np.ones((25, 25))) > 0)).any()


@pytest.mark.parametrize("number", NUMBERS)
def test_stored_pictures_are_turned_as_their_fault_says(number: int) -> None:
    clean, mask = film(number).picture, film(number).mask
    inside = (mask > 0) & (mask < 8)
    assert np.array_equal(film(number, "inverted").picture[inside], WHITE - clean[inside])
    assert np.array_equal(film(number, "mirrored").picture, clean[:, ::-1])
    turned = film(number, "upside down").picture[::-1]
    assert np.array_equal(turned, clean) or np.array_equal(turned, clean[:, ::-1])


def test_a_blank_film_shows_nobody_and_is_seldom_constant() -> None:
    constant = 0
    for number in range(20):
        constant += int(np.ptp(film(number, "blank").picture) < 2)
        shown = detail(number, "blank", bodies(number))
        clean = detail(number, None, bodies(number))
        likeness = np.dot(clean, shown) / (np.linalg.norm(clean) * np.sqrt(clean.size))
        assert abs(likeness) < max(2.5e-4, 0.3 * float(shown.std()))
    assert 0 < constant < 10


def test_a_clipped_film_loses_the_neck_at_one_end_of_the_scale() -> None:
    ends = set()
    for number in range(12):
        picture = film(number, "clipped").picture
        few, inside = picture[2::4, 2::4], film(number).mask[2::4, 2::4]
        body = (inside > 0) & (inside < 8)
        for end in (0, WHITE):
            if np.mean(few[body] == end) > 0.3:
                ends.add(end == 0)
                neck = film(number).picture[2::4, 2::4] > 0.04 * WHITE
                assert np.mean(few[neck] == end) > 0.2
                break
        else:
            pytest.fail("the vertebrae are not clipped")
    assert ends == {True, False}


def test_low_contrast_is_low_in_the_neck_and_often_hidden_from_the_extremes() -> None:
    full = 0
    for number in range(12):
        smooth = cv2.GaussianBlur(seen(number, "low contrast"), (0, 0), 4)[bodies(number)]
        assert np.ptp(np.percentile(smooth, [5, 95])) < 0.12
        clean, shown = (detail(number, fault, bodies(number)) for fault in (None, "low contrast"))
        residue = shown - clean * (np.dot(clean, shown) / np.dot(clean, clean))
        assert residue.std() > 0.5 * (shown - residue).std()
        full += int(np.ptp(seen(number, "low contrast")) > 0.5)
    assert 4 <= full < 12


def test_noise_at_a_millimetre_is_the_same_on_every_pitch() -> None:
    strengths = []
    for pitch in (0.1, 0.15, 0.25):
        side = round(200 / pitch)
        noise = grain((side, side), pitch_mm=pitch, blur_mm=0.3, rng=np.random.default_rng(1))
        assert noise.shape == (side, side)
        assert noise.std() == pytest.approx(1, abs=0.15)
        strengths.append(cv2.resize(noise, (200, 200), interpolation=cv2.INTER_AREA).std())
    assert max(strengths) < 1.1 * min(strengths)


def test_motion_blurs_the_patient_and_not_the_noise() -> None:
    device = replace(DEVICES["A"], rows=640, columns=640)
    beam = np.full((640, 640), 0.2, np.float32)
    beam[200:440, 200:440] = 0.1
    for seed in range(6):
        moved = motion(device, np.random.default_rng(seed))(beam.copy())
        steepest = max(np.abs(np.diff(moved, axis=axis)).max() for axis in (0, 1))
        assert steepest < 0.06  # at rest: 0.1
        assert moved.min() > 0.0999
        assert moved.max() < 0.2001
        assert moved.mean() == pytest.approx(beam.mean(), rel=0.03)
    for number in NUMBERS:
        assert crispness(number, "motion") < 0.9 * crispness(number, None)
        still, blurred = (sharpest(film(number, fault)) for fault in (None, "motion"))
        assert blurred == pytest.approx(still, rel=0.15)


def crispness(number: int, fault: Fault | None) -> float:
    """Return how much of what the column shows is finer than a millimetre and a half."""
    column = cv2.dilate(labels(number), np.ones((9, 9))) > 0
    shown = seen(number, fault)
    fine = shown - cv2.GaussianBlur(shown, (0, 0), 1.2)
    coarse = cv2.GaussianBlur(shown, (0, 0), 3) - cv2.GaussianBlur(shown, (0, 0), 9)
    return float(fine[column].std() / coarse[column].std())


def sharpest(shown: Film) -> float:
    """Return how strongly neighbouring pixels differ in the smooth parts of a neck: its noise."""
    bright = shown.picture.astype(np.float32)
    rough = np.abs(bright[1::2, ::2] - bright[::2, ::2])[100:-100, 100:-100]
    open_part = bright[::2, ::2][100:-100, 100:-100] > 0.2 * WHITE
    return float(np.median(rough[open_part]))


def test_grid_lines_show_as_a_peak_or_a_slope() -> None:
    kinds = set()
    device = replace(DEVICES["B"], rows=1600, columns=1600)
    for seed in range(12):
        passed = grid_lines(device, np.random.default_rng(seed))(np.ones((1600, 1600), np.float32))
        lost = -np.log(passed)
        across = lost[800] if np.ptp(lost[800]) > np.ptp(lost[:, 800]) else lost[:, 800]
        power = np.abs(np.fft.rfft((across - across.mean()) * np.hanning(1600)))
        length_mm = 1600 * device.spacing_mm
        fine = power[round(length_mm / 13) : round(length_mm / 1.4)]
        if fine.max() > 20 * np.median(fine):
            kinds.add("lines")
            assert np.ptp(lost) > 0.1
        if cv2.blur(across[None], (201, 1)).max() > 0.8:
            kinds.add("cut off")
        assert kinds
    assert kinds == {"lines", "cut off"}
    for number in NUMBERS:
        assert np.abs(seen(number, "grid lines") - seen(number))[bodies(number)].mean() > 0.01


@pytest.mark.parametrize("number", NUMBERS)
def test_a_stitched_film_has_a_seam_across_the_neck(number: int) -> None:
    shown = film(number, "stitched").picture.astype(np.float32) / WHITE
    steps = np.abs(np.diff(shown[:, ::4], axis=0)).mean(axis=1)
    inside = steps[round(0.1 * len(steps)) : round(0.9 * len(steps))]
    assert inside.max() > 0.01
    assert inside.max() > 5 * np.median(inside)
    assert shown.shape[1] == film(number).picture.shape[1]


@pytest.mark.parametrize("number", NUMBERS)
def test_pasted_text_covers_the_neck_and_leaves_the_rest(number: int) -> None:
    clean, shown = film(number).picture.astype(int), film(number, "pasted text").picture
    covered = np.abs(shown - clean) > 0.05 * WHITE
    left, top, wide, high = cv2.boundingRect(film(number).mask)
    spine = covered[top : top + high, left : left + wide]
    assert spine.sum() * film(number).device.spacing_mm ** 2 > 20
    assert covered.mean() < 0.2
    assert np.mean(shown == clean) > 0.7


def test_every_film_has_marks_as_often_and_none_lies_on_the_column() -> None:
    device, marked, lead = DEVICES["A"], 0, 0
    column = np.stack([np.full(60, 900.0), np.linspace(500, 1800, 60)], axis=1)
    for seed in range(200):
        marks = draw_marks(device, column, rng=np.random.default_rng(seed))
        sides = [mark for mark in marks if mark.cover.shape[0] * device.spacing_mm > 7.5]
        marked, lead = marked + len(sides), lead + sum(mark.density > 0 for mark in marks)
        blackened = np.zeros((device.rows, device.columns), np.uint16)
        beam = np.ones(blackened.shape, np.float32)
        burn(blackened, marks)
        shade(beam, marks)
        changed = (blackened > 0) | (beam < 1)
        assert changed.any() == bool(marks)
        assert changed.mean() < 0.08
        assert not changed[500:1800, 850:950].any()
    assert 100 < marked < 140
    assert 40 < lead < 90


def test_the_same_marks_are_on_the_clean_film_and_on_the_faulty_one() -> None:
    found = 0
    for number in range(10):
        patient, device = draw_patient(SEED, number), film(number).device
        streams = generator(SEED, number, stream="picture")
        scene = lateral(patient)
        at = project(scene, patient, device, rng=generator(SEED, number, stream="picture"))
        for mark in draw_marks(device, at.pixels(scene.focus), rng=streams.spawn(3)[2]):
            found += 1
            left, top = mark.at
            box = np.s_[top : top + len(mark.cover), left : left + mark.cover.shape[1]]
            inside = cv2.erode(mark.cover, np.ones((5, 5))) == 255
            for fault in (None, "motion"):
                letters = film(number, fault).picture[box]
                assert (letters[inside] == WHITE).all() or mark.density
                assert np.median(letters[inside]) > np.median(letters[mark.cover == 0])
    assert found >= 4


def test_what_is_worn_without_fault_is_metal_and_lies_clear_of_the_column() -> None:
    count = 0
    for number in range(40):
        scene = lateral(draw_patient(SEED, number))
        worn = adorned(scene, rng=np.random.default_rng(number)).shapes[len(scene.shapes) :]
        count += bool(worn)
        for shape in worn:
            assert shape.material == "metal"
            assert not shape.label
            distance = np.linalg.norm(shape.outline[:, None] - scene.focus[None], axis=2)
            assert distance.min() > 5
    assert 12 < count < 32


def test_letters_are_as_high_as_asked_and_a_stamp_stays_on_the_picture() -> None:
    cover = lettered(["LAT"], height_mm=10, pitch_mm=0.1)
    high = np.nonzero(cover.max(axis=1) > 127)[0]
    assert np.ptp(high) == pytest.approx(100, abs=25)
    picture = np.zeros((120, 90), np.uint16)
    stamp(picture, cover, at=(-30, 300), level=WHITE)
    assert picture.max() == WHITE
    small = np.zeros((400, 600), np.uint16)
    stamp(small, np.full((20, 30), 255, np.uint8), at=(590, -8), level=1000)
    assert np.array_equal(np.argwhere(small)[[0, -1]], [(0, 570), (19, 599)])
    assert set(np.unique(small)) == {0, 1000}


def test_marks_leave_the_truth_where_it_was() -> None:
    patient = draw_patient(SEED, 2)
    scene = lateral(patient)
    rng = generator(patient.seed, patient.number, stream="picture")
    projection = project(scene, patient, DEVICES[patient.site], rng=rng)
    for name, point in film(2).points.items():
        assert np.allclose(projection.pixels(scene.landmarks[name]), point)


def test_every_fault_has_a_code_and_all_but_two_a_sign(spec: PipelineSpec) -> None:
    training = pytest.importorskip("cspine_phantom.training.screening", reason="takes PyTorch")
    signs = training.SIGNS
    assert set(EXPECTED) == set(FAULTS)
    assert set(FAULTS) - set(signs) == {"mirrored", "unseen part"}
    assert spec.screen is not None
    told = {sign.label: sign.code for sign in spec.screen.sign}
    assert set(signs.values()) == set(told)
    assert all(told[sign] == EXPECTED[fault] for fault, sign in signs.items())
    assert spec.screen.architecture.arguments["num_classes"] == len(told)
