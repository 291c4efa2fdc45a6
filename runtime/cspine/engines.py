"""Engines on disk: each beside the manifest of what it was made from and for.

They live in the cache, keyed by every fact that shaped them; nothing loads an engine whose
manifest does not match its bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from cspine.cache import cache_folder, cache_key
from cspine.errors import BundleError
from cspine.files import sha256, write_atomic
from cspine.precision import Precision

THIS_DEVICE = "this device"


class EngineManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an engine was made from and for; digests are SHA-256 in hexadecimal."""

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


@dataclass(frozen=True)
class Engine:
    """A built engine on disk; ``size`` in bytes."""

    path: Path
    manifest: EngineManifest
    size: int


def store(engine: bytes, manifest: EngineManifest) -> Engine:
    """Write an engine and its manifest into the cache."""
    facts = msgspec.structs.replace(manifest, engine="")
    path = cache_folder() / "engines" / f"{cache_key(facts)}.engine"
    write_atomic(path, engine)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    write_atomic(path.with_suffix(".json"), text)
    return Engine(path, manifest, len(engine))


def find_engine(*, bundle: str, stage: str, precision: Precision) -> bytes:
    """Return the engine that this device built of a bundle's stage.

    Raises
    ------
    BundleError
        If there is none in the cache.
    """
    for sidecar in sorted((cache_folder() / "engines").glob("*.json")):
        engine = load_engine(sidecar.with_suffix(".engine"))
        made = engine.manifest
        if (made.bundle, made.stage, made.precision) == (bundle, stage, precision) and (
            made.compute_capability == THIS_DEVICE
        ):
            return engine.path.read_bytes()
    raise BundleError(
        f"stage {stage!r}: this device has built no {precision} engine of the bundle; "
        f"run: cspine build BUNDLE --precision {precision}"
    )


def load_engine(path: Path) -> Engine:
    """Read an engine's manifest and hold the engine against it.

    Raises
    ------
    BundleError
        If either file is missing or the engine is not the one that the manifest names.
    """
    try:
        manifest = msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=EngineManifest)
        engine = path.read_bytes()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: no engine with its manifest beside it; build it") from error
    if sha256(engine) != manifest.engine:
        raise BundleError(f"{path}: the engine has changed since it was built; build it again")
    return Engine(path, manifest, len(engine))
