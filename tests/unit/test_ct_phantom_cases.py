from __future__ import annotations

import csv
from pathlib import Path

import pydicom
import pytest
from click.testing import CliRunner

from cspine.errors import ModelError
from cspine_bench.cases import read_cases
from cspine_phantom.commands import ct
from cspine_phantom.ct.cases import BOX_COLUMNS, COLUMNS, write_cases, write_splits
from cspine_phantom.ct.disease import POSITIVE, draw_disease
from cspine_phantom.ct.scanners import SCANNERS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    write_cases(folder, patients=2, seed=9, split="test", faults=["missing slices"])
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_names_every_study_and_its_truth(folder: Path) -> None:
    table = rows(folder / "cases.csv")
    assert tuple(table[0]) == COLUMNS
    assert [row["fault"] for row in table] == ["", "", "missing slices"]
    for number, row in enumerate(table[:2]):
        disease = draw_disease(9, number)
        assert row["grade stenosis"] == disease.grade
        assert row["second grade stenosis"] == disease.second
        assert row["stenosis"] == str(int(disease.grade in POSITIVE))
        assert float(row["severity stenosis"]) == pytest.approx(disease.evidence, abs=1e-6)
        assert row["device"] == SCANNERS[row["site"]].name
        boxes = rows(folder / row["boxes"])
        assert tuple(boxes[0]) == BOX_COLUMNS
        assert [int(box["slice"]) for box in boxes] == list(range(len(boxes)))
        heights = set()
        for path in (folder / row["study"]).iterdir():
            ds = pydicom.dcmread(path, stop_before_pixels=True)
            assert (ds.PatientID, ds.ManufacturerModelName) == (row["patient"], row["device"])
            if ds.SeriesDescription == "PHANTOM axial":
                groups = ds.get("PerFrameFunctionalGroupsSequence")
                places = [group.PlanePositionSequence[0] for group in groups] if groups else [ds]
                heights |= {float(place.ImagePositionPatient[2]) for place in places}
        assert len(heights) == len(boxes)
    assert {row["stenosis"] + row["boxes"] for row in table if row["fault"]} == {""}


def test_it_is_read_as_a_case_set(folder: Path) -> None:
    cases = read_cases(folder, split="test", levels=("stenosis",)).cases
    assert [len(case.labels) for case in cases] == [1, 1, 0]
    assert [case.unfit for case in cases] == [None, None, "missing slices"]
    study = cases[0].read()
    assert {series[0].Modality for series in study.series} == {"CT"}


def test_what_cannot_be_made_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"unknown fault 'metl'.*did you mean 'metal'"):
        write_splits(tmp_path, splits={"test": 1}, seed=1, faults=["metl"])
    assert list(tmp_path.iterdir()) == []


def test_the_verb_wants_patients_of_one_split_or_of_several(tmp_path: Path) -> None:
    result = CliRunner().invoke(ct, ["--seed", "1", "-o", str(tmp_path / "set")])
    assert result.exit_code == 2
    assert "either --patients or --splits" in result.output
