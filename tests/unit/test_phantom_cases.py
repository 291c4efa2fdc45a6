from __future__ import annotations

import csv
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pydicom
import pytest
from click.testing import CliRunner

from cspine.errors import ModelError
from cspine.geometry import LANDMARKS, sagittal_parameters
from cspine_bench.cases import read_cases
from cspine_phantom.cases import COLUMNS, write_cases, write_splits
from cspine_phantom.commands import xray
from cspine_phantom.imaging.devices import DEVICES
from cspine_phantom.patients import LEVELS, VERTEBRAE
from cspine_phantom.study import phantom, phantoms


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    write_cases(folder, patients=3, seed=9, split="test", faults=["ap", "c7 hidden", "hardware"])
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_names_every_study_and_its_truth(folder: Path) -> None:
    table = rows(folder)
    assert tuple(table[0]) == COLUMNS
    for row, case in zip(table, phantoms(patients=3, seed=9), strict=False):
        assert row["patient"] == case.patient.identifier == case.dataset.PatientID
        assert row["device"] == DEVICES[row["site"]].name == case.dataset.ManufacturerModelName
        assert row["split"] == "test"
        assert row["face"] == case.face
        assert {level: row[level] == "1" for level in LEVELS} == dict(case.labels)
        for level in LEVELS:
            assert float(row[f"severity {level}"]) == pytest.approx(case.severity[level], abs=1e-6)
            assert row[f"second {level}"] == str(int(case.second[level]))
        stored = pydicom.dcmread(folder / row["study"] / "image.dcm")
        assert stored.PixelData == case.dataset.PixelData
        mask = cv2.imread(str(folder / row["mask"]), cv2.IMREAD_UNCHANGED)
        assert mask is not None
        assert np.array_equal(mask, case.mask)


def test_a_fault_has_no_levels(folder: Path) -> None:
    frontal, _, metal = rows(folder)[3:]
    assert (frontal["fault"], metal["fault"]) == ("ap", "hardware")
    study = pydicom.dcmread(folder / frontal["study"] / "image.dcm")
    assert study.SeriesDescription == "PHANTOM ap"
    told = COLUMNS[: COLUMNS.index("mask")]
    empty = [name for name in COLUMNS if name not in (*told, "fault")]
    assert [row[name] for row in (frontal, metal) for name in empty] == [""] * 2 * len(empty)
    case = phantom(seed=9, number=3, fault="ap")
    assert not {**case.labels, **case.severity, **case.second, **case.points, **case.boxes}
    assert (case.face, case.parameters) == (None, None)
    assert not case.mask.any()


def test_a_film_with_c7_hidden_keeps_its_truth(folder: Path) -> None:
    row = rows(folder)[4]
    case = phantom(seed=9, number=4, fault="c7 hidden")
    assert (row["fault"], row["face"]) == ("c7 hidden", case.patient.face)
    assert {level: row[level] == "1" for level in LEVELS} == dict(case.labels)
    mask = cv2.imread(str(folder / row["mask"]), cv2.IMREAD_UNCHANGED)
    assert mask is not None
    assert np.array_equal(mask, case.mask)


def test_landmarks_levels_and_parameters_are_kept(folder: Path) -> None:
    cases = read_cases(folder, split="test", levels=LEVELS).cases
    for row, kept, case in zip(rows(folder), cases, phantoms(patients=3, seed=9), strict=False):
        points = kept.read_points()
        assert tuple(points) == LANDMARKS
        assert np.allclose(
            [points[name] for name in LANDMARKS], list(case.points.values()), atol=6e-4
        )
        with (folder / row["boxes"]).open(newline="") as file:
            boxes = {box.pop("level"): box for box in csv.DictReader(file)}
        assert tuple(boxes) == LEVELS
        for level, box in boxes.items():
            assert list(map(float, box.values())) == pytest.approx(case.boxes[level], abs=6e-4)
        # What a header of the detector's pitch and the magnification gives.
        device = DEVICES[row["site"]]
        pixel_mm = device.spacing_mm / device.magnification
        again = sagittal_parameters(points, (pixel_mm, pixel_mm))
        assert [float(row[name]) for name in again._fields] == pytest.approx(list(again), abs=0.02)


