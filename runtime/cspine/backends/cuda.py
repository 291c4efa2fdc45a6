"""The NVIDIA GPU as PyCUDA gives it: its facts, memory that it shares with the host, one stream."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.errors import BackendError, missing_extra

_NON_BLOCKING = 1  # of a stream: it does not wait for what others do on the default stream


@dataclass(frozen=True)
class GpuFacts:
    """What an engine is bound to.

    Attributes
    ----------
    name
        Of the board.
    compute_capability
        Such as ``"8.7"``.
    driver
        The CUDA version that the driver serves, such as ``"12.6"``.
    integrated
        Whether it has no memory but the host's, as on a Jetson.
    """

    name: str
    compute_capability: str
    driver: str
    integrated: bool


class Gpu:
    """The primary context of the first GPU, retained, and a stream of its own.

    Raises
    ------
    BackendError
        If PyCUDA is not installed or cannot be loaded, or CUDA finds no GPU that it can use.
    """

    def __init__(self) -> None:
        self.cuda = _driver()
        with _usable(self.cuda):
            self.cuda.init()
            device = self.cuda.Device(0)
            self._context = device.retain_primary_context()
        self.facts = _facts(self.cuda, device)
        with self.current():
            self.stream = self.cuda.Stream(_NON_BLOCKING)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make its context this thread's."""
        self._context.push()
        try:
            yield
        finally:
            self.cuda.Context.pop()

    def buffer(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Buffer:
        """Return memory for a tensor, in the current context."""
        return Buffer(self, math.prod(shape), dtype)

    def close(self) -> None:
        """Release the context, after everything that was made in it."""
        with self.current():
            del self.stream
        self._context.detach()


class Buffer:
    """A tensor's pinned host memory, and where the GPU finds it.

    A GPU with memory of its own has a copy there. An integrated one reads and writes the host's:
    nothing is copied, which on a Jetson is the faster way (CUDA for Tegra, memory selection).

    Attributes
    ----------
    host
        Flat, page-locked.
    address
        On the GPU.
    """

    def __init__(self, gpu: Gpu, size: int, dtype: np.dtype[Any]) -> None:
        cuda = gpu.cuda
        self._gpu = gpu
        flags = cuda.host_alloc_flags.DEVICEMAP if gpu.facts.integrated else 0
        self.host: NDArray[Any] = cuda.pagelocked_empty((size,), dtype, mem_flags=flags)
        self.host[:] = 0  # rows of a batch that nobody fills are computed too
        self._device = None if gpu.facts.integrated else cuda.mem_alloc(self.host.nbytes)
        self.address = int(
            self.host.base.get_device_pointer() if self._device is None else self._device
        )

    def upload(self, count: int) -> None:
        """Enqueue the copy of the first elements to the GPU."""
        if self._device is not None:
            self._gpu.cuda.memcpy_htod_async(
                self._device, self.host[:count], stream=self._gpu.stream
            )

    def download(self, count: int) -> None:
        """Enqueue the copy of the first elements from the GPU."""
        if self._device is not None:
            self._gpu.cuda.memcpy_dtoh_async(
                self.host[:count], self._device, stream=self._gpu.stream
            )

    def free(self) -> None:
        """Release both, in the current context; pinned memory goes with its array."""
        if self._device is not None:
            self._device.free()
        del self.host


def gpu_facts() -> GpuFacts:
    """Return the facts of the first GPU, making no context there.

    Raises
    ------
    BackendError
        As :class:`Gpu`.
    """
    cuda = _driver()
    with _usable(cuda):
        cuda.init()
        return _facts(cuda, cuda.Device(0))


def _driver() -> Any:
    try:
        import pycuda.driver as cuda
    except ModuleNotFoundError as error:
        raise BackendError(missing_extra("pycuda", "tensorrt")) from error
    except ImportError as error:  # it is there, the driver's library is not
        raise BackendError(f"no NVIDIA GPU that CUDA can use: {error}") from error
    return cuda


@contextmanager
def _usable(cuda: Any) -> Iterator[None]:
    """Turn what CUDA has against a GPU into our error."""
    try:
        yield
    except cuda.Error as error:
        raise BackendError(f"no NVIDIA GPU that CUDA can use: {error}") from error


def _facts(cuda: Any, device: Any) -> GpuFacts:
    version = cuda.get_driver_version()
    major, minor = device.compute_capability()
    return GpuFacts(
        name=device.name(),
        compute_capability=f"{major}.{minor}",
        driver=f"{version // 1000}.{version % 1000 // 10}",
        integrated=bool(device.get_attribute(cuda.device_attribute.INTEGRATED)),
    )
