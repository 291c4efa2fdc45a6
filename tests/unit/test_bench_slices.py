"""Slices are numbered from the feet, whichever way they are stored and in whatever order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items

from cspine.dicom.select import Study
from cspine.findings import Source, Spacing
from cspine.image import Image
from cspine_bench.accuracy.slices import slice_numbers

ALONG, DOWN = [1.0, 0.0, 0.0], [0.0, 0.96, 0.28]
HEIGHTS = (12.0, -3.0, 7.0, 2.0)


def header(height: float, *, across: Sequence[float] = ALONG) -> Dataset:
    """Where an axial slice lies that is tilted towards the face."""
    made = Dataset()
    made.ImagePositionPatient = [-50.0, -50.0, height]
    made.ImageOrientationPatient = [*across, *DOWN]
    made.PixelSpacing = [0.5, 0.5]
    return made


def named(dataset: Dataset, *, series: str, instance: str) -> Dataset:
    dataset.file_meta = FileMetaDataset()
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID = series, instance
    return dataset


def image(series: str, instance: str, frame: int | None = None) -> Image:
    source = Source(study_uid="1", series_uid=series, instance_uid=instance, pixels="", frame=frame)
    spacing = Spacing(row_mm=0.5, column_mm=0.5, flag="calibrated")
    return Image(np.zeros((2, 2), np.float32), spacing, source=source)


@pytest.mark.parametrize("across", [ALONG, [-1.0, 0.0, 0.0]])
def test_classic_slices_count_among_their_series(across: list[float]) -> None:
    made = [
        named(header(height, across=across), series="1.2", instance=f"1.2.{at}")
        for at, height in enumerate(HEIGHTS)
    ]
    other = named(header(0.0), series="1.3", instance="1.3.0")  # of which none is judged
    study = Study((*made, other, made[1]))  # and a copy
    judged = [image("1.2", f"1.2.{at}") for at in (0, 3, 1)]
    assert slice_numbers(study, judged) == {
        ("1.2.0", None): 3,
        ("1.2.3", None): 1,
        ("1.2.1", None): 0,
    }


def test_frames_of_one_object_are_told_by_their_number() -> None:
    made = named(Dataset(), series="1.4", instance="1.4.1")
    made.NumberOfFrames = len(HEIGHTS)
    measures, turned = Dataset(), Dataset()
    measures.PixelSpacing = [0.5, 0.5]
    turned.ImageOrientationPatient = [*ALONG, *DOWN]
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = (
        Items([measures]),
        Items([turned]),
    )
    made.SharedFunctionalGroupsSequence = Items([shared])
    groups = []
    for height in HEIGHTS:
        group, place = Dataset(), Dataset()
        place.ImagePositionPatient = [-50.0, -50.0, height]
        group.PlanePositionSequence = Items([place])
        groups.append(group)
    made.PerFrameFunctionalGroupsSequence = Items(groups)
    found = slice_numbers(Study((made,)), [image("1.4", "1.4.1", frame) for frame in (1, 3)])
    assert found == {("1.4.1", 1): 3, ("1.4.1", 3): 2}


def test_without_a_source_nothing_is_numbered() -> None:
    spacing = Spacing(row_mm=0.5, column_mm=0.5, flag="calibrated")
    bare = Image(np.zeros((2, 2), np.float32), spacing)
    study = Study((named(header(0.0), series="1.2", instance="1.2.0"),))
    assert slice_numbers(study, [bare]) == slice_numbers(study, []) == {}
