"""TensorRT and TensorRT-RTX: an engine with one execution context for each batch it was built for.

One code path for 8.6, 10, 11 and RTX: the common core of their Python bindings (named tensors,
``execute_async_v3``). Needs an NVIDIA GPU; engines are made by :mod:`cspine.engines.build`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from threading import Lock
from typing import Any

import numpy as np

from cspine.backends.capability import capability, tensorrt_module
from cspine.backends.cuda import Buffer, Gpu
from cspine.backends.cudagraph import CudaGraph
from cspine.backends.messages import listening
from cspine.backends.protocol import Array, TensorSpec
from cspine.errors import BackendError

Shape = tuple[int, ...]
_REMEDY = "run: cspine build BUNDLE"


class TensorRT:
    """An engine on the first GPU.

    A batch runs as the smallest that the engine has a profile for and that holds it; what the
    further rows give is dropped. Each such batch has a context of its own, as NVIDIA advises where
    graphs are captured, made when it is first needed. All share one pinned buffer and one stream.

    Parameters
    ----------
    plan
        The serialised engine, built on this device.
    host_code
        Whether the plan may bring code that runs on the host, as version-compatible ones do; only
        for plans that this device built.
    graphs
        Whether a batch that has run once is captured as a CUDA graph. It is used from then on if
        its answer to the same input is the same to the bit.

    Raises
    ------
    BackendError
        If TensorRT, PyCUDA or a GPU is missing, or the plan was not built for this GPU.
    """

    def __init__(self, plan: bytes, *, host_code: bool = False, graphs: bool = True) -> None:
        self._turn = Lock()  # the contexts share their buffers
        self._graphs = graphs
        self._gpu = Gpu()
        self._buffers: dict[str, Buffer] = {}
        self._buckets: dict[int, _Bucket] = {}
        try:
            with self._gpu.current():
                self._engine = _deserialised(plan, host_code=host_code)
                self._read_tensors()
                largest = self._bucket(max(self._profiles))
                for name, shape in largest.shapes.items():
                    self._buffers[name] = self._gpu.buffer(shape, self._dtypes[name])
        except BaseException:
            self.close()
            raise

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that :meth:`run` must be fed."""
        return self._inputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return freshly owned arrays, complete on the host."""
        with self._turn, self._gpu.current():
            return self._infer(feeds)

    def described(self) -> str:
        """Return what the engine inspector says of the layers, for the largest batch, as JSON."""
        with self._turn, self._gpu.current():
            inspector = self._engine.create_engine_inspector()
            # Without a context in which the shapes are set, TensorRT up to 10 withholds the types.
            inspector.execution_context = self._bucket(max(self._profiles)).context
            kind = tensorrt_module().LayerInformationFormat.JSON
            return str(inspector.get_engine_information(kind))

    def close(self) -> None:
        """Release the engine, its contexts and buffers."""
        with self._gpu.current():
            for bucket in self._buckets.values():
                bucket.close()
            self._buckets.clear()
            for buffer in self._buffers.values():
                buffer.free()
            self._buffers.clear()
            self._engine = None
        self._gpu.close()

    def _infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        rows = self._rows(feeds)
        bucket = self._bucket(min(size for size in self._profiles if size >= rows))
        for name, feed in feeds.items():
            np.copyto(self._buffers[name].host[: feed.size], feed.reshape(-1))
        bucket.bind(self._buffers)
        bucket.run()
        answer = {name: self._answer(bucket, name, rows) for name in self._outputs}
        if self._graphs:
            bucket.capture()
        return answer

    def _answer(self, bucket: _Bucket, name: str, rows: int) -> Array:
        """Return a copy of what an output holds: the next inference overwrites the buffer."""
        shape = bucket.shapes[name]
        whole = self._buffers[name].host[: math.prod(shape)].reshape(shape)
        return np.array(whole[:rows] if name in self._batched else whole)

    def _rows(self, feeds: Mapping[str, Array]) -> int:
        rows = {len(feed) for name, feed in feeds.items() if name in self._batched}
        if len(rows) > 1:
            raise BackendError(f"inputs of batches of {sorted(rows)}, expected one batch of all")
        asked = rows.pop() if rows else max(self._profiles)
        if asked > max(self._profiles):
            raise BackendError(
                f"a batch of {asked}, and the engine was built for at most {max(self._profiles)}"
            )
        return asked

    def _bucket(self, size: int) -> _Bucket:
        if size not in self._buckets:
            self._buckets[size] = _Bucket(
                self._engine,
                self._gpu,
                profile=self._profiles[size],
                feeds=self._feeds,
                outputs=self._outputs,
            )
        return self._buckets[size]

    def _read_tensors(self) -> None:
        engine, trt = self._engine, tensorrt_module()
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        modes = {name: engine.get_tensor_mode(name) for name in names}
        self._feeds = tuple(n for n in names if modes[n] == trt.TensorIOMode.INPUT)
        self._outputs = tuple(n for n in names if n not in self._feeds)
        self._dtypes = {n: np.dtype(trt.nptype(engine.get_tensor_dtype(n))) for n in names}
        shapes = {name: tuple(engine.get_tensor_shape(name)) for name in names}
        self._batched = {name for name, shape in shapes.items() if shape[:1] == (-1,)}
        self._inputs = tuple(
            TensorSpec(n, self._dtypes[n], tuple(None if s < 0 else int(s) for s in shapes[n]))
            for n in self._feeds
        )
        for name in self._feeds:
            if -1 in shapes[name][1:]:
                raise BackendError(f"input {name!r}: only the batch may vary, got {shapes[name]}")
        batched = [name for name in self._feeds if name in self._batched]
        self._profiles = {
            int(engine.get_tensor_profile_shape(batched[0], index)[2][0]) if batched else 1: index
            for index in range(engine.num_optimization_profiles)
        }


class _Bucket:
    """An execution context for one batch: its shapes and addresses are set once."""

    def __init__(
        self,
        engine: Any,
        gpu: Gpu,
        *,
        profile: int,
        feeds: tuple[str, ...],
        outputs: tuple[str, ...],
    ) -> None:
        self._gpu = gpu
        self._feeds, self._outputs = feeds, outputs
        self.context = engine.create_execution_context()
        if self.context is None:
            raise BackendError("TensorRT could not make an execution context: too little memory?")
        self.context.set_optimization_profile_async(profile, gpu.stream.handle)
        gpu.stream.synchronize()
        for name in feeds:
            largest = tuple(engine.get_tensor_profile_shape(name, profile)[2])
            if not self.context.set_input_shape(name, largest):
                raise BackendError(f"input {name!r}: TensorRT refuses the shape {largest}")
        self.shapes: dict[str, Shape] = {
            name: tuple(self.context.get_tensor_shape(name)) for name in (*feeds, *outputs)
        }
        self._buffers: Mapping[str, Buffer] = {}
        self._graph: CudaGraph | None = None
        self._captured = False

    def bind(self, buffers: Mapping[str, Buffer]) -> None:
        """Say where the tensors lie, once."""
        if not self._buffers:
            self._buffers = buffers
            for name, buffer in buffers.items():
                self.context.set_tensor_address(name, buffer.address)

    def run(self) -> None:
        """Infer, and wait until all is on the host."""
        if self._graph is not None:
            self._graph.launch()
        else:
            self._enqueue()
        self._gpu.stream.synchronize()

    def capture(self) -> None:
        """After a first run, capture a graph; keep it if it gives the same, to the bit."""
        if self._captured:
            return
        self._captured = True
        stream = self._gpu.stream.handle
        if capability().asks_capture and not self.context.is_stream_capturable(stream):
            return
        before = self._said()
        try:
            graph = CudaGraph(stream, self._enqueue)
        except BackendError:  # some engines cannot be captured; they run all the same
            return
        graph.launch()
        self._gpu.stream.synchronize()
        if self._said() == before:
            self._graph = graph
        else:
            graph.close()

    def close(self) -> None:
        """Release the context and the graph."""
        if self._graph is not None:
            self._graph.close()
        self.context = None

    def _said(self) -> list[bytes]:
        """Return the outputs as they lie on the host."""
        return [
            self._buffers[name].host[: math.prod(self.shapes[name])].tobytes()
            for name in self._outputs
        ]

    def _enqueue(self) -> None:
        for name in self._feeds:
            self._buffers[name].upload(math.prod(self.shapes[name]))
        if not self.context.execute_async_v3(self._gpu.stream.handle):
            raise BackendError("TensorRT could not enqueue the inference")
        for name in self._outputs:
            self._buffers[name].download(math.prod(self.shapes[name]))


def _deserialised(plan: bytes, *, host_code: bool) -> Any:
    """Return the engine of a plan, or say what TensorRT has against it."""
    trt = tensorrt_module()
    with listening() as (logger, messages):
        runtime = trt.Runtime(logger)
        if host_code:
            runtime.engine_host_code_allowed = True
        if capability().judges_plans:
            validity, diagnostics = runtime.get_engine_validity(plan)
            if validity == trt.EngineValidity.INVALID:
                raise BackendError(
                    f"TensorRT-RTX cannot run the engine here ({diagnostics}); {_REMEDY}"
                )
        engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        reason = f" ({messages.reason})" if messages.reason else ""
        raise BackendError(f"the engine was not built for this GPU and TensorRT{reason}; {_REMEDY}")
    return engine
