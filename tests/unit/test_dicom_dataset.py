from __future__ import annotations

import os
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from cspine.dicom.dataset import DEFERRED_BYTES, read_dataset, source_of
from cspine.dicom.limits import MAXIMUM_BYTES
from cspine.dicom.media import dicom_files
from cspine.dicom.read import read_image
from cspine.dicom.select import Study, select
from cspine.errors import StudyError
from cspine.findings import Refused
from cspine.spec import PipelineSpec

Save = Callable[[Dataset], Path]


def test_a_source_is_the_uids_and_the_pixels(radiograph: Dataset, saved: Save) -> None:
    path = saved(radiograph)
    source = source_of(read_dataset(path))
    assert (source.study_uid, source.series_uid) == ("1.2.3", "1.2.3.4")
    assert source.instance_uid == "1.2.3.4.5"
    assert source == source_of(read_dataset(path.read_bytes()))
    radiograph.PixelData = radiograph.PixelData[:-1] + b"\x01"
    assert source_of(radiograph).pixels != source.pixels
    radiograph.StudyInstanceUID = "QUILLFEATHER"
    assert source_of(radiograph).study_uid == source_of(Dataset()).study_uid == ""


def refusal(dataset: Dataset) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        read_image(dataset)
    return caught.value.refusal.code, caught.value.refusal.reason


def enlarged(dataset: Dataset) -> Dataset:
    """Give it so many pixels that they stay in the file, even compressed."""
    noise = np.random.default_rng(0).integers(0, 4096, (400, 300), dtype="<u2")
    dataset.Rows, dataset.Columns = noise.shape
    dataset.PixelData = noise.tobytes()
    return dataset


def held(dataset: Dataset) -> bool:
    return dataset.get_item("PixelData", keep_deferred=True).value is not None


@pytest.mark.parametrize(
    "syntax", [None, ImplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless]
)
def test_pixels_stay_in_the_file_until_they_are_decoded(
    radiograph: Dataset, saved: Save, syntax: UID | None
) -> None:
    expected = read_image(enlarged(radiograph)).pixels
    if syntax == ImplicitVRLittleEndian:
        radiograph.file_meta.TransferSyntaxUID = syntax
    elif syntax is not None:
        radiograph.compress(syntax)
    assert len(radiograph.PixelData) > DEFERRED_BYTES
    dataset = read_dataset(saved(radiograph))
    assert not held(dataset)
    assert np.array_equal(read_image(dataset).pixels, expected)
    assert source_of(dataset) == source_of(radiograph)


def test_pixels_that_are_left_in_a_file_are_read_in_every_form(
    radiograph: Dataset, saved: Save, spec: PipelineSpec
) -> None:
    enlarged(radiograph)
    path = saved(radiograph)
    radiograph.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    deflated, archive = saved(radiograph), path.with_name("cd.zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as cd:
        cd.write(path, "1")
        cd.write(deflated, "2")
    for file in (path, deflated, *dicom_files(archive)):
        dataset = read_dataset(file)
        copy, study = deepcopy(dataset), Study((dataset,))
        for _ in range(2):  # what was read once is forgotten, and read again
            image = study.images(spec.accept)[0]
            assert np.array_equal(image.pixels, read_image(radiograph).pixels)
            assert image.source == study.source == source_of(radiograph)
            assert not held(dataset)
        assert copy.PixelData == radiograph.PixelData


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("packed", [False, True])
def test_pixels_of_a_file_that_was_written_anew_are_none_of_its_header(
    radiograph: Dataset, saved: Save, packed: bool
) -> None:
    path = saved(enlarged(radiograph))
    radiograph.PixelData = radiograph.PixelData[::-1]  # of the same size, at the same place
    other = saved(radiograph)
    if packed:
        for file in (path, other):
            content = file.read_bytes()
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("1", content)
    (file,) = dicom_files(path)
    dataset = read_dataset(file)
    path.write_bytes(other.read_bytes())
    os.utime(path, ns=(0, 0))
    assert refusal(dataset)[0] == "UNSUPPORTED_OBJECT"
    assert Study((dataset,)).source.pixels == source_of(Dataset()).pixels


def test_memory_that_does_not_suffice_is_told_as_that(radiograph: Dataset, saved: Save) -> None:
    path = saved(enlarged(radiograph))
    content = path.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1", content + Random(0).randbytes(64 << 20))
    program = (
        "import resource, sys; from pathlib import Path;"
        "from cspine.dicom.media import dicom_files;"
        "from cspine.dicom.select import read_studies;"
        "mapped = int(Path('/proc/self/statm').read_text().split()[0]) * 4096;"
        "resource.setrlimit(resource.RLIMIT_AS, (mapped + (32 << 20),) * 2);"
        "print(*read_studies(dicom_files(Path(sys.argv[1])))[1])"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    ).stdout
    assert said == (
        f"{path}: file 1 of 1: over the memory limit; "
        "read it alone and, if that fails, leave it out\n"
    )


def test_pixels_cut_off_or_gone_in_the_meantime_are_refused(
    radiograph: Dataset, saved: Save
) -> None:
    whole = saved(enlarged(radiograph))
    cut = whole.with_name("cut.dcm")
    cut.write_bytes(whole.read_bytes()[:-1000])
    told = refusal(read_dataset(cut))
    assert told[0] == "UNSUPPORTED_OBJECT"
    assert told[1].startswith("The pixels cannot be decoded (ValueError): cut off")
    dataset = read_dataset(whole)
    whole.unlink()
    gone = refusal(dataset)
    assert gone[0] == "UNSUPPORTED_OBJECT"
    assert whole.name not in gone[1]
    source = Study((dataset,)).source
    assert (source.instance_uid, source.pixels) == ("1.2.3.4.5", source_of(Dataset()).pixels)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"lateral, C2 to C7\n", "not a DICOM file"),
        (b"\0" * 128 + b"DICM" + b"\xff" * 60, "a damaged DICOM file ("),
    ],
)
def test_what_is_not_dicom_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "neck.dcm"
    path.write_bytes(content)
    with pytest.raises(StudyError) as caught:
        read_dataset(path)
    assert str(caught.value).startswith(f"{path}: {told}")


