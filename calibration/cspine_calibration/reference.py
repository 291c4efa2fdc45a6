"""A model computed as its file says, operator by operator."""

from __future__ import annotations

from collections.abc import Mapping

import onnxruntime as ort

from cspine.backends import Array


class Reference:
    """onnxruntime without its optimiser, so that nothing is fused, folded or re-quantised.

    The optimiser quantises the bias of a convolution with quantised operands; beside FP16 scales
    it computes the bias's scale in FP16, where it vanishes.

    Parameters
    ----------
    model
        A serialised ONNX model, of any target.
    """

    def __init__(self, model: bytes) -> None:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._outputs = [each.name for each in self._session.get_outputs()]

    @property
    def inputs(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Names and shapes of what :meth:`run` must be fed, one image where the file leaves it."""
        return tuple(
            (each.name, tuple(size if isinstance(size, int) else 1 for size in each.shape))
            for each in self._session.get_inputs()
        )

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return freshly owned arrays."""
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(feeds)), strict=True))
