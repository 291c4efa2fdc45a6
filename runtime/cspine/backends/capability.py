"""Which TensorRT is installed, and what it can: asked of it once, for every branch there is.

Four generations of its Python bindings are in use (8.6, 10, 11 and RTX). Each has names that the
others lack, so nothing else of ours looks at a version or at ``hasattr``.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from cspine.errors import BackendError

# TensorRT as JetPack or NVIDIA's packages bring it, RTX, and the runtime alone.
_MODULES = (
    ("tensorrt",),
    ("tensorrt_rtx_libs", "tensorrt_rtx_bindings"),
    ("tensorrt_lean",),
)


@dataclass(frozen=True)
class Capability:
    """What the installed bindings offer.

    Attributes
    ----------
    module, version
        Name and version of the bindings.
    builds
        Whether a builder is there; the lean runtime has none.
    strongly_typed
        Whether precision is in the graph. TensorRT 8.6 takes it from flags instead.
    explicit_batch
        Whether a network must be asked for an explicit batch: TensorRT 8.6 again.
    ahead_of_time
        Compute capabilities, such as ``"8.9"``, that it builds for with no such GPU there: RTX.
    timing_cache
        Whether timings of kernels are kept from build to build. RTX has the calls, but times
        nothing, and with a cache it would ask for a GPU.
    progress
        Whether a build tells how far it is and can be ended.
    version_compatible
        Whether it makes plans that the lean runtime of another version loads.
    dla
        Whether it may build for a DLA core: never RTX.
    dla_weakly_typed
        Whether a DLA takes FP16 from flags: up to TensorRT 10.
    judges_plans
        Whether it can say of a plan, before it loads it, that it will not run here: RTX.
    asks_capture
        Whether it says if a stream can be captured into a CUDA graph: RTX.
    """

    module: str
    version: str
    builds: bool
    strongly_typed: bool
    explicit_batch: bool
    ahead_of_time: tuple[str, ...]
    timing_cache: bool
    progress: bool
    version_compatible: bool
    dla: bool
    dla_weakly_typed: bool
    judges_plans: bool
    asks_capture: bool

    @property
    def emission(self) -> str:
        """The target whose emission it takes."""
        if self.ahead_of_time:
            return "trt-rtx"
        return "trt" if self.strongly_typed else "trt-8"

    def typed(self, *, dla: bool) -> bool:
        """Whether precision is in the graph where the GPU, or a DLA, runs it."""
        return self.strongly_typed and not (dla and self.dla_weakly_typed)


def read_capability(trt: ModuleType) -> Capability:
    """Look at what the bindings have."""
    rtx = hasattr(trt, "ComputeCapability")
    typing = getattr(trt, "NetworkDefinitionCreationFlag", None)
    flags = getattr(trt, "BuilderFlag", None)
    strongly_typed = hasattr(typing, "STRONGLY_TYPED")
    return Capability(
        module=trt.__name__,
        version=trt.__version__,
        builds=hasattr(trt, "Builder"),
        strongly_typed=strongly_typed,
        explicit_batch=hasattr(typing, "EXPLICIT_BATCH") and not strongly_typed,
        ahead_of_time=_compute_capabilities(trt.ComputeCapability) if rtx else (),
        timing_cache=hasattr(trt, "ITimingCache") and not rtx,
        progress=hasattr(trt, "IProgressMonitor"),
        version_compatible=hasattr(flags, "VERSION_COMPATIBLE") and not rtx,
        dla=hasattr(trt, "DeviceType") and not rtx,
        dla_weakly_typed=hasattr(flags, "FP16"),
        judges_plans=hasattr(trt, "EngineValidity"),
        asks_capture=rtx,
    )


def _compute_capabilities(known: Any) -> tuple[str, ...]:
    numbers = [name[2:] for name in dir(known) if name.startswith("SM")]
    return tuple(f"{number[:-1]}.{number[-1]}" for number in sorted(numbers, key=int))


@cache
def tensorrt_module() -> ModuleType:
    """Import TensorRT as JetPack or NVIDIA's packages bring it, else RTX, else the lean runtime.

    Raises
    ------
    BackendError
        If none is installed.
    """
    for names in _MODULES:
        try:
            return [importlib.import_module(name) for name in names][-1]
        except ImportError:
            continue
    raise BackendError(
        "TensorRT is not installed; on a Jetson it comes with JetPack: make the venv with "
        "--system-site-packages. To build engines elsewhere: pip install 'cspine[tensorrt-rtx]'"
    )


@cache
def capability() -> Capability:
    """Return what the installed TensorRT can.

    Raises
    ------
    BackendError
        If none is installed.
    """
    return read_capability(tensorrt_module())