def test_a_file_goes_by_the_name_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "QUILLFEATHER^ZEBEDEE.dcm"
    for content in (b"", b"a letter"):
        path.write_bytes(content)
        with pytest.raises(StudyError, match=r"^file 3 of 17: ") as caught:
            read_dataset(path, name="file 3 of 17")
        assert "QUILL" not in str(caught.value)


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="cannot be read: No such file or directory"):
        read_dataset(tmp_path / "none.dcm")
    with pytest.raises(StudyError, match="cannot be read: Is a directory"):
        read_dataset(tmp_path)


def test_a_file_too_large_to_be_a_radiograph_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.dcm"
    path.write_bytes(bytes(128) + b"DICM")
    os.truncate(path, MAXIMUM_BYTES + 1)
    with pytest.raises(StudyError, match=r"huge\.dcm: 1024 MiB, at most 1024 are read"):
        read_dataset(path)


def answered(path: Path, spec: PipelineSpec) -> str:
    """Take a file as far as its image; return every word that was said on the way."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            study = Study((read_dataset(path),))
            read_image(select(study, spec.accept).dataset)
        except StudyError as error:
            told = str(error)
        except Refused as refused:
            told = f"{refused.refusal.reason} {refused.refusal.remedy}"
        else:
            told = ""
    return " ".join([told, *(str(warning.message) for warning in said)])


def test_a_file_cut_off_anywhere_is_refused(
    radiograph: Dataset, saved: Save, spec: PipelineSpec
) -> None:
    path = saved(radiograph)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        told = answered(path, spec)
        assert told.strip()
        assert "QUILLFEATHER" not in told


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("InstanceNumber", "12345678"),
        ("NumberOfFrames", "12345678"),
        ("BodyPartExamined", "NECKNECK"),
        ("ViewPosition", "LATERALX"),
        ("StudyInstanceUID", "1.22.333"),
        ("PatientOrientation", "PLPLPLPL"),
        ("PixelSpacing", "1.11\\2.2"),
        ("EstimatedRadiographicMagnificationFactor", "1.234567"),
        ("RescaleSlope", "1.234567"),
        ("PresentationLUTShape", "IDENTITY"),
    ],
)
@pytest.mark.parametrize("misplaced", [b"Quill\\ey", b"Quilley^"])
def test_a_name_in_the_wrong_element_is_never_repeated(
    radiograph: Dataset, saved: Save, spec: PipelineSpec, keyword: str, value: str, misplaced: bytes
) -> None:
    setattr(radiograph, keyword, value)
    path = saved(radiograph)
    before, after = path.read_bytes().rsplit(value.encode(), 1)
    path.write_bytes(before + misplaced + after)
    assert "Quill" not in answered(path, spec)


@pytest.mark.parametrize(
    "tag", [b"\x08\0\x18\0", b"\x18\0\x15\0", b"\x20\0\x0d\0", b"\x28\0\x02\0"]
)
def test_an_element_of_no_known_type_is_refused_or_passed_over(
    radiograph: Dataset, saved: Save, spec: PipelineSpec, tag: bytes
) -> None:
    path = saved(radiograph)
    before, after = path.read_bytes().split(tag, 1)
    path.write_bytes(before + tag + b"ZZ" + after[2:])
    assert "QUILLFEATHER" not in answered(path, spec)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(edits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=8))
def test_damaged_files_are_answered_refused_or_unreadable(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[float, bytes]], spec: PipelineSpec
) -> None:
    path = Path(__file__).parents[1] / "data" / "pydicom_cspine_cr" / "lateral.dcm"
    # Its orientation contradicts its view: without it, damage has the pixels to reach.
    data = bytearray(path.read_bytes().replace(b"CS\x04\x00L\\F ", b"CS\x04\x00P\\F "))
    for place, text in edits:
        start = round(place * (len(data) - len(text)))
        data[start : start + len(text)] = text
    damaged = tmp_path_factory.getbasetemp() / "damaged.dcm"
    damaged.write_bytes(data)
    assert "Doe" not in answered(damaged, spec)
