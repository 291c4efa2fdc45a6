from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cspine.bundle import (
    PIPELINE,
    Bundle,
    emission_path,
    fp32_path,
    table_path,
    write_bundle,
)
from cspine.errors import BundleError
from cspine.files import sha256
from cspine.manifest import MANIFEST, File, Manifest
from cspine.spec import PipelineSpec

NAMES = (
    "manifest.json",
    "models/classify/calibration.bin",
    "models/classify/fp32.onnx",
    "models/classify/ort-x64-avx2.int8.onnx",
    "models/localise/calibration.bin",
    "models/localise/fp32.onnx",
    "models/localise/ort-x64-avx2.int8.onnx",
    "models/screen/calibration.bin",
    "models/screen/fp32.onnx",
    "models/screen/ort-x64-avx2.int8.onnx",
    "pipeline.toml",
)


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.open(path)
    return str(caught.value)


def files_of(path: Path) -> dict[str, bytes]:
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def test_a_bundle_holds_what_was_written(bundle: Bundle, spec: PipelineSpec) -> None:
    assert tuple(files_of(bundle.path)) == NAMES
    opened = Bundle.open(bundle.path)
    assert opened.digest == bundle.digest == opened.manifest.digest
    assert opened.spec == spec
    assert opened.read(fp32_path("localise")) == b"localise in FP32"
    assert opened.model("classify") == b"classify in FP32"
    assert opened.model("classify", target="ort-x64-avx2") == b"classify in INT8"
    assert opened.targets == ("ort-x64-avx2",)
    assert opened.manifest.provenance == {
        "models/localise/fp32.onnx": {"checkpoint": "c0ffee", "opset": 17}
    }
    assert opened.evidence == bundle.path.parent / "small.cspine.evidence"


def test_a_bundle_in_memory_outlives_its_files(bundle: Bundle) -> None:
    (bundle.path / PIPELINE).unlink()
    assert bundle.spec.name == "xray-compression"


