"""An INT8 or FP16 ONNX file for one target, from the FP32 model and its calibration table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from cspine.errors import ModelError
from cspine_calibration.bias import correctable, corrected_bias
from cspine_calibration.choices import TUNED, chosen
from cspine_calibration.estimate import DEFAULT, Affine, affine, clip_range
from cspine_calibration.form import formed
from cspine_calibration.graph import Graph, Unit
from cspine_calibration.half import LARGEST, narrow, out_of_range
from cspine_calibration.opset import with_half_scales
from cspine_calibration.placement import NOTHING, Placement, place
from cspine_calibration.read import read_float_graph, read_graph
from cspine_calibration.rewrite import rewrite
from cspine_calibration.scales import storable
from cspine_calibration.table import CalibrationTable
from cspine_calibration.targets import Precision, Target, find_target
from cspine_calibration.weights import quantize_weights


@dataclass(frozen=True)
class Summary:
    """What became of the graph.

    Attributes
    ----------
    target, precision, estimator
        What was asked for; FP16 has no estimator.
    convolutions
        Convolutions in the graph, transposed ones included.
    eligible, quantized
        Of them, those the target's rules admit, and those that were quantised.
    adds
        Residual additions with quantised operands.
    dead_channels
        Output channels of quantised weights that are zero throughout.
    left
        (name, reason), in graph order: of INT8 each weighted operator and residual addition that
        stays in float, and where the float part is FP16 each operator that stays in FP32.
    """

    target: str
    precision: Precision
    estimator: str | None
    convolutions: int
    eligible: int
    quantized: int
    adds: int
    dead_channels: int
    left: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Emission:
    """A model, serialised, and what became of the graph."""

    model: bytes
    summary: Summary


def emit(
    model: bytes,
    table: CalibrationTable | None,
    *,
    target: str,
    precision: Precision = "int8",
    estimator: str = DEFAULT,
    keep_float: Sequence[str] = (),
) -> Emission:
    """Return the model of a target; the same arguments give the same bytes.

    In INT8 activations are quantised and dequantised per tensor and weights are stored as INT8 per
    output channel; biases and all other constants stay in float. What is float is FP16 where the
    target is strongly typed. Every activation of the FP32 graph keeps its name, but for those that
    an output is cast or dequantised from, and inputs and outputs keep their types. Biases make up
    for the mean shift that rounding the weights makes (:mod:`cspine_calibration.bias`), if the
    table has the means.

    Parameters
    ----------
    model
        The serialised FP32 model that was calibrated.
    table
        Its statistics. FP16 can do without, and then finds no tensor that leaves its range.
    target
        One of :data:`cspine_calibration.targets.TARGETS`.
    precision
        One of the target's.
    estimator
        One of :data:`cspine_calibration.choices.METHODS`; of no account in FP16.
    keep_float
        Names of weighted operators that are not quantised, with wildcards; of no account in FP16.

    Raises
    ------
    ModelError
        If the table belongs to another model or lacks a tensor or is missing, a name is unknown, or
        the target has no such precision.
    """
    row = find_target(target)
    _check(model, table, row, precision)
    integers = table if precision == "int8" else None
    graph = formed(read_float_graph(model), row, keep_float=keep_float)
    if row.half and integers:
        graph = with_half_scales(graph)
    placement = place(graph, row, keep_float=keep_float) if integers else NOTHING
    forms = scales_of(placement, integers, row, estimator) if integers else {}
    weights = {
        unit.node: quantize_weights(
            graph,
            unit,
            limit=row.weight_limit,
            input_scale=forms[unit.input].scale,
            half=row.half,
        )
        for unit in placement.units
    }
    means = integers.means if integers else {}
    biases = {
        unit.node: corrected_bias(graph, unit, weights[unit.node], means=means[unit.input])
        for unit in placement.units
        if unit.input in means and correctable(graph, unit)
    }
    data = rewrite(graph, placement, forms=forms, weights=weights, biases=biases, target=row)
    single: Mapping[str, str] = {}
    if row.half:
        data, single = narrow(read_graph(data), beyond=_beyond(graph, table))
    return Emission(
        model=data,
        summary=Summary(
            target=target,
            precision=precision,
            estimator=estimator if integers else None,
            convolutions=_convolutions(graph.units.values()),
            eligible=_convolutions(placement.eligible),
            quantized=_convolutions(placement.units),
            adds=len(placement.residuals),
            dead_channels=sum(each.dead for each in weights.values()),
            left=_left(graph, placement, single),
        ),
    )


def _check(
    model: bytes, table: CalibrationTable | None, target: Target, precision: Precision
) -> None:
    """Raise if these do not go together."""
    if precision not in target.precisions:
        raise ModelError(
            f"target {target.name!r}: no {precision}, expected one of "
            f"{', '.join(target.precisions)}"
        )
    if table is not None:
        check_table(model, table)
    elif precision == "int8":
        raise ModelError("INT8 needs a calibration table, got none; calibrate this model")


def check_table(model: bytes, table: CalibrationTable) -> None:
    """Raise if a table is not a model's.

    Raises
    ------
    ModelError
        Naming both digests.
    """
    digest = hashlib.sha256(model).hexdigest()
    if digest != table.model_digest:
        raise ModelError(
            f"calibration table belongs to model {table.model_digest[:12]}, got model "
            f"{digest[:12]}; calibrate this model or give the one the table was made from"
        )


def scales_of(
    placement: Placement, table: CalibrationTable, target: Target, estimator: str
) -> dict[str, Affine]:
    """Return scale and zero point of every quantised tensor."""
    shared: dict[tuple[str, ...], Affine] = {}
    grids = {sources: placement.grid(name, target) for name, sources in placement.sources.items()}
    for sources, grid in sorted(grids.items(), key=itemgetter(0)):
        seen = table.statistics(sources)
        own = chosen(table, sources, grid=grid) if estimator == TUNED else estimator
        form = affine(*clip_range(seen, grid=grid, estimator=own), grid=grid)
        shared[sources] = Affine(float(storable(form.scale, half=target.half)), form.zero_point)
    return {name: shared[sources] for name, sources in placement.sources.items()}


def _beyond(graph: Graph, table: CalibrationTable | None) -> frozenset[str]:
    """Return the tensors that were seen to leave FP16's range, and those alike."""
    seen = table.tensors if table else {}
    return out_of_range(
        graph,
        (name for name, each in seen.items() if max(-each.minimum, each.maximum) > LARGEST),
    )


def _left(
    graph: Graph, placement: Placement, single: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Return what stays in float and what of that stays in FP32, in graph order."""
    floating = dict(placement.left)
    reasons = (
        (graph.name(index), floating.get(graph.name(index)) or single.get(node.output[0]))
        for index, node in enumerate(graph.nodes)
    )
    return tuple((name, reason) for name, reason in reasons if reason)


def _convolutions(units: Iterable[Unit]) -> int:
    return sum(unit.kind != "Gemm" for unit in units)
