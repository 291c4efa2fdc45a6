"""TensorRT and TensorRT-RTX: an engine, one stream, buffers that live as long as the engine.

One code path for 8.6, 10, 11 and RTX: the common core of their Python bindings (named tensors,
``execute_async_v3``). Needs an NVIDIA GPU; engines are made by :mod:`cspine.engines.build`.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from functools import cache
from threading import Lock
from types import ModuleType
from typing import Any

import numpy as np

from cspine.backends.protocol import Array, TensorSpec
from cspine.errors import BackendError, missing_extra


@cache
def tensorrt_module() -> ModuleType:
    """Import TensorRT as JetPack or NVIDIA's packages bring it, else TensorRT-RTX.

    Raises
    ------
    BackendError
        If neither is installed.
    """
    for names in (("tensorrt",), ("tensorrt_rtx_libs", "tensorrt_rtx_bindings")):
        try:
            return [importlib.import_module(name) for name in names][-1]
        except ImportError:
            continue
    raise BackendError(
        "TensorRT is not installed; on a Jetson it comes with JetPack: make the venv with "
        "--system-site-packages. To build engines elsewhere: pip install 'cspine[tensorrt-rtx]'"
    )


@cache
def tensorrt_logger() -> Any:
    """Return the process's one logger: TensorRT ignores every later one."""
    trt = tensorrt_module()
    return trt.Logger(trt.Logger.WARNING)


def first_gpu() -> tuple[Any, Any]:
    """Return PyCUDA's driver module and the primary context of the first GPU, retained.

    Raises
    ------
    BackendError
        If PyCUDA is not installed or cannot be loaded, or CUDA finds no GPU that it can use.
    """
    try:
        import pycuda.driver as cuda
    except ModuleNotFoundError as error:
        raise BackendError(missing_extra("pycuda", "tensorrt")) from error
    except ImportError as error:  # it is there, the driver's library is not
        raise BackendError(f"no NVIDIA GPU that CUDA can use: {error}") from error
    try:
        cuda.init()
        return cuda, cuda.Device(0).retain_primary_context()
    except cuda.Error as error:
        raise BackendError(f"no NVIDIA GPU that CUDA can use: {error}") from error


class TensorRT:
    """An engine on the first GPU.

    Buffers are allocated once, for the largest shapes of the engine's profile: linear memory on
    the device for every tensor, pinned memory on the host for every output.
    """

    def __init__(self, engine: bytes) -> None:
        trt = tensorrt_module()
        self._turn = Lock()  # a context and its buffers hold one inference at a time
        self._cuda, self._gpu = first_gpu()
        self._gpu.push()
        try:
            self._engine = trt.Runtime(tensorrt_logger()).deserialize_cuda_engine(engine)
            if self._engine is None:
                raise BackendError(
                    "the engine was not built for this GPU and TensorRT; run: cspine build BUNDLE"
                )
            self._context = self._engine.create_execution_context()
            self._stream = self._cuda.Stream()
            names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
            is_input = trt.TensorIOMode.INPUT
            self._feeds = [n for n in names if self._engine.get_tensor_mode(n) == is_input]
            self._outputs = [n for n in names if n not in self._feeds]
            self._inputs = tuple(self._spec(trt, name) for name in self._feeds)
            self._dtypes = {n: trt.nptype(self._engine.get_tensor_dtype(n)) for n in names}
            self._shapes: dict[str, tuple[int, ...]] = {}
            largest = self._largest(names)
            self._device = {name: self._allocate(name, largest[name]) for name in names}
            self._host = {
                name: self._cuda.pagelocked_empty((math.prod(largest[name]),), self._dtypes[name])
                for name in self._outputs
            }
        finally:
            self._gpu.pop()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that :meth:`run` must be fed."""
        return self._inputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return freshly owned arrays, complete on the host."""
        with self._turn:
            return self._infer(feeds)

    def _infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        cuda = self._cuda
        self._gpu.push()
        try:
            for name in self._feeds:
                if self._shapes.get(name) != feeds[name].shape:
                    if not self._context.set_input_shape(name, feeds[name].shape):
                        raise BackendError(
                            f"input {name!r}: shape {feeds[name].shape} is outside the engine's "
                            "profile"
                        )
                    self._shapes[name] = feeds[name].shape
                cuda.memcpy_htod_async(self._device[name], feeds[name], self._stream)
            if not self._context.execute_async_v3(self._stream.handle):
                raise BackendError("TensorRT could not enqueue the inference")
            views = {}
            for name in self._outputs:
                shape = tuple(self._context.get_tensor_shape(name))
                views[name] = self._host[name][: math.prod(shape)].reshape(shape)
                cuda.memcpy_dtoh_async(views[name], self._device[name], self._stream)
            self._stream.synchronize()
            # The next inference overwrites the pinned buffers; what is returned is the caller's.
            return {name: view.copy() for name, view in views.items()}
        finally:
            self._gpu.pop()

    def close(self) -> None:
        """Release the engine and its buffers."""
        self._gpu.push()
        try:
            for buffer in self._device.values():
                buffer.free()
            self._host.clear()  # pinned memory is freed with its array, in its context
            del self._context, self._engine
        finally:
            self._gpu.pop()
            self._gpu.detach()

    def _spec(self, trt: ModuleType, name: str) -> TensorSpec:
        shape = self._engine.get_tensor_shape(name)
        dtype = np.dtype(trt.nptype(self._engine.get_tensor_dtype(name)))
        return TensorSpec(name, dtype, tuple(None if size < 0 else int(size) for size in shape))

    def _largest(self, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Return every tensor's shape when the inputs are the largest of the profile."""
        for feed in self._feeds:
            _, _, largest = self._engine.get_tensor_profile_shape(feed, 0)
            self._context.set_input_shape(feed, tuple(largest))
        return {name: tuple(self._context.get_tensor_shape(name)) for name in names}

    def _allocate(self, name: str, shape: tuple[int, ...]) -> Any:
        """Allocate a tensor on the device and give the engine its address."""
        buffer = self._cuda.mem_alloc(math.prod(shape) * np.dtype(self._dtypes[name]).itemsize)
        self._context.set_tensor_address(name, int(buffer))
        return buffer
