"""A kill at any moment of writing leaves the old bundle or the new one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cspine import replace
from cspine.bundle import PIPELINE, Bundle, write_bundle
from cspine.errors import BundleError

# Forks a writer that rewrites a bundle for ever, kills it after a random while and opens the
# bundle; 100 times. What it opens must be one of the two bundles that are ever written.
KILLS = """
import json, os, random, shutil, signal, sys, time
from pathlib import Path
from cspine import replace
from cspine.bundle import PIPELINE, Bundle, write_bundle
from cspine.packed import Packed

path, how, kills = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if how == "two renames":
    replace.exchange = lambda one, other: False
if how == "one file":
    first = write_bundle(path.with_name("first"), {PIPELINE: b""}, {})
    first.copied(Packed(path))
    shutil.rmtree(first.path)
bundles = [{PIPELINE: word, "models/a/fp32.onnx": word * 5000} for word in (b"old", b"newer")]
digests = [write_bundle(path, files, {}).digest for files in bundles]
start = time.perf_counter()
for files in bundles * 2:
    write_bundle(path, files, {})
writing = (time.perf_counter() - start) / 4
chance, found, mended, cut = random.Random(1), [], 0, 0
staging = path.parent / f".{path.name}.writing"
for _ in range(kills):
    writer = os.fork()
    if not writer:
        while True:
            for files in bundles:
                write_bundle(path, files, {})
    time.sleep(chance.uniform(0, 5.0 * writing))  # some kills fall into the second write
    os.kill(writer, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(writer, 0)[1])
    cut += staging.exists()
    mended += not path.exists()
    found.append(digests.index(Bundle.open(path).digest))
write_bundle(path, bundles[0], {})
left = sorted(entry.name for entry in path.parent.iterdir())
print(json.dumps({"found": found, "cut": cut, "mended": mended, "left": left}))
"""


@pytest.fixture
def two_renames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file system be one that cannot exchange."""
    monkeypatch.setattr(replace, "exchange", lambda one, other: False)


def contents(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


@pytest.mark.parametrize("how", ["exchange", "two renames", "one file"])
def test_random_kills_leave_one_bundle_or_the_other(tmp_path: Path, how: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", KILLS, tmp_path / "x.cspine", how, "100"],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(result.stdout)
    assert len(told["found"]) == 100
    assert set(told["found"]) == {0, 1}
    assert told["cut"] > 10  # most kills fell while a bundle was being written
    # But for two renames, the bundle is never out of its place.
    assert how == "two renames" or not told["mended"]
    assert (tmp_path / "x.cspine").is_file() == (how == "one file")
    assert told["left"] == ["x.cspine"]


def test_here_folders_change_places_in_one_step(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert replace.exchange(tmp_path / "one", tmp_path / "other")
    assert contents(tmp_path / "one") == ["other"]
    assert contents(tmp_path / "other") == ["one"]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        replace.exchange(tmp_path / "one", tmp_path / "nowhere")


@pytest.mark.parametrize("again", ["open", "write"])
def test_a_cut_between_two_renames_is_mended(tmp_path: Path, again: str) -> None:
    path = tmp_path / "x.cspine"
    old = write_bundle(path, {PIPELINE: b"old"}, {})
    code = """
import os, sys
from pathlib import Path
from cspine import replace
from cspine.bundle import PIPELINE, write_bundle
rename = Path.rename
def cut(source, target):
    if source.name == "new":
        os._exit(9)
    return rename(source, target)
Path.rename = cut
replace.exchange = lambda one, other: False
write_bundle(Path(sys.argv[1]), {PIPELINE: b"new"}, {})
"""
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 9
    assert contents(tmp_path) == [".x.cspine.writing"]
    if again == "open":
        assert Bundle.open(path).digest == old.digest
        assert contents(tmp_path) == [".x.cspine.writing", "x.cspine"]
    assert write_bundle(path, {PIPELINE: b"newer"}, {}).read(PIPELINE) == b"newer"
    assert contents(tmp_path) == ["x.cspine"]


@pytest.mark.usefixtures("two_renames")
def test_a_rename_that_fails_puts_the_old_bundle_back(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def failing(source: Path, target: Path) -> Path:
        if source.name == "new":
            raise OSError("no space left on device")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no space left"):
        bundle.extended({"models/a": b""}, {})
    assert Bundle.open(bundle.path).digest == bundle.digest
    assert contents(bundle.path.parent) == [bundle.path.name]


def test_what_cannot_be_put_back_is_said(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    staging = bundle.path.with_name(f".{bundle.path.name}.writing")
    staging.mkdir()
    bundle.path.rename(staging / "old")

    def denied(source: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(source))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", denied)
        with pytest.raises(BundleError) as caught:
            Bundle.open(bundle.path)
    assert str(caught.value) == (
        f"{bundle.path}: its replacement was cut short, and the old bundle cannot be put back: "
        f"Permission denied; open it once as a user who may write to {bundle.path.parent}"
    )
    assert Bundle.open(bundle.path).digest == bundle.digest


def test_two_writers_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "x.cspine"
    code = """
import sys
from pathlib import Path
from cspine.bundle import PIPELINE
from cspine.replace import replace_folder
for number in range(10):
    replace_folder(Path(sys.argv[1]), {"a": sys.argv[2].encode(), "b/c": sys.argv[2].encode()})
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, path, word]) for word in ("x", "y")]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert (path / "a").read_bytes() == (path / "b" / "c").read_bytes()
    assert contents(tmp_path) == ["x.cspine"]
