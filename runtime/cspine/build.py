"""TensorRT engines from a bundle's ONNX: for this device, or ahead of time for a named GPU.

The emission for ``trt`` carries its precision in the graph (strong typing), so the builder is
given no precision flags wherever TensorRT has strong typing. An engine and the manifest beside it
live in the cache; nothing loads an engine whose manifest does not match.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cspine.backends.tensorrt import tensorrt_logger, tensorrt_module
from cspine.bundle import Bundle
from cspine.engines import THIS_DEVICE, Engine, EngineManifest, store
from cspine.errors import BackendError
from cspine.files import sha256
from cspine.precision import Precision
from cspine.spec import Classify, Network

WORKSPACE_BYTES = 1 << 30


def build_engines(
    bundle: Bundle, *, precision: Precision, compute_capability: str | None
) -> list[Engine]:
    """Build the engine of every network of a bundle.

    Parameters
    ----------
    bundle
        Holds the emission for ``trt`` if ``precision`` is ``int8``.
    compute_capability
        Such as ``"8.9"``, to build ahead of time for that GPU (TensorRT-RTX only); ``None``
        builds for the GPU of this device.

    Raises
    ------
    BackendError
        If TensorRT is missing, rejects the graph, or cannot build for what was asked.
    """
    target = "trt" if precision == "int8" else None
    return [
        _build(
            bundle,
            stage,
            onnx=bundle.model(stage.id, target=target),
            precision=precision,
            compute_capability=compute_capability,
        )
        for stage in bundle.spec.networks
    ]


def _build(
    bundle: Bundle,
    stage: Network,
    *,
    onnx: bytes,
    precision: Precision,
    compute_capability: str | None,
) -> Engine:
    trt = tensorrt_module()
    builder = trt.Builder(tensorrt_logger())
    flags = _network_flags(trt)
    network = builder.create_network(sum(1 << int(flag) for flag in flags))
    parser = trt.OnnxParser(network, tensorrt_logger())
    if not parser.parse(onnx):
        faults = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise BackendError(f"stage {stage.id!r}: TensorRT rejects the graph: {faults}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    built_for = _set_device(trt, config, compute_capability)
    named = [flag.name for flag in flags] + _set_precision(trt, config, flags, precision)
    batch = _batch(bundle, stage)
    profile = builder.create_optimization_profile()
    profile.set_shape("image", *((size, 1, *stage.size_px) for size in batch))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendError(
            f"stage {stage.id!r}: TensorRT {trt.__version__} could not build for {built_for}"
        )
    engine = bytes(plan)
    manifest = EngineManifest(
        engine=sha256(engine),
        onnx=sha256(onnx),
        bundle=bundle.digest,
        stage=stage.id,
        precision=precision,
        tensorrt=trt.__name__,
        tensorrt_version=trt.__version__,
        compute_capability=built_for,
        flags=tuple(named),
        batch=batch,
    )
    return store(engine, manifest)


def _network_flags(trt: Any) -> list[Any]:
    """Ask for strong typing where it exists; TensorRT 8.6 needs an explicit batch instead."""
    flags = trt.NetworkDefinitionCreationFlag
    if hasattr(flags, "STRONGLY_TYPED"):
        return [flags.STRONGLY_TYPED]
    return [flags.EXPLICIT_BATCH]


def _set_precision(trt: Any, config: Any, flags: Sequence[Any], precision: Precision) -> list[str]:
    """Set builder flags where typing is weak: there Q/DQ alone does not make a layer INT8."""
    if any(flag.name == "STRONGLY_TYPED" for flag in flags) or precision == "fp32":
        return []
    config.set_flag(trt.BuilderFlag.INT8)
    return ["INT8"]


def _set_device(trt: Any, config: Any, compute_capability: str | None) -> str:
    """Aim the builder at a GPU that need not be here, where this TensorRT can."""
    if compute_capability is None:
        return THIS_DEVICE
    name = f"SM{compute_capability.replace('.', '')}"
    known = getattr(trt, "ComputeCapability", None)
    if known is None:
        raise BackendError(
            "only TensorRT-RTX builds for a GPU that is not here; leave --compute-capability out"
        )
    if not hasattr(known, name):
        names = [entry[2:-1] + "." + entry[-1] for entry in dir(known) if entry.startswith("SM")]
        raise BackendError(
            f"TensorRT-RTX {trt.__version__} does not build for compute capability "
            f"{compute_capability}; it builds for {', '.join(names)}"
        )
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(known, name), 0)
    return compute_capability


def _batch(bundle: Bundle, stage: Network) -> tuple[int, int, int]:
    """Return the smallest, usual and largest batch: one image, or one crop per level."""
    if not isinstance(stage, Classify):
        return 1, 1, 1
    levels = bundle.spec.level_count
    return 1, levels, levels
