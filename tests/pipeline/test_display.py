"""What is shown, against DCMTK and pydicom: real files, and headers made of all their parts.

Neither is right everywhere. Where one of them leaves the standard (PS3.3 C.11.1, C.11.2, C.7.6.3),
a comment says so, and it is asked only for the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from highdicom import Image as Highdicom
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from cspine.dicom.dataset import read_dataset
from cspine.dicom.grey import display_scale, modality_scale
from cspine.dicom.overlays import overlay_mask
from cspine.dicom.pixels import frame_count, pixel_words, stored_pixels
from cspine.dicom.read import render
from cspine.errors import StudyError
from cspine.findings import Refused

Find = Callable[[str], Path]
Run = Callable[..., str]
Picture = npt.NDArray[np.uint8]


def plain(dataset: Dataset, path: Path) -> Path:
    """Write a data set uncompressed: how it decodes is not the question here."""
    if dataset.file_meta.TransferSyntaxUID == ExplicitVRBigEndian:
        return Path(dataset.filename)
    made = deepcopy(dataset)
    stored = [stored_pixels(dataset, frame=frame) for frame in range(frame_count(dataset))]
    data = b"".join(frame.tobytes() for frame in stored)
    made.PixelData = data + b"\0" * (len(data) % 2)
    made["PixelData"].VR = "OW"
    made.HighBit = made.BitsStored - 1
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.save_as(path, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return path


def spread(dataset: Dataset, frame: int) -> list[object]:
    """Return DCMTK's words for a window from the lowest to the highest value but padding."""
    stated = modality_scale(dataset)
    words = np.unique(pixel_words(dataset, frame=frame))
    kept = [word for word in words if stated.padding is None or not stated.padding[word]]
    levels = stated.scale.table[kept].astype(float)
    # LINEAR runs from centre - width / 2 to centre + width / 2 - 1.
    width = np.ptp(levels) + 1
    return ["+Ww", levels.min() + width / 2, width]


def padding(dataset: Dataset, frame: int) -> npt.NDArray[np.bool_]:
    """Return where a frame is padding, of which DCMTK takes no notice when it shows it."""
    mask = modality_scale(dataset).padding
    words = pixel_words(dataset, frame=frame)
    return np.zeros(words.shape, bool) if mask is None else mask[words].astype(bool)


def shown_by_dcmtk(dcmtk: Run, path: Path, picture: Path, *options: object) -> Picture:
    dcmtk("dcm2pnm", *options, "+op", path, picture)
    return np.asarray(cv2.imread(str(picture), cv2.IMREAD_UNCHANGED), np.uint8)


FOLDERS = {  # how many pictures are compared
    "dcm4che_test-data": 6,
    "dwv": 1,
    "fo-dicom": 4,
    "highdicom": 58,
    "nema_wg04/J2KI": 6,
    "nema_wg04/JPLL": 5,
    "pydicom-data": 18,
    "pydicom_cspine_cr": 3,
    "pylibjpeg-data": 3,
    "weasis-dicom-tools": 2,
}


@pytest.mark.filterwarnings("ignore")  # what is odd in these files is other tests' matter
@pytest.mark.parametrize("folder", FOLDERS)
def test_real_files_are_shown_as_dcmtk_shows_them(
    corpora: Find, dcmtk: Run, tmp_path: Path, folder: str
) -> None:
    compared = 0
    for path in sorted(corpora(folder).rglob("*")):
        try:
            dataset = read_dataset(path)
            stored_pixels(dataset)
        except (StudyError, Refused):
            continue
        if "SharedFunctionalGroupsSequence" in dataset and dataset.Modality == "CT":
            continue  # DCMTK does not look into functional groups
        copied = plain(dataset, tmp_path / "plain.dcm")
        if dataset.get("VOILUTSequence"):
            options: list[object] = ["+Wl", 1]
        elif "WindowWidth" in dataset:
            options = ["+Wi", 1]
        else:
            options = []
        for frame in range(frame_count(dataset)):
            how = options or spread(dataset, frame)
            theirs = shown_by_dcmtk(
                dcmtk, copied, tmp_path / "picture", "-O", *how, "+F", frame + 1
            )
            ours = render(dataset, frame=frame)
            padded = padding(dataset, frame)
            assert np.abs(ours.astype(int) - theirs)[~padded].max() <= 1, (path, frame)
            assert (ours[padded] == ours[~padded].min()).all()
            compared += 1
    assert compared >= FOLDERS[folder]


