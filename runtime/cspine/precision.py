"""The precisions, and what serves each of them on a backend: whether it may is another question.

That is for :mod:`cspine.choose` to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cspine.backends.capability import capability
from cspine.bundle import EmittedPrecision
from cspine.device import Device
from cspine.errors import BackendError, BundleError

Precision = Literal["fp32", "fp16", "int8"]

UNKNOWN_CPU = "no INT8 emission is known to be exact on this CPU"

DLA = "tensorrt-dla"
"""TensorRT where a DLA runs what it can: it computes otherwise than the GPU, so it has verdicts of
its own."""

LOWER: dict[str, tuple[EmittedPrecision, ...]] = {
    "onnxruntime": ("int8",),
    "openvino": ("int8",),
    "tensorrt": ("int8", "fp16"),
    DLA: ("int8", "fp16"),
}
"""What may answer for FP32 on each backend, the lowest first; no target of a CPU has FP16."""


@dataclass(frozen=True)
class Choice:
    """A backend, a precision and the emission that serves it.

    ``target`` is ``None`` where the FP32 graph itself is what runs, or is built from: it is the
    same for every backend.
    """

    backend: str
    precision: Precision
    target: str | None
    reason: str

    @property
    def graph(self) -> str:
        """The name of its graph in evidence."""
        return self.target or "fp32"


def fp32(backend: str, *, reason: str = "asked for") -> Choice:
    """Return the choice of the FP32 models.

    Raises
    ------
    BundleError
        If the backend computes no FP32.
    """
    if backend == DLA:
        raise BundleError(
            f"backend {backend!r}: a DLA computes no FP32 ({reason}); use --backend tensorrt"
        )
    return Choice(backend, "fp32", None, reason)


def lower(
    backend: str, device: Device, precision: EmittedPrecision, *, reason: str = "asked for"
) -> Choice:
    """Return the choice of a precision below FP32 for a backend on this device, on any evidence.

    Raises
    ------
    BundleError
        If the backend does not compute it, or no emission is exact on this device.
    """
    if precision not in LOWER[backend]:
        raise BundleError(
            f"backend {backend!r}: has no {precision.upper()}; use --backend tensorrt, or "
            f"--precision {' or '.join((*LOWER[backend], 'fp32'))}"
        )
    match backend:
        case "openvino":
            return Choice(backend, precision, "openvino", reason)
        case "onnxruntime":
            if device.onnxruntime_target is None:
                raise BundleError(
                    f"backend {backend!r}: {UNKNOWN_CPU} ({device.cpu}); use --precision fp32"
                )
            return Choice(backend, precision, device.onnxruntime_target, reason)
        case _:
            return Choice(backend, precision, _built_from(backend, precision), reason)


def _built_from(backend: str, precision: EmittedPrecision) -> str | None:
    """Return the emission for the installed TensorRT; where there is none, the usual one.

    Where networks have no types, FP16 is built from the FP32 graph, by a flag.
    """
    if backend == DLA and precision == "int8":
        return "trt-dla"
    try:
        here = capability()
    except BackendError:
        return "trt"
    typed = here.typed(dla=backend == DLA)
    return here.emission if typed or precision == "int8" else None
