"""The FP32 model, run case by case, with every activation's statistics taken on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import onnx

from cspine.backends import Array, TensorSpec
from cspine.backends.onnxruntime import OnnxRuntime
from cspine.errors import ModelError
from cspine_calibration.graph import Graph, read_float_graph
from cspine_calibration.placement import place
from cspine_calibration.table import CalibrationTable, TensorStatistics, summarize
from cspine_calibration.targets import TARGETS


def observable(graph: Graph) -> tuple[str, ...]:
    """Return the tensors from which some target derives a scale, sorted."""
    placements = (place(graph, target) for target in TARGETS.values())
    return tuple(
        sorted({name for p in placements for sources in p.sources.values() for name in sources})
    )


class Observer:
    """A backend that remembers what passed through; see :class:`cspine.backends.Backend`.

    Parameters
    ----------
    model
        The serialised FP32 ONNX model.
    threads
        CPU threads that one inference may use; ``None`` leaves it to onnxruntime.

    Raises
    ------
    ModelError
        If the model cannot be calibrated, or no target could quantise anything in it.
    """

    def __init__(self, model: bytes, *, threads: int | None = None) -> None:
        graph = read_float_graph(model)
        self._digest = hashlib.sha256(model).hexdigest()
        self._names = observable(graph)
        if not self._names:
            raise ModelError("model has nothing to quantise for any target")
        self._outputs = [value.name for value in graph.model.graph.output]
        probed = onnx.ModelProto()
        probed.CopyFrom(graph.model)
        # No optimiser may fuse away what is an output of the graph, so the names stay; the runtime
        # infers the type of an output that is declared by its name alone.
        probed.graph.output.extend(
            onnx.ValueInfoProto(name=name)
            for name in self._names
            if name not in graph.inputs and name not in graph.outputs
        )
        self._backend = OnnxRuntime(probed.SerializeToString(), threads=threads)
        self._seen: dict[str, TensorStatistics] = {}
        self._samples = 0

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that :meth:`run` must be fed; batches may vary in size."""
        return self._backend.inputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return the model's own outputs, freshly owned, and remember every activation.

        Raises
        ------
        ModelError
            If an activation is not finite, for then it has no range; nothing is remembered.
        """
        values = {**feeds, **self._backend.run(feeds)}
        for name in self._names:
            if not np.isfinite(values[name]).all():
                raise ModelError(f"tensor {name!r} is not finite; mend the input or the weights")
        for name in self._names:
            batch = summarize(values[name])
            self._seen[name] = batch.merge(self._seen[name]) if name in self._seen else batch
        self._samples += len(values[self.inputs[0].name])
        return {name: values[name] for name in self._outputs}

    def table(self, *, set_digest: str, preprocessing_digest: str) -> CalibrationTable:
        """Return the statistics of all runs so far.

        Parameters
        ----------
        set_digest, preprocessing_digest
            SHA-256, hexadecimal, of the calibration set's list and of the preprocessing.

        Raises
        ------
        ModelError
            If nothing was run, or a digest is none.
        """
        return CalibrationTable(
            model_digest=self._digest,
            set_digest=set_digest,
            preprocessing_digest=preprocessing_digest,
            samples=self._samples,
            tensors=dict(self._seen),
        )

    def close(self) -> None:
        """Release the model; the table stays."""
        self._backend.close()
