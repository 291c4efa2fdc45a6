from __future__ import annotations

import gc
import shutil
import subprocess
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet

from cspine.dicom.media import dicom_files
from cspine.dicom.select import Study, find_studies, read_studies
from cspine.errors import StudyError

NAME = "QUILLFEATHER"


@pytest.fixture
def medium(radiograph: Dataset, tmp_path: Path) -> Path:
    """Return the DICOMDIR of a medium with three images; beside it lies a file it does not list."""
    files = FileSet()
    radiograph.StudyDate, radiograph.StudyTime, radiograph.StudyID = "20200101", "120000", "1"
    radiograph.SeriesNumber = 1
    for number in (1, 2, 3):
        image = deepcopy(radiograph)
        image.SOPInstanceUID, image.InstanceNumber = f"1.2.3.4.{number}", number
        image.save_as(tmp_path / "x", enforce_file_format=True)
        files.add(tmp_path / "x")
    files.write(tmp_path / "medium")
    with warnings.catch_warnings():  # it leaves a folder of its own to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        del files
        gc.collect()
    shutil.move(tmp_path / "x", tmp_path / "medium" / "README.TXT")
    return tmp_path / "medium" / "DICOMDIR"


def images(medium: Path) -> list[Path]:
    found = sorted(path for path in medium.parent.rglob("IM*") if path.is_file())
    assert len(found) == 3
    return found


def change(medium: Path, edit: Callable[[Dataset], None]) -> None:
    """Edit the records of the first image, in place."""
    directory = dcmread(medium)
    records = [r for r in directory.DirectoryRecordSequence if "ReferencedFileID" in r]
    edit(records[0])
    directory.save_as(medium, enforce_file_format=True)


def read(path: Path) -> tuple[list[Study], list[str]]:
    studies, unreadable = read_studies(dicom_files(path))
    return studies, [str(error) for error in unreadable]


def numbers(studies: list[Study]) -> list[int]:
    (study,) = studies
    return [int(instance.InstanceNumber) for instance in study.instances]


def test_a_directory_gives_the_files_that_it_lists(medium: Path, tmp_path: Path) -> None:
    assert list(dicom_files(medium)) == images(medium)
    studies, unreadable = read(medium)
    assert (numbers(studies), unreadable) == ([1, 2, 3], [])
    other = tmp_path / "other name"  # it is known by what it is; its files lie beside the original
    other.symlink_to(medium)
    assert list(dicom_files(other)) == images(medium)


def test_a_medium_and_its_directory_are_one_study(medium: Path) -> None:
    for paths in ([medium, medium.parent], [medium.parent, medium], [medium.parent]):
        studies, unreadable = find_studies(paths)
        assert (numbers(studies), unreadable) == ([1, 2, 3, 3], [])  # with what is not listed


@pytest.mark.parametrize("style", ["{}", "{};1", "{}.;1"])
@pytest.mark.parametrize("change_case", [str.lower, str.upper])
def test_names_are_found_as_other_systems_show_them(
    medium: Path, style: str, change_case: Callable[[str], str]
) -> None:
    for path in sorted(medium.parent.rglob("*"), reverse=True):
        if path != medium:
            name = style.format(path.name) if path.is_file() else path.name
            path.rename(path.with_name(change_case(name)))
    studies, unreadable = read(medium)
    assert (numbers(studies), unreadable) == ([1, 2, 3], [])


def test_a_name_as_it_is_listed_comes_before_others(medium: Path) -> None:
    first = images(medium)[0]
    first.with_name(first.name.lower()).touch()
    first.with_name(f"{first.name};1").touch()
    assert next(iter(dicom_files(medium))) == first


