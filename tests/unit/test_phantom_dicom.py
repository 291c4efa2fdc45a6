from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage

from cspine.dicom.admit import admit
from cspine.dicom.dataset import read_dataset
from cspine.dicom.read import read_image
from cspine.findings import Refused
from cspine.pipeline_file import load_spec, shipped_spec
from cspine_phantom.imaging.aim import Aim, frontal_aim, lateral_aim, oblique_aim
from cspine_phantom.imaging.devices import DEVICES
from cspine_phantom.imaging.dicom import dataset, strip, uid
from cspine_phantom.imaging.presentation import WHITE, Picture
from cspine_phantom.imaging.radiograph import radiograph
from cspine_phantom.patients import SITES, draw_patient
from cspine_phantom.scene.anatomy import lateral

LEFT, RIGHT = lateral_aim("left"), lateral_aim("right")


PICTURE = np.arange(256 * 192).reshape(256, 192).astype(np.uint16) % (WHITE + 1)
"""Every grey level three times."""


def made(site: str, aim: Aim = LEFT, picture: Picture = PICTURE) -> Dataset:
    patient = replace(draw_patient(0, 0), site=site)
    return dataset(patient, DEVICES[site], picture, aim=aim, kind=aim.title)


@pytest.mark.parametrize("site", SITES)
def test_what_is_shown_is_the_picture_whatever_is_stored(site: str) -> None:
    buffer = BytesIO()
    made(site).save_as(buffer, enforce_file_format=True)
    image = read_image(read_dataset(buffer.getvalue()))
    assert image.grey is not None
    assert image.grey.span is not None
    levels, (black, white) = image.levels(), image.grey.span
    low, high = levels.min(), levels.max()
    # A sigmoid ends short of black and white.
    assert (low - black) / (white - black) < 0.02
    assert (high - black) / (white - black) > 0.98
    shown = (levels - low) / (high - low)
    # Half a step, or more of it where sigmoid and table are steeper than a line.
    assert np.abs(shown - PICTURE / WHITE).max() < 1.2 / 2 ** DEVICES[site].bits


@pytest.mark.parametrize("site", SITES)
def test_pixels_have_the_bits_and_the_sense_of_the_device(site: str) -> None:
    header, device = made(site), DEVICES[site]
    stored = header.pixel_array
    assert (header.BitsStored, header.HighBit) == (device.bits, device.bits - 1)
    assert stored.min() == 0
    assert stored.max() == 2**device.bits - 1
    inverse = header.PhotometricInterpretation == "MONOCHROME1"
    assert inverse == (site in ("C", "D"))
    rising = np.corrcoef(stored.ravel(), PICTURE.ravel())[0, 1]
    assert rising < -0.9 if inverse else rising > 0.9
    if site != "D":
        assert header.PresentationLUTShape == ("INVERSE" if inverse else "IDENTITY")
        assert header.PixelIntensityRelationshipSign == (1 if inverse else -1)


def test_sites_differ_in_what_they_write() -> None:
    devices = [DEVICES[site] for site in SITES]
    assert {device.bits for device in devices} == {10, 12, 14}
    assert {device.voi for device in devices} == {"window", "sigmoid", "table"}
    assert {device.detector.response for device in devices} == {"linear", "root", "logarithmic"}
    for what in ("name", "spacing_mm", "kvp", "kerma_ugy", "scatter_left", "window", "gamma"):
        assert len({getattr(device, what) for device in devices}) == len(SITES)
    a, b, c, d = (made(site) for site in SITES)
    assert {each.Modality for each in (a, b, c)} == {"DX"}
    assert d.Modality == "CR"
    assert d.SOPClassUID == ComputedRadiographyImageStorage
    assert d.file_meta.MediaStorageSOPClassUID == d.SOPClassUID
    assert b.VOILUTFunction == "SIGMOID"
    assert "WindowCenter" not in c
    assert "WindowCenter" in d


def test_every_site_states_its_scale_in_its_own_way() -> None:
    a, b, c, d = (made(site) for site in SITES)
    assert float(a.EstimatedRadiographicMagnificationFactor) == pytest.approx(
        a.DistanceSourceToDetector / a.DistanceSourceToPatient, abs=1e-5
    )
    assert "PixelSpacing" not in a
    for each in (b, d):
        assert "PixelSpacing" not in each
        assert "EstimatedRadiographicMagnificationFactor" not in each
    assert c.PixelSpacingCalibrationType == "GEOMETRY"
    assert c.PixelSpacing[0] < c.ImagerPixelSpacing[0]
    flags = [read_image(each).spacing.flag for each in (a, b, c, d)]
    assert flags == ["geometry", "detector plane", "calibrated", "detector plane"]


@pytest.mark.parametrize("site", SITES)
def test_the_header_of_a_lateral_is_let_in(site: str) -> None:
    spec = load_spec(shipped_spec("xray-compression"))
    assert admit(made(site), spec.accept) == ()
    with pytest.raises(Refused, match="not lateral"):
        admit(made(site, frontal_aim()), spec.accept)


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
        dataset(patient, DEVICES["A"], PICTURE, aim=LEFT, kind=kind)
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
    assert ("CRImage" if site == "D" else "DXImageForPresentation") in lines
    assert [line for line in lines if "Error" in line] == []


@pytest.mark.parametrize("site", SITES)
def test_another_viewer_shows_the_same(
    site: str, dcmtk: Callable[..., str], tmp_path: Path
) -> None:
    patient = replace(draw_patient(0, 0), site=site)
    shot = radiograph(lateral(patient), patient, DEVICES[site])
    path, shown = tmp_path / "image.dcm", tmp_path / "image.pgm"
    made(site, lateral_aim(patient.face), shot.picture).save_as(path, enforce_file_format=True)
    voi = ["+Wl", "1"] if DEVICES[site].voi == "table" else ["+Wi", "1"]
    dcmtk("dcm2pnm", *voi, "+opb", path, shown)
    other = cv2.imread(str(shown), cv2.IMREAD_UNCHANGED)
    assert other is not None
    assert other.shape == shot.picture.shape
    assert np.corrcoef(other[::5, ::5].ravel(), shot.picture[::5, ::5].ravel())[0, 1] > 0.98
    bone = (shot.mask > 0) & (shot.mask < 8)
    assert np.median(other[bone]) > 1.2 * np.median(other)
