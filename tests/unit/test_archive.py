from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from random import Random
from resource import RUSAGE_SELF, getrusage

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies
from pydicom.dataset import Dataset

from cspine.dicom.archive import MAXIMUM_MEMBERS, Member
from cspine.dicom.limits import MAXIMUM_RATIO, MAXIMUM_UNPACKED_BYTES, SMALL_BYTES
from cspine.dicom.media import dicom_files
from cspine.dicom.select import Study, find_studies, read_studies
from cspine.errors import StudyError
from cspine.spec import PipelineSpec

NAME = "QUILLFEATHER"
CENTRAL = b"PK\x01\x02"  # an entry of the list at the end, and where it states what
FLAGS, METHOD, PACKED, UNPACKED = (8, "<H"), (10, "<H"), (20, "<I"), (24, "<I")


@pytest.fixture
def file(radiograph: Dataset) -> bytes:
    """Return a radiograph's file."""
    return stored(radiograph)


def stored(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture
def zipped(tmp_path: Path) -> Callable[..., Path]:
    """Return the function that writes files into an archive."""

    def write(files: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> Path:
        path = tmp_path / "cd"
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path

    return write


def lie(path: Path, field: tuple[int, str], value: int) -> Path:
    """Overwrite what every entry of an archive's list states."""
    content, (offset, form) = bytearray(path.read_bytes()), field
    at = content.find(CENTRAL)
    while at >= 0:
        struct.pack_into(form, content, at + offset, value)
        at = content.find(CENTRAL, at + 1)
    path.write_bytes(content)
    return path


def read(path: Path) -> tuple[list[Study], list[str]]:
    studies, unreadable = read_studies(dicom_files(path))
    return studies, [str(error) for error in unreadable]


def test_an_archive_is_read_like_the_folder_it_was_made_of(
    file: bytes, zipped: Callable[..., Path], spec: PipelineSpec
) -> None:
    names = (f"{NAME}/2", f"{NAME}/1.txt", ".hidden", "__MACOSX/._1", f"{NAME}/")
    path = zipped({name: b"x" if name.endswith("txt") else file for name in names})
    (study,), unreadable = read(path)
    assert unreadable == [f"1 file in {path} is not DICOM and was passed over"]
    assert study.images(spec.accept)[0].pixels.shape == (8, 6)
    assert os.listdir(path.parent) == ["cd"]


def test_an_archive_a_folder_and_the_archive_again_are_one_study(
    radiograph: Dataset, file: bytes, zipped: Callable[..., Path], spec: PipelineSpec
) -> None:
    other = deepcopy(radiograph)
    other.SOPInstanceUID, other.InstanceNumber = "1.2.3.4.6", 2
    path = zipped({"1": file, "2": stored(other)})
    folder = path.parent / "folder"
    folder.mkdir()
    (folder / "1").write_bytes(file)
    (study,), unreadable = find_studies([path, folder, path, path.parent / "folder" / "1"])
    assert not unreadable
    assert len(study.instances) == 3
    assert study.images(spec.accept)[0].notes == (
        "One of 2 lateral images was judged: it has the lowest Instance Number.",
        "2 copies of the judged image were found; one was judged.",
    )


def test_dicom_with_an_archive_behind_it_is_dicom(file: bytes, zipped: Callable[..., Path]) -> None:
    path = zipped({"1": b"x"})
    path.write_bytes(file + path.read_bytes())
    assert zipfile.is_zipfile(path)
    assert list(dicom_files(path)) == [path]


def test_an_archive_in_an_archive_is_no_dicom(file: bytes, zipped: Callable[..., Path]) -> None:
    inner = zipped({"1": file}).read_bytes()
    path = zipped({"inner.zip": inner})
    assert read(path) == ([], [f"{path}: none of its files is DICOM"])


def test_an_archive_of_nothing_is_told(zipped: Callable[..., Path]) -> None:
    with pytest.raises(StudyError, match="cd: the archive holds no file"):
        dicom_files(zipped({"folder/": b"", ".hidden": b"x"}))


def test_a_bomb_does_not_go_off(file: bytes, zipped: Callable[..., Path]) -> None:
    bomb = file[:132] + bytes(64 << 20)
    path = zipped({"1": bomb, "2": file[:132] + bytes(SMALL_BYTES >> 1), "3": file})
    told = (
        f"{path}: file 1 of 3: unpacks to more than {MAXIMUM_RATIO} times its size, "
        "as no image does"
    )
    studies, unreadable = read(path)
    assert (len(studies), unreadable) == (2, [told])


def test_no_more_is_unpacked_than_the_largest_image_takes(
    file: bytes, zipped: Callable[..., Path]
) -> None:
    path = zipped({"1": file, "2": file})
    lie(path, UNPACKED, MAXIMUM_UNPACKED_BYTES + (1 << 20))
    told = "unpacks to 161 MiB, at most 160 are read; unpack the archive and give the folder"
    assert read(path) == ([], [f"{path}: file {number} of 2: {told}" for number in (1, 2)])


def test_what_is_no_dicom_is_not_unpacked(file: bytes, zipped: Callable[..., Path]) -> None:
    path = zipped({"1": Random(0).randbytes(64 << 20), "2": file}, method=zipfile.ZIP_STORED)
    before = getrusage(RUSAGE_SELF).ru_maxrss
    studies, unreadable = read(path)
    assert unreadable == [f"1 file in {path} is not DICOM and was passed over"]
    assert len(studies) == 1
    assert getrusage(RUSAGE_SELF).ru_maxrss - before < 32 << 10


def test_films_are_not_held_with_their_headers(
    radiograph: Dataset, zipped: Callable[..., Path], spec: PipelineSpec
) -> None:
    radiograph.Rows = radiograph.Columns = 2000
    radiograph.PixelData = np.arange(2000 * 2000, dtype="<u2").tobytes()  # 8 MB
    films = {}
    for number in range(20):
        radiograph.SOPInstanceUID = radiograph.StudyInstanceUID = f"1.2.3.{number}"
        films[f"{number}"] = stored(radiograph)
    path = zipped(films, method=zipfile.ZIP_STORED)
    films.clear()
    tracemalloc.start()
    studies, unreadable = read(path)
    assert (len(studies), unreadable) == (20, [])
    for study in studies:
        study.images(spec.accept)[0]
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 8 << 20
    assert most < 64 << 20


def test_a_bomb_that_claims_more_packed_bytes_does_not_go_off(zipped: Callable[..., Path]) -> None:
    path = zipped({"1": bytes(128 << 20), "2": Random(0).randbytes(2 << 20)})
    (member, _) = dicom_files(lie(path, PACKED, 2 << 20))  # as if in proportion
    assert isinstance(member, Member)
    # Later versions of Python see that it would overlap the next.
    with pytest.raises(StudyError, match=r"unpacks to more than 200 times|BadZipFile"):
        member.read_bytes()


def test_no_more_is_unpacked_than_an_entry_states(zipped: Callable[..., Path]) -> None:
    path = lie(zipped({"1": bytes(64 << 20)}), UNPACKED, 1000)
    told = f"{path}: file 1 of 1: cannot be unpacked (BadZipFile); copy the archive again"
    assert read(path) == ([], [told])


def test_all_members_together_are_limited(zipped: Callable[..., Path]) -> None:
    path = lie(zipped({"1": b"x", "2": b"x"}), UNPACKED, 600 << 20)
    with pytest.raises(StudyError, match="cd: unpacks to 1200 MiB, at most 1024 are read; unpack"):
        dicom_files(path)


def test_the_number_of_members_is_limited(zipped: Callable[..., Path]) -> None:
    path = zipped({str(number): b"" for number in range(MAXIMUM_MEMBERS + 1)})
    told = f"{path}: more than 10000 files in one archive"
    with pytest.raises(StudyError) as caught:
        dicom_files(path)
    assert str(caught.value) == told
    with zipfile.ZipFile(path, "w") as archive:  # a list too long to be of so many
        for number in range(200):
            entry = zipfile.ZipInfo(str(number))
            entry.comment = bytes(60_000)
            archive.writestr(entry, b"")
    with pytest.raises(StudyError) as caught:
        dicom_files(path)
    assert str(caught.value) == told


def test_encrypted_members_are_refused(file: bytes, zipped: Callable[..., Path]) -> None:
    path = lie(zipped({NAME: file}), FLAGS, 1)
    told = f"{path}: file 1 of 1: encrypted; unpack the archive and give the folder"
    assert read(path) == ([], [told])


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 97])
def test_other_methods_are_refused(file: bytes, zipped: Callable[..., Path], method: int) -> None:
    path = lie(zipped({NAME: file}), METHOD, method)
    told = "packed by a method other than deflate; unpack the archive and give the folder"
    assert read(path) == ([], [f"{path}: file 1 of 1: {told}"])


