"""Public files of many makers: what decodes, and to which pixels; what is refused, and why.

``CSPINE_TEST_DATA`` names the folder that holds them, one folder a source.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from highdicom import Image as Highdicom
from highdicom.spatial import PixelToReferenceTransformer
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array

from cspine.dicom.dataset import read_dataset
from cspine.dicom.overlays import overlay_mask
from cspine.dicom.pixels import frame_count, stored_pixels
from cspine.dicom.read import read_slice
from cspine.errors import StudyError
from cspine.findings import Refused
from cspine_phantom.study import phantom

Find = Callable[[str], Path]
Run = Callable[..., str]

# Greatest difference from the uncompressed reference, and root of the mean square of all.
# J2KI is JPEG 2000 at 0.4 to 1 bit a pixel, JPLY is JPEG Extended of 12 bits.
WG04 = {
    **{
        f"{kind}/{image}_{kind}": (0, 0.0)
        for kind in ("J2KR", "JLSL", "JPLL", "RLE")
        for image in ("CT1", "MR1", "MR4", "NM1", "RG3")
    },
    **{f"JLSN/{image}_JLSN": (4, 2.6) for image in ("CT1", "MR1", "MR4", "NM1", "RG3")},
    "J2KI/CT1_J2KI": (352, 38.1),
    "J2KI/MR1_J2KI": (396, 50.2),
    "J2KI/MR4_J2KI": (29, 4.3),
    "J2KI/NM1_J2KI": (101, 7.2),
    "J2KI/RG3_J2KI": (9, 1.4),
    "JPLY/MR1_JPLY": (128, 15.3),
    "JPLY/MR4_JPLY": (40, 4.3),
    "JPLY/NM1_JPLY": (36, 3.7),
    "JPLY/RG3_JPLY": (48, 2.5),
}

AS_PYDICOM = [
    "dcm4che_test-data/cplx_p02.dcm",
    "dcm4che_test-data/ovly_p01.dcm",
    "dcm4che_test-data/test16signed.dcm",
    "dwv/data/gdcm-CR-MONO1-10-chest.dcm",
    "fo-dicom/D_CLUNIE_CT1_RLE_FRAGS.dcm",
    "fo-dicom/GH1301.dcm",
    "highdicom/ct_image.dcm",
    "highdicom/dx_image.dcm",
    "highdicom/seg_image_ct_binary_fractional.dcm",
    "highdicom/seg_image_ct_true_fractional.dcm",
    "highdicom/sm_image_grayscale.dcm",
    "highdicom/sm_image_grayscale_reversed.dcm",
    "nema_wg04/J2KI/CT1_J2KI",
    "nema_wg04/J2KI/RG1_J2KI",
    "nema_wg04/J2KI/RG3_J2KI",
    "pydicom-data/JLSL_08_07_0_1F.dcm",
    "pydicom-data/JLSL_16_15_1_1F.dcm",
    "pydicom-data/MR-SIEMENS-DICOM-WithOverlays.dcm",
    "pydicom-data/eCT_Supplemental.dcm",
    "pydicom-data/emri_small.dcm",
    "pydicom-data/emri_small_RLE.dcm",
    "pydicom-data/emri_small_big_endian.dcm",
    "pydicom-data/emri_small_jpeg_2k_lossless.dcm",
    "pydicom-data/emri_small_jpeg_ls_lossless.dcm",
    "pydicom-data/explicit_VR-UN.dcm",
    "pydicom-data/mlut_18.dcm",
    "pydicom-data/vlut_04.dcm",
    "pydicom_cspine_cr/dicomdirtests/77654033/CR1/6154",
    "pydicom_cspine_cr/dicomdirtests/77654033/CR2/6247",
    "pydicom_cspine_cr/dicomdirtests/77654033/CR3/6278",
    "pylibjpeg-data/JPEG2000/OsirixFake16BitsStoredFakeSpacing.dcm",
    "weasis-dicom-tools/img/overlay.dcm",
    "weasis-dicom-tools/img/signed-raw-9bit.dcm",
]

# What pydicom's permissive plugins do not decode, or not all of it; DCMTK has decoders of its own.
AS_DCMTK = {
    "dcm4che_test-data/CT-JPEGLosslessSV1.dcm": "dcmdjpeg",
    "dcm4che_test-data/MR-JPEGLosslessSV1.dcm": "dcmdjpeg",  # 8 bits in words of 16
    "fo-dicom/CR-ModalitySequenceLUT.dcm": "dcmdjpeg",
    "fo-dicom/D_CLUNIE_CT1_RLE_FRAGS.dcm": "dcmdrle",
    "fo-dicom/OutOfBoundsOverlay.dcm": "dcmdjpeg",
    "nema_wg04/JLSL/MR1_JLSL": "dcmdjpls",
    "nema_wg04/JLSN/RG3_JLSN": "dcmdjpls",
    "nema_wg04/JPLY/MR1_JPLY": "dcmdjpeg",
    "nema_wg04/JPLY/MR4_JPLY": "dcmdjpeg",
    "nema_wg04/JPLY/NM1_JPLY": "dcmdjpeg",
    "nema_wg04/JPLY/RG3_JPLY": "dcmdjpeg",
    "nema_wg04/RLE/MR1_RLE": "dcmdrle",
    "pydicom-data/JLSL_16_15_1_1F.dcm": "dcmdjpls",
    "pydicom-data/JPEG-LL.dcm": "dcmdjpeg",
    "pylibjpeg-data/JPEGExtended/JPEG-lossy.dcm": "dcmdjpeg",
    # Header and code stream disagree on what is stored, which makes other readers fail.
    "pylibjpeg-data/JPEGExtended/JPEGExtended_1s_1f_u_16_12.dcm": "dcmdjpeg",
}

NO_DICOM = "not a DICOM file"  # without preamble, as before 1993
NO_IMAGE = "AttributeError"  # it states no size: a report, a presentation, a map of floats
LAYOUT = "ValueError: no layout that is read"  # one bit a pixel, or colours
PAYLOAD = "ValueError: no start of code stream"  # made to test encapsulation, of no picture

REFUSED = {
    "fo-dicom/CR-MONO1-10-chest": NO_DICOM,
    "fo-dicom/GH340.dcm": NO_DICOM,
    "fo-dicom/Issue1097_FailToOpenDeflatedFileWithSQ.dcm": NO_IMAGE,
    "highdicom/seg_image_cr_binary.dcm": LAYOUT,
    "highdicom/seg_image_ct_binary.dcm": LAYOUT,
    "highdicom/seg_image_ct_binary_overlap.dcm": LAYOUT,
    "highdicom/seg_image_ct_binary_single_frame.dcm": LAYOUT,
    "highdicom/sr_document.dcm": NO_IMAGE,
    "highdicom/sr_document_with_multiple_groups.dcm": NO_IMAGE,
    "libdicom/generated_encapsulated_defined_bot_1_to_1.dcm": PAYLOAD,
    "libdicom/generated_encapsulated_defined_bot_2_to_1.dcm": PAYLOAD,
    "libdicom/generated_encapsulated_defined_bot_2_to_2.dcm": PAYLOAD,
    "libdicom/generated_encapsulated_empty_bot_1_to_1.dcm": PAYLOAD,
    "libdicom/generated_encapsulated_empty_bot_2_to_1.dcm": PAYLOAD,
    "pydicom-data/HTJ2KLossless_08_RGB.dcm": LAYOUT,
    "pydicom-data/HTJ2K_08_RGB.dcm": LAYOUT,
    "pydicom-data/emri_small_jpeg_2k_lossless_too_short.dcm": NO_IMAGE,  # cut off in its header
    "pydicom-data/liver.dcm": LAYOUT,
    "pydicom-data/liver_deflate.dcm": LAYOUT,
    "pydicom-data/liver_nonbyte_aligned.dcm": LAYOUT,
    "pydicom-data/liver_nonbyte_aligned_deflate.dcm": LAYOUT,
    "pydicom-data/liver_nonbyte_aligned_j2k.dcm": LAYOUT,
    "pydicom-data/liver_nonbyte_aligned_rle.dcm": LAYOUT,
    "pydicom-data/liver_rle.dcm": LAYOUT,
    "pydicom-data/parametric_map_float.dcm": NO_IMAGE,
    "weasis-dicom-tools/img/prOverlay.dcm": NO_IMAGE,
}

FOLDERS = sorted({name.partition("/")[0] for name in (*AS_PYDICOM, *AS_DCMTK, *REFUSED)})
OTHER_SUFFIXES = {".md", ".txt", ".png", ".zst", ".2.0"}


def reference(corpora: Find, image: str) -> Dataset:
    """Return the uncompressed original of a WG04 image."""
    packed = corpora(f"nema_wg04/REF/{image}_UNC.zst").read_bytes()
    return read_dataset(bytes(imagecodecs.zstd_decode(packed)))


def integers(pixels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return pixels.astype(np.int64)


@pytest.mark.parametrize("name", WG04)
def test_wg04_decodes_to_its_reference(corpora: Find, name: str) -> None:
    largest, spread = WG04[name]
    image = name.partition("/")[2].partition("_")[0]
    expected = integers(stored_pixels(reference(corpora, image)))
    error = integers(stored_pixels(read_dataset(corpora(f"nema_wg04/{name}")))) - expected
    assert np.abs(error).max() <= largest
    assert np.sqrt(np.mean(error**2)) <= spread


@pytest.mark.parametrize("syntax", [uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K])
@pytest.mark.parametrize("image", ["CT1", "MR1", "MR4", "NM1", "RG3"])
def test_htj2k_decodes_to_the_same_reference(corpora: Find, image: str, syntax: uid.UID) -> None:
    dataset = reference(corpora, image)
    expected = stored_pixels(dataset)
    dataset.PixelData = encapsulate([corpora(f"htj2k_codestreams/j2c/{image}.j2c").read_bytes()])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    assert np.array_equal(stored_pixels(dataset), expected)


@pytest.mark.parametrize("name", AS_PYDICOM)
def test_files_that_pydicom_decodes_too(corpora: Find, name: str) -> None:
    path = corpora(name)
    dataset = read_dataset(path)
    count = frame_count(dataset)
    theirs = pixel_array(pydicom.dcmread(path), raw=True).reshape(count, *_shape(dataset))
    for frame in range(count):
        ours = stored_pixels(dataset, frame=frame)
        assert np.array_equal(integers(ours), integers(theirs[frame]))


@pytest.mark.parametrize("name", AS_DCMTK)
def test_files_that_dcmtk_decodes_too(corpora: Find, dcmtk: Run, tmp_path: Path, name: str) -> None:
    path = corpora(name)
    dcmtk(AS_DCMTK[name], path, tmp_path / "plain")
    dataset, plain = read_dataset(path), pydicom.dcmread(tmp_path / "plain")
    assert plain.BitsAllocated == 16
    # DCMTK leaves words as they were decoded: without their sign, and with what overshoots.
    if dataset.PixelRepresentation:
        unused = 16 - dataset.BitsStored
        theirs = np.frombuffer(plain.PixelData, "<i2") << unused >> unused
    else:
        theirs = np.minimum(np.frombuffer(plain.PixelData, "<u2"), 2**dataset.BitsStored - 1)
    assert np.array_equal(stored_pixels(dataset), theirs.reshape(_shape(dataset)))


@pytest.fixture(scope="module")
def small() -> Dataset:
    """Return a phantom cut down to 120 x 90 pixels of 12 bits."""
    dataset = phantom(seed=7, number=2).dataset
    pixels = np.frombuffer(dataset.PixelData, "<u2").reshape(_shape(dataset))
    rows, columns = dataset.Rows // 120, dataset.Columns // 90
    dataset.PixelData = pixels[::rows, ::columns][:120, :90].tobytes()
    dataset.Rows, dataset.Columns = 120, 90
    return dataset


def deepened(dataset: Dataset, bits: int) -> Dataset:
    """Return a copy of another depth, its whole range in use."""
    made = deepcopy(dataset)
    pixels = np.frombuffer(dataset.PixelData, "<u2").astype(float) / 4095
    words = np.rint(pixels * (2**bits - 1)).astype(np.uint8 if bits == 8 else "<u2")
    made.BitsAllocated, made.BitsStored, made.HighBit = 8 * words.itemsize, bits, bits - 1
    made.PixelData = words.tobytes()
    return made


LOSSLESS: list[tuple[str, ...]] = [
    ("dcmcjpeg", "+e1"),
    *(("dcmcjpeg", "+el", "+sv", str(predictor)) for predictor in range(1, 8)),
    ("dcmcjpeg", "+e1", "+fs", "1"),  # kilobytes a fragment
    ("dcmcjpls", "+el"),
    ("dcmcrle",),
]


@pytest.mark.parametrize("encoder", LOSSLESS, ids=" ".join)
@pytest.mark.parametrize("bits", [8, 10, 12, 15])
def test_what_dcmtk_encodes_without_loss(
    dcmtk: Run, tmp_path: Path, small: Dataset, encoder: tuple[str, ...], bits: int
) -> None:
    made = deepened(small, bits)
    made.save_as(tmp_path / "plain", enforce_file_format=True)
    dcmtk(*encoder, tmp_path / "plain", tmp_path / "encoded")
    dataset = read_dataset(tmp_path / "encoded")
    assert dataset.file_meta.TransferSyntaxUID.is_compressed
    assert np.array_equal(stored_pixels(dataset), stored_pixels(made))


@pytest.mark.parametrize("encoder", [("dcmcjpeg", "+e1"), ("dcmcrle",)], ids=" ".join)
def test_overlay_bits_are_encoded_with_their_pixels_and_are_no_grey(
    dcmtk: Run, tmp_path: Path, small: Dataset, encoder: tuple[str, ...]
) -> None:
    made = deepcopy(small)
    words = np.frombuffer(small.PixelData, "<u2")
    drawn = np.random.default_rng(5).random(words.size) < 0.3
    made.PixelData = (words | drawn.astype("<u2") << 14).astype("<u2").tobytes()
    for element, vr, value in (
        (0x0010, "US", 120),
        (0x0011, "US", 90),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [1, 1]),
        (0x0100, "US", 16),
        (0x0102, "US", 14),
    ):
        made.add_new((0x6000, element), vr, value)
    made.save_as(tmp_path / "plain", enforce_file_format=True)
    dcmtk(*encoder, tmp_path / "plain", tmp_path / "encoded")
    dataset = read_dataset(tmp_path / "encoded")
    assert np.array_equal(stored_pixels(dataset), stored_pixels(small))
    assert np.array_equal(overlay_mask(dataset).ravel(), drawn)


@pytest.mark.parametrize(
    ("encoder", "bits"),
    [
        (("dcmcjpeg", "+eb", "+q", "95"), 8),
        (("dcmcjpeg", "+ee", "+q", "30"), 8),
        (("dcmcjpeg", "+ee", "+q", "95", "+bt"), 12),
        (("dcmcjpls", "+en", "+md", "2"), 12),
    ],
)
def test_what_dcmtk_encodes_with_loss_decodes_as_it_decodes_it(
    dcmtk: Run, tmp_path: Path, small: Dataset, encoder: tuple[str, ...], bits: int
) -> None:
    made = deepened(small, bits)
    made.save_as(tmp_path / "plain", enforce_file_format=True)
    dcmtk(*encoder, tmp_path / "plain", tmp_path / "encoded")
    dcmtk(encoder[0].replace("dcmc", "dcmd"), tmp_path / "encoded", tmp_path / "decoded")
    found = stored_pixels(read_dataset(tmp_path / "encoded"))
    assert np.array_equal(found, stored_pixels(read_dataset(tmp_path / "decoded")))
    assert not np.array_equal(found, stored_pixels(made))


@pytest.mark.filterwarnings("ignore:End of file reached before delimiter")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_why(corpora: Find, name: str) -> None:
    path = corpora(name)
    with pytest.raises((StudyError, Refused)) as caught:
        stored_pixels(read_dataset(path))
    cause = caught.value.__cause__
    if isinstance(caught.value, StudyError):
        assert str(caught.value) == f"{path}: {REFUSED[name]}"
    else:
        assert f"{type(cause).__name__}: {cause}".startswith(REFUSED[name])


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_is_left_out(corpora: Find, folder: str) -> None:
    root = corpora(folder)
    known = {*AS_PYDICOM, *AS_DCMTK, *REFUSED, *(f"nema_wg04/{name}" for name in WG04)}
    found = {
        path.relative_to(root.parent).as_posix()
        for path in root.rglob("*")
        if path.is_file() and path.suffix not in OTHER_SUFFIXES and "LICENSE" not in path.name
    }
    assert found <= known


def _shape(dataset: Dataset) -> tuple[int, int]:
    return dataset.Rows, dataset.Columns


def test_enhanced_frames_are_measured_and_placed_as_highdicom_does(corpora: Find) -> None:
    path = corpora("pydicom-data/eCT_Supplemental.dcm")
    dataset = read_dataset(path)
    theirs = Highdicom.from_dataset(pydicom.dcmread(path))
    corners = np.array([[0, 0], [dataset.Columns - 1, 0], [0, dataset.Rows - 1]])
    assert frame_count(dataset) == 2
    for frame in range(2):
        seen = read_slice(dataset, frame=frame)
        values = theirs.get_frame(frame + 1, apply_real_world_transform=False, dtype=np.float64)
        assert np.array_equal(seen.values, values)
        to_reference = PixelToReferenceTransformer.for_image(dataset, frame_number=frame + 1)
        assert seen.plane.to_patient(corners) == pytest.approx(to_reference(corners), abs=1e-4)
