"""TensorRT engines from a bundle's ONNX: for this device, or ahead of time for a named GPU.

The emission carries its precision in the graph (strong typing), so the builder is given no
precision flags; TensorRT 8.6, and a DLA up to TensorRT 10, know no such typing and get flags. An
engine and the manifest beside it live in the cache; nothing loads an engine whose manifest does not
match.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from cspine.backends.capability import capability
from cspine.backends.tensorrt import TensorRT
from cspine.bundle import Bundle
from cspine.cache import cache_folder, cache_key, write_cached
from cspine.engines.compile import Aim, Profile, compile_onnx
from cspine.engines.convolutions import convolutions
from cspine.engines.inspector import read_inspector
from cspine.engines.layers import Layer, of_last_profile
from cspine.engines.monitor import Watch
from cspine.engines.store import DeviceFacts, Engine, EngineManifest, device_facts, store
from cspine.errors import BackendError
from cspine.files import sha256
from cspine.onnxfile import read_onnx
from cspine.precision import Precision
from cspine.spec import Network, input_of


def build_engines(
    bundle: Bundle,
    *,
    precision: Precision,
    aim: Aim,
    watch: Callable[[str], Watch] | None = None,
) -> list[Engine]:
    """Build the engine of every network of a bundle.

    Parameters
    ----------
    bundle
        Holds the emission that the installed TensorRT needs (:func:`graph_for`).
    aim
        What they are built for.
    watch
        Returns for a stage what is told how far its build is.

    Raises
    ------
    BackendError
        If TensorRT is missing, rejects the graph, or cannot build for what was asked; if they are
        for this device, PyCUDA or a GPU is missing.
    BundleError
        If the bundle lacks the emission.
    """
    here = None if aim.compute_capability else device_facts()
    graphs = {
        stage.id: graph_for(bundle, stage.id, precision=precision, aim=aim)
        for stage in bundle.spec.networks
    }
    return [
        _build(
            bundle,
            stage,
            onnx=graphs[stage.id],
            precision=precision,
            aim=aim,
            here=here,
            watch=watch(stage.id) if watch else None,
        )
        for stage in bundle.spec.networks
    ]


def graph_for(bundle: Bundle, stage: str, *, precision: Precision, aim: Aim) -> bytes:
    """Return the ONNX file that the installed TensorRT builds a precision from.

    Raises
    ------
    BackendError
        If INT8 is asked of a DLA whose TensorRT takes none from a graph.
    BundleError
        If the bundle lacks the emission.
    """
    typed = aim.strongly_typed(capability())
    if precision == "fp32" or (precision == "fp16" and not typed):
        return bundle.model(stage)
    if aim.dla_core is not None and precision == "int8":
        if not typed:
            raise BackendError(
                f"{capability().module} {capability().version}: this DLA takes no quantizers from "
                "a graph; use --precision fp16"
            )
        return bundle.model(stage, target="trt-dla")
    return bundle.model(stage, target=capability().emission, precision=precision)


def _build(
    bundle: Bundle,
    stage: Network,
    *,
    onnx: bytes,
    precision: Precision,
    aim: Aim,
    here: DeviceFacts | None,
    watch: Watch | None,
) -> Engine:
    batch = _batch(bundle, stage)
    timings = _timings(here) if here else None
    compiled = compile_onnx(
        onnx,
        where=f"stage {stage.id!r}",
        profiles=[_profile(stage, rows) for rows in batch],
        precision=precision,
        aim=aim,
        timings=timings.read_bytes() if timings and timings.exists() else b"",
        watch=watch,
    )
    if timings and compiled.timings:
        write_cached(timings, compiled.timings)
    trt = capability()
    manifest = EngineManifest(
        engine=sha256(compiled.plan),
        onnx=sha256(onnx),
        bundle=bundle.digest,
        stage=stage.id,
        precision=precision,
        tensorrt=trt.module,
        tensorrt_version=trt.version,
        compute_capability=aim.compute_capability or (here.compute_capability if here else ""),
        built_on=here.built_on if here else None,
        flags=compiled.flags,
        dla_core=aim.dla_core,
        workspace_bytes=aim.workspace_bytes,
        batch=batch,
        convolutions=convolutions(read_onnx(onnx, where=f"stage {stage.id!r}")),
        layers=compiled.layers or (_inspected(compiled.plan, aim) if here else ()),
    )
    return store(compiled.plan, manifest)


def _inspected(plan: bytes, aim: Aim) -> tuple[Layer, ...]:
    """Return the layers as the engine itself tells them, where the builder did not."""
    backend = TensorRT(plan, host_code=aim.version_compatible, graphs=False)
    try:
        return of_last_profile(read_inspector(backend.described()))
    finally:
        backend.close()


def _batch(bundle: Bundle, stage: Network) -> tuple[int, ...]:
    """Return the batches to be fast at: doublings up to every crop, slice or region."""
    most = bundle.spec.largest_batch(stage)
    doublings = [1 << power for power in range(most.bit_length()) if 1 << power < most]
    return (*doublings, most)


def _profile(stage: Network, rows: int) -> Profile:
    name, item = input_of(stage)
    shape = (rows, *item)
    return {name: (shape, shape, shape)}


def _timings(here: DeviceFacts) -> Path:
    """Return where timings of kernels lie: those of one TensorRT on one device."""
    key = cache_key(asdict(capability()), here)
    return cache_folder() / "timings" / f"{key}.cache"
