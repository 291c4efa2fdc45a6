from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from cspine_phantom.aim import Aim, frontal_aim, lateral_aim, oblique_aim
from cspine_phantom.devices import DEVICES
from cspine_phantom.dicom import dataset, strip, uid
from cspine_phantom.patients import SITES, draw_patient
from cspine_phantom.radiograph import Picture

LEFT, RIGHT = lateral_aim("left"), lateral_aim("right")


def ramp(site: str) -> Picture:
    device = DEVICES[site]
    values = np.arange(device.rows * device.columns) % 4096
    return values.reshape(device.rows, device.columns).astype(np.uint16)


def made(site: str, aim: Aim = LEFT) -> Dataset:
    patient = replace(draw_patient(0, 0), site=site)
    return dataset(patient, DEVICES[site], ramp(site), aim=aim, kind=aim.title)


@pytest.mark.parametrize("site", SITES)
def test_pixels_survive_the_file(site: str) -> None:
    buffer = BytesIO()
    made(site).save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    read = pydicom.dcmread(buffer)
    inverse = read.PhotometricInterpretation == "MONOCHROME1"
    assert inverse == (site == "C")
    assert read.PresentationLUTShape == ("INVERSE" if inverse else "IDENTITY")
    assert read.PixelIntensityRelationshipSign == (1 if inverse else -1)
    expected = 4095 - ramp(site) if inverse else ramp(site)
    assert np.array_equal(read.pixel_array, expected)


def test_every_site_states_its_scale_in_its_own_way() -> None:
    a, b, c = (made(site) for site in SITES)
    assert float(a.EstimatedRadiographicMagnificationFactor) == pytest.approx(
        a.DistanceSourceToDetector / a.DistanceSourceToPatient, abs=1e-5
    )
    assert "PixelSpacing" not in a
    assert "PixelSpacing" not in b
    assert "EstimatedRadiographicMagnificationFactor" not in b
    assert c.PixelSpacingCalibrationType == "GEOMETRY"
    assert c.PixelSpacing[0] < c.ImagerPixelSpacing[0]


@pytest.mark.parametrize(
    ("aim", "orientation", "position", "code"),
    [
        (LEFT, ["P", "F"], "LL", "399173006"),
        (RIGHT, ["A", "F"], "RL", "399198007"),
        (frontal_aim(), ["L", "F"], "AP", "399348003"),
        (oblique_aim("left"), ["PL", "F"], "LLO", "399135007"),
        (oblique_aim("right"), ["AL", "F"], "RLO", "399356000"),
    ],
)
def test_the_header_says_what_the_picture_shows(
    aim: Aim, orientation: list[str], position: str, code: str
) -> None:
    for site in SITES:
        header = made(site, aim)
        assert list(header.PatientOrientation) == orientation
        assert header.get("ViewPosition", position) == position
        codes = header.get("ViewCodeSequence")
        assert codes is None or codes[0].CodeValue == code
        assert codes is not None or "ViewPosition" in header


def test_uids_follow_from_the_seed_and_from_nothing_else() -> None:
    assert made("A").SOPInstanceUID == made("A").SOPInstanceUID
    patients = [draw_patient(seed, number) for seed in (0, 1) for number in (0, 1)]
    objects = [
        dataset(patient, DEVICES["A"], ramp("A"), aim=LEFT, kind=kind)
        for patient in patients
        for kind in ("lateral", "ap")
    ]
    uids = [
        value
        for each in objects
        for value in (each.SOPInstanceUID, each.SeriesInstanceUID, each.StudyInstanceUID)
    ]
    assert len(set(uids)) == 24
    assert all(value.startswith("2.25.") and value.is_valid for value in uids)
    assert uid("a", "b") != uid("b", "a")


def test_a_stripped_header_names_neither_part_nor_view_nor_orientation() -> None:
    header = made("A")
    strip(header, orientation=False)
    assert list(header.PatientOrientation) == ["P", "F"]
    strip(header, orientation=True)
    stated = {element.keyword for element in header}
    removed = {element.keyword for element in made("A")} - stated
    assert removed == {
        "AnatomicRegionSequence", "BodyPartExamined", "ImageLaterality", "PatientOrientation",
        "SeriesDescription", "StudyDescription", "ViewCodeSequence", "ViewPosition",
    }  # fmt: skip


def test_nobody_can_take_it_for_a_patient() -> None:
    header = made("B")
    assert str(header.PatientName).startswith("PHANTOM")
    assert header.PatientID.startswith("PHANTOM")
    assert header.InstitutionName.startswith("PHANTOM")


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize(
    "aim", [LEFT, RIGHT, frontal_aim(), oblique_aim("left")], ids=lambda aim: aim.position
)
def test_the_validator_finds_no_error(site: str, aim: Aim, tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    made(site, aim).save_as(path, enforce_file_format=True)
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert "DXImageForPresentation" in lines
    assert [line for line in lines if "Error" in line] == []
