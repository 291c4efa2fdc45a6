from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cspine.engines import EngineManifest, load_engine, store
from cspine.errors import BundleError
from cspine.files import sha256

PLAN = b"a serialised engine"
MANIFEST = EngineManifest(
    engine=sha256(PLAN),
    onnx="1" * 64,
    bundle="2" * 64,
    stage="classify",
    precision="int8",
    tensorrt="tensorrt_rtx",
    tensorrt_version="1.7.1",
    compute_capability="8.9",
    flags=("STRONGLY_TYPED",),
    batch=(1, 6, 6),
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep engines in a cache of the test's own."""
    monkeypatch.setenv("CSPINE_CACHE", str(tmp_path))
    return tmp_path


def test_an_engine_is_loaded_as_it_was_stored(cache: Path) -> None:
    stored = store(PLAN, MANIFEST)
    assert stored.path.parent == cache / "engines"
    assert stored.path.read_bytes() == PLAN
    assert stored.size == len(PLAN)
    assert load_engine(stored.path) == stored


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("onnx", "3" * 64),
        ("bundle", "3" * 64),
        ("stage", "localise"),
        ("precision", "fp32"),
        ("tensorrt", "tensorrt"),
        ("tensorrt_version", "1.7.2"),
        ("compute_capability", "8.7"),
        ("flags", ("EXPLICIT_BATCH", "INT8")),
        ("batch", (1, 1, 1)),
    ],
)
def test_every_fact_gives_an_engine_a_place_of_its_own(fact: str, value: object) -> None:
    other = msgspec.structs.replace(MANIFEST, **{fact: value})
    assert store(PLAN, MANIFEST).path != store(PLAN, other).path


def test_building_again_replaces_the_engine() -> None:
    # TensorRT does not build the same bytes twice.
    first = store(PLAN, MANIFEST)
    again = store(b"other bytes", msgspec.structs.replace(MANIFEST, engine=sha256(b"other bytes")))
    assert again.path == first.path
    assert load_engine(first.path) == again


def test_an_engine_that_has_changed_is_refused() -> None:
    path = store(PLAN, MANIFEST).path
    path.write_bytes(PLAN[:-1])
    with pytest.raises(BundleError) as caught:
        load_engine(path)
    assert str(caught.value) == (
        f"{path}: the engine has changed since it was built; build it again"
    )


@pytest.mark.parametrize("content", [b"", b"{}", b'{"engine": "\xff"}', None])
def test_an_engine_without_its_manifest_is_refused(content: bytes | None) -> None:
    path = store(PLAN, MANIFEST).path
    if content is None:
        path.with_suffix(".json").unlink()
    else:
        path.with_suffix(".json").write_bytes(content)
    with pytest.raises(BundleError) as caught:
        load_engine(path)
    assert str(caught.value) == f"{path}: no engine with its manifest beside it; build it"


def test_a_manifest_without_its_engine_is_refused() -> None:
    path = store(PLAN, MANIFEST).path
    path.unlink()
    with pytest.raises(BundleError, match="no engine with its manifest beside it; build it"):
        load_engine(path)
