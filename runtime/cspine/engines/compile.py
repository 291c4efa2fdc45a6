"""One ONNX file through TensorRT's parser and builder: the plan, and the kernels in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cspine.backends.capability import Capability, capability, tensorrt_module
from cspine.backends.messages import listening
from cspine.engines.builderlog import read_layers
from cspine.engines.layers import Layer, of_last_profile
from cspine.engines.monitor import Watch, monitor
from cspine.errors import BackendError
from cspine.precision import Precision

Shape = tuple[int, ...]
Profile = Mapping[str, tuple[Shape, Shape, Shape]]


@dataclass(frozen=True)
class Aim:
    """What an engine is built for.

    Attributes
    ----------
    compute_capability
        Such as ``"8.9"``, to build ahead of time for that GPU (TensorRT-RTX only); ``None`` is the
        GPU of this device.
    dla_core
        The DLA that runs what it can, the GPU the rest; ``None`` leaves all to the GPU.
    version_compatible
        Whether the lean runtime of another version can load the plan, which makes it slower.
    workspace_bytes
        Of GPU memory that one kernel may use beside its tensors.
    """

    compute_capability: str | None = None
    dla_core: int | None = None
    version_compatible: bool = False
    workspace_bytes: int = 1 << 30

    def strongly_typed(self, here: Capability) -> bool:
        """Whether this TensorRT takes the precision from the graph, not from flags."""
        return here.typed(dla=self.dla_core is not None)


@dataclass(frozen=True)
class Compiled:
    """An engine, serialised.

    Attributes
    ----------
    plan
        The engine.
    layers
        The kernels of the last profile; empty where this TensorRT's builder does not list them.
    flags
        What was set of the network and the builder.
    timings
        What the builder knows of kernels' times by now, for the next build; empty where it keeps
        none.
    """

    plan: bytes
    layers: tuple[Layer, ...]
    flags: tuple[str, ...]
    timings: bytes


def compile_onnx(
    onnx: bytes,
    *,
    where: str,
    profiles: Sequence[Profile],
    precision: Precision,
    aim: Aim,
    timings: bytes = b"",
    watch: Watch | None = None,
) -> Compiled:
    """Build an engine.

    Parameters
    ----------
    onnx
        The graph. Strongly typed TensorRT takes the precision from it.
    where
        What the model is, for messages.
    profiles
        For each optimisation profile the smallest, usual and largest shape of every input.
    precision
        Of the file, which TensorRT must be told where typing is weak.
    timings
        What an earlier build returned, on this device with this TensorRT.
    watch
        Is told how far the build is, where TensorRT tells.

    Raises
    ------
    BackendError
        If TensorRT is missing, rejects the graph, or cannot build for what was asked.
    """
    trt, here = tensorrt_module(), capability()
    if not here.builds:
        raise BackendError(f"{here.module} {here.version} runs engines and builds none")
    with listening() as (logger, messages):
        builder = trt.Builder(logger)
        network, flags = _network(builder, here, aim)
        parser = trt.OnnxParser(network, logger)
        if not parser.parse(onnx):
            faults = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
            raise BackendError(f"{where}: TensorRT rejects the graph: {faults}")
        config = builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, aim.workspace_bytes)
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        _set_device(config, here, aim)
        flags += _set_flags(config, here, aim, precision)
        for shapes in profiles:
            profile = builder.create_optimization_profile()
            for name, sizes in shapes.items():
                profile.set_shape(name, *sizes)
            config.add_optimization_profile(profile)
        if here.timing_cache:
            config.set_timing_cache(config.create_timing_cache(timings), False)
        progress = monitor(watch) if watch and here.progress else None
        if progress is not None:
            config.progress_monitor = progress
        plan = builder.build_serialized_network(network, config)
        if progress is not None and progress.raised is not None:
            raise progress.raised
        if plan is None:
            reason = messages.reason or "it does not say why"
            raise BackendError(f"{where}: TensorRT {here.version} cannot build it: {reason}")
        return Compiled(
            plan=bytes(plan),
            layers=of_last_profile(read_layers(messages.details)),
            flags=tuple(flags),
            timings=bytes(config.get_timing_cache().serialize()) if here.timing_cache else b"",
        )


def _network(builder: Any, here: Capability, aim: Aim) -> tuple[Any, list[str]]:
    """Return an empty network: strongly typed, or with an explicit batch where that is a choice."""
    kinds = tensorrt_module().NetworkDefinitionCreationFlag
    if aim.strongly_typed(here):
        return builder.create_network(1 << int(kinds.STRONGLY_TYPED)), ["STRONGLY_TYPED"]
    if here.explicit_batch:
        return builder.create_network(1 << int(kinds.EXPLICIT_BATCH)), ["EXPLICIT_BATCH"]
    return builder.create_network(0), []


def _set_flags(config: Any, here: Capability, aim: Aim, precision: Precision) -> list[str]:
    """Set the builder's flags, and return their names.

    Under weak typing Q/DQ alone makes no layer INT8, and the rest FP32.
    """
    wanted = []
    if not aim.strongly_typed(here):
        wanted = {"fp32": [], "fp16": ["FP16"], "int8": ["INT8", "FP16"]}[precision]
    if aim.dla_core is not None:
        wanted.append("GPU_FALLBACK")
    if aim.version_compatible:
        if not here.version_compatible:
            raise BackendError(f"{here.module} {here.version} makes no version-compatible plans")
        wanted.append("VERSION_COMPATIBLE")
    kinds = tensorrt_module().BuilderFlag
    for name in wanted:
        config.set_flag(getattr(kinds, name))
    if precision == "fp32":
        config.clear_flag(kinds.TF32)  # on by default, and no more than half of FP32's digits
        wanted.append("no TF32")
    return wanted


def _set_device(config: Any, here: Capability, aim: Aim) -> None:
    """Aim the builder at a DLA, or at a GPU that need not be here, where this TensorRT can."""
    trt = tensorrt_module()
    if aim.dla_core is not None:
        if not here.dla:
            raise BackendError(f"{here.module} {here.version} does not build for a DLA")
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = aim.dla_core
    if aim.compute_capability is None:
        return
    if not here.ahead_of_time:
        raise BackendError(
            "only TensorRT-RTX builds for a GPU that is not here; leave --compute-capability out"
        )
    if aim.compute_capability not in here.ahead_of_time:
        raise BackendError(
            f"TensorRT-RTX {here.version} does not build for compute capability "
            f"{aim.compute_capability}; it builds for {', '.join(here.ahead_of_time)}"
        )
    config.num_compute_capabilities = 1
    number = aim.compute_capability.replace(".", "")
    config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{number}"), 0)
