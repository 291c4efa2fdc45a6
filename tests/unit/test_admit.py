from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
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

from cspine.accept import Accept
from cspine.dicom.admit import admit
from cspine.dicom.dataset import read_dataset
from cspine.dicom.read import read_image
from cspine.findings import Refused
from cspine.spec import PipelineSpec

REAL = Path(__file__).parents[1] / "data" / "pydicom_cspine_cr"
PART_OPEN = "The header does not state the body part; the image alone decided."
VIEW_OPEN = "The header does not state the view; the image alone decided."
ACROSS = "The header states left or right along the rows, which no lateral has."
OTHERWISE = "The header states an orientation that no upright lateral has."
FACING_OPEN = "The header does not state where the face points; mirroring was not checked."
UPSIDE_DOWN = "The header states that the image is stored upside down."


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


def test_a_real_lateral_is_admitted_and_read_but_for_its_orientation(accept: Accept) -> None:
    dataset = read_dataset(REAL / "lateral.dcm")
    assert refusal(dataset, accept) == ("ORIENTATION_CONFLICT", ACROSS)  # it says L\F
    del dataset.PatientOrientation
    assert admit(dataset, accept) == (FACING_OPEN,)
    image = read_image(dataset)
    assert image.pixels.shape == (16, 16)
    assert (image.spacing_mm, image.spacing.flag) == ((0.1, 0.1), "detector plane")
    assert image.facing is None
    stored = dataset.pixel_array.ravel()
    levels = image.levels().ravel()
    assert levels[stored.argmax()] == levels.min()


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
    only = msgspec.structs.replace(accept, modality=["CR"])
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


