"""One ONNX file through TensorRT's parser and builder: the plan, and the kernels in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cspine.backends.tensorrt import tensorrt_logger, tensorrt_module
from cspine.engines.builderlog import read_layers
from cspine.engines.layers import Layer
from cspine.engines.store import THIS_DEVICE
from cspine.errors import BackendError

WORKSPACE_BYTES = 1 << 30

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Compiled:
    """An engine, serialised.

    Attributes
    ----------
    plan
        The engine.
    layers
        Its kernels; empty where this TensorRT does not list them.
    flags
        What was set of the network and the builder.
    built_for
        Compute capability, or :data:`cspine.engines.store.THIS_DEVICE`.
    """

    plan: bytes
    layers: tuple[Layer, ...]
    flags: tuple[str, ...]
    built_for: str


def strongly_typed() -> bool:
    """Return whether this TensorRT takes precision from the graph; 8.6 takes flags instead."""
    return hasattr(tensorrt_module().NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


def compile_onnx(
    onnx: bytes,
    *,
    where: str,
    shapes: Mapping[str, tuple[Shape, Shape, Shape]],
    integers: bool,
    compute_capability: str | None,
) -> Compiled:
    """Build an engine.

    Parameters
    ----------
    where
        What the model is, for messages.
    shapes
        Smallest, usual and largest shape of every input.
    integers
        Whether the file is INT8, which TensorRT must be told where typing is weak.
    compute_capability
        Such as ``"8.9"``, to build ahead of time for that GPU (TensorRT-RTX only); ``None``
        builds for the GPU of this device.

    Raises
    ------
    BackendError
        If TensorRT is missing, rejects the graph, or cannot build for what was asked.
    """
    trt = tensorrt_module()
    log = _recorder(trt)
    builder = trt.Builder(log)
    flag = _typing(trt)
    network = builder.create_network(1 << int(flag))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(onnx):
        faults = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise BackendError(f"{where}: TensorRT rejects the graph: {faults}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    built_for = _set_device(trt, config, compute_capability)
    named = [flag.name]
    if integers and not strongly_typed():
        named += _set_integers(trt, config)
    profile = builder.create_optimization_profile()
    for name, sizes in shapes.items():
        profile.set_shape(name, *sizes)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendError(f"{where}: TensorRT {trt.__version__} could not build for {built_for}")
    return Compiled(bytes(plan), read_layers(log.details), tuple(named), built_for)


def _recorder(trt: Any) -> Any:
    """Return a logger that keeps what is said in detail and passes on each warning once."""

    class Recorder(trt.ILogger):  # type: ignore[misc]  # the module is known at run time only
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.details: list[str] = []
            self._warned: set[str] = set()

        def log(self, severity: Any, message: str) -> None:
            if severity == trt.ILogger.Severity.VERBOSE:
                self.details.append(message)
            elif message not in self._warned:
                self._warned.add(message)
                tensorrt_logger().log(severity, message)

    return Recorder()


def _typing(trt: Any) -> Any:
    """Ask for strong typing where it exists; TensorRT 8.6 needs an explicit batch instead."""
    flags = trt.NetworkDefinitionCreationFlag
    return flags.STRONGLY_TYPED if strongly_typed() else flags.EXPLICIT_BATCH


def _set_integers(trt: Any, config: Any) -> Sequence[str]:
    """Set builder flags: under weak typing Q/DQ alone makes no layer INT8, and the rest FP32."""
    config.set_flag(trt.BuilderFlag.INT8)
    config.set_flag(trt.BuilderFlag.FP16)
    return ["INT8", "FP16"]


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