def change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def change_first(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(bytes([data[0] ^ 0x80]) + data[1:])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


def link(path: Path) -> None:
    # The content stays right: only that it lies elsewhere is wrong.
    (bundle,) = (parent for parent in path.parents if parent.name == "small.cspine")
    path.symlink_to(path.rename(bundle.with_name("moved")))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


TAMPERED: tuple[Callable[[Path], None], ...] = (
    change,
    change_first,
    cut,
    lengthen,
    empty,
    remove,
    link,
    folder,
)


@pytest.mark.parametrize("tamper", TAMPERED)
@pytest.mark.parametrize("name", NAMES)
def test_a_file_tampered_with_is_refused_by_name(
    bundle: Bundle, name: str, tamper: Callable[[Path], None]
) -> None:
    tamper(bundle.path / name)
    assert name in refusal(bundle.path)


def test_no_byte_of_the_manifest_may_change(bundle: Bundle) -> None:
    manifest = bundle.path / MANIFEST
    data = manifest.read_bytes()
    for place in range(len(data)):
        # The three flips keep a digit a digit, change a letter's case, and leave UTF-8.
        flipped = data[place] ^ (0x01, 0x20, 0x80)[place % 3]
        manifest.write_bytes(data[:place] + bytes([flipped]) + data[place + 1 :])
        told = refusal(bundle.path)
        assert MANIFEST in told or "bundle format" in told


@pytest.mark.parametrize("name", ["extra.bin", ".hidden", "models/classify/trt.int8.onnx"])
def test_a_foreign_file_is_refused_by_name(bundle: Bundle, name: str) -> None:
    (bundle.path / name).write_bytes(b"")
    told = f"{bundle.path}: {name} is foreign: the manifest does not name it; remove it"
    assert refusal(bundle.path) == told


@pytest.mark.parametrize("target", ["nowhere", "elsewhere"])
def test_a_foreign_link_is_refused_by_name(bundle: Bundle, tmp_path: Path, target: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "fp32.onnx").write_bytes(b"")
    (bundle.path / "models" / "extra").symlink_to(tmp_path / target)
    assert "models/extra" in refusal(bundle.path)


def test_every_refusal_says_what_to_do(bundle: Bundle) -> None:
    name = "models/classify/fp32.onnx"
    change(bundle.path / name)
    got = sha256((bundle.path / name).read_bytes())[:12]
    assert refusal(bundle.path) == (
        f"{bundle.path}: {name} has changed: got digest {got}, expected "
        f"{bundle.manifest.files[name].sha256[:12]}; restore the bundle from its source"
    )
    lengthen(bundle.path / name)
    assert refusal(bundle.path) == (
        f"{bundle.path}: {name} has changed: got 17 bytes, expected 16; "
        "restore the bundle from its source"
    )
    remove(bundle.path / name)
    assert refusal(bundle.path) == (
        f"{bundle.path}: {name} is missing; restore the bundle from its source"
    )


def test_what_is_no_bundle_is_said_to_be_none(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: no manifest.json there, so it is no bundle"
    assert "no manifest.json there" in refusal(tmp_path / "none")


def reseal(path: Path, changes: dict[str, Any]) -> None:
    """Rewrite a manifest so that its own digest is right."""
    fields = json.loads((path / MANIFEST).read_bytes()) | changes
    (path / MANIFEST).write_bytes(Manifest(**fields).sealed().to_json())


def test_a_bundle_needs_a_pipeline(bundle: Bundle) -> None:
    files = {name: file for name, file in bundle.manifest.files.items() if name != PIPELINE}
    reseal(bundle.path, {"files": files})
    remove(bundle.path / PIPELINE)
    assert refusal(bundle.path) == f"{bundle.path}: pipeline.toml is missing"


@pytest.mark.parametrize("name", [*NAMES, "a signature"])
def test_a_swapped_file_of_another_size_is_never_read(bundle: Bundle, name: str) -> None:
    if name == "a signature":
        name = f"signatures/{'a' * 64}.json"
        (bundle.path / "signatures").mkdir()
    (bundle.path / name).touch()
    os.truncate(bundle.path / name, 100 << 30)  # no block of it is on the disk
    told = refusal(bundle.path)
    assert f"{name} has changed: got {100 << 30} bytes, expected " in told


@pytest.mark.parametrize(
    "name", ["../outside", "/outside", "models/../../outside", "a//b", "a\\b", "."]
)
def test_a_manifest_cannot_reach_outside(bundle: Bundle, name: str) -> None:
    (bundle.path.parent / "outside").write_bytes(b"x")
    reseal(
        bundle.path, {"files": {**bundle.manifest.files, name: File(sha256=sha256(b"x"), bytes=1)}}
    )
    told = f"{MANIFEST} names {name!r}, where none of its files may lie"
    assert refusal(bundle.path) == f"{bundle.path}: {told}"


def test_a_missing_emission_says_how_to_make_it(bundle: Bundle) -> None:
    with pytest.raises(BundleError) as caught:
        bundle.model("classify", target="trt")
    assert str(caught.value) == (
        f"{bundle.path}: no INT8 model of stage 'classify' for target 'trt'; it holds "
        f"ort-x64-avx2; make it with: cspine emit {bundle.path} --target trt"
    )


def test_a_missing_fp32_model_is_not_called_int8(bundle: Bundle) -> None:
    with pytest.raises(BundleError) as caught:
        bundle.model("measure")
    assert "measure" in str(caught.value)
    assert "INT8" not in str(caught.value)
    assert "None" not in str(caught.value)


def test_a_missing_file_is_named_with_its_nearest(bundle: Bundle) -> None:
    with pytest.raises(BundleError) as caught:
        bundle.read("models/classify/fp32.onx")
    assert str(caught.value) == (
        f"{bundle.path}: holds no models/classify/fp32.onx; "
        "did you mean 'models/classify/fp32.onnx'?"
    )


def test_a_target_counts_only_if_every_network_has_it(bundle: Bundle) -> None:
    more = bundle
    for stage in ("screen", "localise"):
        more = more.extended({emission_path(stage, "trt"): b"one of three"}, {})
        assert more.targets == ("ort-x64-avx2",)
    more = more.extended({emission_path("classify", "trt"): b"three of three"}, {})
    assert more.targets == ("ort-x64-avx2", "trt")


def test_extending_keeps_the_rest_and_gives_a_new_digest(bundle: Bundle) -> None:
    name = table_path("localise")
    more = bundle.extended({name: b"newer"}, {name: {"samples": 12}})
    assert Bundle.open(bundle.path).digest == more.digest != bundle.digest
    assert more.read(name) == b"newer"
    assert more.model("localise") == b"localise in FP32"
    assert more.manifest.provenance[fp32_path("localise")]["opset"] == 17
    assert more.manifest.provenance[name] == {"samples": 12}


def test_the_same_content_has_the_same_digest(tmp_path: Path) -> None:
    files = {PIPELINE: b"p", "models/a/fp32.onnx": b"a"}
    facts = {"models/a/fp32.onnx": {"opset": 17, "checkpoint": "c0ffee"}}
    turned = {"models/a/fp32.onnx": dict(reversed(facts["models/a/fp32.onnx"].items()))}
    one = write_bundle(tmp_path / "one", files, facts)
    two = write_bundle(tmp_path / "two", dict(reversed(files.items())), turned)
    assert one.digest == two.digest
    assert files_of(one.path) == files_of(two.path)
    assert write_bundle(tmp_path / "three", {**files, PIPELINE: b"q"}, facts).digest != one.digest
    assert write_bundle(tmp_path / "four", files, {}).digest != one.digest


def test_a_bundle_is_readable_like_any_folder(bundle: Bundle) -> None:
    plain = bundle.path.parent / "plain"
    plain.mkdir()
    assert stat.S_IMODE(bundle.path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_what_is_no_bundle_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for name, kind in (("folder", "folder of a bundle"), ("file", "bundle in one file")):
        path = tmp_path / name
        with pytest.raises(BundleError) as caught:
            write_bundle(path, {PIPELINE: b""}, {})
        assert str(caught.value) == f"{path}: exists and is no {kind}; choose another place"
        assert path.exists()


@pytest.mark.parametrize("name", ["../x", MANIFEST, f"signatures/{'a' * 64}.json", "x" * 256])
def test_what_may_not_lie_in_a_bundle_is_not_written(bundle: Bundle, name: str) -> None:
    before = files_of(bundle.path)
    with pytest.raises(BundleError, match="where none of its files may lie"):
        bundle.extended({name: b""}, {})
    assert files_of(bundle.path) == before


def test_a_write_that_fails_leaves_the_old_bundle(bundle: Bundle) -> None:
    before = files_of(bundle.path)
    # A file cannot stand where another file needs a folder: the second write fails.
    with pytest.raises(OSError, match="models"):
        write_bundle(bundle.path, {PIPELINE: b"", "models": b"", "models/a": b""}, {})
    assert files_of(bundle.path) == before
    assert [path.name for path in bundle.path.parent.iterdir()] == [bundle.path.name]
