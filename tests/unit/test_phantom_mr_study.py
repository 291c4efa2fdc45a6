"""An MR study is what its headers say, in both ways of storing it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage, MRImageStorage

from cspine.dicom.frame import frame_header
from cspine.dicom.plane import plane_of
from cspine.plane import Plane
from cspine_phantom.mr.classic import classic
from cspine_phantom.mr.disease import draw_disease
from cspine_phantom.mr.enhanced import enhanced
from cspine_phantom.mr.faults import FAULTS, REFUSED
from cspine_phantom.mr.scan import scan, taken
from cspine_phantom.mr.scanners import SCANNERS, Protocol, Scanner
from cspine_phantom.mr.series import Series, Title
from cspine_phantom.mr.study import mr_phantom
from cspine_phantom.patients import SITES, Patient, draw_patient


def small(scanner: Scanner) -> Scanner:
    """A scanner of few pixels with every series."""

    def fewer(protocol: Protocol) -> Protocol:
        return replace(
            protocol, rows=protocol.rows // 4, columns=protocol.columns // 4,
            pixel_mm=4 * protocol.pixel_mm,
        )  # fmt: skip

    return replace(
        scanner, t2=fewer(scanner.t2), t1=fewer(scanner.t1), stir=1.0, axial=1.0, localiser=1.0
    )


def study(site: str) -> tuple[Patient, Scanner, tuple[Series, ...]]:
    patient = replace(draw_patient(6, 1), site=site)
    scanner = small(SCANNERS[site])
    return patient, scanner, scan(patient, draw_disease(6, 1), scanner)


@pytest.fixture(scope="module")
def studies() -> dict[str, tuple[Patient, Scanner, tuple[Series, ...]]]:
    return {site: study(site) for site in SITES}


def planes(datasets: list[Dataset]) -> list[tuple[Plane, np.ndarray]]:
    """Every frame's plane by the runtime's own reading, with its pixels."""
    found = []
    for ds in datasets:
        pixels = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
        for index, frame in enumerate(pixels):
            found.append((plane_of(frame_header(ds, frame=index)), frame))
    return found


@pytest.mark.parametrize("site", SITES)
def test_both_ways_of_storing_say_the_same(site: str, studies: dict) -> None:
    patient, scanner, series = studies[site]
    for each in series:
        one = planes(classic(patient, scanner, each, study="a"))
        other = planes(enhanced(patient, scanner, each, study="a"))
        assert len(one) == len(other) == len(each.frames)
        for (plane, pixels), (same, again), frame in zip(one, other, each.frames, strict=True):
            assert np.array_equal(pixels, frame.pixels)
            assert np.array_equal(pixels, again)
            assert plane.origin_mm == pytest.approx(frame.origin_mm, abs=1e-4)
            assert plane.origin_mm == pytest.approx(same.origin_mm, abs=1e-9)
            assert plane.normal == pytest.approx(np.cross(frame.across, frame.down), abs=1e-6)
            assert plane.normal == pytest.approx(same.normal, abs=1e-9)
            assert plane.spacing_mm == same.spacing_mm == pytest.approx((each.pixel_mm,) * 2)


@pytest.mark.parametrize("site", SITES)
def test_slices_are_as_far_apart_as_is_stated_and_mixed(site: str, studies: dict) -> None:
    patient, scanner, series = studies[site]
    for each in series:
        if not each.title.startswith("sag"):
            continue
        found = [plane for plane, _ in planes(classic(patient, scanner, each, study="a"))]
        assert {plane.view for plane in found} == {"sagittal"}
        places = np.sort([plane.origin_mm @ found[0].normal for plane in found])
        assert np.diff(places) == pytest.approx(each.spacing_mm, abs=1e-3)
        assert each.spacing_mm > each.thickness_mm
        assert len({plane.frame_of_reference for plane in found}) == 1
    orders = {tuple(frame.position for frame in each.frames) for each in series}
    assert any(list(order) != sorted(order) for order in orders) or site != "A"


def test_contrasts_are_told_by_their_times(studies: dict) -> None:
    for patient, scanner, series in studies.values():
        assert series[0].title == "localiser"
        by_title: dict[Title, Dataset] = {
            each.title: classic(patient, scanner, each, study="a")[0] for each in series
        }
        assert set(by_title) == {"sag T2", "sag T1", "sag STIR", "ax T2", "localiser"}
        t2, t1, stir = (by_title[name] for name in ("sag T2", "sag T1", "sag STIR"))
        assert t2.EchoTime >= 80
        assert t2.RepetitionTime >= 2000
        assert "InversionTime" not in t2
        assert t1.EchoTime <= 30
        assert t1.RepetitionTime <= 1200
        assert stir.InversionTime > 100
        assert by_title["localiser"].ImageType[2] == "LOCALIZER"
        assert {"axial"} == {
            plane.view
            for each in series
            if each.title == "ax T2"
            for plane, _ in planes(classic(patient, scanner, each, study="a"))
        }
        assert len({ds.StudyInstanceUID for ds in by_title.values()}) == 1
        assert len({ds.SeriesInstanceUID for ds in by_title.values()}) == 5
        assert len({ds.FrameOfReferenceUID for ds in by_title.values()}) == 1


def test_an_enhanced_object_says_it_in_its_groups(studies: dict) -> None:
    patient, scanner, series = studies["B"]
    for each in series:
        (ds,) = enhanced(patient, scanner, each, study="a")
        assert ds.SOPClassUID == EnhancedMRImageStorage
        shared = ds.SharedFunctionalGroupsSequence[0]
        assert shared.MREchoSequence[0].EffectiveEchoTime == each.sequence.echo_ms
        timing = shared.MRTimingAndRelatedParametersSequence[0]
        assert timing.RepetitionTime == each.sequence.repetition_ms
        assert ("InversionTimes" in shared.MRModifierSequence[0]) == (each.title == "sag STIR")
        values = [
            tuple(group.FrameContentSequence[0].DimensionIndexValues)
            for group in ds.PerFrameFunctionalGroupsSequence
        ]
        assert len(set(values)) == len(each.frames)
        assert "EchoTime" not in ds
        assert "PixelSpacing" not in ds


def test_sites_differ_and_only_one_writes_enhanced_objects() -> None:
    scanners = [SCANNERS[site] for site in SITES]
    assert len({each.name for each in scanners}) == len(SITES)
    assert {each.field_t for each in scanners} == {1.5, 3.0}
    assert [each.enhanced for each in scanners] == [False, True, False, False]
    for each in scanners:
        for protocol in (each.t2, each.t1):
            assert 0.4 <= protocol.pixel_mm <= 0.9
            assert 3.0 <= protocol.thickness_mm + protocol.gap_mm <= 4.41
            assert 11 <= protocol.slices <= 15


@pytest.mark.parametrize("site", SITES)
def test_decoys_are_as_frequent_as_the_site_has_them(site: str) -> None:
    rng, scanner = np.random.default_rng(5), SCANNERS[site]
    found = [taken(scanner, None, rng) for _ in range(800)]
    assert all({"sag T2", "sag T1"} <= titles for titles in found)
    for title, share in (
        ("sag STIR", scanner.stir), ("ax T2", scanner.axial), ("localiser", scanner.localiser),
    ):  # fmt: skip
        assert np.mean([title in titles for titles in found]) == pytest.approx(share, abs=0.06)
    assert "sag T2" not in taken(scanner, "no T2", rng)
    assert not taken(scanner, "axial only", rng) & {"sag T2", "sag T1", "sag STIR"}


def test_the_same_number_is_the_same_study_byte_for_byte() -> None:
    first, again = (mr_phantom(seed=2, number=5, fault="axial only") for _ in range(2))
    assert [ds.PixelData for ds in first.datasets] == [ds.PixelData for ds in again.datasets]
    assert [ds.SOPInstanceUID for ds in first.datasets] == [
        ds.SOPInstanceUID for ds in again.datasets
    ]
    assert {each.title for each in first.series} <= {"ax T2", "localiser"}
    expected = EnhancedMRImageStorage if first.scanner.enhanced else MRImageStorage
    assert {ds.SOPClassUID for ds in first.datasets} == {expected}


def test_faults_leave_out_or_spoil(studies: dict) -> None:
    assert tuple(REFUSED) == FAULTS
    patient, scanner, series = studies["A"]
    scanner = replace(scanner, stir=0.0, axial=0.0, localiser=0.0)
    clean = next(each for each in series if each.title == "sag T2")
    for fault in ("motion", "metal", "brain"):
        spoilt = scan(patient, draw_disease(6, 1), scanner, fault=fault)
        assert [each.title for each in spoilt] in (["sag T2", "sag T1"], ["sag T1", "sag T2"])
        other = next(each for each in spoilt if each.title == "sag T2")
        whole, changed = pixels_of(clean).astype(int), pixels_of(other).astype(int)
        assert np.abs(whole - changed).max() > 200, fault


def pixels_of(series: Series) -> np.ndarray:
    frames = sorted(series.frames, key=lambda frame: (frame.stack, frame.position))
    return np.stack([frame.pixels for frame in frames])


def test_a_series_is_the_same_whatever_lies_beside_it(studies: dict) -> None:
    patient, scanner, series = studies["A"]
    fewer = replace(scanner, stir=0.0, axial=0.0)
    alone = scan(patient, draw_disease(6, 1), fewer, fault="no T2")
    clean = {each.title: pixels_of(each) for each in series}
    assert {each.title for each in alone} == {"sag T1", "localiser"}
    t1 = next(each for each in alone if each.title == "sag T1")
    assert np.array_equal(pixels_of(t1), clean["sag T1"])


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("write", [classic, enhanced])
def test_the_validator_finds_nothing(write: object, studies: dict, tmp_path: Path) -> None:
    patient, scanner, series = studies["B" if write is enhanced else "A"]
    for each in series:
        path = tmp_path / f"{each.number}.dcm"
        write(patient, scanner, each, study="a")[0].save_as(path, enforce_file_format=True)
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        first, *rest = (done.stdout + done.stderr).splitlines()
        assert first == ("EnhancedMRImage" if write is enhanced else "MRImage")
        # LOCALIZER is no term of the classic object, and yet what scanners write.
        assert [line for line in rest if "<LOCALIZER>" not in line] == [], each.title
