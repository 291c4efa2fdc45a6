from __future__ import annotations

from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from cspine.engines import store as engine_store
from cspine.engines.convolutions import Convolution
from cspine.engines.layers import Layer, Tensor
from cspine.engines.store import THIS_DEVICE, EngineManifest, find_engine, load_engine, store
from cspine.errors import BundleError
from cspine.files import sha256

PLAN = b"a serialised engine"
LAYER = Layer(
    name="c_myl0_0",
    kind="correlation",
    inputs=(Tensor("x", "Int8", (6, 1, 8, 8)),),
    constants=(Tensor("w", "Int8", (16, 1, 3, 3)), Tensor("scale", "Float", ())),
    outputs=(Tensor("y", "Half", (6, 16, 8, 8)),),
    origins=("c",),
)
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
    convolutions=(Convolution("c", "Conv", 18432, quantized=True),),
    layers=(LAYER,),
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
    # TensorRT does not build the same bytes twice, nor need it choose the same kernels.
    first = store(PLAN, MANIFEST)
    other = msgspec.structs.replace(MANIFEST, engine=sha256(b"other bytes"), layers=(LAYER,) * 2)
    again = store(b"other bytes", other)
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


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> EngineManifest:
    """Return the manifest of an engine for a device whose TensorRT is 1.7.1, as MANIFEST's."""
    module = ModuleType("tensorrt_rtx")
    module.__version__ = "1.7.1"  # type: ignore[attr-defined]
    monkeypatch.setattr(engine_store, "tensorrt_module", lambda: module)
    return msgspec.structs.replace(MANIFEST, compute_capability=THIS_DEVICE)


def find() -> bytes:
    return find_engine(bundle=MANIFEST.bundle, stage="classify", precision="int8")


def test_the_engine_of_this_device_is_found_among_others(here: EngineManifest) -> None:
    others: list[dict[str, object]] = [
        {"bundle": "3" * 64},
        {"stage": "localise"},
        {"precision": "fp32"},
        {"tensorrt": "tensorrt"},
        {"tensorrt_version": "1.7.2"},
        {"compute_capability": "8.9"},
    ]
    for changes in others:
        foreign = store(b"foreign", msgspec.structs.replace(here, **changes))
        foreign.path.write_bytes(b"damaged")
    (foreign.path.parent / "junk.json").write_bytes(b"{")
    store(PLAN, here)
    assert find() == PLAN


def test_a_damaged_engine_of_this_device_is_refused(here: EngineManifest) -> None:
    store(PLAN, here).path.write_bytes(b"damaged")
    with pytest.raises(BundleError, match="has changed since it was built; build it again"):
        find()


def test_an_engine_of_another_tensorrt_is_named(here: EngineManifest) -> None:
    store(PLAN, msgspec.structs.replace(here, tensorrt_version="1.6.0"))
    with pytest.raises(BundleError) as caught:
        find()
    assert str(caught.value) == (
        "stage 'classify': this device built its int8 engine with tensorrt_rtx 1.6.0 and now has "
        "tensorrt_rtx 1.7.1; run: cspine build BUNDLE --precision int8"
    )


def test_no_engine_is_found_where_there_is_no_cache_and_none_is_made(cache: Path) -> None:
    cache.rmdir()
    with pytest.raises(BundleError, match="this device has built no int8 engine of the bundle"):
        find()
    assert not cache.exists()
