"""Formats of the manifest: the present one, the one before, and those that are not known."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cspine import manifest
from cspine.bundle import PIPELINE, Bundle, emission_path, fp32_path
from cspine.errors import BundleError
from cspine.files import sha256
from cspine.folder import Folder
from cspine.keys import make_keys, read_private, sign
from cspine.manifest import (
    FORMAT,
    LARGEST_FILE,
    MANIFEST,
    Manifest,
    _canonical,
    _digest,
    read_manifest,
)
from cspine.packed import Packed
from cspine.store import Store

GOLDEN = Path(__file__).parents[1] / "data" / "bundle-format-1"
DIGEST = "d7c215667fc7289b351bbca7b4a38b9e0fd4ad7114eab664e5a76b8d1c3cdafb"
LAYOUTS = (Folder, Packed)

Layout = Callable[[Path], Store]


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.open(path)
    return str(caught.value)


@pytest.fixture(autouse=True)
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the key that signed the golden bundle, and no other."""
    monkeypatch.setenv("CSPINE_TRUST", str(GOLDEN / "trust"))


@pytest.fixture(params=LAYOUTS)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Bundle:
    """Return a copy of the golden bundle, in either layout."""
    shutil.copytree(GOLDEN / "small.cspine", tmp_path / "folder")
    return Bundle.whole(tmp_path / "folder").copied(request.param(tmp_path / "golden.cspine"))


def test_a_bundle_of_format_1_is_opened_as_it_is(golden: Bundle) -> None:
    opened = Bundle.open(golden.path)
    assert (opened.digest, opened.manifest.format) == (DIGEST, 1)
    assert opened.files == {
        path.relative_to(GOLDEN / "small.cspine").as_posix(): path.read_bytes()
        for path in (GOLDEN / "small.cspine").rglob("*")
        if path.is_file()
    }
    sizes = {name: file.bytes for name, file in opened.manifest.files.items()}
    assert sizes == {name: len(opened.read(name)) for name in opened.manifest.files}


