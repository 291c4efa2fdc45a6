"""What was enqueued on a stream, kept as a CUDA graph that one call enqueues again.

PyCUDA has no graphs, so the driver is called itself. For a small network the enqueueing of its
kernels one by one takes longer than they run.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

from cspine.errors import BackendError

_THREAD_LOCAL = 1  # other threads may allocate meanwhile


class CudaGraph:
    """A captured graph, instantiated; see the CUDA driver API, "Stream Management" and "Graphs".

    Parameters
    ----------
    stream
        Handle of a stream that is not the default one; nothing else may use it meanwhile.
    enqueue
        Enqueues on that stream; nothing runs until :meth:`launch`.

    Raises
    ------
    BackendError
        If what was enqueued cannot be captured. The stream can be used all the same.
    """

    def __init__(self, stream: int, enqueue: Callable[[], None]) -> None:
        self._stream = ctypes.c_void_p(stream)
        graph, self._instance = ctypes.c_void_p(), ctypes.c_void_p()
        _call("cuStreamBeginCapture_v2", self._stream, ctypes.c_int(_THREAD_LOCAL))
        try:
            enqueue()
        finally:
            # A capture that has failed must be ended too, or the stream stays captured.
            ended = _driver().cuStreamEndCapture(self._stream, ctypes.byref(graph))
        if ended != 0:
            raise BackendError(f"CUDA: cuStreamEndCapture fails with code {ended}")
        try:
            _call(
                "cuGraphInstantiateWithFlags",
                ctypes.byref(self._instance),
                graph,
                ctypes.c_ulonglong(0),
            )
        finally:
            _call("cuGraphDestroy", graph)

    def launch(self) -> None:
        """Enqueue it all."""
        _call("cuGraphLaunch", self._instance, self._stream)

    def close(self) -> None:
        """Release it, when it does not run any more."""
        _call("cuGraphExecDestroy", self._instance)


@cache
def _driver() -> Any:
    return ctypes.CDLL("libcuda.so.1")


def _call(name: str, *arguments: Any) -> None:
    code = getattr(_driver(), name)(*arguments)
    if code != 0:
        raise BackendError(f"CUDA: {name} fails with code {code}")
