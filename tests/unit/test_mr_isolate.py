"""Stacks cross from the isolated reader as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from pydicom.dataset import Dataset

from cspine.dicom.isolate import IsolatedReader, IsolatedStudy
from cspine.dicom.mr.piled import piled, receive_stack
from cspine.dicom.mr.stack import Stack
from cspine.dicom.mr.wanted import WantedSeries
from cspine.dicom.plane import Plane
from cspine.dicom.select import Study, find_studies
from cspine.findings import Refused
from mr_series import T1, classic, enhanced, neck, sagittal

WANTED = WantedSeries(
    orientation="sagittal", weighting="T2", minimum_slices=7, minimum_field_mm=120
)
CUTS = sagittal(neck(slices=9), spacing_mm=(4.0, 1.0, 1.0), tilt_deg=3)


@pytest.fixture(scope="module")
def reader() -> Iterator[IsolatedReader]:
    with IsolatedReader() as reader:
        yield reader


def both(
    reader: IsolatedReader, datasets: Sequence[Dataset], folder: Path
) -> tuple[Study, IsolatedStudy]:
    for number, dataset in enumerate(datasets):
        dataset.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    (study,), _ = find_studies([folder])
    (isolated,), _ = reader.find_studies([folder])
    return study, isolated


def told(plane: Plane) -> list[object]:
    return [
        *plane.origin_mm,
        *plane.across,
        *plane.down,
        plane.spacing_mm,
        plane.frame_of_reference,
    ]


@pytest.mark.parametrize("form", ["classic", "enhanced"])
def test_another_process_gives_the_same_stack(
    reader: IsolatedReader, tmp_path: Path, form: str
) -> None:
    turned = [cut.turned(swap=True, left_right=True, top_bottom=False) for cut in CUTS]
    datasets = classic(turned) if form == "classic" else [enhanced(turned)]
    study, isolated = both(reader, datasets, tmp_path)
    here, there = study.stack(WANTED), isolated.stack(WANTED)
    assert replace(there, slices=()) == replace(here, slices=())
    assert there.source == here.source
    for one, other in zip(there.slices, here.slices, strict=True):
        assert np.array_equal(one.image.pixels, other.image.pixels)
        assert one.image.pixels.dtype == np.float32
        assert replace(one.image, pixels=CUTS[0].pixels) == replace(
            other.image, pixels=CUTS[0].pixels
        )
        assert told(one.plane) == told(other.plane)
        assert told(one.stored) == told(other.stored)
        assert (one.frame, one.canal_mm) == (other.frame, other.canal_mm)


def test_another_process_refuses_the_same_and_reads_on(
    reader: IsolatedReader, tmp_path: Path
) -> None:
    study, isolated = both(reader, classic(CUTS, **T1), tmp_path)
    refusals = []
    for each in (study, isolated):
        with pytest.raises(Refused) as caught:
            each.stack(WANTED)
        refusals.append(caught.value.refusal)
    assert refusals[0] == refusals[1]
    assert refusals[0].code == "INCOMPLETE_SET"
    assert isolated.stack(msgspec.structs.replace(WANTED, weighting="T1")).weighting == "T1"


@pytest.mark.parametrize(
    "lie", [{"middle": 9}, {"gaps": ()}, {"shape": (60_000, 60_000)}, {"slices": ()}]
)
def test_a_header_that_lies_is_no_stack(lie: dict[str, object]) -> None:
    found: Stack = Study(tuple(classic(CUTS))).stack(WANTED)
    with pytest.raises(ValueError, match=r"no stack|too many pixels"):
        receive_stack(lambda buffer: None, msgspec.structs.replace(piled(found), **lie))
