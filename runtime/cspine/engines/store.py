"""Engines on disk: each beside the manifest of what it was made from and for.

They live in the cache, keyed by every fact that shaped them; nothing loads an engine whose
manifest does not match its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cspine.backends.tensorrt import tensorrt_module
from cspine.cache import cache_folder, cache_key, write_cached
from cspine.engines.convolutions import Convolution
from cspine.engines.layers import Layer
from cspine.errors import BundleError
from cspine.files import sha256
from cspine.precision import Precision

THIS_DEVICE = "this device"


class EngineManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an engine was made from and for; digests are SHA-256 in hexadecimal.

    ``convolutions`` are those of the graph, ``layers`` what TensorRT made of it; of these there are
    none where this TensorRT does not list them.
    """

    engine: str
    onnx: str
    bundle: str
    stage: str
    precision: Precision
    tensorrt: str
    tensorrt_version: str
    compute_capability: str
    flags: tuple[str, ...]
    batch: tuple[int, int, int]
    convolutions: tuple[Convolution, ...]
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Engine:
    """A built engine on disk; ``size`` in bytes."""

    path: Path
    manifest: EngineManifest
    size: int


def store(engine: bytes, manifest: EngineManifest) -> Engine:
    """Write an engine and its manifest into the cache.

    Raises
    ------
    OSError
        If the cache cannot be written.
    """
    # What came of a build is no fact that shaped it: TensorRT does not build the same twice.
    facts = msgspec.structs.replace(manifest, engine="", convolutions=(), layers=())
    path = cache_folder() / "engines" / f"{cache_key(facts)}.engine"
    write_cached(path, engine)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    write_cached(path.with_suffix(".json"), text)
    return Engine(path, manifest, len(engine))


def find_engine(*, bundle: str, stage: str, precision: Precision) -> bytes:
    """Return the engine that this device built of a bundle's stage, with the TensorRT it has.

    Manifests are compared first, so engines for others in the same cache, whole or damaged, are
    passed over; of the one that fits every byte is verified.

    Raises
    ------
    BackendError
        If there is one but TensorRT is not installed.
    BundleError
        If there is none in the cache, or it has changed.
    """
    remedy = f"run: cspine build BUNDLE --precision {precision}"
    wanted = (bundle, stage, precision, THIS_DEVICE)
    built = [
        (path, made)
        for path, made in _readable()
        if (made.bundle, made.stage, made.precision, made.compute_capability) == wanted
    ]
    if not built:
        raise BundleError(
            f"stage {stage!r}: this device has built no {precision} engine of the bundle; {remedy}"
        )
    trt = tensorrt_module()
    for path, made in built:
        if (made.tensorrt, made.tensorrt_version) == (trt.__name__, trt.__version__):
            return _verified(path, made)
    others = ", ".join(sorted({f"{made.tensorrt} {made.tensorrt_version}" for _, made in built}))
    raise BundleError(
        f"stage {stage!r}: this device built its {precision} engine with {others} and now has "
        f"{trt.__name__} {trt.__version__}; {remedy}"
    )


def load_engine(path: Path) -> Engine:
    """Read an engine's manifest and hold the engine against it.

    Raises
    ------
    BundleError
        If either file is missing or the engine is not the one that the manifest names.
    """
    manifest = _manifest(path)
    return Engine(path, manifest, len(_verified(path, manifest)))


def _readable() -> Iterator[tuple[Path, EngineManifest]]:
    """Yield every engine of the cache whose manifest can be read."""
    try:
        sidecars = sorted((cache_folder() / "engines").glob("*.json"))
    except OSError:
        return
    for sidecar in sidecars:
        path = sidecar.with_suffix(".engine")
        try:
            yield path, _manifest(path)
        except BundleError:
            continue


def _manifest(path: Path) -> EngineManifest:
    try:
        return msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=EngineManifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unmatched(path) from error


def _verified(path: Path, manifest: EngineManifest) -> bytes:
    """Return an engine's bytes, read once, if they are those that the manifest names."""
    try:
        engine = path.read_bytes()
    except OSError as error:
        raise _unmatched(path) from error
    if sha256(engine) != manifest.engine:
        raise BundleError(f"{path}: the engine has changed since it was built; build it again")
    return engine


def _unmatched(path: Path) -> BundleError:
    return BundleError(f"{path}: no engine with its manifest beside it; build it")
