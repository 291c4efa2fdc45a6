from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner

from cspine.errors import ModelError
from cspine_bench.cases import read_cases
from cspine_phantom.commands import mr
from cspine_phantom.mr.cases import COLUMNS, write_splits
from cspine_phantom.mr.disease import draw_disease
from cspine_phantom.mr.graded import graded_phantom
from cspine_phantom.mr.scanners import SCANNERS
from cspine_phantom.mr.study import mr_phantom
from cspine_phantom.patients import LEVELS
from cspine_phantom.pool import FEW


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One study of each split and more faults than one process gets."""
    folder = tmp_path_factory.mktemp("cases")
    write_splits(folder, splits={"train": 1, "test": 1}, seed=9, faults=["axial only", "no T2"])
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_names_every_study_and_its_truth(folder: Path) -> None:
    table = rows(folder)
    assert tuple(table[0]) == COLUMNS["OPLL"]
    assert [(row["split"], row["fault"]) for row in table] == [
        ("train", ""), ("train", "axial only"), ("train", "no T2"),
        ("test", ""), ("test", "axial only"), ("test", "no T2"),
    ]  # fmt: skip
    assert len({row["patient"] for row in table}) == 6
    for number in (0, 3):
        row, disease = table[number], draw_disease(9, number)
        assert row["OPLL"] == str(int(disease.label))
        assert row["second OPLL"] == str(int(disease.second))
        assert float(row["severity OPLL"]) == pytest.approx(disease.evidence, abs=1e-6)
        assert row["device"] == SCANNERS[row["site"]].name
        for path in (folder / row["study"]).iterdir():
            ds = pydicom.dcmread(path, stop_before_pixels=True)
            assert (ds.PatientID, ds.ManufacturerModelName) == (row["patient"], row["device"])
    assert {row["OPLL"] for row in table if row["fault"]} == {""}


def test_it_is_read_as_a_case_set(folder: Path) -> None:
    cases = read_cases(folder, split="test", levels=("OPLL",)).cases
    assert [len(case.labels) for case in cases] == [1, 0, 0]
    assert [case.unfit for case in cases] == [None, "axial only", "no T2"]
    assert set(cases[0].severity) == {"OPLL"}
    study = cases[0].read()
    assert len(study.series) >= 2
    assert {series[0].Modality for series in study.series} == {"MR"}


def test_all_cores_write_what_one_does(folder: Path) -> None:
    """Six studies went to processes of their own; one is made again here."""
    assert len(rows(folder)) > FEW
    case = mr_phantom(seed=9, number=1, fault="axial only")
    found = {}
    for path in (folder / rows(folder)[1]["study"]).iterdir():
        ds = pydicom.dcmread(path)
        found[ds.SOPInstanceUID] = ds.PixelData
    assert found == {ds.SOPInstanceUID: ds.PixelData for ds in case.datasets}


def test_names_of_files_say_nothing_of_their_order(folder: Path) -> None:
    row = next(row for row in rows(folder) if not SCANNERS[row["site"]].enhanced)
    numbers = [
        (int(ds.SeriesNumber), int(ds.InstanceNumber))
        for path in sorted((folder / row["study"]).iterdir())
        for ds in [pydicom.dcmread(path, stop_before_pixels=True)]
    ]
    assert numbers != sorted(numbers)
    assert len(set(numbers)) == len(numbers)


def test_an_unknown_fault_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"unknown fault 'metl'.*did you mean 'metal'"):
        write_splits(tmp_path, splits={"test": 1}, seed=1, faults=["metl"])
    with pytest.raises(ModelError, match="0 patients and no faults"):
        write_splits(tmp_path, splits={}, seed=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [[], ["--patients", "2", "--splits", "test=2"]])
def test_the_verb_wants_patients_of_one_split_or_of_several(
    tmp_path: Path, words: list[str]
) -> None:
    result = CliRunner().invoke(mr, [*words, "--seed", "1", "-o", str(tmp_path / "set")])
    assert result.exit_code == 2
    assert "either --patients or --splits" in result.output


def test_pixels_use_the_range_that_is_stated(folder: Path) -> None:
    for path in (folder / rows(folder)[0]["study"]).iterdir():
        ds = pydicom.dcmread(path)
        assert ds.pixel_array.max() < 2**ds.BitsStored
        assert np.percentile(ds.pixel_array, 99) > 60


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies that are to be graded and one that is to be refused."""
    folder = tmp_path_factory.mktemp("graded")
    write_splits(folder, splits={"test": 2}, seed=5, kind="stenosis", faults=["axial only"])
    return folder


def test_a_set_of_grades_names_what_each_level_has(graded: Path) -> None:
    table = rows(graded)
    assert tuple(table[0]) == COLUMNS["stenosis"]
    for number, row in enumerate(table[:2]):
        case = graded_phantom(seed=5, number=number, only=("ax T2",))
        assert row["axials"] == case.axials.way == "parallel"
        assert row["symptom"] == str(case.narrowing.symptom)
        for level, grade, second, narrowness in zip(
            LEVELS, case.narrowing.grades, case.narrowing.second, case.narrowing.narrowness,
            strict=True,
        ):  # fmt: skip
            assert (row[f"grade {level}"], row[f"second grade {level}"]) == (
                str(grade),
                str(second),
            )
            assert (row[level], row[f"second {level}"]) == (
                str(int(grade > 1)),
                str(int(second > 1)),
            )
            assert float(row[f"severity {level}"]) == pytest.approx(narrowness, abs=1e-6)
            cord = case.cords[level]
            assert float(row[f"ratio {level}"]) == pytest.approx(cord.ratio, abs=1e-4)
            assert float(row[f"tilt {level}"]) == pytest.approx(cord.tilt_deg, abs=0.01)
        with (graded / row["cord"]).open(newline="", encoding="utf-8") as file:
            places = {
                (each["level"], each["point"]): [float(each[f"{axis}_mm"]) for axis in "xyz"]
                for each in csv.DictReader(file)
            }
        assert len(places) == 6 * 5
        assert places["C5/6", "disc"] == pytest.approx(case.discs["C5/6"], abs=1e-3)
        assert places["C5/6", "left"] == pytest.approx(
            case.cords["C5/6"].points_mm["left"], abs=1e-3
        )
    assert {key for key, value in table[2].items() if value} == {
        "study", "patient", "site", "device", "sex", "age", "posture", "split", "fault",
    }  # fmt: skip


def test_a_set_of_grades_is_read_as_a_case_set(graded: Path) -> None:
    cases = read_cases(graded, split="test", levels=LEVELS).cases
    assert [len(case.labels) for case in cases] == [6, 6, 0]
    assert [case.unfit for case in cases] == [None, None, "axial only"]
    mask = cases[0].read_mask()
    assert mask is not None
    assert set(np.unique(mask)) == set(range(9))
    shapes = {
        (int(ds.Rows), int(ds.Columns))
        for path in (graded / rows(graded)[0]["study"]).iterdir()
        for ds in [pydicom.dcmread(path, stop_before_pixels=True)]
        if ds.SeriesDescription == "PHANTOM sag T2"
    }
    assert shapes == {mask.shape}
