"""Which estimator suits each tensor, found on images that calibrated nothing.

What counts is the worst output of the network against FP32, in decibels, and not a tensor's own
error: a clipped outlier may be what decides. Each estimator is tried for all tensors; from the best
one tensor after another is given other ranges, the one with most to gain first, and keeps what
helps. The graph has its scales and zero points for inputs, so a trial costs the inference of the
images and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import onnx
import onnxruntime as ort

from cspine.backends import Array
from cspine.backends.onnxruntime import OnnxRuntime
from cspine_calibration.choices import grid_kind
from cspine_calibration.emit import emit
from cspine_calibration.estimate import (
    DEFAULT,
    ESTIMATORS,
    Affine,
    affine,
    clip_range,
    quantization_error,
)
from cspine_calibration.form import formed
from cspine_calibration.numeric import decibels, energies
from cspine_calibration.placement import place
from cspine_calibration.read import read_float_graph
from cspine_calibration.table import CalibrationTable
from cspine_calibration.targets import TARGETS, Target

# One target stands for all of its kind of grid.
TUNED_ON = ("ort-x64-vnni", "trt-8")
# Less is chance: another draw of as many images would choose otherwise.
MARGIN_DB = 0.05
MOST_TRIALS = 60

Feeds = Mapping[str, Array]
# Tensors that share a scale.
Group = tuple[str, ...]
Forms = Mapping[Group, Mapping[str, Affine]]


def tuned(
    model: bytes,
    table: CalibrationTable,
    feeds: Sequence[Feeds],
    *,
    keep_float: Sequence[str] = (),
    threads: int | None,
    progress: Callable[[int, int], None],
) -> CalibrationTable:
    """Return the table with the estimator of each tensor, for every kind of grid.

    Parameters
    ----------
    model
        The serialised FP32 model.
    feeds
        Its inputs on the tuning images, at least one.
    keep_float
        As :func:`cspine_calibration.emit.emit` takes it.
    progress
        Called with trials done and the most there can be.
    """
    choices: dict[str, Mapping[str, str]] = {}
    for number, name in enumerate(TUNED_ON):
        target = TARGETS[name]

        def shown(done: int, number: int = number) -> None:
            progress(number * MOST_TRIALS + done, len(TUNED_ON) * MOST_TRIALS)

        trial = Trial(model, table, target, feeds, keep_float=keep_float, threads=threads)
        choices[grid_kind(target.activation)] = _choose(table, target, trial, shown)
        trial.close()
    return replace(table, choices=choices)


class Trial:
    """The quantised network, with the forms of its tensors as arguments.

    Attributes
    ----------
    sources
        By quantised tensor, those that give its scale.
    """

    def __init__(
        self,
        model: bytes,
        table: CalibrationTable,
        target: Target,
        feeds: Sequence[Feeds],
        *,
        keep_float: Sequence[str] = (),
        threads: int | None,
    ) -> None:
        graph = formed(read_float_graph(model), target, keep_float=keep_float)
        self.sources = place(graph, target, keep_float=keep_float).sources
        emission = emit(model, table, target=target.name, estimator=DEFAULT, keep_float=keep_float)
        reference = OnnxRuntime(model, threads=threads)
        self._cases = [(feed, reference.run(feed)) for feed in feeds]
        reference.close()
        self._integer = np.uint8 if target.activation.low == 0 else np.int8
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or 0
        # Nothing may be folded or fused: scales are not known before the run.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        self._session = ort.InferenceSession(
            _with_free_scales(emission.model),
            options,
            providers=["CPUExecutionProvider"],
        )
        # What no operator reads dequantised is not in the graph.
        self._free = {value.name for value in self._session.get_inputs()}

    def worst(self, forms: Mapping[str, Affine]) -> float:
        """Return the SQNR of the worst output over all images together, in decibels.

        Parameters
        ----------
        forms
            Of every quantised tensor, by name.
        """
        scales: dict[str, Array] = {}
        for name, form in forms.items():
            scales[f"{name}_scale"] = np.array(form.scale, np.float32)
            scales[f"{name}_zero_point"] = np.array(form.zero_point, self._integer)
        given = {name: value for name, value in scales.items() if name in self._free}
        totals: dict[str, list[float]] = {}
        for feed, expected in self._cases:
            found = self._session.run(list(expected), {**feed, **given})
            for (name, values), got in zip(expected.items(), found, strict=True):
                signal, noise = energies(values, got)
                total = totals.setdefault(name, [0.0, 0.0])
                total[0] += signal
                total[1] += noise
        return min(decibels(*total) for total in totals.values())

    def close(self) -> None:
        """Release the network."""
        del self._session


def _choose(
    table: CalibrationTable, target: Target, trial: Trial, progress: Callable[[int], None]
) -> dict[str, str]:
    """Return the estimators that are not the default, by tensor."""
    forms = _forms_by_gain(table, set(trial.sources.values()), target)
    choice = dict.fromkeys(forms, DEFAULT)

    def worst(choice: Mapping[Group, str]) -> float:
        return trial.worst(
            {name: forms[group][choice[group]] for name, group in trial.sources.items()}
        )

    best = worst(choice)
    for done, other in enumerate(islice(_changes(forms, choice), MOST_TRIALS), 1):
        progress(done)
        found = worst({**choice, **other})
        if found > best + MARGIN_DB:
            best = found
            choice.update(other)
    progress(MOST_TRIALS)
    return {
        name: estimator
        for group, estimator in choice.items()
        for name in group
        if estimator != DEFAULT
    }


def _changes(forms: Forms, choice: Mapping[Group, str]) -> Iterator[Mapping[Group, str]]:
    """Yield what to try: another estimator for all, then for one group after another.

    ``choice`` is what was found good so far, and changes between the steps.
    """
    for estimator in ESTIMATORS:
        if estimator != DEFAULT:
            yield dict.fromkeys(forms, estimator)
    for group, by_estimator in forms.items():
        tried = {by_estimator[choice[group]]}
        for estimator, form in by_estimator.items():
            # Estimators that give the same integers are one.
            if form not in tried:
                tried.add(form)
                yield {group: estimator}


def _forms_by_gain(table: CalibrationTable, groups: Iterable[Group], target: Target) -> Forms:
    """Return the form of each group by each estimator.

    First comes the group of whose own squared error the best range takes off the largest share.
    """
    grid = target.activation
    rows: list[tuple[float, Group, Mapping[str, Affine]]] = []
    for group in groups:
        seen = table.statistics(group)
        forms = {
            estimator: affine(*clip_range(seen, grid=grid, estimator=estimator), grid=grid)
            for estimator in ESTIMATORS
        }
        before, after = (
            quantization_error(seen, forms[each], grid=grid) for each in (DEFAULT, "mse")
        )
        rows.append((after / before if before else 1.0, group, forms))
    return {group: forms for _, group, forms in sorted(rows, key=lambda row: row[:2])}


def _with_free_scales(model: bytes) -> bytes:
    """Return an emission whose activations' scales and zero points are inputs."""
    proto = onnx.load_model_from_string(model)
    free = {
        name
        for node in proto.graph.node
        if node.op_type == "QuantizeLinear"
        for name in node.input[1:]
    }
    fixed = [tensor for tensor in proto.graph.initializer if tensor.name not in free]
    proto.graph.input.extend(
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, [])
        for tensor in proto.graph.initializer
        if tensor.name in free
    )
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(fixed)
    return bytes(proto.SerializeToString())
