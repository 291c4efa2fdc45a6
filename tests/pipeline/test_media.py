"""What people are handed: CDs, odd headers and odd names, through the installed command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from cspine.bundle import Bundle

NAME = "QUILLFEATHER"


def run(bundle: Bundle, study: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command, with every warning that it does not silence."""
    program = Path(sys.executable).with_name("cspine")
    return subprocess.run(
        [sys.executable, "-W", "always", program, "run", bundle.path, study, "--json"],
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
    assert result.returncode == 2
    assert result.stderr == (
        f"cspine: {tmp_path / 'cd'}: file 2 of 2: not a DICOM file (InvalidDicomError)\n"
    )
    assert NAME not in result.stdout
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


def test_pixels_cut_off_are_refused_without_a_traceback(
    made: Bundle, image: Path, tmp_path: Path
) -> None:
    path = tmp_path / "cut.dcm"
    path.write_bytes(image.read_bytes()[:1_000_000])
    result = run(made, path)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)[0]["refusal"]["code"] == "UNSUPPORTED_OBJECT"
