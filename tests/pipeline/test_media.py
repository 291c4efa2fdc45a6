"""What people are handed: CDs, odd headers and odd names, through the installed command."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.fileset import FileSet

from cspine.bundle import Bundle

NAME = "QUILLFEATHER"


def run(bundle: Bundle, *studies: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command, with every warning that it does not silence."""
    program = Path(sys.executable).with_name("cspine")
    return subprocess.run(
        [sys.executable, "-W", "always", program, "run", bundle.path, *studies, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def image(sets: Path) -> Path:
    """A clean lateral phantom."""
    return sets / "test" / "studies" / "phantom-502-00000" / "image.dcm"


def test_a_name_in_the_character_set_is_not_repeated(
    made: Bundle, image: Path, tmp_path: Path
) -> None:
    dataset = dcmread(image)
    dataset.SpecificCharacterSet = "ISO_IR 100"
    path = tmp_path / "x.dcm"
    dataset.save_as(path, enforce_file_format=True)
    path.write_bytes(path.read_bytes().replace(b"ISO_IR 100", b"QUILLF^ZEB"))
    result = run(made, path)
    assert "QUILL" not in result.stdout + result.stderr
    assert not result.stderr
    assert json.loads(result.stdout)[0]["status"] == "answered"


def test_a_name_below_a_folder_is_not_repeated(made: Bundle, image: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cd" / NAME
    folder.mkdir(parents=True)
    (folder / f"{NAME}.dcm").write_bytes(image.read_bytes())
    (folder / f"{NAME}.txt").write_text(f"Dear Mr {NAME}")
    result = run(made, tmp_path / "cd")
    assert result.returncode == 0
    assert result.stderr == (
        f"cspine: 1 file in {tmp_path / 'cd'} is not DICOM and was passed over\n"
    )
    assert NAME not in result.stdout
    assert json.loads(result.stdout)[0]["status"] == "answered"


def test_a_damaged_image_beside_others_exits_2(made: Bundle, image: Path, tmp_path: Path) -> None:
    shutil.copy(image, tmp_path / "1.dcm")
    damaged = image.read_bytes().replace(b"\2\0\2\0UI", b"\2\0\2\0FD", 1)
    (tmp_path / "2.dcm").write_bytes(damaged)
    (tmp_path / "viewer.exe").write_bytes(b"MZ" + bytes(1000))
    result = run(made, tmp_path)
    assert result.returncode == 2
    first, second = result.stderr.splitlines()
    assert first.startswith(f"cspine: {tmp_path}: file 2 of 3: a damaged DICOM file (")
    assert second == f"cspine: 1 file in {tmp_path} is not DICOM and was passed over"
    assert json.loads(result.stdout)[0]["status"] == "answered"


def test_a_medium_with_its_directory_is_read_through_a_link(
    made: Bundle, image: Path, tmp_path: Path
) -> None:
    disc, link = tmp_path / "disc", tmp_path / "link"
    disc.mkdir()
    shutil.copy(str(get_testdata_file("DICOMDIR")), disc)
    shutil.copy(image, disc / "IM000001")
    link.symlink_to(disc)
    result = run(made, link)
    assert (result.returncode, result.stderr) == (0, "")
    assert [found["status"] for found in json.loads(result.stdout)] == ["answered"]


def test_a_study_in_an_archive_and_in_a_folder_is_judged_once(
    made: Bundle, image: Path, sets: Path, tmp_path: Path
) -> None:
    path = tmp_path / "from the portal"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(image, f"{NAME}/{NAME}.dcm")
        archive.writestr(f"{NAME}.txt", f"Dear Mr {NAME}")
    folder = sets / "test" / "studies" / "phantom-502-00001"
    result = run(made, path, image, folder)
    assert result.returncode == 0
    assert result.stderr == f"cspine: 1 file in {path} is not DICOM and was passed over\n"
    assert NAME not in result.stdout
    first, second = json.loads(result.stdout)
    assert first["notes"] == ["2 copies of the judged image were found; one was judged."]
    assert first["source"]["study_uid"] != second["source"]["study_uid"]
    alone, _ = json.loads(run(made, image, folder).stdout)
    assert first == alone | {"notes": first["notes"]}


def test_a_directory_leads_to_its_images(made: Bundle, image: Path, tmp_path: Path) -> None:
    files = FileSet()
    dataset = dcmread(image)
    dataset.StudyID, dataset.SeriesNumber = "1", 1
    files.add(dataset)
    files.write(tmp_path / "disc")
    result = run(made, tmp_path / "disc" / "DICOMDIR")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout) == json.loads(run(made, image).stdout)
    with warnings.catch_warnings():  # it leaves a folder of its own to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        del files
        gc.collect()


def test_two_patients_under_one_study_uid_are_refused(
    made: Bundle, image: Path, tmp_path: Path
) -> None:
    other = dcmread(image)
    other.PatientID, other.SOPInstanceUID = NAME, "1.2.3"
    other.save_as(tmp_path / "other.dcm", enforce_file_format=True)
    result = run(made, image, tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    codes = [found["refusal"]["code"] for found in json.loads(result.stdout)]
    assert codes == ["IDENTITY_CONFLICT"] * 2
    assert NAME not in result.stdout


def test_pixels_cut_off_are_refused_without_a_traceback(
    made: Bundle, image: Path, tmp_path: Path
) -> None:
    path = tmp_path / "cut.dcm"
    path.write_bytes(image.read_bytes()[:1_000_000])
    result = run(made, path)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)[0]["refusal"]["code"] == "UNSUPPORTED_OBJECT"
