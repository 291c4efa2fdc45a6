"""Public MR volumes of the neck, wrapped as DICOM: the middle slice against the cord's own.

``CSPINE_TEST_DATA`` names the folder that holds them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cspine.dicom.select import Study, read_all
from cspine.dicom.stacks.choice import stack
from cspine.dicom.stacks.stack import Stack
from cspine.dicom.stacks.wanted import WantedSeries, Weighting
from cspine.findings import Refused
from mr_series import STIR, T1, T2, axial, classic, enhanced, reformatted, sagittal, thick

Find = Callable[[str], Path]
Volume = tuple[npt.NDArray[np.float32], tuple[float, float, float]]

SCT, UNF = "sct_testing_data", "ivadomed_data-testing"
TIMES: dict[Weighting, dict[str, Any]] = {"T2": T2, "T1": T1, "STIR": STIR}
# Volume, manual labels of the cord, what to take it for, and which rows are of the neck.
LABELLED: dict[str, tuple[str, str, Weighting, slice]] = {
    "T2": (f"{SCT}/t2/t2.nii.gz", f"{SCT}/t2/t2_seg-manual.nii.gz", "T2", slice(None)),
    "T1": (f"{SCT}/t1/t1w.nii.gz", f"{SCT}/t1/t1w_seg-manual.nii.gz", "T1", slice(None)),
    "template": (
        f"{SCT}/template/template/PAM50_small_t2.nii.gz",
        f"{SCT}/template/template/PAM50_small_cord.nii.gz",
        "T2",
        slice(0, 110),
    ),
}
# Sixteen millimetres of a neck: too low a field, but the cord is in it.
LOW: dict[str, Weighting] = {"T1w": "T1", "T2w": "T2"}


def judged(volume: Volume, weighting: Weighting, *, field_mm: float = 50) -> Stack:
    """Wrap a volume as an MR series and return the stack that is judged."""
    values, spacing = volume
    levels = values * (3000 / np.percentile(values, 99.9))
    made = classic(sagittal(levels, spacing_mm=spacing), **TIMES[weighting])
    wanted = WantedSeries(
        orientation="sagittal", weighting=weighting, minimum_slices=5, minimum_field_mm=field_mm
    )
    return stack(Study(tuple(made)), wanted)


def cord_at(labels: npt.NDArray[np.float32]) -> float:
    """Return the mean slice of the cord's voxels."""
    counts = labels.sum(axis=(1, 2))
    return float(counts @ np.arange(len(counts)) / counts.sum())


def error_mm(volume: Volume, labels: npt.NDArray[np.float32], kind: Weighting, of: int) -> float:
    """Return how far the chosen slice, of so many voxels, lies from the middle of the cord."""
    values, (step, row, column) = volume
    found = judged((thick(values, of), (of * step, row, column)), kind, field_mm=10)
    return ((found.middle + 0.5) * of - 0.5 - cord_at(labels)) * step


@pytest.mark.parametrize("name", LABELLED)
def test_the_middle_slice_is_the_cords_within_one(corpora: Find, name: str) -> None:
    file, labels, weighting, rows = LABELLED[name]
    values, spacing = reformatted(corpora(file))
    cord, _ = reformatted(corpora(labels))
    values, cord = values[:, rows], cord[:, rows]
    # Slices of 3 and 4 mm, as scanners make them, from every voxel on.
    off = {
        (of, start): error_mm((values[start:], spacing), cord[start:], weighting, of)
        for of, start in product((3, 4), range(4))
        if start < of
    }
    worst = max(map(abs, off.values()))
    print(f"\n{name} of {len(off)}: {worst:.1f} mm")
    assert all(abs(mm) < 0.7 * of * spacing[0] for (of, _), mm in off.items()), off


@pytest.mark.parametrize("name", LOW)
def test_even_sixteen_millimetres_of_a_neck_have_their_middle(corpora: Find, name: str) -> None:
    folder = f"{UNF}/sub-unf01/anat", f"{UNF}/derivatives/labels/sub-unf01/anat"
    volume = reformatted(corpora(f"{folder[0]}/sub-unf01_{name}.nii.gz"))
    cord, _ = reformatted(corpora(f"{folder[1]}/sub-unf01_{name}_seg-manual.nii.gz"))
    off = error_mm(volume, cord, LOW[name], 3)
    print(f"\n{name}: {abs(off):.1f} mm")
    assert abs(off) < 2
    with pytest.raises(Refused, match="a field of less than 120 mm"):
        judged(volume, LOW[name], field_mm=120)


def test_slices_beside_the_canal_are_no_cervical_spine(corpora: Find) -> None:
    values, (step, *pixel) = reformatted(corpora(LABELLED["T2"][0]))
    beside = np.concatenate([values[:13], values[-13:]])
    with pytest.raises(Refused, match="shows the spinal canal") as caught:
        judged((thick(beside, 2), (2 * step, pixel[0], pixel[1])), "T2")
    assert caught.value.refusal.code == "WRONG_ANATOMY"


@pytest.mark.parametrize("weighting", ["T2", "STIR", "T1"])
def test_axial_slices_that_claim_to_be_sagittal_are_no_cervical_spine(
    corpora: Find, weighting: Weighting
) -> None:
    values, _ = reformatted(corpora(f"{SCT}/t2s/t2s_uncropped.nii.gz"))
    across = np.ascontiguousarray(values.transpose(1, 2, 0))
    with pytest.raises(Refused) as caught:
        judged((across, (7.5, 0.5, 0.5)), weighting)
    assert caught.value.refusal.code == "WRONG_ANATOMY"


def test_real_axial_slices_are_axial_whichever_way_they_are_stored(corpora: Find) -> None:
    values, _ = reformatted(corpora(f"{SCT}/t2s/t2s_uncropped.nii.gz"))
    cuts = axial(sagittal(values.transpose(1, 2, 0), spacing_mm=(7.5, 0.5, 0.5)))
    wanted = WantedSeries(
        orientation="axial", weighting="T2", minimum_slices=11, minimum_field_mm=150
    )
    one, other = (
        stack(Study(tuple(made)), wanted) for made in (classic(cuts), [enhanced(cuts[::-1])])
    )
    for a, b in zip(one.slices, other.slices, strict=True):
        assert np.array_equal(a.image.pixels, b.image.pixels)


REAL: dict[str, tuple[str, str]] = {
    "pydicom-data/emri_small.dcm": (
        "INCOMPLETE_SET",
        "objects describing other frames than they hold: 1",
    ),
    "pydicom-data/MR-SIEMENS-DICOM-WithOverlays.dcm": ("INCOMPLETE_SET", "derived from other"),
    "dcm4che_test-data/MR-JPEGLosslessSV1.dcm": ("INCOMPLETE_SET", "not sagittal"),
    "nema_wg04/JLSL/MR1_JLSL": ("INCOMPLETE_SET", "derived from other"),
    "highdicom/ct_image.dcm": ("UNSUPPORTED_OBJECT", "None of 1 objects is an MR image"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_files_that_are_no_neck_are_refused_with_what_they_are(
    corpora: Find, name: str
) -> None:
    (study,) = read_all([corpora(name)])
    code, reason = REAL[name]
    wanted = WantedSeries(
        orientation="sagittal", weighting="T2", minimum_slices=7, minimum_field_mm=120
    )
    with pytest.raises(Refused, match=reason) as caught:
        stack(study, wanted)
    assert caught.value.refusal.code == code
