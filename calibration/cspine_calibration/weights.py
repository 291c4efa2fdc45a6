"""Weights as integers: symmetric, one scale an output channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cspine_calibration.estimate import SCALE_FLOOR
from cspine_calibration.graph import Graph, Unit
from cspine_calibration.scales import storable

# Runtimes turn an FP32 bias into INT32 steps of input scale times weight scale. A bit below the
# largest INT32 leaves room for the sum of the products that is added to it.
_BIAS_STEPS = 2.0**30


@dataclass(frozen=True)
class QuantizedWeights:
    """INT8 weights of one unit.

    Attributes
    ----------
    values
        int8, the shape of the FP32 weights.
    scales
        float32, one an output channel, all above zero.
    axis
        The axis of ``values`` that runs over output channels.
    dead
        How many channels are zero throughout.
    """

    values: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    axis: int
    dead: int


def quantize_weights(
    graph: Graph, unit: Unit, *, limit: int, input_scale: float, half: bool
) -> QuantizedWeights:
    """Quantise the weights of a unit.

    Parameters
    ----------
    limit
        Integers lie in ``[-limit, limit]``; -128 is never used, so that negation is exact.
    input_scale
        The scale of the unit's input. A channel whose weights all but vanish would get a scale so
        small that its bias overflows INT32; its scale is raised until the bias fits.
    half
        Whether scales are to be FP16 numbers.
    """
    weights = graph.array(unit.weight)
    axis = output_axis(graph, unit)
    by_channel = np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
    largest = np.abs(by_channel).max(axis=1)
    floor = np.full_like(largest, SCALE_FLOOR, dtype=np.float64)
    if unit.bias in graph.constants:
        # Groups of a transposed convolution have their scales in common.
        bias = np.abs(graph.array(unit.bias).astype(np.float64)).reshape(-1, largest.size)
        floor = np.maximum(floor, bias.max(axis=0) / (input_scale * _BIAS_STEPS))
    scales = storable(np.maximum(largest / np.float64(limit), floor), half=half)
    spread = scales.reshape([-1 if a == axis else 1 for a in range(weights.ndim)])
    values = np.clip(np.rint(weights / spread), -limit, limit).astype(np.int8)
    return QuantizedWeights(values, scales, axis, dead=int((largest == 0).sum()))


def output_axis(graph: Graph, unit: Unit) -> int:
    """Return the axis of a unit's weights that runs over its output channels."""
    if unit.kind == "Gemm":
        attributes = {a.name: a.i for a in graph.nodes[unit.node].attribute}
        return 0 if attributes.get("transB", 0) else 1
    return 1 if unit.kind in {"ConvTranspose", "MatMul"} else 0
