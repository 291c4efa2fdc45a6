"""The FP32 model, run case by case, with every activation's statistics taken on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np
import onnx

from cspine.backends import Array, TensorSpec
from cspine.backends.onnxruntime import OnnxRuntime
from cspine.errors import ModelError
from cspine_calibration.form import formed
from cspine_calibration.graph import Graph
from cspine_calibration.means import Means
from cspine_calibration.placement import Placement, place
from cspine_calibration.progress import Seen
from cspine_calibration.read import read_float_graph
from cspine_calibration.table import CalibrationTable, TensorStatistics, summarize
from cspine_calibration.targets import TARGETS


def observable(graph: Graph) -> tuple[str, ...]:
    """Return the tensors from which some target derives a scale, sorted."""
    return tuple(
        sorted(
            {name for p in _placements(graph) for sources in p.sources.values() for name in sources}
        )
    )


def averaged(graph: Graph) -> tuple[str, ...]:
    """Return the tensors that units read which some target quantises, sorted."""
    units = (unit for placement in _placements(graph) for unit in placement.units)
    return tuple(
        sorted(
            {unit.input for unit in units if unit.kind != "MatMul" and not graph.head(unit.output)}
        )
    )


def _placements(graph: Graph) -> Iterator[Placement]:
    for target in TARGETS.values():
        yield place(formed(graph, target), target)


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
        If the model cannot be calibrated, no target could quantise anything in it, or a constant of
        it is not finite.
    """

    def __init__(self, model: bytes, *, threads: int | None = None) -> None:
        graph = read_float_graph(model)
        self._digest = hashlib.sha256(model).hexdigest()
        self._names = observable(graph)
        if not self._names:
            raise ModelError("model has nothing to quantise for any target")
        for name, tensor in graph.constants.items():
            if (
                tensor.data_type == onnx.TensorProto.FLOAT
                and not np.isfinite(graph.array(name)).all()
            ):
                raise ModelError(f"constant {name!r} holds NaN or infinity; train or export again")
        self._averaged = averaged(graph)
        probes = sorted({*self._names, *self._averaged})
        self._outputs = [value.name for value in graph.model.graph.output]
        probed = onnx.ModelProto()
        probed.CopyFrom(graph.model)
        # No optimiser may fuse away what is an output of the graph, so the names stay; the runtime
        # infers the type of an output that is declared by its name alone.
        probed.graph.output.extend(
            onnx.ValueInfoProto(name=name)
            for name in probes
            if name not in graph.inputs and name not in graph.outputs
        )
        self._backend = OnnxRuntime(probed.SerializeToString(), threads=threads)
        self._seen: dict[str, TensorStatistics] = {}
        self._means: dict[str, Means] = {}
        self._samples = 0
        self._varied = False

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
        for name in self._averaged:
            means = Means.of(values[name])
            self._means[name] = means.merge(self._means[name]) if name in self._means else means
        images = values[self.inputs[0].name]
        self._samples += len(images)
        flat = images.reshape(len(images), -1)
        self._varied = self._varied or bool((flat != flat[:, :1]).any())
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
            If nothing was run, every image was of one grey throughout, or a digest is none.
        """
        if self._samples and not self._varied:
            raise ModelError(
                f"each of the {self._samples} inputs is constant, so there is nothing to calibrate "
                "on; give real images"
            )
        means = {name: seen.values() for name, seen in self._means.items()}
        return self._table(set_digest, preprocessing_digest, means)

    def seen(self) -> Seen:
        """Return what was seen so far, for :meth:`resume`."""
        if not self._samples:
            return Seen(b"", {}, varied=False)
        return Seen(
            table=self._table(self._digest, self._digest, {}).to_bytes(),
            limbs={name: seen.limbs.astype("<i8").tobytes() for name, seen in self._means.items()},
            varied=self._varied,
        )

    def resume(self, seen: Seen) -> None:
        """Go on from what another observer of the same model saw."""
        if not seen.table:
            return
        table = CalibrationTable.from_bytes(seen.table)
        self._seen, self._samples = dict(table.tensors), table.samples
        self._means = {
            name: Means.of_bytes(limbs, samples=table.samples) for name, limbs in seen.limbs.items()
        }
        self._varied = seen.varied

    def _table(
        self, set_digest: str, preprocessing_digest: str, means: Mapping[str, tuple[float, ...]]
    ) -> CalibrationTable:
        return CalibrationTable(
            model_digest=self._digest,
            set_digest=set_digest,
            preprocessing_digest=preprocessing_digest,
            samples=self._samples,
            tensors=dict(self._seen),
            means=means,
            choices={},
        )

    def close(self) -> None:
        """Release the model; the table stays."""
        self._backend.close()
