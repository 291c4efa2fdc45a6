"""Engines on disk: each beside the manifest of what it was made from and for.

They live in the cache, keyed by every fact that shaped them; nothing loads an engine whose
manifest does not match its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from cspine.backends.capability import capability
from cspine.backends.cuda import gpu_facts
from cspine.cache import cache_folder, cache_key, write_cached
from cspine.device import this_device
from cspine.engines.convolutions import Convolution
from cspine.engines.layers import Layer
from cspine.errors import BundleError
from cspine.files import sha256
from cspine.precision import Precision


class BuiltOn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The device that built an engine for itself.

    Attributes
    ----------
    gpu
        Name of the board.
    driver
        The CUDA version that its driver serves.
    system
        Kernel, and release of Jetson Linux if it is one: a new one brings another TensorRT.
    """

    gpu: str
    driver: str
    system: str


class EngineManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an engine was made from and for; digests are SHA-256 in hexadecimal.

    Attributes
    ----------
    engine, onnx, bundle
        Digests: of the plan, of the graph that it was built from, of the bundle that holds it.
    compute_capability
        Of the GPU that it is for.
    built_on
        The device, if it built the engine for itself; ``None`` of one built ahead of time.
    flags
        What was set of the network and the builder.
    dla_core
        Which DLA it uses; ``None`` of none.
    workspace_bytes
        Of GPU memory that one kernel may use beside its tensors.
    batch
        Sizes of a batch that it has a profile for.
    convolutions
        Those of the graph.
    layers
        What TensorRT made of the graph, for the largest batch; none where it does not list them.
    """

    engine: str
    onnx: str
    bundle: str
    stage: str
    precision: Precision
    tensorrt: str
    tensorrt_version: str
    compute_capability: str
    built_on: BuiltOn | None
    flags: tuple[str, ...]
    dla_core: int | None
    workspace_bytes: int
    batch: tuple[int, ...]
    convolutions: tuple[Convolution, ...]
    layers: tuple[Layer, ...]

    @property
    def host_code(self) -> bool:
        """Whether the plan brings code that runs on the host."""
        return "VERSION_COMPATIBLE" in self.flags

    def made(self) -> dict[str, Any]:
        """Return what the engine was made from and for, without what came of it."""
        facts = msgspec.structs.asdict(self)
        return {name: facts[name] for name in facts if name not in {"convolutions", "layers"}}


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


def find_engine(
    *, bundle: str, stage: str, precision: Precision, dla: bool = False
) -> tuple[bytes, EngineManifest]:
    """Return the engine of a bundle's stage for this device and the TensorRT it has.

    One for a DLA is another than that for the GPU alone: it computes otherwise.

    Manifests are compared first, so engines for others in the same cache, whole or damaged, are
    passed over; of the one that fits every byte is verified.

    Raises
    ------
    BackendError
        If there is one but TensorRT is not installed, or no GPU can be used.
    BundleError
        If there is none in the cache, it was built on another state of the device, or it has
        changed.
    """
    remedy = f"run: cspine build BUNDLE --precision {precision}{' --dla 0' if dla else ''}"
    built = [
        (path, made)
        for path, made in _readable()
        if (made.bundle, made.stage, made.precision) == (bundle, stage, precision)
        and (made.dla_core is not None) == dla
    ]
    if not built:
        raise BundleError(
            f"stage {stage!r}: no {precision} engine of the bundle is built"
            f"{' for a DLA' if dla else ''}; {remedy}"
        )
    here = device_facts()
    unfit = []
    for path, made in built:
        reason = mismatch(made, here)
        if reason is None:
            return _verified(path, made), made
        unfit.append(reason)
    raise BundleError(f"stage {stage!r}, {precision}: the engine was {unfit[0]}; {remedy}")


class DeviceFacts(NamedTuple):
    """What an engine must have been built for to run here."""

    tensorrt: str
    tensorrt_version: str
    compute_capability: str
    built_on: BuiltOn


def device_facts() -> DeviceFacts:
    """Read them.

    Raises
    ------
    BackendError
        If TensorRT, PyCUDA or a GPU is missing.
    """
    trt, gpu = capability(), gpu_facts()
    device = this_device()
    system = " ".join(filter(None, [device.system, device.jetson]))
    return DeviceFacts(
        tensorrt=trt.module,
        tensorrt_version=trt.version,
        compute_capability=gpu.compute_capability,
        built_on=BuiltOn(gpu=gpu.name, driver=gpu.driver, system=system),
    )


def mismatch(made: EngineManifest, here: DeviceFacts) -> str | None:
    """Say what of an engine does not fit this device, in a few words; ``None`` if all does."""
    trt = f"{made.tensorrt} {made.tensorrt_version}"
    now = f"{here.tensorrt} {here.tensorrt_version}"
    if trt != now:
        return f"built with {trt}, here is {now}"
    if made.compute_capability != here.compute_capability:
        return (
            f"built for compute capability {made.compute_capability}, here is "
            f"{here.compute_capability}"
        )
    if made.built_on is None:
        return None
    for name in BuiltOn.__struct_fields__:
        was, is_now = getattr(made.built_on, name), getattr(here.built_on, name)
        if was != is_now:
            return f"built on the {name} {was!r}, here is {is_now!r}"
    return None


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