def test_enhanced_frames_are_shown_as_highdicom_shows_them(corpora: Find) -> None:
    path = corpora("pydicom-data/eCT_Supplemental.dcm")
    dataset = read_dataset(path)
    image = Highdicom.from_dataset(pydicom.dcmread(path))
    for frame in range(frame_count(dataset)):
        theirs = image.get_frame(
            frame + 1,
            apply_real_world_transform=False,
            apply_voi_transform=True,
            voi_output_range=(0, 255),
            dtype=np.float64,
        )
        assert np.abs(render(dataset, frame=frame) - theirs).max() <= 0.5001


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    [
        "dcm4che_test-data/ovly_p01.dcm",
        "weasis-dicom-tools/img/overlay.dcm",
        "pydicom-data/MR-SIEMENS-DICOM-WithOverlays.dcm",
        "fo-dicom/OutOfBoundsOverlay.dcm",  # larger than its image
    ],
)
def test_overlays_are_those_of_pydicom_and_dcmtk(
    corpora: Find, dcmtk: Run, tmp_path: Path, name: str
) -> None:
    path = corpora(name)
    dataset = read_dataset(path)
    mask = overlay_mask(dataset)
    expected = np.zeros_like(mask)
    for group in (0x6000, 0x6002, 0x6004, 0x6006):
        if (group, 0x3000) in dataset:
            plane = dataset.overlay_array(group).astype(bool)
        elif (group, 0x0102) in dataset:
            words = np.frombuffer(dataset.PixelData, "<u2").reshape(mask.shape)
            plane = words >> dataset[group, 0x0102].value & 1 == 1
        else:
            continue
        top, left = dataset[group, 0x0050].value
        rows, columns = np.nonzero(plane)
        rows, columns = rows + top - 1, columns + left - 1
        seen = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
        expected[rows[seen], columns[seen]] = True
    assert mask.any()
    assert np.array_equal(mask, expected)
    how = ["+Wi", 1] if "WindowWidth" in dataset else spread(dataset, 0)
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        path = plain(dataset, tmp_path / "plain.dcm")
    theirs = shown_by_dcmtk(dcmtk, path, tmp_path / "picture", *how, "+O", 0)
    assert np.abs(render(dataset, overlays=True).astype(int) - theirs).max() <= 1


@dataclass(frozen=True)
class Made:
    """A header with a ramp of every value, and how to make DCMTK show it by the same rules."""

    dataset: Dataset
    options: tuple[object, ...]


def table(values: list[int], first: int, bits: int, form: str) -> Dataset:
    """Return the item of a LUT sequence, its entries as words or as bytes in words."""
    item = Dataset()
    count = len(values) % (1 << 16)
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [count, first, bits])
    if form == "bytes":
        data = np.array(values, np.uint8).tobytes()
        item.add_new("LUTData", "OW", data + b"\0" * (len(data) % 2))
    elif form == "OW":
        item.add_new("LUTData", "OW", np.array(values, "<u2").tobytes())
    else:
        item.add_new("LUTData", "US", values)
    return item


@st.composite
def tables(draw: st.DrawFn, *, signed: bool, depth: int) -> Dataset:
    bits = draw(st.sampled_from([8, 10, 12, 16]))
    form = draw(st.sampled_from(["US", "OW", "bytes"] if bits == 8 else ["US", "OW"]))
    count = draw(st.integers(2, 2 ** min(depth, 12)) | st.just(256) | st.just(300))
    first = draw(st.integers(-(2 ** (depth - 1)), 50) if signed else st.integers(0, 2**depth - 1))
    seed = draw(st.integers(0, 99))
    values = np.sort(np.random.default_rng(seed).integers(0, 2**bits, count))
    values[-1] = 2**bits - 1
    if draw(st.booleans()):
        values = values[::-1]
    return table(values.tolist(), first, bits, form)


