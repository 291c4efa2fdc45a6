"""An INT8 ONNX file for one target, from the FP32 model and its calibration table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cspine.errors import ModelError
from cspine_calibration.estimate import DEFAULT, Affine, affine, clip_range
from cspine_calibration.graph import Graph, Unit, read_float_graph
from cspine_calibration.placement import Placement, place
from cspine_calibration.rewrite import rewrite
from cspine_calibration.table import CalibrationTable
from cspine_calibration.targets import Target, find_target
from cspine_calibration.weights import QuantizedWeights, quantize_weights


@dataclass(frozen=True)
class Summary:
    """What became of the graph.

    Attributes
    ----------
    target, estimator
        What was asked for.
    convolutions
        Convolutions in the graph, transposed ones included.
    eligible, quantized
        Of them, those the target's rules admit, and those that were quantised.
    adds
        Residual additions with quantised operands.
    dead_channels
        Output channels of quantised weights that are zero throughout.
    left
        (name, reason) of each weighted operator and residual addition that stays in float, in graph
        order.
    """

    target: str
    estimator: str
    convolutions: int
    eligible: int
    quantized: int
    adds: int
    dead_channels: int
    left: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Emission:
    """An INT8 model, serialised, and what became of the graph."""

    model: bytes
    summary: Summary


def emit(
    model: bytes, table: CalibrationTable, *, target: str, estimator: str = DEFAULT
) -> Emission:
    """Return the INT8 model of a target; the same arguments give the same bytes.

    Activations are quantised and dequantised per tensor, weights are stored as INT8 per output
    channel, biases and all other constants stay FP32, and every tensor of the FP32 graph keeps
    its name.

    Parameters
    ----------
    model
        The serialised FP32 model that was calibrated.
    table
        Its statistics.
    target
        One of :data:`cspine_calibration.targets.TARGETS`.
    estimator
        One of :data:`cspine_calibration.estimate.ESTIMATORS`.

    Raises
    ------
    ModelError
        If the table belongs to another model or lacks a tensor, or a name is unknown.
    """
    digest = hashlib.sha256(model).hexdigest()
    if digest != table.model_digest:
        raise ModelError(
            f"calibration table belongs to model {table.model_digest[:12]}, got model "
            f"{digest[:12]}; calibrate this model or give the one the table was made from"
        )
    row = find_target(target)
    graph = read_float_graph(model)
    placement = place(graph, row)
    forms = _forms(placement, table, row, estimator)
    weights = {
        unit.node: quantize_weights(
            graph, unit, limit=row.weight_limit, input_scale=forms[unit.input].scale
        )
        for unit in placement.units
    }
    return Emission(
        model=rewrite(graph, placement, forms=forms, weights=weights, grid=row.activation),
        summary=_summarize(graph, placement, weights, row, estimator),
    )


def _forms(
    placement: Placement, table: CalibrationTable, target: Target, estimator: str
) -> dict[str, Affine]:
    """Return scale and zero point of every quantised tensor."""
    shared: dict[tuple[str, ...], Affine] = {}
    for sources in sorted(set(placement.sources.values())):
        ends = clip_range(table.statistics(sources), grid=target.activation, estimator=estimator)
        shared[sources] = affine(*ends, grid=target.activation)
    return {name: shared[sources] for name, sources in placement.sources.items()}


def _summarize(
    graph: Graph,
    placement: Placement,
    weights: Mapping[int, QuantizedWeights],
    target: Target,
    estimator: str,
) -> Summary:
    def convolutions(units: Iterable[Unit]) -> int:
        return sum(unit.kind != "Gemm" for unit in units)

    return Summary(
        target=target.name,
        estimator=estimator,
        convolutions=convolutions(graph.units.values()),
        eligible=convolutions(placement.eligible),
        quantized=convolutions(placement.units),
        adds=len(placement.residuals),
        dead_channels=sum(each.dead for each in weights.values()),
        left=placement.left,
    )
