"""A bundle as one file: one form, which no byte can leave."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cspine import packed
from cspine.bundle import PIPELINE, Bundle, emission_path, fp32_path, write_bundle
from cspine.errors import BundleError
from cspine.files import sha256
from cspine.folder import Folder
from cspine.keys import make_keys, read_private, sign
from cspine.layout import is_bundle, store_at
from cspine.manifest import MANIFEST
from cspine.packed import Packed

GOLDEN = Path(__file__).parents[1] / "data" / "bundle-format-1" / "small.cspine"
EPOCH = (1980, 1, 1, 0, 0, 0)


@pytest.fixture
def one(bundle: Bundle) -> Bundle:
    """Return the small bundle in one file."""
    return bundle.copied(Packed(bundle.path.with_name("one")))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Return the one file of a bundle of two files, a byte each."""
    made = write_bundle(tmp_path / "folder", {PIPELINE: b"p", "models/a/fp32.onnx": b"a"}, {})
    return made.copied(Packed(tmp_path / "tiny")).path


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.open(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: ")
    return told


def test_one_file_is_the_same_bundle(bundle: Bundle, one: Bundle) -> None:
    assert one.path.is_file()
    assert one.files == bundle.files
    assert (one.digest, one.manifest) == (bundle.digest, bundle.manifest)
    assert one.targets == ("ort-x64-avx2",)
    assert one.evidence == one.path.with_name("one.evidence")
    back = one.copied(Folder(one.path.with_name("back")))
    assert back.path.is_dir()
    assert back.files == bundle.files


def test_the_same_bundle_is_the_same_bytes_for_ever(tmp_path: Path) -> None:
    made = Bundle.whole(GOLDEN).copied(Packed(tmp_path / "x"))
    digest = "74e6fc615a67f3c854ce62c9bb2b7d6c83a150c3a795ad03bc19741c40e76cbd"
    assert sha256(made.path.read_bytes()) == digest


def test_any_program_for_zip_archives_reads_it(one: Bundle) -> None:
    with zipfile.ZipFile(one.path) as archive:
        assert archive.testzip() is None
        listed = archive.infolist()
        assert {each.filename: archive.read(each) for each in listed} == one.files
    assert listed[0].filename == MANIFEST
    assert {(each.date_time, each.compress_type) for each in listed} == {(EPOCH, 0)}


def test_no_byte_may_change(tiny: Path) -> None:
    data = tiny.read_bytes()
    for place in range(len(data)):
        flipped = data[place] ^ (0x01, 0x20, 0x80)[place % 3]
        tiny.write_bytes(data[:place] + bytes([flipped]) + data[place + 1 :])
        refusal(tiny)
        tiny.write_bytes(data[:place])
        refusal(tiny)
    tiny.write_bytes(data)
    Bundle.open(tiny)


@given(data=st.data())
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_damage_is_refused(one: Bundle, data: st.DataObject) -> None:
    path = one.path
    whole = path.read_bytes()
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    put = data.draw(st.binary(max_size=60) | st.sampled_from([whole, whole[first:last] * 2]))
    path.write_bytes(whole[:first] + put + whole[last:])
    if path.read_bytes() != whole:
        refusal(path)
    path.write_bytes(whole)
    Bundle.open(path)


@pytest.mark.parametrize("name", [MANIFEST, PIPELINE, fp32_path("localise")])
def test_a_changed_member_is_refused_by_name(one: Bundle, name: str) -> None:
    data = one.path.read_bytes()
    place = data.index(one.read(name)) + 5
    one.path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    assert refusal(one.path) == (
        f"{one.path}: {name} has changed since it was packed; restore the bundle from its source"
    )


def test_a_changed_member_whose_checksum_fits_is_refused_by_its_digest(one: Bundle) -> None:
    name = fp32_path("localise")
    Packed(one.path).replace({**one.files, name: b"localise in FP64"})
    assert f"{name} has changed: got digest " in refusal(one.path)
    Packed(one.path).replace({**one.files, name: b"localise in FP32 "})
    assert f"{name} has changed: got 17 bytes, expected 16" in refusal(one.path)


@pytest.mark.parametrize("name", ["extra.bin", "signatures/x.json", "../outside", "a\x1b[31m"])
def test_a_member_that_the_manifest_does_not_name_is_foreign(one: Bundle, name: str) -> None:
    Packed(one.path).replace({**one.files, name: b""})
    assert "is foreign: the manifest does not name it" in refusal(one.path)


def test_a_member_that_is_missing_is_named(one: Bundle) -> None:
    files = {name: data for name, data in one.files.items() if name != fp32_path("classify")}
    Packed(one.path).replace(files)
    assert f"{fp32_path('classify')} is missing" in refusal(one.path)


def archive(files: Mapping[str, bytes], **changes: object) -> bytes:
    """Return a ZIP archive as another program makes it, as like ours as it lets one."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        for name in sorted(files, key=lambda name: (name != MANIFEST, name)):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o100644 << 16
            entry.create_version = entry.extract_version = 10
            for key, value in changes.items():
                if name == PIPELINE:
                    setattr(entry, key, value)
            opened.writestr(entry, files[name])
    data = bytearray(made.getvalue())
    place = 0
    while (place := data.find(b"PK\3\4", place) + 1) > 0:  # it insists on version 2.0
        data[place + 3] = 10
    while (place := data.find(b"PK\1\2", place) + 1) > 0:
        data[place + 3] = data[place + 5] = 10
    return bytes(data)


def test_what_another_program_makes_the_same_is_the_same(one: Bundle) -> None:
    assert archive(one.files) == one.path.read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"compress_type": zipfile.ZIP_DEFLATED},
        {"date_time": (2026, 11, 22, 0, 0, 0)},
        {"comment": b"reviewed"},
        {"extra": b"\1\0\0\0"},
        {"external_attr": 0o120777 << 16},
        {"internal_attr": 1},
        {"create_system": 0},
        {"filename": "./pipeline.toml"},
        {"filename": "pipeline.TOML"},
        {"filename": "models/a"},
        {"filename": MANIFEST},
        {"filename": "Prüfung"},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_in_another_form_is_refused_by_name(
    one: Bundle, changes: dict[str, object]
) -> None:
    one.path.write_bytes(archive(one.files, **changes))
    told = refusal(one.path)
    name = str(changes.get("filename", PIPELINE))
    assert name in told or name.encode().decode("latin-1") in told or PIPELINE in told


def test_members_in_another_order_are_refused(tmp_path: Path, one: Bundle) -> None:
    with zipfile.ZipFile(one.path, "w") as opened:
        for name, data in sorted(one.files.items(), reverse=True):
            opened.writestr(zipfile.ZipInfo(name, EPOCH), data)
    assert "does not begin as `cspine pack` writes a bundle, so it is none" in refusal(one.path)
    assert not is_bundle(one.path)


@pytest.mark.parametrize(
    ("before", "behind"), [(b"#!/bin/sh\n", b""), (b"", b"\n"), (b"", b"PK\5\6" + bytes(18))]
)
def test_what_stands_around_it_is_refused(tiny: Path, before: bytes, behind: bytes) -> None:
    tiny.write_bytes(before + tiny.read_bytes() + behind)
    assert f"does not {'begin' if before else 'end'} as `cspine pack` writes" in refusal(tiny)


def test_a_comment_is_refused(tiny: Path) -> None:
    data = tiny.read_bytes()
    tiny.write_bytes(data[:-2] + struct.pack("<H", 7) + b"comment")
    assert "does not end as `cspine pack` writes" in refusal(tiny)


def test_a_file_of_any_size_that_is_no_bundle_is_not_read(tiny: Path) -> None:
    os.truncate(tiny, 100 << 30)
    assert "does not end as `cspine pack` writes" in refusal(tiny)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 1 << 20])
def test_sizes_that_are_stated_and_not_there_cost_nothing(tiny: Path, size: int) -> None:
    data = bytearray(tiny.read_bytes())
    for place in (18, 22):
        struct.pack_into("<L", data, place, size)
    place = data.index(b"PK\1\2")
    for each in (20, 24):
        struct.pack_into("<L", data, place + each, size)
    tiny.write_bytes(data)
    told = refusal(tiny)
    assert "'models/a/fp32.onnx' is not listed as" in told  # it cannot start where it says


def test_more_members_than_any_bundle_has_are_refused(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tiny.read_bytes()
    monkeypatch.setattr(packed, "MOST_MEMBERS", 2)
    with pytest.raises(BundleError, match=r"3 files of .* too much for one file; leave the bundle"):
        Packed(tiny).replace({MANIFEST: b"", "a": b"", "b": b""})
    assert tiny.read_bytes() == data
    assert "does not end as" in refusal(tiny)


@pytest.mark.parametrize("change", ["extended", "signed"])
def test_one_file_stays_one_file(one: Bundle, tmp_path: Path, change: str) -> None:
    before = sorted(path.name for path in one.path.parent.iterdir())
    if change == "signed":
        make_keys(tmp_path / "keys" / "k", name="k", password=None)
        made = sign(one, read_private(tmp_path / "keys" / "k", password=None))
        assert made.digest == one.digest
        before = [*before, "keys"]
    else:
        made = one.extended({emission_path("classify", "trt"): b"new"}, {}, drop=[PIPELINE + "x"])
        assert made.digest != one.digest
    assert one.path.is_file()
    assert Bundle.whole(one.path).files == made.files != one.files
    assert sorted(path.name for path in one.path.parent.iterdir()) == sorted(before)


def test_a_write_that_fails_leaves_the_old_file(
    one: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = one.path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left") as caught:
            one.extended({"models/a": b""}, {})
    assert caught.value.filename == str(one.path)
    assert one.path.read_bytes() == before
    assert sorted(each.name for each in one.path.parent.iterdir()) == ["one", "small.cspine"]


def test_a_file_is_told_from_a_folder_by_what_it_is(
    bundle: Bundle, one: Bundle, tmp_path: Path
) -> None:
    assert isinstance(store_at(bundle.path), Folder)
    assert isinstance(store_at(one.path.rename(tmp_path / "x.onnx")), Packed)
    assert is_bundle(bundle.path)
    assert is_bundle(tmp_path / "x.onnx")
    assert isinstance(store_at(tmp_path / "new.zip"), Folder)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "archive.zip").write_bytes(archive({"a": b""}))
    for name in ("pipe", "empty", "archive.zip", "nowhere", "."):
        assert not is_bundle(tmp_path / name)
        assert "is no bundle" in (told := refusal(tmp_path / name)) or "so it is none" in told


@pytest.mark.parametrize("layout", [Folder, Packed])
def test_an_opened_bundle_is_in_memory_once(
    tmp_path: Path, layout: Callable[[Path], Folder | Packed]
) -> None:
    size = 40 << 20
    made = write_bundle(tmp_path / "a", {PIPELINE: b"p", "models/a/fp32.onnx": bytes(size)}, {})
    place = made.copied(layout(tmp_path / "b")).path
    tracemalloc.start()
    opened = Bundle.open(place)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert opened.digest == made.digest
    assert size <= peak < size + (1 << 20)
