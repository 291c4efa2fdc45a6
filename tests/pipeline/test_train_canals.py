"""Training on CT: what the networks are shown, what they are told, and that they learn."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from cspine.dicom.select import Study
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.spec import Detect, Features, Grade
from cspine.stages.detect import Region
from cspine.stages.frame import frame_feeds, frame_map
from cspine.stages.grade import grade_feeds, region_crop
from cspine_phantom.ct.disease import CLASSES, THRESHOLDS, evidence_of, graded
from cspine_phantom.ct.study import ct_phantom
from cspine_phantom.training.canals import Canals, Pair, class_readings, gather_canals
from cspine_phantom.training.grades import train_grades
from cspine_phantom.training.recipe import Recipe

SPEC = load_spec(shipped_spec("ct-stenosis"))
FEATURES: Features = SPEC.only(Features)
GRADE: Grade = SPEC.only(Grade)


def test_they_are_shown_what_the_device_sees_of_the_whole_study() -> None:
    """Two patients and a head; every slice of the first against its own box and room."""
    seen = gather_canals(SPEC, patients=1, heads=1, seed=531, kept=None, variants=2)
    case = ct_phantom(seed=531, number=0)
    images = Study(case.datasets).images(SPEC.accept)
    images = sorted(images, key=lambda image: image.plane.origin_mm[2])
    assert len(seen.crops) == len(images) < len(seen.frames)
    assert np.isnan(seen.boxes[len(images) :]).all()
    assert seen.grades.tolist() == [CLASSES.index(case.disease.grade)]
    assert not np.array_equal(seen.crops[:, 0], seen.crops[:, 1])
    (axial,) = (each for each in case.series if each.title == "axial")
    places = {round(frame.origin_mm[2], 3): frame.position - 1 for frame in axial.frames}
    for index in range(0, len(images), 7):
        image = images[index]
        truth = case.slices[places[round(image.plane.origin_mm[2], 3)]]
        to_image = frame_map(image, FEATURES)
        frame = frame_feeds(image, to_image, FEATURES)["image"][0, 0]
        assert np.array_equal(seen.frames[index], frame.astype(np.float16))
        box = seen.boxes[index].reshape(2, 2) - 0.5
        assert to_image(box).ravel() == pytest.approx(truth.box, abs=1e-3)
        crop = region_crop(Region(0, np.array(truth.box).reshape(2, 2), 1.0), image, GRADE)
        shown = grade_feeds([image], [crop], GRADE)["image"][0, 0]
        assert np.array_equal(seen.crops[index, 0], shown.astype(np.float16))
        assert seen.readings[index] == pytest.approx(
            class_readings(evidence_of(truth.room_mm)), abs=1e-5
        )


@pytest.mark.parametrize("evidence", [-0.6, THRESHOLDS[0], 0.3, 0.8])
def test_they_are_told_how_many_readers_would_say_so(evidence: float) -> None:
    errors = 0.22 * np.random.default_rng(3).standard_normal(20_000)
    said = [graded(evidence, error) for error in errors.tolist()]
    expected = [said.count(name) / len(said) for name in CLASSES]
    assert class_readings(evidence) == pytest.approx(expected, abs=0.015)
    assert sum(class_readings(evidence)) == pytest.approx(1)


def drawn(rng: np.random.Generator, patients: int, slices: int = 6) -> Canals:
    """Crops with a bright bar that is the higher, the worse the class, in every second slice."""
    rows, columns = 48, 48
    grades = rng.integers(0, 3, patients)
    crops = rng.normal(0.3, 0.05, (patients, slices, 1, rows, columns))
    readings = np.zeros((patients, slices, 3))
    readings[..., 0] = 1.0
    for patient, grade in enumerate(grades.tolist()):
        crops[patient, 2:5, 0, 10 : 10 + 8 * grade, 10:38] += 0.5
        readings[patient, 2:5] = np.eye(3)[grade]
    readings = 0.94 * readings + 0.02  # a few readers differ
    return Canals(
        np.zeros((1, 8, 8), np.float16), np.zeros((1, 4), np.float32),
        crops.reshape(-1, 1, rows, columns).astype(np.float16),
        readings.reshape(-1, 3).astype(np.float32),
        np.repeat(np.arange(patients), slices), grades,
    )  # fmt: skip


def test_the_grade_is_learnt_and_its_threshold_parts_the_tuning_patients() -> None:
    architecture = msgspec.structs.replace(
        GRADE.architecture,
        arguments={
            **GRADE.architecture.arguments,
            "layers": [1, 1, 1, 1],
            "block_inplanes": [4, 8, 8, 8],
        },
    )
    small = msgspec.structs.replace(GRADE, size_px=(48, 48), architecture=architecture)
    rng = np.random.default_rng(4)
    recipe = Recipe(grading_steps=80, grading_batch=24)
    data, held = (Pair(SPEC, drawn(rng, count)) for count in (40, 20))
    _, log = train_grades(small, data, held, recipe)
    assert log["tuning_patients"] == 20
    assert log["tuning_auc"] == 1.0
    assert log["tuning_accuracy"] == 1.0
    assert 0.02 < log["tuning_threshold"] < 0.98


def test_the_detector_finds_bright_rings_and_nothing_where_there_is_none() -> None:
    pytest.importorskip("torchvision")
    from cspine_phantom.training.detector import train_detector

    rng = np.random.default_rng(6)
    stage: Detect = SPEC.only(Detect)

    def rings(count: int) -> Canals:
        frames = rng.normal(0.2, 0.04, (count, 192, 192))
        boxes = np.full((count, 4), np.nan)
        for index in range(count):
            if index % 5:
                left, top = rng.integers(50, 110, 2)
                frames[index, top : top + 26, left : left + 30] += 0.3
                frames[index, top + 4 : top + 22, left + 4 : left + 26] -= 0.3
                boxes[index] = left, top, left + 30, top + 26
        return Canals(
            frames.astype(np.float16), boxes.astype(np.float32),
            np.empty((0, 1, 8, 8), np.float16), np.empty((0, 3), np.float32),
            np.empty(0, np.intp), np.empty(0, np.intp),
        )  # fmt: skip

    architecture = msgspec.structs.replace(
        stage.architecture,
        arguments={
            **stage.architecture.arguments,
            "layers": [1, 1, 1, 1],
            "block_inplanes": [8, 16, 16, 16],
        },
    )
    small = msgspec.structs.replace(stage, architecture=architecture)
    recipe = Recipe(canal_steps=120, canal_batch=4)
    _, log = train_detector(small, Pair(SPEC, rings(60)), Pair(SPEC, rings(20)), recipe)
    assert log["tuning_slices"] == 16
    assert log["tuning_recall"] >= 0.9
    assert log["tuning_found_in_heads"] <= 0.25
