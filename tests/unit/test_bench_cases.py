"""Case sets are checked before anything is believed of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cspine.errors import ModelError
from cspine_bench.cases import read_cases

LEVELS = ("C2/3", "C3/4")
POINTS = "study,patient,split,points,mask,C2/3,C3/4"
HEADER = "study,patient,split,mask,C2/3,C3/4"
ROWS = (
    "studies/a,p1,test,a.png,0,1",
    "studies/b,p2,test,,1,",
    "studies/c,p3,calibration,,0,0",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "abc":
        (tmp_path / "studies" / name).mkdir(parents=True)
        (tmp_path / "studies" / name / "image.dcm").write_bytes(name.encode())
    cv2.imwrite(str(tmp_path / "a.png"), np.full((3, 4), 7, np.uint8))
    write(tmp_path, *ROWS)
    return tmp_path


def write(folder: Path, *rows: str, header: str = HEADER) -> None:
    (folder / "cases.csv").write_text("\n".join([header, *rows]) + "\n")


def fault(folder: Path, *rows: str, header: str = HEADER) -> str:
    write(folder, *rows, header=header)
    with pytest.raises(ModelError) as caught:
        read_cases(folder, split="test", levels=LEVELS)
    return str(caught.value)


def test_a_split_is_read_with_its_lines_and_labels(folder: Path) -> None:
    first, second = read_cases(folder, split="test", levels=LEVELS).cases
    assert (first.row, second.row) == (2, 3)
    assert first.labels == {"C2/3": False, "C3/4": True}
    assert second.labels == {"C2/3": True}
    assert second.read_mask() is None
    mask = first.read_mask()
    assert mask is not None
    np.testing.assert_array_equal(mask, np.full((3, 4), 7))


def test_landmarks_are_read_by_name(folder: Path) -> None:
    (folder / "a.csv").write_text("name,column,row\nHP,1.5,-2\nOC,3,4.25\n")
    write(folder, "studies/a,p1,test,a.csv,,0,1", "studies/b,p2,test,,,1,", header=POINTS)
    first, second = read_cases(folder, split="test", levels=LEVELS).cases
    assert first.read_points() == {"HP": (1.5, -2.0), "OC": (3.0, 4.25)}
    assert second.read_points() == {}


@pytest.mark.parametrize(
    "text", ["name,x,y\nHP,1,2\n", "name,column,row\nHP,1\n", "name,column,row\nHP,a,b\n"]
)
def test_a_file_of_no_landmarks_is_refused(folder: Path, text: str) -> None:
    (folder / "a.csv").write_text(text)
    write(folder, "studies/a,p1,test,a.csv,,0,1", header=POINTS)
    (case,) = read_cases(folder, split="test", levels=LEVELS).cases
    with pytest.raises(ModelError, match="line 2: the points are no CSV of name, column, row"):
        case.read_points()


def test_severities_are_read_where_they_are_stated(folder: Path) -> None:
    header = HEADER + ",severity C2/3,severity C3/4"
    write(folder, "studies/a,p1,test,,0,1,-0.25,1e0", "studies/b,p2,test,,1,,,", header=header)
    first, second = read_cases(folder, split="test", levels=LEVELS).cases
    assert first.severity == {"C2/3": -0.25, "C3/4": 1.0}
    assert second.severity == {}
    for text in ("much", "nan", "inf"):
        message = fault(folder, f"studies/a,p1,test,,0,1,,{text}", header=header)
        assert message == f"cases.csv, line 2, severity C3/4: got {text!r}, expected a number"


def test_the_digest_is_of_the_table_and_of_every_file(folder: Path) -> None:
    before = read_cases(folder, split="test", levels=LEVELS)
    assert read_cases(folder, split="test", levels=LEVELS) == before
    (folder / "studies" / "c" / "image.dcm").write_bytes(b"of another split")
    assert read_cases(folder, split="test", levels=LEVELS) == before
    (folder / "studies" / "a" / "image.dcm").write_bytes(b"changed")
    after = read_cases(folder, split="test", levels=LEVELS)
    assert after.digest != before.digest


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("studies/a,p1,test,,0",), "line 2: 6 fields, expected 6"),
        (
            ("studies/a,p1,locked,,0,1",),
            "line 2: split 'locked', expected train, calibration, tuning, test",
        ),
        (("studies/a,p1,test,,0,2",), "line 2, C3/4: got '2', expected 0, 1"),
        (("studies/x,p1,test,,0,1",), "line 2: a file that it names is missing"),
        (("../outside,p1,test,,0,1",), "line 2: a path leads out of the case set"),
        (
            ("studies/a,p1,test,,0,1", "studies/b,p1,calibration,,0,1"),
            "lines 2 and 3: one patient in splits test and calibration; splits are by patient",
        ),
        (("studies/c,p3,calibration,,0,0",), "no case of split 'test'"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(
    folder: Path, rows: tuple[str, ...], message: str
) -> None:
    found = fault(folder, *rows)
    assert message in found
    assert "p1" not in found


def test_subgroups_are_told_by_columns_and_ages_by_bands(folder: Path) -> None:
    header = HEADER + ",site,device,sex,age"
    rows = ("studies/a,p1,test,,0,1,north,CR-1,F,39", "studies/b,p2,test,,1,,,,,65")
    write(folder, *rows, header=header)
    first, second = read_cases(folder, split="test", levels=LEVELS).cases
    assert first.groups == {"site": "north", "device": "CR-1", "sex": "F", "age": "under 40"}
    assert second.groups == {"age": "65 and over"}
    for age in ("old", "-1", "151", "nan"):
        message = fault(folder, f"studies/a,p1,test,,0,1,,,,{age}", header=header)
        assert message == "cases.csv, line 2, age: expected years, a number of 0 to 150"


def test_one_study_under_two_patients_is_refused_wherever_it_stands(folder: Path) -> None:
    same = (folder / "studies" / "a" / "image.dcm").read_bytes()
    (folder / "studies" / "c" / "renamed.dcm").write_bytes(same)
    (folder / "studies" / "c" / "image.dcm").unlink()
    expected = "cases.csv, lines 2 and 4: one study under two patients; a study is of one patient, "
    assert fault(folder, *ROWS) == expected + "and in one split"
    (folder / "studies" / "c" / "more.dcm").write_bytes(b"c")
    assert len(read_cases(folder, split="test", levels=LEVELS).cases) == 2


def test_the_studies_of_other_splits_need_not_be_there(folder: Path) -> None:
    (folder / "studies" / "c" / "image.dcm").unlink()
    (folder / "studies" / "c").rmdir()
    assert len(read_cases(folder, split="test", levels=LEVELS).cases) == 2


def test_a_missing_column_is_suggested(folder: Path) -> None:
    assert fault(folder, *ROWS, header=HEADER.replace("C3/4", "C3-4")).endswith(
        "no column 'C3/4'; did you mean 'C3-4'?"
    )


def test_an_empty_table_is_an_error_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("")
    with pytest.raises(ModelError, match="no column 'study'"):
        read_cases(tmp_path, split="test", levels=["C3/4"])


def test_no_table_is_no_set(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read as a case set"):
        read_cases(tmp_path, split="test", levels=LEVELS)


def test_a_study_that_is_no_dicom_is_named_by_its_line(folder: Path) -> None:
    case, _ = read_cases(folder, split="test", levels=LEVELS).cases
    with pytest.raises(ModelError, match=r"line 2: .*none of its files is DICOM"):
        case.read()


def test_a_mask_must_be_an_8_bit_grey_png(folder: Path) -> None:
    cv2.imwrite(str(folder / "a.png"), np.zeros((3, 4, 3), np.uint8))
    case, _ = read_cases(folder, split="test", levels=LEVELS).cases
    with pytest.raises(ModelError, match="line 2: the mask is no 8-bit grey PNG"):
        case.read_mask()


GRADES = HEADER + ",grade C3/4,second C3/4,second grade C3/4,ratio C3/4,symptom,boxes"


def test_grades_ratios_symptoms_and_a_second_reader_are_read(folder: Path) -> None:
    rows = ("studies/a,p1,test,,0,1,severe,0,mild,0.45,12,", "studies/b,p2,test,,1,,,,,,,")
    write(folder, *rows, header=GRADES)
    first, second = read_cases(folder, split="test", levels=LEVELS).cases
    assert (first.grades, first.second_grades) == ({"C3/4": "severe"}, {"C3/4": "mild"})
    assert (first.ratios, first.second, first.symptom) == ({"C3/4": 0.45}, {"C3/4": False}, 12.0)
    assert (second.grades, second.second_grades, second.ratios, second.second) == ({}, {}, {}, {})
    assert second.symptom is None
    for row, message in (
        ("0,1,,2,,,,", "second C3/4: got '2', expected 0, 1"),
        ("0,1,,,,low,,", "ratio C3/4: got 'low', expected a number"),
        ("0,1,,,,,nan,", "symptom: got 'nan', expected a number"),
    ):
        found = fault(folder, f"studies/a,p1,test,,{row}", header=GRADES)
        assert found == f"cases.csv, line 2, {message}"


def test_boxes_are_of_slices_where_regions_are_asked_for(folder: Path) -> None:
    table = folder / "a.csv"
    table.write_text("slice,left,top,right,bottom,class\n3,1.5,2,11,12.5,mild\n4,1,2,9,8,none\n")
    write(folder, "studies/a,p1,test,,0,1,,,,,,a.csv", header=GRADES)
    (bare,) = read_cases(folder, split="test", levels=LEVELS).cases
    assert bare.read_boxes() == {}
    found = read_cases(folder, split="test", levels=LEVELS, regions=True)
    (case,) = found.cases
    assert case.read_boxes() == {3: (1.5, 2.0, 11.0, 12.5), 4: (1.0, 2.0, 9.0, 8.0)}
    for text, message in (
        ("slice,left\n1,2\n", "the boxes are no CSV of slice, left, top, right, bottom"),
        ("slice,left,top,right,bottom\none,1,2,3,4\n", "the boxes are no CSV of slice, left"),
        ("slice,left,top,right,bottom\n1,3,2,3,4\n", "slice 1 has a box without an area"),
        ("slice,left,top,right,bottom\n1,nan,2,3,4\n", "slice 1 has a box without an area"),
        ("slice,left,top,right,bottom\n1,1,2,3,4\n1,1,2,3,4\n", "a slice has two boxes"),
    ):
        table.write_text(text)
        with pytest.raises(ModelError) as caught:
            case.read_boxes()
        assert str(caught.value).startswith(f"cases.csv, line 2: {message}")
    assert read_cases(folder, split="test", levels=LEVELS, regions=True).digest != found.digest
