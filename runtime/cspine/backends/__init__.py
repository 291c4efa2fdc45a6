"""One model loaded on one device, behind a protocol of three members.

An implementer translates nothing and validates nothing: :class:`cspine.session.Session` checks
names, dtypes and shapes, turns vendor exceptions into ours, and closes, once for all backends.
There is no fallback from one backend or provider to another.
"""

from __future__ import annotations

from cspine.backends.protocol import Array, Backend, TensorSpec
from cspine.errors import BackendError, did_you_mean

__all__ = ["BACKENDS", "Array", "Backend", "TensorSpec", "open_backend", "open_engine"]

BACKENDS = ("onnxruntime", "openvino", "tensorrt")


def open_backend(name: str, model: bytes, *, threads: int | None = None) -> Backend:
    """Load a model into the named backend.

    Parameters
    ----------
    name
        One of :data:`BACKENDS`.
    model
        A serialised ONNX model; for ``tensorrt`` a serialised engine built on this device.
    threads
        CPU threads that one inference may use; ``None`` leaves it to the runtime.

    Raises
    ------
    BackendError
        If the name is unknown or the runtime is not installed.
    """
    match name:
        case "onnxruntime":
            from cspine.backends.onnxruntime import OnnxRuntime

            return OnnxRuntime(model, threads=threads)
        case "openvino":
            from cspine.backends.openvino import OpenVino

            return OpenVino(model, threads=threads)
        case "tensorrt":
            return open_engine(model)
        case _:
            raise BackendError(
                f"unknown backend {name!r}, expected one of {', '.join(BACKENDS)}"
                f"{did_you_mean(name, BACKENDS)}"
            )


def open_engine(plan: bytes, *, host_code: bool = False, graphs: bool = True) -> Backend:
    """Load a serialised TensorRT engine that this device built.

    Parameters
    ----------
    host_code, graphs
        As :class:`cspine.backends.tensorrt.TensorRT` has them.

    Raises
    ------
    BackendError
        If TensorRT, PyCUDA or a GPU is missing, or the engine was built for another GPU.
    """
    from cspine.backends.tensorrt import TensorRT

    return TensorRT(plan, host_code=host_code, graphs=graphs)
