from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest

from cspine.errors import ModelError
from cspine_bench.cases import read_cases
from cspine_phantom.cases import COLUMNS, phantom, phantoms, write_cases
from cspine_phantom.devices import DEVICES
from cspine_phantom.patients import LEVELS


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
    empty = ["mask", "face", *LEVELS, *(f"severity {level}" for level in LEVELS)]
    assert [row[name] for row in (frontal, metal) for name in empty] == [""] * 2 * len(empty)
    case = phantom(seed=9, number=3, fault="ap")
    assert (dict(case.labels), dict(case.severity), case.face) == ({}, {}, None)
    assert not case.mask.any()


def test_a_film_with_c7_hidden_keeps_its_truth(folder: Path) -> None:
    row = rows(folder)[4]
    case = phantom(seed=9, number=4, fault="c7 hidden")
    assert (row["fault"], row["face"]) == ("c7 hidden", case.patient.face)
    assert {level: row[level] == "1" for level in LEVELS} == dict(case.labels)
    mask = cv2.imread(str(folder / row["mask"]), cv2.IMREAD_UNCHANGED)
    assert mask is not None
    assert np.array_equal(mask, case.mask)


def test_all_rows_can_be_read_as_cases(folder: Path) -> None:
    cases = read_cases(folder, split="test", levels=LEVELS).cases
    assert [len(case.labels) for case in cases] == [6, 6, 6, 0, 6, 0]
    assert [case.mask is None for case in cases] == [False, False, False, True, False, True]


def test_no_temporary_file_is_left(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["cases.csv", "masks", "studies"]


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
