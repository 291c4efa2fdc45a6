"""A CT study is what its headers and its truth say, in both ways of storing it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage

from cspine.dicom.frame import frame_header
from cspine.dicom.plane import plane_of
from cspine_bench.metrics.auc import auc
from cspine_phantom.ct.classic import classic
from cspine_phantom.ct.disease import (
    CLASSES,
    POSITIVE,
    READER_NOISE,
    THRESHOLDS,
    Disease,
    draw_disease,
    evidence_of,
    generator,
    graded,
    ideal_accuracy,
    ideal_auc,
    room_mm,
)
from cspine_phantom.ct.enhanced import enhanced
from cspine_phantom.ct.faults import FAULTS, REFUSED
from cspine_phantom.ct.hounsfield import units
from cspine_phantom.ct.necks import Neck, neck
from cspine_phantom.ct.reconstruct import reconstructed
from cspine_phantom.ct.scan import Scan, scan
from cspine_phantom.ct.scanners import SCANNERS, Scanner
from cspine_phantom.ct.series import Series
from cspine_phantom.ct.slices import Stack, body
from cspine_phantom.ct.study import ct_phantom
from cspine_phantom.ct.truth import slice_truths
from cspine_phantom.patients import SITES, Patient, draw_patient
from cspine_phantom.volume.lying import lie
from cspine_phantom.volume.tissue import LABEL


def small(site: str) -> Scanner:
    """A scanner of few pixels with every series."""
    scanner = SCANNERS[site]
    axial = replace(
        scanner.axial, size=scanner.axial.size // 4, pixel_mm=4 * scanner.axial.pixel_mm,
        spacing_mm=2 * scanner.axial.spacing_mm,
    )  # fmt: skip
    return replace(scanner, axial=axial, thick=1.0, reformat=1.0, scout=1.0)


def study(site: str) -> tuple[Patient, Scanner, Scan]:
    patient = replace(draw_patient(6, 1), site=site)
    return patient, small(site), scan(patient, draw_disease(6, 1), small(site))


@pytest.fixture(scope="module")
def studies() -> dict[str, tuple[Patient, Scanner, Scan]]:
    return {site: study(site) for site in SITES}


def necks(count: int) -> list[tuple[Patient, Disease, Neck, Stack]]:
    """Necks with slices every 2.5 mm that are as thick."""
    found = []
    for number in range(count):
        patient, disease = draw_patient(8, number), draw_disease(8, number)
        own = neck(patient, disease, lie(generator(8, number, stream="study")))
        ends = [own.placed(own.column.poses[index].centre) for index in (6, 0)]
        middle = own.placed(own.column.poses[3].centre)
        stack = Stack(
            first_mm=np.array([middle[0] - 32.0, middle[1] - 24.0, ends[0][2]]),
            across=np.array([1.0, 0, 0]), down=np.array([0, 1.0, 0]),
            normal=np.array([0, 0, 1.0]),
            offsets_mm=tuple(np.arange(0, ends[1][2] - ends[0][2], 2.5).tolist()),
            rows=128, columns=128, pixel_mm=0.5, thickness_mm=2.5,
        )  # fmt: skip
        found.append((patient, disease, own, stack))
    return found


def test_the_ideal_observer_is_known_and_below_one() -> None:
    rng = np.random.default_rng(1)
    evidence = rng.standard_normal(400_000)
    read = np.searchsorted(THRESHOLDS, evidence + READER_NOISE * rng.standard_normal(400_000))
    # Where the likeliest class changes is where the reader's would without an error, but between
    # three classes only nearly; hence the bound from below.
    best = np.searchsorted(THRESHOLDS, evidence)
    assert ideal_accuracy() == pytest.approx(np.mean((best > 0) == (read > 0)), abs=2e-3)
    assert ideal_accuracy(THRESHOLDS) == pytest.approx(np.mean(best == read), abs=2e-3)
    assert ideal_auc() == pytest.approx(auc(read[:100_000] > 0, evidence[:100_000]), abs=2e-3)
    assert 0.92 < ideal_accuracy() < 0.94
    assert 0.95 < ideal_auc() < 0.99
    assert np.bincount(read) / len(read) == pytest.approx([0.45, 0.30, 0.25], abs=3e-3)


def test_patients_have_it_and_two_readers_differ() -> None:
    drawn = [draw_disease(3, number) for number in range(4000)]
    truth = np.array([each.grade in POSITIVE for each in drawn])
    second = np.array([each.second in POSITIVE for each in drawn])
    evidence = np.array([each.evidence for each in drawn])
    assert auc(truth, evidence) == pytest.approx(ideal_auc(), abs=0.006)
    assert np.mean((evidence > THRESHOLDS[0]) == truth) == pytest.approx(
        ideal_accuracy(), abs=0.013
    )
    assert 0.05 < np.mean(truth != second) < 0.15
    assert auc(truth, np.array([float(each.worst) for each in drawn])) == pytest.approx(
        0.5, abs=0.03
    )


def test_room_and_evidence_are_each_other_s_inverse() -> None:
    for evidence in (-2.0, 0.0, 1.5, 3.0):
        assert evidence_of(room_mm(evidence)) == pytest.approx(evidence)
    assert [graded(evidence, 0.0) for evidence in (-0.2, 0.5, 0.8)] == list(CLASSES)
    assert graded(-0.2, 0.1) == "mild"


def test_the_narrowest_slice_shows_the_evidence_and_no_level_is_narrower() -> None:
    off = []
    for patient, disease, own, stack in necks(24):
        rooms = np.array([each.room_mm for each in slice_truths(own, disease, stack)])
        off.append(evidence_of(rooms.min()) - evidence_of(room_mm(disease.evidence)))
        heights = np.array([stack.origin(index)[2] for index in range(len(rooms))])
        worst = np.interp(
            own.canal.discs[disease.worst], own.canal.along, np.arange(len(own.canal.along))
        )
        disc = own.placed(own.canal.wall[round(float(worst))])[2]
        assert abs(heights[rooms.argmin()] - disc) < 4.5, patient.number
    assert np.abs(off).max() < 0.15
    assert np.abs(np.mean(off)) < 0.03


@pytest.mark.parametrize("number", range(3))
def test_a_box_holds_the_canal_that_was_drawn_and_the_room_is_measured_on_it(number: int) -> None:
    """Against labels cut without the code that the truth comes from."""
    patient, disease, own, stack = necks(number + 1)[number]
    drawn = body(own.anatomy, own.lying)
    inside = np.zeros(256, np.float32)
    inside[[LABEL[name] for name in ("csf", "cord", "epidural")]] = 1.0
    sac = np.zeros(256, np.float32)
    sac[[LABEL["csf"], LABEL["cord"]]] = 1.0
    thin = replace(stack, thickness_mm=0.1)
    canals, sacs = (drawn.slices(thin, table, parts=1) for table in (inside, sac))
    truths = slice_truths(own, disease, thin)
    assert len(truths) == len(canals)
    middle = own.lying.place(np.zeros(3))
    off = []
    for index, (canal, one, truth) in enumerate(zip(canals, sacs, truths, strict=True)):
        rows, columns = np.nonzero(canal > 0.5)
        left, top, right, bottom = truth.box
        assert left < columns.min() < columns.max() < right
        assert top < rows.min() < rows.max() < bottom
        assert right - left < 36 * patient.scale / stack.pixel_mm
        assert bottom - top < 36 * patient.scale / stack.pixel_mm
        # Along the midline, which the tilt moves from slice to slice.
        height = stack.origin(index)[2] - middle[2]
        axis = own.lying.direct(np.array([0.0, 0, 1]))
        back = own.lying.direct(np.array([0.0, 1, 0]))
        rows_mm = stack.pixel_mm * np.arange(stack.rows) + stack.first_mm[1] - middle[1]
        side = middle[0] + height * axis[0] / axis[2] + rows_mm * (back[0] / back[1])
        column = np.rint((side - stack.first_mm[0]) / stack.pixel_mm).astype(int)
        room = stack.pixel_mm * float(one[np.arange(stack.rows), column].sum())
        off.append(room - truth.room_mm)
    # Pixels of half a millimetre; an outline is drawn with its edge.
    assert -0.1 < np.mean(off) < 0.5
    assert np.abs(off).max() < 1.1


@pytest.mark.parametrize("site", SITES)
def test_both_ways_of_storing_say_the_same(site: str, studies: dict) -> None:
    patient, scanner, found = studies[site]
    assert {each.title for each in found.series} == {
        "axial", "thick axial", "sagittal reformat", "scout"
    }  # fmt: skip
    for each in found.series:
        one = hounsfield(classic(patient, scanner, each, study="a"))
        other = hounsfield(enhanced(patient, scanner, each, study="a"))
        assert len(one) == len(other) == len(each.frames)
        for (plane, seen), (same, again), frame in zip(one, other, each.frames, strict=True):
            assert np.array_equal(seen, again)
            assert plane.origin_mm == pytest.approx(frame.origin_mm, abs=1e-4)
            assert plane.origin_mm == pytest.approx(same.origin_mm, abs=1e-9)
            assert plane.normal == pytest.approx(np.cross(frame.across, frame.down), abs=1e-6)
            assert plane.spacing_mm == same.spacing_mm == pytest.approx((each.pixel_mm,) * 2)


def hounsfield(datasets: list[Dataset]) -> list[tuple[object, np.ndarray]]:
    """Every frame's plane by the runtime's own reading, with its Hounsfield units."""
    found = []
    for ds in datasets:
        pixels = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns).astype(int)
        shared = ds.get("SharedFunctionalGroupsSequence")
        scale = shared[0].PixelValueTransformationSequence[0] if shared else ds
        for index, frame in enumerate(pixels):
            seen = frame * int(scale.RescaleSlope) + int(scale.RescaleIntercept)
            found.append((plane_of(frame_header(ds, frame=index)), seen))
    return found


@pytest.mark.parametrize("site", SITES)
def test_values_are_hounsfield_units_in_the_scanner_s_own_range(site: str, studies: dict) -> None:
    patient, scanner, found = studies[site]
    axial = series_of(found, "axial")
    padding = scanner.padding_hu
    for _, seen in hounsfield(classic(patient, scanner, axial, study="a")):
        size = len(seen)
        middle = seen[size // 4 : -size // 4, size // 4 : -size // 4]
        assert -60 < np.median(middle) < 110
        assert seen.max() < 2400
        if padding is None:
            assert seen.min() >= -1024
        else:
            assert seen[0, 0] == seen[-1, -1] == padding
            assert (middle > padding).all()


def series_of(found: Scan, title: str) -> Series:
    return next(each for each in found.series if each.title == title)


@pytest.mark.parametrize("site", SITES)
def test_slices_are_as_far_apart_as_is_stated(site: str, studies: dict) -> None:
    patient, scanner, found = studies[site]
    views = {"axial": "axial", "thick axial": "axial", "sagittal reformat": "sagittal"}
    for title, view in views.items():
        each = series_of(found, title)
        planes = [plane for plane, _ in hounsfield(classic(patient, scanner, each, study="a"))]
        assert {plane.view for plane in planes} == {view}
        places = np.sort([plane.origin_mm @ planes[0].normal for plane in planes])
        assert np.diff(places) == pytest.approx(each.spacing_mm, abs=1e-3)
        assert len({plane.frame_of_reference for plane in planes}) == 1
    assert len(found.truths) == len(series_of(found, "axial").frames)


def test_noise_is_as_strong_as_stated_and_stronger_between_the_shoulders() -> None:
    for scanner in SCANNERS.values():
        protocol = replace(scanner.axial, edge=0.0)
        stack = Stack(
            first_mm=np.zeros(3), across=np.array([1.0, 0, 0]), down=np.array([0, 1.0, 0]),
            normal=np.array([0, 0, 1.0]), offsets_mm=(0.0, 1.0), rows=128, columns=128,
            pixel_mm=protocol.pixel_mm, thickness_mm=2.0,
        )  # fmt: skip
        flat = np.zeros((2, 128, 128), np.float32)
        rng = np.random.default_rng(4)
        seen = reconstructed(flat, stack, protocol, dose=np.array([1.0, 2.0]), rng=rng)
        assert seen[0].std() == pytest.approx(protocol.noise_hu, rel=0.06)
        assert seen[1].std() > 1.9 * protocol.noise_hu
        # It is correlated, and sums to less than white noise would.
        blocks = seen[0].reshape(16, 8, 16, 8).mean(axis=(1, 3))
        assert blocks.std() < 0.6 * protocol.noise_hu / 8 * 8**0.5


def test_tissues_have_the_units_that_are_known_of_them() -> None:
    table = units(np.random.default_rng(0))
    assert table[LABEL["air"]] == -1000
    assert -110 < table[LABEL["fat"]] < -80
    assert 0 < table[LABEL["csf"]] < table[LABEL["cord"]] < table[LABEL["muscle"]]
    assert table[LABEL["ligament"]] < table[LABEL["marrow"]] < table[LABEL["bone"]]


def test_the_same_number_is_the_same_study_byte_for_byte() -> None:
    first, again = (ct_phantom(seed=2, number=5, fault="sagittal only") for _ in range(2))
    assert [ds.PixelData for ds in first.datasets] == [ds.PixelData for ds in again.datasets]
    assert [ds.SOPInstanceUID for ds in first.datasets] == [
        ds.SOPInstanceUID for ds in again.datasets
    ]
    expected = EnhancedCTImageStorage if first.scanner.enhanced else CTImageStorage
    assert {ds.SOPClassUID for ds in first.datasets} == {expected}


def test_a_series_is_the_same_whatever_lies_beside_it(studies: dict) -> None:
    patient, scanner, found = studies["A"]
    alone = scan(patient, draw_disease(6, 1), replace(scanner, thick=0, reformat=0, scout=0))
    (axial,) = alone.series
    by_place = [
        {frame.position: frame.stored for frame in each.frames}
        for each in (axial, series_of(found, "axial"))
    ]
    assert by_place[0].keys() == by_place[1].keys()
    assert all(np.array_equal(by_place[0][place], by_place[1][place]) for place in by_place[0])


def test_faults_leave_out_or_spoil(studies: dict) -> None:
    assert tuple(REFUSED) == FAULTS
    patient, scanner, found = studies["A"]
    whole = series_of(found, "axial")

    def spoilt(fault: str) -> Scan:
        return scan(patient, draw_disease(6, 1), scanner, fault=fault)

    missing = series_of(spoilt("missing slices"), "axial")
    places = sorted(frame.position for frame in missing.frames)
    assert len(places) < 0.8 * len(whole.frames)
    assert np.diff(places).max() > 4
    assert not {each.title for each in spoilt("sagittal only").series} & {"axial", "thick axial"}
    metal = np.stack([frame.stored for frame in series_of(spoilt("metal"), "axial").frames])
    assert metal.max() == 2**scanner.bits - 1
    assert max(frame.stored.max() for frame in whole.frames) < 2**scanner.bits - 1
    head = spoilt("brain")
    assert head.truths == ()
    assert len(series_of(head, "axial").frames) == len(whole.frames)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize(
    ("write", "site"), [(classic, "A"), (classic, "C"), (classic, "D"), (enhanced, "B")]
)
def test_the_validator_finds_nothing(
    write: object, site: str, studies: dict, tmp_path: Path
) -> None:
    patient, scanner, found = studies[site]
    for each in found.series:
        path = tmp_path / f"{each.number}.dcm"
        write(patient, scanner, each, study="a")[0].save_as(path, enforce_file_format=True)
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        first, *rest = (done.stdout + done.stderr).splitlines()
        assert first == ("EnhancedCTImage" if write is enhanced else "CTImage")
        # REFORMATTED is no term of the standard, and yet what scanners write.
        assert [line for line in rest if "<REFORMATTED>" not in line] == [], each.title
