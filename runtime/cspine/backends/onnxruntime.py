"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnxruntime as ort

from cspine.backends.protocol import Array, TensorSpec
from cspine.errors import BackendError

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(double)": np.float64,
}


class OnnxRuntime:
    """A model in ONNX Runtime's CPU provider, and in no other."""

    def __init__(self, model: bytes, *, threads: int | None = None) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or 0
        # Errors reach the caller as exceptions; the log would print them a second time.
        options.log_severity_level = 4
        # Two sessions take the cores by turns: a pool that goes on spinning steals from the next.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own classes are not public
            raise BackendError(
                f"ONNX Runtime {ort.__version__} cannot load the model: {error}"
            ) from error
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._inputs = tuple(
            TensorSpec(
                value.name,
                np.dtype(_DTYPES[value.type]),
                tuple(size if isinstance(size, int) else None for size in value.shape),
            )
            for value in self._session.get_inputs()
        )

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that :meth:`run` must be fed."""
        return self._inputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return freshly owned arrays, complete on the host."""
        outputs = self._session.run(self._outputs, dict(feeds))
        return dict(zip(self._outputs, outputs, strict=True))

    def close(self) -> None:
        """Release the model."""
        del self._session