def code(value: str) -> Dataset:
    """Return the item of a code sequence, in the SNOMED scheme that the value's form is of."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, "SRT" if "-" in value else "SCT"
    return item


@pytest.mark.parametrize("region", ["122494005", "T-11501", "45048000", "T-D1600"])
@pytest.mark.parametrize("part", ["CSPINE", None])
def test_the_neck_is_admitted_under_all_its_codes(
    radiograph: Dataset, accept: Accept, region: str, part: str | None
) -> None:
    radiograph.BodyPartExamined = part
    radiograph.AnatomicRegionSequence = [code(region)]
    assert admit(radiograph, accept) == ()


# Thoracic spine, lumbar spine, and a code of no SNOMED form.
@pytest.mark.parametrize("region", ["122495006", "122496007", "T-11502", "x"])
@pytest.mark.parametrize("part", ["CSPINE", None])
def test_another_region_is_refused(
    radiograph: Dataset, accept: Accept, region: str, part: str | None
) -> None:
    radiograph.BodyPartExamined = part
    for regions in ([code(region)], [code("122494005"), code(region)]):
        radiograph.AnatomicRegionSequence = regions
        assert refusal(radiograph, accept) == (
            "WRONG_ANATOMY",
            "The header states another body part than the cervical spine.",
        )


def test_a_region_does_not_outweigh_another_body_part(radiograph: Dataset, accept: Accept) -> None:
    radiograph.BodyPartExamined = "CHEST"
    radiograph.AnatomicRegionSequence = [code("122494005")]
    assert refusal(radiograph, accept)[0] == "WRONG_ANATOMY"


@pytest.mark.parametrize("sequence", [[], [Dataset()], None])
def test_an_empty_code_sequence_states_nothing(
    radiograph: Dataset, accept: Accept, sequence: list[Dataset] | None
) -> None:
    radiograph.AnatomicRegionSequence = radiograph.ViewCodeSequence = sequence
    assert admit(radiograph, accept) == ()
    radiograph.BodyPartExamined = radiograph.ViewPosition = None
    assert admit(radiograph, accept) == (PART_OPEN, VIEW_OPEN)


@pytest.mark.parametrize("keyword", ["AnatomicRegionSequence", "ViewCodeSequence"])
def test_what_is_no_sequence_states_nothing(
    radiograph: Dataset, accept: Accept, keyword: str
) -> None:
    radiograph.add_new(keyword, "LO", "CSPINE")
    assert admit(radiograph, accept) == ()


@pytest.mark.parametrize(
    ("position", "view", "admitted"),
    [
        ("LL", None, True),
        ("RL", None, True),
        ("", "399173006", True),
        ("LL", "399067008", True),
        ("", "R-10236", True),
        ("", "R-10232", True),
        ("", "R-102CD", True),
        ("AP", None, False),
        ("PA", None, False),
        ("LLO", None, False),
        ("", "399348003", False),
        ("LL", "399348003", False),
        ("AP", "399173006", False),
        ("", "R-10206", False),
        ("", "R-10234", False),
        ("LL", "R-10238", False),
    ],
)
def test_only_a_lateral_is_admitted(
    radiograph: Dataset, accept: Accept, position: str, view: str | None, admitted: bool
) -> None:
    radiograph.ViewPosition = position
    if view:
        radiograph.ViewCodeSequence = [code(view)]
    if admitted:
        assert admit(radiograph, accept) == ()
    else:
        assert refusal(radiograph, accept)[0] == "WRONG_VIEW"


@pytest.mark.parametrize("place", ["view", "root"])
@pytest.mark.parametrize("bent", ["9964006", "F-10110", "24154002", "F-10100"])
def test_a_bent_neck_is_refused(radiograph: Dataset, accept: Accept, place: str, bent: str) -> None:
    view = code("399173006")
    radiograph.ViewCodeSequence = [view]
    (view if place == "view" else radiograph).ViewModifierCodeSequence = [code(bent)]
    assert refusal(radiograph, accept) == (
        "WRONG_VIEW",
        "The header states flexion or extension, expected neutral position.",
    )


def test_another_modifier_of_the_view_is_admitted(radiograph: Dataset, accept: Accept) -> None:
    view = code("399173006")
    view.ViewModifierCodeSequence = [code("286866000")]  # mouth closed
    radiograph.ViewCodeSequence = [view]
    assert admit(radiograph, accept) == ()


@pytest.mark.parametrize(
    ("orientation", "reason"),
    [
        (["L", "F"], ACROSS),
        (["R", "F"], ACROSS),
        (["LA", "F"], ACROSS),
        (["L", "H"], ACROSS),
        (["A", "H"], UPSIDE_DOWN),
        (["P", "H"], UPSIDE_DOWN),
        (["P", "HA"], UPSIDE_DOWN),
        (["", "H"], UPSIDE_DOWN),
        (["H", "H"], UPSIDE_DOWN),
        (["F", "P"], OTHERWISE),
        (["F", "A"], OTHERWISE),
        (["H", "A"], OTHERWISE),
        (["F", "L"], OTHERWISE),
        (["P", "L"], OTHERWISE),
        (["A", "R"], OTHERWISE),
        (["A", "A"], OTHERWISE),
        (["P", "PF"], OTHERWISE),
        (["F", "F"], OTHERWISE),
        (["", "P"], OTHERWISE),
        (["H", ""], OTHERWISE),
    ],
)
def test_an_orientation_that_no_upright_lateral_has_is_refused(
    radiograph: Dataset, accept: Accept, orientation: list[str], reason: str
) -> None:
    radiograph.PatientOrientation = orientation
    assert refusal(radiograph, accept) == ("ORIENTATION_CONFLICT", reason)


@pytest.mark.parametrize(
    "orientation", [["P", "F"], ["A", "F"], ["PL", "F"], ["PL", "FA"], ["P", "FL"], ["P", ""]]
)
def test_the_orientation_of_an_upright_lateral_is_admitted(
    radiograph: Dataset, accept: Accept, orientation: list[str]
) -> None:
    radiograph.PatientOrientation = orientation
    assert admit(radiograph, accept) == ()


@pytest.mark.parametrize(
    "orientation",
    [["", ""], ["", "F"], ["X", "Y"], ["X", "F"], ["LE", "F"], ["PA", "F"], ["P", "F", "F"], "L",
     None],
)  # fmt: skip
def test_an_orientation_that_is_not_stated_is_noted(
    radiograph: Dataset, accept: Accept, orientation: list[str] | str | None
) -> None:
    radiograph.PatientOrientation = orientation
    assert admit(radiograph, accept) == (FACING_OPEN,)


def test_what_the_header_leaves_open_is_noted(radiograph: Dataset, accept: Accept) -> None:
    del radiograph.ViewPosition, radiograph.BodyPartExamined, radiograph.PatientOrientation
    assert admit(radiograph, accept) == (PART_OPEN, VIEW_OPEN, FACING_OPEN)


def test_the_first_gate_that_closes_answers(radiograph: Dataset, accept: Accept) -> None:
    radiograph.PatientOrientation = ["L", "F"]
    radiograph.ViewPosition = "AP"
    assert refusal(radiograph, accept)[0] == "WRONG_VIEW"
    radiograph.BodyPartExamined = "CHEST"
    assert refusal(radiograph, accept)[0] == "WRONG_ANATOMY"
    radiograph.SOPClassUID = CTImageStorage
    assert refusal(radiograph, accept)[0] == "UNSUPPORTED_OBJECT"