def test_landmarks_lie_on_their_vertebrae() -> None:
    """A corner lies within 1.5 mm of the outline of its own body on the label map."""
    for case in phantoms(patients=3, seed=4):
        device = DEVICES[case.patient.site]
        for index, body in enumerate(VERTEBRAE, 1):
            far = cv2.distanceTransform((case.mask != index).astype(np.uint8), cv2.DIST_L2, 5)
            deep = cv2.distanceTransform((case.mask == index).astype(np.uint8), cv2.DIST_L2, 5)
            for name in (name for name in LANDMARKS if name[:2] == body and name[2] in "AP"):
                column, row = np.rint(case.points[name]).astype(int)
                reach = 1.5 * device.magnification / device.spacing_mm
                assert max(far[row, column], deep[row, column]) < reach, name


def test_a_box_holds_the_disc_and_half_of_each_neighbour() -> None:
    for case in phantoms(patients=3, seed=4):
        for index, level in enumerate(LEVELS, 1):
            left, top, right, bottom = np.rint(case.boxes[level]).astype(int)
            inside = case.mask[top:bottom, left:right]
            for body in (index, index + 1):
                part = np.count_nonzero(inside == body) / np.count_nonzero(case.mask == body)
                # The odontoid is half of C2; a bent level's upright box holds more of both.
                assert 0.15 < part < 0.9, (level, body)


def test_splits_share_no_patient(tmp_path: Path) -> None:
    splits = {"train": 2, "test": 1}
    table = write_splits(tmp_path, splits=splits, seed=9, faults=["blank"])
    with table.open(newline="", encoding="utf-8") as file:
        found = [(row["split"], row["fault"], row["patient"]) for row in csv.DictReader(file)]
    assert [(split, fault) for split, fault, _ in found] == [
        ("train", ""), ("train", ""), ("train", "blank"), ("test", ""), ("test", "blank"),
    ]  # fmt: skip
    assert len({patient for *_, patient in found}) == 5


def test_all_cores_write_what_one_does(tmp_path: Path, folder: Path) -> None:
    """Six studies go to processes of their own, three do not."""
    write_cases(tmp_path, patients=3, seed=9, split="test")
    for name in ("studies/phantom-9-00002/image.dcm", "masks/phantom-9-00002.png"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_a_run_that_fails_leaves_no_table(tmp_path: Path) -> None:
    write_cases(tmp_path, patients=1, seed=9, split="test")
    with pytest.raises(RuntimeError, match="killed"):
        write_cases(tmp_path, patients=2, seed=9, split="test", progress=_killed)
    assert not (tmp_path / "cases.csv").exists()


def _killed(done: int, total: int) -> None:
    raise RuntimeError("killed")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "either --patients or --splits"),
        (["--patients", "2", "--splits", "test=2"], "either --patients or --splits"),
        (["--splits", "test"], "expected such as"),
        (["--splits", "test=0"], "expected such as"),
        (["--splits", "test=2,test=3"], "expected such as"),
        (["--splits", "locked=2"], "got split 'locked'"),
    ],
)
def test_the_verb_wants_patients_of_one_split_or_of_several(
    tmp_path: Path, words: list[str], told: str
) -> None:
    result = CliRunner().invoke(xray, [*words, "--seed", "1", "-o", str(tmp_path / "set")])
    assert result.exit_code == 2
    assert told in result.output


def test_the_verb_writes_all_splits_at_once(tmp_path: Path) -> None:
    words = ["--splits", "train=1,tuning=1,test=1", "--seed", "1", "-o", str(tmp_path), "--json"]
    result = CliRunner().invoke(xray, words)
    assert result.exit_code == 0
    assert msgspec.json.decode(result.stdout)["studies"] == 3
    assert [row["split"] for row in rows(tmp_path)] == ["train", "tuning", "test"]


def test_all_rows_can_be_read_as_cases(folder: Path) -> None:
    cases = read_cases(folder, split="test", levels=LEVELS).cases
    assert [len(case.labels) for case in cases] == [6, 6, 6, 0, 6, 0]
    assert [case.mask is None for case in cases] == [False, False, False, True, False, True]


def test_no_temporary_file_is_left(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "boxes", "cases.csv", "masks", "points", "studies",
    ]  # fmt: skip


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = write_cases(
        tmp_path, patients=1, seed=0, split="test", faults=["ap"],
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert path == tmp_path / "cases.csv"
    assert seen == [(1, 2), (2, 2)]


def test_an_unknown_fault_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="unknown fault 'pa', expected one of ap, oblique"):
        write_cases(tmp_path, patients=1, seed=0, split="test", faults=["pa"])
    assert list(tmp_path.iterdir()) == []


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="got 0 patients and no faults"):
        write_cases(tmp_path, patients=0, seed=0, split="test")
