"""Biases that make up for the rounding of weights.

Rounded weights shift a unit's mean output wherever its input's mean is not zero, as after a ReLU.
What follows sees every channel of the unit a little off, in every image. The shift is known from
the input's mean per channel, which the calibration table has, and the bias takes it back:

``b'[o] = b[o] - sum over c, k of (Wq - W)[o, c, k] * mean[c]``

Nagel, van Baalen, Blankevoort, Welling: "Data-Free Quantization Through Weight Equalization and
Bias Correction", ICCV 2019, section 4.2. It is exact in the mean over all images but for the
border, where padding puts zeros in place of inputs and the true shift is smaller.

A head's bias is left as it is. The mean over an image is that of its background, and a head decides
about what is in front of it: a detector whose proposals were so corrected moved every region.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import helper

from cspine_calibration.graph import Graph, Unit
from cspine_calibration.weights import QuantizedWeights


def correctable(graph: Graph, unit: Unit) -> bool:
    """Return whether a unit's bias is ours to change: a constant or none, added as it is."""
    # A product of matrices has no bias of its own.
    if unit.kind == "MatMul" or graph.head(unit.output):
        return False
    if unit.bias is not None and unit.bias not in graph.constants:
        return False
    attributes = _attributes(graph, unit)
    plain = attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0
    return plain and not attributes.get("transA", 0)


def corrected_bias(
    graph: Graph, unit: Unit, weights: QuantizedWeights, *, means: Sequence[float]
) -> npt.NDArray[np.float32]:
    """Return the bias of a unit with integer weights, less the shift that their rounding makes.

    Parameters
    ----------
    means
        Of the unit's input, per channel.

    Returns
    -------
    array
        float32, one number an output channel, in the shape of the unit's bias if it has one.
    """
    spread = [-1 if axis == weights.axis else 1 for axis in range(weights.values.ndim)]
    rounded = weights.values * weights.scales.astype(np.float64).reshape(spread)
    shift = _mean_output(graph, unit, rounded - graph.array(unit.weight), np.asarray(means))
    bias = 0.0 if unit.bias is None else graph.array(unit.bias).astype(np.float64)
    return np.asarray(bias - shift, np.float32)


def _mean_output(
    graph: Graph, unit: Unit, weights: npt.NDArray[np.float64], means: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return what weights make of an input that is its mean everywhere, shape (outputs,)."""
    attributes = _attributes(graph, unit)
    if unit.kind == "Gemm":
        return np.asarray(weights @ means if attributes.get("transB", 0) else means @ weights)
    groups = int(attributes.get("group", 1))
    taps = weights.reshape(*weights.shape[:2], -1).sum(axis=2)
    by_group = means.reshape(groups, -1)
    by_output = unit.kind == "Conv"
    # Shape (groups, outputs of a group, inputs of a group).
    grouped = taps.reshape(groups, -1, taps.shape[1])
    shifts = (grouped if by_output else grouped.swapaxes(1, 2)) @ by_group[:, :, None]
    # Of a transposed convolution each output is reached by one tap in so many as the strides have.
    phases = 1 if by_output else math.prod(attributes.get("strides", (1,)))
    return np.asarray(shifts.ravel() / phases)


def _attributes(graph: Graph, unit: Unit) -> Mapping[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in graph.nodes[unit.node].attribute}
