"""OpenVINO on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock

import numpy as np

from cspine.backends.protocol import Array, TensorSpec
from cspine.errors import BackendError, missing_extra

try:
    import openvino as ov
except ImportError as error:
    raise BackendError(missing_extra("openvino", "openvino")) from error


class OpenVino:
    """A model compiled by OpenVINO for this CPU: a serialised ONNX model, or a file of its own."""

    def __init__(self, model: bytes | Path, *, threads: int | None = None) -> None:
        settings: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            # Where the CPU has bf16 OpenVINO would use it unasked; the graph names the precision.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            core = ov.Core()
            self._compiled = core.compile_model(core.read_model(model), "CPU", settings)
        except Exception as error:  # OpenVINO raises RuntimeError and its own GeneralFailure
            raise BackendError(
                f"OpenVINO {ov.get_version()} cannot load the model: {error}"
            ) from error
        self._request = self._compiled.create_infer_request()
        self._turn = Lock()  # a request holds one inference at a time
        self._inputs = tuple(
            TensorSpec(
                port.get_any_name(),
                np.dtype(port.get_element_type().to_dtype()),
                tuple(
                    None if size.is_dynamic else size.get_length()
                    for size in port.get_partial_shape()
                ),
            )
            for port in self._compiled.inputs
        )

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that :meth:`run` must be fed."""
        return self._inputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return freshly owned arrays, complete on the host."""
        with self._turn:
            # Shared outputs would be overwritten by the next call.
            results = self._request.infer(dict(feeds), share_inputs=True, share_outputs=False)
            return {port.get_any_name(): np.array(value) for port, value in results.items()}

    def close(self) -> None:
        """Release the model."""
        del self._request, self._compiled
