"""Public CT files: none is a series of the neck; each is refused with what it is, or read in HU.

``CSPINE_TEST_DATA`` names the folder that holds them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cspine.dicom.read import read_slice
from cspine.dicom.select import find_studies, read_all
from cspine.dicom.stacks.choice import stack
from cspine.dicom.stacks.ct import AIR_HU
from cspine.dicom.stacks.wanted import Thinning, WantedSeries
from cspine.findings import Refused

Find = Callable[[str], Path]

WANTED = WantedSeries(orientation="axial", minimum_slices=20, minimum_field_mm=90)
ONE = WantedSeries(orientation="axial", minimum_slices=1, minimum_field_mm=10)
EVERY = Thinning(every_mm=3.0, most=64)

FEW = r"axial CT(| of a soft kernel), 1 slice \(fewer than 20 slices every 3 mm\)"
DERIVED = "slices derived from other images"
REFUSED: dict[str, tuple[str, str]] = {
    "dcm4che_test-data/CT-JPEGLosslessSV1.dcm": ("INCOMPLETE_SET", FEW),
    "highdicom/ct_image.dcm": ("INCOMPLETE_SET", FEW),
    "pydicom-data/explicit_VR-UN.dcm": ("INCOMPLETE_SET", FEW),
    "fo-dicom/D_CLUNIE_CT1_RLE_FRAGS.dcm": ("INCOMPLETE_SET", f"{DERIVED}: 1"),
    "nema_wg04/JLSL/CT1_JLSL": ("INCOMPLETE_SET", f"{DERIVED}: 1"),
    "nema_wg04/RLE/CT1_RLE": ("INCOMPLETE_SET", f"{DERIVED}: 1"),
    "pydicom-data/eCT_Supplemental.dcm": ("INCOMPLETE_SET", f"{DERIVED}: 2"),
    "pydicom-data/emri_small.dcm": ("UNSUPPORTED_OBJECT", "None of 1 objects is a CT image"),
    "highdicom/seg_image_ct_binary.dcm": ("UNSUPPORTED_OBJECT", "None of 1 objects"),
    "fo-dicom/OutOfBoundsOverlay.dcm": ("UNSUPPORTED_OBJECT", "None of 1 objects"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_real_files_that_are_no_neck_are_refused_with_what_they_are(
    corpora: Find, name: str
) -> None:
    (study,) = read_all([corpora(name)])
    code, reason = REFUSED[name]
    with pytest.raises(Refused, match=reason) as caught:
        stack(study, WANTED, thinning=EVERY)
    assert caught.value.refusal.code == code


@pytest.mark.parametrize(
    "name", ["highdicom/ct_image.dcm", "dcm4che_test-data/CT-JPEGLosslessSV1.dcm"]
)
def test_a_real_slice_is_a_stack_of_one_in_hounsfield_units(corpora: Find, name: str) -> None:
    (study,) = read_all([corpora(name)])
    (only,) = stack(study, ONE, thinning=EVERY).slices
    (dataset,) = study.instances
    stored = read_slice(dataset)
    assert only.image.unit == "HU"
    assert np.array_equal(only.image.pixels, np.maximum(stored.values, AIR_HU))
    assert only.plane.origin_mm.tolist() == stored.plane.origin_mm.tolist()


def test_damaged_ct_files_are_refused_and_stop_nothing(corpora: Find) -> None:
    studies, _ = find_studies([corpora("pwnlab_fuzz")])
    assert studies
    for study in studies:
        with pytest.raises(Refused):
            stack(study, ONE, thinning=EVERY)