def test_missing_files_are_told_by_number(medium: Path) -> None:
    first, second, third = images(medium)
    first.unlink()
    third.write_text("no DICOM")
    studies, unreadable = read(medium)
    assert numbers(studies) == [2]
    assert unreadable == [
        f"{medium}: file 1 of 3 that the DICOMDIR lists is missing",
        f"{medium}: file 3 of 3: not a DICOM file",
    ]
    second.unlink()
    third.unlink()
    with pytest.raises(StudyError) as caught:
        read(medium)
    assert str(caught.value) == (
        f"{medium}: none of the 3 files that the DICOMDIR lists is there; "
        "give the folder that holds the images"
    )


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
@pytest.mark.filterwarnings("ignore:The value length")
@pytest.mark.parametrize(
    "where", [["..", NAME], f"../{NAME}", f"{{}}/{NAME}", ["LINK", NAME], ["LINKED"]]
)
def test_nothing_outside_the_medium_is_read(
    medium: Path, tmp_path: Path, where: list[str] | str
) -> None:
    outside = shutil.copy(images(medium)[0], tmp_path / NAME)
    (medium.parent / "LINK").symlink_to(tmp_path)
    (medium.parent / "LINKED").symlink_to(outside)
    stated = where.format(tmp_path) if isinstance(where, str) else where
    change(medium, lambda record: setattr(record, "ReferencedFileID", stated))
    studies, unreadable = read(medium)
    assert numbers(studies) == [2, 3]
    assert unreadable == [f"{medium}: file 1 of 3 that the DICOMDIR lists lies outside its folder"]


def test_a_record_that_names_a_folder_or_nothing_is_missing(medium: Path) -> None:
    change(medium, lambda record: setattr(record, "ReferencedFileID", ["README.TXT", "X"]))
    assert read(medium)[1] == [f"{medium}: file 1 of 3 that the DICOMDIR lists is missing"]
    change(medium, lambda record: setattr(record, "ReferencedFileID", images(medium)[0].parts[-2]))
    told = read(medium)[1]
    assert len(told) == 1
    assert told[0].startswith(f"{medium}: file 1 of 3")


def test_records_out_of_use_are_passed_over(medium: Path) -> None:
    change(medium, lambda record: setattr(record, "RecordInUseFlag", 0))
    assert list(dicom_files(medium)) == images(medium)[1:]


def test_a_directory_of_nothing_is_told(medium: Path) -> None:
    directory = dcmread(medium)
    directory.DirectoryRecordSequence = []
    directory.save_as(medium, enforce_file_format=True)
    with pytest.raises(StudyError, match="the DICOMDIR lists no file; give the folder instead"):
        dicom_files(medium)


def test_a_damaged_directory_is_told_at_every_length(medium: Path) -> None:
    whole = medium.read_bytes()
    said = set()
    for length in range(400, len(whole), 97):
        medium.write_bytes(whole[:length])
        studies, unreadable = find_studies([medium])
        assert not studies or unreadable or len(studies[0].instances) <= 3
        said |= {str(error) for error in unreadable}
    assert f"{medium}: the DICOMDIR is damaged; give the folder instead" in said
    assert not any(NAME in words for words in said)


@pytest.mark.parametrize(
    "kind", ["", "-bigEnd", "-implicit", "-nooffset", "-nopatient", "-reordered"]
)
def test_real_directories_are_followed(kind: str) -> None:
    path = Path(str(get_testdata_file("DICOMDIR"))).with_name(f"DICOMDIR{kind}")
    studies, unreadable = read(path)
    assert not unreadable
    assert (len(studies), sum(len(study.instances) for study in studies)) == (6, 31)


@pytest.mark.skipif(not shutil.which("dcmmkdir"), reason="dcmtk is not installed")
def test_a_directory_by_dcmtk_is_followed(medium: Path) -> None:
    medium.unlink()
    names = [str(path.relative_to(medium.parent)) for path in images(medium)]
    subprocess.run(["dcmmkdir", "+I", "-Pgp", *names], cwd=medium.parent, check=True)
    assert list(dicom_files(medium)) == images(medium)
