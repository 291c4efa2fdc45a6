"""A GPU in host memory, as PyCUDA and the CUDA driver's graphs give it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np


class CudaError(Exception):
    """The base of PyCUDA's errors."""


class Stream:
    """Work in order; it is done when somebody waits for it."""

    def __init__(self, cuda: Cuda, flags: int = 0) -> None:
        self.handle = next(cuda.numbers)
        cuda.streams[self.handle] = self
        self._waiting: list[Callable[[], None]] = []
        self.captured: list[Callable[[], None]] | None = None

    def enqueue(self, work: Callable[[], None]) -> None:
        (self._waiting if self.captured is None else self.captured).append(work)

    def synchronize(self) -> None:
        if self.captured is not None:
            raise CudaError("operation not permitted when stream is capturing")
        waiting, self._waiting = self._waiting, []
        for work in waiting:
            work()


class _Host:
    """Page-locked memory, which a device finds at its own address."""

    def __init__(self, cuda: Cuda, size: int, dtype: Any, *, mapped: bool) -> None:
        self._data = np.empty(size, dtype)
        self.__array_interface__ = self._data.__array_interface__
        self._cuda, self._mapped = cuda, mapped

    def get_device_pointer(self) -> int:
        if not self._mapped:
            raise CudaError("this memory is not mapped")
        address = self._data.ctypes.data
        self._cuda.pages[address] = self._data.view(np.uint8).reshape(-1)
        return address


class _Device:
    """Memory of the device's own."""

    def __init__(self, cuda: Cuda, size: int) -> None:
        self._cuda = cuda
        self.address = next(cuda.numbers) << 40
        cuda.pages[self.address] = np.full(size, 0xAB, np.uint8)  # nobody has cleared it

    def __int__(self) -> int:
        return self.address

    def free(self) -> None:
        del self._cuda.pages[self.address]


class Cuda:
    """The state of the GPU, and the modules that reach it.

    Parameters
    ----------
    integrated
        Whether it shares the host's memory, as on a Jetson.
    capturable
        Whether graphs can be captured.
    unfaithful
        Whether a graph leaves something out.
    """

    def __init__(
        self, *, integrated: bool = False, capturable: bool = True, unfaithful: bool = False
    ) -> None:
        self.integrated, self.capturable, self.unfaithful = integrated, capturable, unfaithful
        self.numbers = itertools.count(1)
        self.streams: dict[int, Stream] = {}
        self.pages: dict[int, np.ndarray[Any, Any]] = {}
        self.graphs: dict[int, list[Callable[[], None]]] = {}
        self.contexts = 0  # on this thread's stack
        self.launches = self.copies = 0

    def stream(self, handle: int) -> Stream:
        return self.streams[handle]

    def memory(self, address: int, size: int) -> np.ndarray[Any, Any]:
        return self.pages[address][:size]

    def pycuda(self) -> tuple[ModuleType, ModuleType]:
        """Return the modules ``pycuda`` and ``pycuda.driver``."""
        driver = ModuleType("pycuda.driver")
        cuda = self

        class Context:
            push = staticmethod(lambda: cuda._push(1))
            pop = staticmethod(lambda: cuda._push(-1))
            detach = staticmethod(lambda: None)

        class Device:
            def __init__(self, index: int) -> None:
                assert index == 0

            name = staticmethod(lambda: "A made GPU")
            compute_capability = staticmethod(lambda: (8, 7))
            retain_primary_context = staticmethod(lambda: Context)
            get_attribute = staticmethod(lambda which: int(cuda.integrated))

        def pagelocked_empty(shape: Any, dtype: Any, order: str = "C", mem_flags: int = 0) -> Any:
            cuda._in_context()
            return np.asarray(_Host(cuda, shape[0], dtype, mapped=bool(mem_flags)))

        def memcpy_htod_async(to: _Device, source: Any, stream: Stream) -> None:
            size = source.nbytes
            stream.enqueue(lambda: cuda._copy(cuda.memory(to.address, size), source.view(np.uint8)))

        def memcpy_dtoh_async(to: Any, source: _Device, stream: Stream) -> None:
            size = to.nbytes
            stream.enqueue(lambda: cuda._copy(to.view(np.uint8), cuda.memory(source.address, size)))

        vars(driver).update(
            Error=CudaError,
            init=lambda: None,
            get_driver_version=lambda: 12060,
            Device=Device,
            Context=Context,
            Stream=lambda flags=0: Stream(cuda, flags),
            device_attribute=type("device_attribute", (), {"INTEGRATED": 18}),
            host_alloc_flags=type("host_alloc_flags", (), {"DEVICEMAP": 2}),
            mem_alloc=lambda size: _Device(cuda, size),
            pagelocked_empty=pagelocked_empty,
            memcpy_htod_async=memcpy_htod_async,
            memcpy_dtoh_async=memcpy_dtoh_async,
        )
        package = ModuleType("pycuda")
        vars(package)["driver"] = driver
        return package, driver

    def _copy(self, to: np.ndarray[Any, Any], source: np.ndarray[Any, Any]) -> None:
        self.copies += 1
        to[...] = source

    def _spoil(self) -> None:
        for page in self.pages.values():
            page[...] = 0x3D

    def _push(self, by: int) -> None:
        self.contexts += by
        assert self.contexts >= 0, "popped what was not pushed"

    def _in_context(self) -> None:
        if self.contexts < 1:
            raise CudaError("invalid device context")

    # The driver's functions of streams and graphs, as ctypes calls them.

    def cuStreamBeginCapture_v2(self, stream: Any, mode: Any) -> int:
        if not self.capturable:
            return 900
        self.streams[stream.value].captured = []
        return 0

    def cuStreamEndCapture(self, stream: Any, graph: Any) -> int:
        captured, self.streams[stream.value].captured = self.streams[stream.value].captured, None
        if captured is None:
            return 901
        graph._obj.value = next(self.numbers)
        self.graphs[graph._obj.value] = captured
        return 0

    def cuGraphInstantiateWithFlags(self, instance: Any, graph: Any, flags: Any) -> int:
        instance._obj.value = next(self.numbers)
        self.graphs[instance._obj.value] = self.graphs[graph.value]
        return 0

    def cuGraphDestroy(self, graph: Any) -> int:
        del self.graphs[graph.value]
        return 0

    cuGraphExecDestroy = cuGraphDestroy  # noqa: N815

    def cuGraphLaunch(self, instance: Any, stream: Any) -> int:
        self.launches += 1
        work = self.graphs[instance.value]
        if self.unfaithful:
            self.streams[stream.value].enqueue(self._spoil)
            work = work[-1:]
        for each in work:
            self.streams[stream.value].enqueue(each)
        return 0