def test_no_byte_of_a_bundle_of_format_1_may_change(golden: Bundle) -> None:
    for path in filter(Path.is_file, (golden.path, *golden.path.rglob("*"))):
        data = path.read_bytes()
        for place in range(0, len(data), 1 + len(data) // 200):
            flipped = data[place] ^ (0x01, 0x20, 0x80)[place % 3]
            path.write_bytes(data[:place] + bytes([flipped]) + data[place + 1 :])
            assert str(golden.path) in refusal(golden.path)
        path.write_bytes(data)
    Bundle.open(golden.path)


def test_one_more_format_is_one_more_step(
    golden: Bundle, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renamed(old: str, new: str) -> Callable[..., dict[str, Any]]:
        return lambda fields, sizes: {
            new if name == old else name: value for name, value in fields.items()
        }

    monkeypatch.setattr(manifest, "FORMAT", 4)
    monkeypatch.setitem(manifest._UPGRADES, 2, renamed("files", "parts"))
    monkeypatch.setitem(manifest._UPGRADES, 3, renamed("parts", "files"))
    assert Bundle.open(golden.path).manifest == golden.manifest
    assert Bundle.whole(bundle.path).manifest == bundle.manifest


def test_a_bundle_of_format_1_that_is_extended_is_of_this_format(golden: Bundle) -> None:
    name = emission_path("classify", "trt")
    more = golden.extended({name: b"new"}, {})
    listed = json.loads(more.read(MANIFEST))
    assert listed["format"] == more.manifest.format == FORMAT == 2
    assert listed["files"][name] == {"bytes": 3, "sha256": sha256(b"new")}
    assert listed["files"][PIPELINE]["bytes"] == len(golden.read(PIPELINE))
    assert more.manifest.provenance == golden.manifest.provenance
    assert (more.digest, more.signatures) != (golden.digest, golden.signatures)
    assert "is not signed" in refusal(golden.path)


def test_a_signature_changes_no_format(golden: Bundle, tmp_path: Path) -> None:
    make_keys(tmp_path / "key", name="second", password=None)
    twice = sign(golden, read_private(tmp_path / "key", password=None))
    assert len(twice.signatures) == 2
    assert twice.read(MANIFEST) == golden.read(MANIFEST)
    assert Bundle.open(golden.path).digest == DIGEST


def test_a_file_of_format_1_larger_than_any_model_is_not_read(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "small.cspine", tmp_path / "golden")
    os.truncate(tmp_path / "golden" / fp32_path("classify"), 100 << 30)
    told = f"has {100 << 30} bytes, and no file of a bundle has more than {LARGEST_FILE}"
    assert f"{fp32_path('classify')} {told}" in refusal(tmp_path / "golden")


def resealed(bundle: Bundle, changes: dict[str, Any]) -> bytes:
    return Manifest(**(json.loads(bundle.read(MANIFEST)) | changes)).sealed().to_json()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_later_format_says_what_to_do(bundle: Bundle, tmp_path: Path, layout: Layout) -> None:
    place = layout(tmp_path / "later")
    data = resealed(bundle, {"format": 3}).replace(b'"files"', b'"parts"')
    place.replace({**bundle.files, MANIFEST: data})
    assert refusal(place.path) == (
        f"{place.path}: bundle format 3, made by a later version; cspine {version('cspine')} reads "
        "1 to 2; run: pip install --upgrade cspine"
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format": 0}, "bundle format 0, expected 1 to 2; restore"),
        ({"format": -1}, "bundle format -1, expected 1 to 2; restore"),
        ({"format": "2"}, "manifest.json has changed: Expected `int`, got `str`"),
        ({"format": 1}, "manifest.json has changed: Expected `str`, got `object`"),
        ({"files": []}, "manifest.json has changed: Expected `object`, got `array`"),
        ({"files": {PIPELINE: "ab"}}, "manifest.json has changed: Expected `object`, got `str`"),
        ({"files": {PIPELINE: {"sha256": "ab"}}}, "missing required field `bytes`"),
        (
            {"files": {PIPELINE: {"sha256": "ab", "bytes": -1}}},
            f"{PIPELINE} has -1 bytes, and no file of a bundle has more than {LARGEST_FILE}",
        ),
        (
            {"files": {PIPELINE: {"sha256": "ab", "bytes": 1, "mode": 7}}},
            "contains unknown field `mode`",
        ),
    ],
)
def test_what_no_format_says_is_refused(bundle: Bundle, changes: dict[str, Any], told: str) -> None:
    (bundle.path / MANIFEST).write_bytes(resealed(bundle, changes))
    assert told in refusal(bundle.path)


def test_an_unknown_key_is_refused_though_the_seal_is_right(bundle: Bundle) -> None:
    # By hand, as nothing of ours writes it.
    fields = json.loads(bundle.read(MANIFEST)) | {"digest": "", "extra": 1}
    blank = json.dumps(fields, indent=2, sort_keys=True) + "\n"
    sealed = blank.replace('"digest": ""', f'"digest": "{sha256(blank.encode())}"', 1)
    (bundle.path / MANIFEST).write_text(sealed)
    assert "contains unknown field `extra`" in refusal(bundle.path)


@pytest.mark.parametrize("hostile", [b"[" * 200_000, b'{"provenance":' * 200_000, b"\xff", b""])
def test_what_is_no_manifest_is_refused(bundle: Bundle, hostile: bytes) -> None:
    (bundle.path / MANIFEST).write_bytes(hostile)
    assert "manifest.json has changed: " in refusal(bundle.path)
    (bundle.path / MANIFEST).write_bytes(b'{"format": 2, "provenance": ' + hostile)
    assert "manifest.json has changed: " in refusal(bundle.path)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {"format": st.sampled_from([1, 2])},
    optional={"files": ANY | st.dictionaries(st.text(), ANY), "provenance": ANY, "more": ANY},
)


@given(fields=FIELDS)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_whatever_is_sealed_is_read_or_refused_in_words(fields: dict[str, Any]) -> None:
    data = _canonical({**fields, "digest": _digest(fields)})
    found = None
    with suppress(BundleError):  # and nothing else
        found = read_manifest(data, sizes={}, where=Path("x"))
    if found:
        assert found.provenance == fields["provenance"]
        assert found.files.keys() == fields["files"].keys()
