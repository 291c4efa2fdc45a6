from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cspine.engines import store as engine_store
from cspine.engines.convolutions import Convolution
from cspine.engines.layers import Layer, Tensor
from cspine.engines.store import (
    BuiltOn,
    DeviceFacts,
    EngineManifest,
    find_engine,
    load_engine,
    store,
)
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
    built_on=None,
    flags=("STRONGLY_TYPED",),
    dla_core=None,
    workspace_bytes=1 << 30,
    batch=(1, 2, 4, 6),
    convolutions=(Convolution("c", "Conv", 18432, quantized=True),),
    layers=(LAYER,),
)
HERE = DeviceFacts(
    tensorrt="tensorrt_rtx",
    tensorrt_version="1.7.1",
    compute_capability="8.9",
    built_on=BuiltOn(gpu="A made GPU", driver="12.6", system="Linux 6.1"),
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
        ("built_on", HERE.built_on),
        ("flags", ("EXPLICIT_BATCH", "INT8")),
        ("dla_core", 1),
        ("workspace_bytes", 1 << 20),
        ("batch", (1,)),
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
    """Return the manifest of an engine that a device built for itself, on that device."""
    monkeypatch.setattr(engine_store, "device_facts", lambda: HERE)
    return msgspec.structs.replace(MANIFEST, built_on=HERE.built_on)


def find() -> bytes:
    return find_engine(bundle=MANIFEST.bundle, stage="classify", precision="int8")[0]


def test_the_engine_for_this_device_is_found_among_others(here: EngineManifest) -> None:
    others: list[dict[str, object]] = [
        {"bundle": "3" * 64},
        {"stage": "localise"},
        {"precision": "fp32"},
        {"tensorrt": "tensorrt"},
        {"tensorrt_version": "1.7.2"},
        {"compute_capability": "8.7"},
    ]
    for changes in others:
        foreign = store(b"foreign", msgspec.structs.replace(here, **changes))
        foreign.path.write_bytes(b"damaged")
    (foreign.path.parent / "junk.json").write_bytes(b"{")
    store(PLAN, here)
    assert find() == PLAN


def test_an_engine_for_a_dla_answers_for_no_gpu(here: EngineManifest) -> None:
    plan = b"of a DLA"
    store(plan, msgspec.structs.replace(here, dla_core=1, engine=sha256(plan)))
    with pytest.raises(BundleError, match="no int8 engine of the bundle is built; run: cspine"):
        find()
    asked = {"bundle": MANIFEST.bundle, "stage": "classify", "precision": "int8"}
    assert find_engine(**asked, dla=True)[0] == plan
    store(PLAN, here)
    assert find() == PLAN
    with pytest.raises(BundleError, match=r"built for a DLA; run: cspine build .* fp16 --dla 0"):
        find_engine(**asked | {"precision": "fp16"}, dla=True)


def test_an_engine_that_was_built_ahead_for_such_a_gpu_is_found(here: EngineManifest) -> None:
    store(PLAN, MANIFEST)
    assert find() == PLAN


def test_a_damaged_engine_of_this_device_is_refused(here: EngineManifest) -> None:
    store(PLAN, here).path.write_bytes(b"damaged")
    with pytest.raises(BundleError, match="has changed since it was built; build it again"):
        find()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"tensorrt_version": "1.6.0"},
            "built with tensorrt_rtx 1.6.0, here is tensorrt_rtx 1.7.1",
        ),
        (
            {"compute_capability": "8.7"},
            "built for compute capability 8.7, here is 8.9",
        ),
        (
            {"built_on": BuiltOn(gpu="Another GPU", driver="12.6", system="Linux 6.1")},
            "built on the gpu 'Another GPU', here is 'A made GPU'",
        ),
        (
            {"built_on": BuiltOn(gpu="A made GPU", driver="12.2", system="Linux 6.1")},
            "built on the driver '12.2', here is '12.6'",
        ),
        (
            {"built_on": BuiltOn(gpu="A made GPU", driver="12.6", system="Linux 5.15 R36")},
            "built on the system 'Linux 5.15 R36', here is 'Linux 6.1'",
        ),
    ],
)
def test_an_engine_of_another_state_of_the_device_is_refused_with_what_changed(
    here: EngineManifest, changes: dict[str, object], reason: str
) -> None:
    store(PLAN, msgspec.structs.replace(here, **changes))
    with pytest.raises(BundleError) as caught:
        find()
    assert str(caught.value) == (
        f"stage 'classify', int8: the engine was {reason}; "
        "run: cspine build BUNDLE --precision int8"
    )


def test_no_engine_is_found_where_there_is_no_cache_and_none_is_made(cache: Path) -> None:
    cache.rmdir()
    with pytest.raises(
        BundleError, match="stage 'classify': no int8 engine of the bundle is built"
    ):
        find()
    assert not cache.exists()
