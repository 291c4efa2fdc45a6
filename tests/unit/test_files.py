from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cspine.files import check_writable, sha256, sync_folder, write_atomic


def test_the_digest_is_sha256() -> None:
    # FIPS 180-2, appendix B.1.
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_is_written_with_its_folders_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.bin"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_result_is_as_readable_as_any_new_file(tmp_path: Path, mask: int) -> None:
    code = (
        "import os, sys; from pathlib import Path; from cspine.files import write_atomic;"
        "write_atomic(Path(sys.argv[1]), b''); print(os.umask(0))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "file"],
        umask=mask,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(result.stdout) == mask
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask


def test_writing_leaves_the_mask_of_other_threads_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks: list[int] = []
    monkeypatch.setattr(os, "umask", masks.append)
    write_atomic(tmp_path / "file", b"")
    assert not masks


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomic(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_way_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(IsADirectoryError) as caught:
        write_atomic(path, b"new")
    assert caught.value.filename == str(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_folder_is_synced_and_closed(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    sync_folder(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_can_be_written_is_found_out_without_a_trace(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "folder" / "file")
    assert not list(tmp_path.iterdir())
    (tmp_path / "old").write_bytes(b"kept")
    check_writable(tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"kept"


@pytest.mark.parametrize(
    ("name", "error"),
    [("folder", IsADirectoryError), ("file/new", NotADirectoryError)],
)
def test_what_cannot_be_written_is_named(tmp_path: Path, name: str, error: type[OSError]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(error) as caught:
        check_writable(tmp_path / name)
    assert caught.value.filename == str(tmp_path / name)


def test_no_file_can_be_made_in_proc() -> None:
    # Not even by root, whom permission bits do not stop.
    with pytest.raises(OSError, match="/proc/file"):
        check_writable(Path("/proc/file"))
