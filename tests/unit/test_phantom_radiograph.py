from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from cspine_phantom.imaging.attenuation import project
from cspine_phantom.imaging.devices import DEVICES
from cspine_phantom.imaging.presentation import WHITE, Picture
from cspine_phantom.imaging.radiograph import LabelMap, radiograph, signal
from cspine_phantom.patients import SITES, Face, Patient, draw_patient, generator
from cspine_phantom.posture import Curve
from cspine_phantom.scene.anatomy import lateral
from cspine_phantom.scene.frontal import frontal


def imaged(patient: Patient) -> tuple[Picture, LabelMap]:
    shot = radiograph(lateral(patient), patient, DEVICES[patient.site])
    return shot.picture, shot.mask


def sited(number: int, site: str) -> Patient:
    return replace(draw_patient(2, number), site=site)


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("number", range(3))
def test_the_whole_cervical_spine_is_in_view_and_in_order(site: str, number: int) -> None:
    picture, mask = imaged(sited(number, site))
    device = DEVICES[site]
    assert picture.shape == mask.shape == (device.rows, device.columns)
    assert picture.dtype == np.uint16
    assert mask.dtype == np.uint8
    assert picture.max() <= WHITE
    assert set(np.unique(mask)) == set(range(9))
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert not border.any()
    rows = [np.nonzero(mask == label)[0].mean() for label in range(1, 8)]
    assert rows == sorted(rows)
    for label in range(1, 8):
        assert cv2.connectedComponents((mask == label).astype(np.uint8))[0] == 2


@pytest.mark.parametrize("site", SITES)
def test_bone_is_brighter_than_tissue_and_tissue_than_air(site: str) -> None:
    picture, mask = imaged(sited(0, site))
    for label in range(1, 8):
        bone = (mask == label).astype(np.uint8)
        size = round(5 / DEVICES[site].spacing_mm) | 1
        ring = cv2.dilate(bone, np.ones((size, size), np.uint8)) - bone
        around = (ring == 1) & (mask == 0)
        assert np.median(picture[bone == 1]) - np.median(picture[around]) > 0.04 * WHITE
    assert picture.min() == 0
    assert np.mean(picture == 0) > 0.02
    assert np.median(picture[mask > 0]) > 0.25 * WHITE


def test_a_picture_can_be_taken_again() -> None:
    patient = draw_patient(2, 0)
    first, second = imaged(patient), imaged(patient)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


@pytest.mark.parametrize("site", SITES)
def test_pixels_and_field_are_those_of_a_detector_and_hold_the_frame(site: str) -> None:
    device = DEVICES[site]
    assert 0.1 <= device.spacing_mm <= 0.15
    assert device.rows * device.columns <= 6.3e6
    for count, frame_mm in ((device.rows, 256), (device.columns, 192)):
        assert 2000 <= count <= 3000
        assert count % 16 == 0
        assert count * device.spacing_mm / device.magnification > frame_mm


def test_the_signal_before_processing_is_that_of_the_open_beam_and_less_behind_bone() -> None:
    patient = sited(0, "A")
    scene = lateral(patient)
    linear = signal(scene, patient, DEVICES["A"])
    mask = radiograph(scene, patient, DEVICES["A"]).mask
    assert linear.dtype == np.float32
    small = cv2.resize(linear, None, fx=0.05, fy=0.05, interpolation=cv2.INTER_AREA)
    assert np.percentile(small, 99) == pytest.approx(1, abs=0.1)
    assert 0.01 < np.median(linear[(mask > 0) & (mask < 8)]) < 0.25


def test_what_disturbs_the_beam_shows_in_the_picture_and_never_in_the_truth() -> None:
    patient = sited(1, "C")
    scene, device = lateral(patient), DEVICES["C"]
    clean = radiograph(scene, patient, device)
    turned = radiograph(scene, patient, device, disturb=lambda beam: beam[::-1].copy())
    assert np.array_equal(clean.mask, turned.mask)
    assert clean.points.keys() == turned.points.keys()
    small, other = (
        cv2.resize(each, (50, 50), interpolation=cv2.INTER_AREA).astype(float).ravel()
        for each in (clean.picture, turned.picture[::-1])
    )
    assert np.corrcoef(small, other)[0, 1] > 0.8