def test_an_archive_cut_off_is_damaged(file: bytes, zipped: Callable[..., Path]) -> None:
    path = zipped({NAME: file})
    whole = path.read_bytes()
    for length in range(4, len(whole), 50):
        path.write_bytes(whole[:length])
        with pytest.raises(StudyError) as caught:
            dicom_files(path)
        assert str(caught.value) == f"{path}: the archive is damaged (BadZipFile); copy it again"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=strategies.data())
def test_a_damaged_archive_is_never_a_fault(
    file: bytes, zipped: Callable[..., Path], data: strategies.DataObject
) -> None:
    path = zipped({NAME: file})
    content = bytearray(path.read_bytes())
    ends = [*range(60), *range(len(content) - 90, len(content))]  # where the structure is
    for _ in range(data.draw(strategies.integers(1, 4))):
        content[data.draw(strategies.sampled_from(ends))] = data.draw(strategies.integers(0, 255))
    path.write_bytes(content)
    studies, unreadable = find_studies([path])
    assert len(studies) <= 1
    assert NAME not in " ".join(str(error) for error in unreadable)


def test_an_archive_is_open_only_while_it_is_read(
    file: bytes, zipped: Callable[..., Path], spec: PipelineSpec
) -> None:
    path = zipped({"1": file, "2": file})
    before = os.listdir("/proc/self/fd")
    members = list(dicom_files(path))
    (study,), _ = read(path)
    study.images(spec.accept)[0]
    assert len(os.listdir("/proc/self/fd")) == len(before)
    for member in members:
        assert isinstance(member, Member)
        assert member.read_bytes() == file
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(StudyError, match="cd: the archive changed while it was read; try again"):
        members[0].read_bytes()


def test_threads_take_turns_at_an_archive(zipped: Callable[..., Path]) -> None:
    contents = [Random(number).randbytes(500_000) for number in range(8)]
    members = list(dicom_files(zipped({f"{n}": each for n, each in enumerate(contents)})))
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            assert list(pool.map(lambda member: member.read_bytes(), members)) == contents