@st.composite
def headers(draw: st.DrawFn, *, slopes: tuple[float, ...]) -> Made:
    bits, signed = draw(st.integers(8, 16)), draw(st.booleans())
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    dataset.Modality = "CR"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2"]))
    dataset.Rows, dataset.Columns = 2 ** (bits // 2), 2 ** (bits - bits // 2)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation = int(signed)
    low = -(2 ** (bits - 1)) if signed else 0
    ramp = np.arange(low, low + 2**bits)
    dataset.PixelData = ramp.astype("<i2" if signed else "<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    if dataset.PhotometricInterpretation == "MONOCHROME1" and draw(st.booleans()):
        dataset.PresentationLUTShape = "INVERSE"
    values = ramp.astype(float)
    match draw(st.sampled_from(["none", "rescale", "table"])):
        case "rescale":
            slope = draw(st.sampled_from(slopes))
            intercept = draw(st.sampled_from([0, -1024, 100]))
            dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
            dataset.RescaleType = "US"
            values = ramp * slope + intercept
        case "table":
            dataset.ModalityLUTSequence = [draw(tables(signed=signed, depth=bits))]
            dataset.ModalityLUTSequence[0].ModalityLUTType = "US"
            values = modality_scale(dataset).scale.table[ramp % 65536].astype(float)
    reach = max(4, round(np.ptp(values)))
    options: tuple[object, ...] = tuple(spread(dataset, 0))
    match draw(st.sampled_from(["none", "window", "window", "table"])):
        case "window":
            centre = round(values.min() + draw(st.floats(-0.2, 1.2)) * reach, 1)
            width = draw(st.just(1.0) | st.integers(2, 2 * reach).map(float))
            function = draw(st.sampled_from([None, "LINEAR", "LINEAR_EXACT", "SIGMOID"]))
            which = draw(st.integers(1, 3))
            dataset.WindowCenter = [centre if n == which - 1 else -7 for n in range(3)]
            dataset.WindowWidth = [width if n == which - 1 else 9 for n in range(3)]
            if function:
                dataset.VOILUTFunction = function
            options = ("+Wi", which)
            if function == "LINEAR_EXACT":  # which DCMTK 3.6.7 does not know
                options = ("+Wfl", "+Ww", centre + 0.5, width + 1)
        case "table":
            signed_values, depth = bool(values.min() < 0), bits
            dataset.VOILUTSequence = [draw(tables(signed=signed_values, depth=depth))]
            options = ("+Wl", 1)
    return Made(dataset, options)


def chosen(made: Made) -> int:
    """Return the zero-based window that the options ask for."""
    if made.options[0] == "+Wi":
        return int(str(made.options[1])) - 1
    widths = made.dataset.get("WindowWidth") or [9]
    return next((n for n, width in enumerate(widths) if width != 9), 0)


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# DCMTK cuts rescaled values to whole numbers; the standard does not.
@given(made=headers(slopes=(1, 2, -1, -2)))
def test_made_headers_are_shown_as_dcmtk_shows_them(dcmtk: Run, tmp_path: Path, made: Made) -> None:
    path = plain(made.dataset, tmp_path / "plain.dcm")
    theirs = shown_by_dcmtk(dcmtk, path, tmp_path / "picture", "-O", *made.options).astype(int)
    ours = render(read_dataset(path), window=chosen(made))
    difference = np.abs(ours - theirs)
    if difference.max() > 1:
        where = np.unravel_index(difference.argmax(), difference.shape)
        raise AssertionError((made.options, made.dataset, ours[where], theirs[where], where))


# pydicom inverts what has a negative slope, wraps tables of 8 bits at 256 and refuses others in a
# Modality LUT: that it is not asked.
@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(made=headers(slopes=(1, 2, 0.5, 0.25, 3.7)))
def test_made_headers_have_the_levels_that_pydicom_gives_them(made: Made) -> None:
    dataset = made.dataset
    for keyword, depths in (("ModalityLUTSequence", (16,)), ("VOILUTSequence", (12, 16))):
        assume(all(item.LUTDescriptor[2] in depths for item in dataset.get(keyword) or ()))
    stored = dataset.pixel_array.astype(np.int32)  # it subtracts within the type that it is given
    measured = apply_modality_lut(stored, dataset)
    scale = modality_scale(dataset).scale
    words = pixel_words(dataset)
    np.testing.assert_allclose(scale.levels(words), measured, rtol=1e-6)
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.pop("PresentationLUTShape", None)
    scale = display_scale(dataset, window=chosen(made)).scale
    if "VOILUTSequence" in dataset:
        measured = np.rint(measured).astype(np.int32)  # what a table can be asked for
    with np.errstate(over="ignore"):
        theirs = apply_voi_lut(measured, dataset, index=chosen(made)).astype(float)
    ours = scale.levels(words).astype(float)
    if "WindowWidth" in dataset and "VOILUTSequence" not in dataset:
        low, high = full_range(dataset)
        theirs = (theirs - low) / (high - low)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def full_range(dataset: Dataset) -> tuple[float, float]:
    """Return what pydicom takes for black and white: the range of all that can be measured."""
    if tables := dataset.get("ModalityLUTSequence"):
        return 0, 2.0 ** tables[0].LUTDescriptor[2] - 1
    low = -(2.0 ** (dataset.BitsStored - 1)) if dataset.PixelRepresentation else 0.0
    high = low + 2.0**dataset.BitsStored - 1
    slope, intercept = dataset.get("RescaleSlope", 1), dataset.get("RescaleIntercept", 0)
    return low * slope + intercept, high * slope + intercept