def test_noise_is_of_the_picture_and_the_truth_of_the_patient() -> None:
    patient = sited(1, "C")
    scene, device = lateral(patient), DEVICES["C"]
    quiet = replace(device, kerma_ugy=100 * device.kerma_ugy)
    first, second = (radiograph(scene, patient, each) for each in (device, quiet))
    assert np.array_equal(first.mask, second.mask)
    assert not np.array_equal(first.picture, second.picture)


@pytest.mark.parametrize(("face", "sign"), [("left", 1), ("right", -1)])
def test_processes_point_away_from_the_face(face: Face, sign: int) -> None:
    _, mask = imaged(replace(draw_patient(2, 1), face=face))
    bodies = np.nonzero((mask > 0) & (mask < 8))[1].mean()
    processes = np.nonzero(mask == 8)[1].mean()
    device = DEVICES[draw_patient(2, 1).site]
    assert sign * (processes - bodies) * device.spacing_mm > 12


def test_severity_grows_lips_and_narrows_disc_and_canal() -> None:
    patient = draw_patient(2, 2)
    stance = replace(patient.stance, tilt_deg=0.0, standing=Curve(10.0, 15.0))
    patient = replace(patient, stance=stance)
    gaps, canals = [], []
    for value in (-1.0, 0.0, 1.0, 2.0):
        scene = lateral(replace(patient, severity=(0.0, 0.0, value, 0.0, 0.0, 0.0)))
        bodies = {shape.label: shape.outline for shape in scene.shapes if 0 < shape.label < 8}
        fourth, fifth = bodies[3], bodies[4]
        gaps.append(fifth[:, 1].mean() - fourth[:, 1].mean())
        process = [shape.outline for shape in scene.shapes if shape.label == 8][2]
        distance = np.linalg.norm(fourth[:, None] - process[None], axis=2).min()
        canals.append(distance)
    assert all(np.diff(gaps) < 0)
    assert all(np.diff(canals) < -1.0)


def test_severity_moves_nothing_but_its_level_and_what_stands_on_it() -> None:
    patient = draw_patient(2, 3)
    worse = replace(patient, severity=(*patient.severity[:5], patient.severity[5] + 1))
    t1, other = (
        next(shape.outline for shape in lateral(each).shapes if shape.label == 7)
        for each in (patient, worse)
    )
    moved = np.linalg.norm(t1 - other, axis=1)
    assert moved.max() > 0.5
    assert np.median(moved) < 0.01


@pytest.mark.parametrize("site", SITES)
def test_lengths_are_true_after_magnification(site: str) -> None:
    patient = sited(4, site)
    device = DEVICES[site]
    scene = lateral(patient)
    rng = generator(patient.seed, patient.number, stream="picture")
    projection = project(scene, patient, device, rng=rng)
    seventh = next(shape.outline for shape in scene.shapes if shape.label == 6)
    _, mask = imaged(patient)
    x, y = seventh.T
    square_mm = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    pixel_mm = device.spacing_mm / device.magnification
    # fillPoly paints the pixels that the outline crosses too: half a perimeter more.
    perimeter = np.linalg.norm(seventh - np.roll(seventh, 1, axis=0), axis=1).sum()
    expected = square_mm / pixel_mm**2 + perimeter / pixel_mm / 2
    assert (mask == 6).sum() == pytest.approx(expected, rel=0.02)
    assert projection.pixels_per_mm == pytest.approx(1 / pixel_mm)
    centre = projection.pixels(seventh).mean(axis=0)
    assert mask[round(centre[1]), round(centre[0])] == 6


@pytest.mark.parametrize("site", SITES)
def test_a_frontal_film_has_no_lateral_truth_and_looks_symmetric(site: str) -> None:
    patient = sited(5, site)
    shot = radiograph(frontal(patient), patient, DEVICES[site])
    assert not shot.mask.any()
    small = cv2.resize(shot.picture.astype(np.float32), (48, 56), interpolation=cv2.INTER_AREA)
    side = cv2.resize(imaged(patient)[0].astype(np.float32), (48, 56), interpolation=cv2.INTER_AREA)

    def mirrored(image: np.ndarray) -> float:
        shifts = (np.roll(image[:, ::-1], step, axis=1) for step in range(-12, 13))
        return max(float(np.corrcoef(image.ravel(), each.ravel())[0, 1]) for each in shifts)

    assert mirrored(small) > mirrored(side)
