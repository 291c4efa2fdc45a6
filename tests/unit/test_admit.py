from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    HEVCMP51,
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForProcessing,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from cspine.dicom.admit import admit
from cspine.dicom.read import read_dataset, read_image
from cspine.findings import Refused
from cspine.spec import Accept, PipelineSpec

REAL = Path(__file__).parents[1] / "data" / "pydicom_cspine_cr"
PART_OPEN = "The header does not state the body part; the image alone decided."
VIEW_OPEN = "The header does not state the view; the image alone decided."


@pytest.fixture(scope="module")
def accept(spec: PipelineSpec) -> Accept:
    """Return what the shipped pipeline admits."""
    return spec.accept


def refusal(dataset: Dataset, accept: Accept) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        admit(dataset, accept)
    assert caught.value.refusal.remedy
    return caught.value.refusal.code, caught.value.refusal.reason


def test_a_plain_lateral_is_admitted_without_a_note(radiograph: Dataset, accept: Accept) -> None:
    assert admit(radiograph, accept) == ()


def test_a_real_lateral_is_admitted_and_read(accept: Accept) -> None:
    dataset = read_dataset(REAL / "lateral.dcm")
    assert admit(dataset, accept) == ()
    image = read_image(dataset)
    assert image.pixels.shape == (16, 16)
    assert (image.spacing_mm, image.spacing.flag) == ((0.1, 0.1), "detector plane")
    assert image.facing is None  # L\F contradicts a lateral, so the image must tell
    stored = dataset.pixel_array.ravel()
    assert image.pixels.ravel()[stored.argmax()] == image.pixels.min()


def test_a_real_oblique_is_refused(accept: Accept) -> None:
    code, reason = refusal(read_dataset(REAL / "oblique.dcm"), accept)
    assert (code, reason) == ("WRONG_VIEW", "The header states a view that is not lateral.")


@pytest.mark.parametrize(
    ("sop_class", "name"),
    [
        (CTImageStorage, "CT Image Storage"),
        (MRImageStorage, "MR Image Storage"),
        (SecondaryCaptureImageStorage, "Secondary Capture Image Storage"),
        (
            DigitalXRayImageStorageForProcessing,
            "Digital X-Ray Image Storage - For Processing",
        ),
        ("1.2.3", "not a registered one"),
        ("", "not a registered one"),
    ],
)
def test_other_objects_are_refused_by_name(
    radiograph: Dataset, accept: Accept, sop_class: str, name: str
) -> None:
    radiograph.SOPClassUID = sop_class
    assert refusal(radiograph, accept) == (
        "UNSUPPORTED_OBJECT",
        f"The object is {name}, expected a DX or CR image for presentation.",
    )


def test_a_pipeline_may_accept_one_modality_only(radiograph: Dataset, accept: Accept) -> None:
    only = Accept(modality=["CR"], body_part=accept.body_part, view="lateral")
    assert "expected a CR image" in refusal(radiograph, only)[1]
    radiograph.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    assert admit(radiograph, only) == ()


def test_an_object_without_pixels_is_refused(radiograph: Dataset, accept: Accept) -> None:
    del radiograph.PixelData
    assert refusal(radiograph, accept) == (
        "UNSUPPORTED_OBJECT",
        "The object has no pixel data.",
    )


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
)
def test_readable_transfer_syntaxes_are_admitted(
    radiograph: Dataset, accept: Accept, syntax: str
) -> None:
    radiograph.file_meta.TransferSyntaxUID = UID(syntax)
    assert admit(radiograph, accept) == ()


def test_a_transfer_syntax_without_decoder_is_refused_by_name(
    radiograph: Dataset, accept: Accept
) -> None:
    radiograph.file_meta.TransferSyntaxUID = HEVCMP51
    assert refusal(radiograph, accept) == (
        "UNSUPPORTED_OBJECT",
        f"This build has no decoder for the transfer syntax {HEVCMP51.name}.",
    )


@pytest.mark.parametrize("syntax", ["1.2.3", "", None])
def test_an_unknown_transfer_syntax_is_refused(
    radiograph: Dataset, accept: Accept, syntax: str | None
) -> None:
    if syntax is None:
        del radiograph.file_meta.TransferSyntaxUID
    else:
        radiograph.file_meta.TransferSyntaxUID = UID(syntax)
    assert refusal(radiograph, accept)[0] == "UNSUPPORTED_OBJECT"


@pytest.mark.parametrize(
    ("keyword", "value", "reason"),
    [
        ("PhotometricInterpretation", "RGB", "The image is in colour, expected grey levels."),
        ("PhotometricInterpretation", "", "The image is in colour, expected grey levels."),
        ("SamplesPerPixel", 3, "The image is in colour, expected grey levels."),
        ("NumberOfFrames", 2, "The object has several frames, expected one radiograph."),
    ],
)
def test_other_pixels_are_refused(
    radiograph: Dataset, accept: Accept, keyword: str, value: Any, reason: str
) -> None:
    setattr(radiograph, keyword, value)
    assert refusal(radiograph, accept) == ("UNSUPPORTED_OBJECT", reason)


def test_one_frame_is_one_radiograph(radiograph: Dataset, accept: Accept) -> None:
    radiograph.NumberOfFrames = 1
    assert admit(radiograph, accept) == ()


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
@pytest.mark.parametrize(
    ("part", "notes"),
    [("CSPINE", ()), ("neck ", ()), ("C-SPINE", ()), ("", (PART_OPEN,)), (None, (PART_OPEN,))],
)
def test_the_neck_is_admitted_under_all_its_names(
    radiograph: Dataset, accept: Accept, part: str | None, notes: tuple[str, ...]
) -> None:
    radiograph.BodyPartExamined = part
    assert admit(radiograph, accept) == notes


@pytest.mark.parametrize("part", ["CHEST", "LSPINE", "SKULL"])
def test_another_body_part_is_refused(radiograph: Dataset, accept: Accept, part: str) -> None:
    radiograph.BodyPartExamined = part
    assert refusal(radiograph, accept) == (
        "WRONG_ANATOMY",
        "The header states another body part than the cervical spine.",
    )


def view_code(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, "SCT"
    return item


@pytest.mark.parametrize(
    ("position", "code", "admitted"),
    [
        ("LL", None, True),
        ("RL", None, True),
        ("", "399173006", True),
        ("LL", "399067008", True),
        ("AP", None, False),
        ("PA", None, False),
        ("LLO", None, False),
        ("", "399348003", False),
        ("LL", "399348003", False),
        ("AP", "399173006", False),
    ],
)
def test_only_a_lateral_is_admitted(
    radiograph: Dataset, accept: Accept, position: str, code: str | None, admitted: bool
) -> None:
    radiograph.ViewPosition = position
    if code:
        radiograph.ViewCodeSequence = [view_code(code)]
    if admitted:
        assert admit(radiograph, accept) == ()
    else:
        assert refusal(radiograph, accept)[0] == "WRONG_VIEW"


def test_what_the_header_leaves_open_is_noted(radiograph: Dataset, accept: Accept) -> None:
    del radiograph.ViewPosition, radiograph.BodyPartExamined
    assert admit(radiograph, accept) == (PART_OPEN, VIEW_OPEN)


def test_the_first_gate_that_closes_answers(radiograph: Dataset, accept: Accept) -> None:
    radiograph.ViewPosition = "AP"
    radiograph.BodyPartExamined = "CHEST"
    assert refusal(radiograph, accept)[0] == "WRONG_ANATOMY"
    radiograph.SOPClassUID = CTImageStorage
    assert refusal(radiograph, accept)[0] == "UNSUPPORTED_OBJECT"
