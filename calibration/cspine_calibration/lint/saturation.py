"""Where a CPU without VNNI computes a convolution wrong, predicted from weights and ranges.

``VPMADDUBSW`` multiplies unsigned activations by signed weights, adds two neighbouring products and
keeps the sum in 16 bits: what lies outside of -32768 to 32767 becomes the end that is nearer. An
activation is any integer from 0 to a largest one, and the two of a pair are independent, so the
extremes of a pair's sum are the largest activation times the sum of its positive weights, and times
that of its negative ones. From 128.5 on, two weights of one sign can saturate at 255; weights of at
most 64 cannot.

Which weights are neighbours depends on how a runtime packs them. ONNX Runtime lays the channels of
a group innermost, then the columns and rows of the kernel; its depthwise kernel adds in 32 bits.
A pair is *at risk* if it can saturate in that order, and a channel is *safe* if no two of its
weights can, wherever they lie.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cspine_calibration.lint.finding import Fault
from cspine_calibration.lint.fusion import bounds
from cspine_calibration.lint.linear import Linear
from cspine_calibration.lint.quantized import QuantizedGraph, Weighted

LOWEST, HIGHEST = -32768, 32767
_LEVELS = 255  # of an unsigned activation above the lowest


@dataclass(frozen=True)
class Risk:
    """What can saturate in one weighted operator.

    Attributes
    ----------
    largest
        The largest integer that an activation can have, as an unsigned one.
    pairs, at_risk
        Pairs of neighbouring weights, and those of them that can saturate.
    channels, channels_at_risk, channels_safe
        Output channels; those with such a pair; those that no packing can saturate.
    worst
        The sum of two products that is furthest from zero, in the order above.
    """

    largest: int
    pairs: int
    at_risk: int
    channels: int
    channels_at_risk: int
    channels_safe: int
    worst: int


def saturation_risk(weights: npt.NDArray[np.int8], *, largest: int) -> Risk:
    """Return what can saturate.

    Parameters
    ----------
    weights
        int8, output channels first; what follows is in the order in which it is added up.
    largest
        The largest activation, from 0 to 255.
    """
    rows = weights.reshape(weights.shape[0], -1).astype(np.int64)
    if rows.shape[1] % 2:
        rows = np.pad(rows, ((0, 0), (0, 1)))
    up, down = (largest * np.sort(part(rows, 0), axis=1) for part in (np.maximum, np.minimum))
    safe = (up[:, -2:].sum(axis=1) <= HIGHEST) & (down[:, :2].sum(axis=1) >= LOWEST)
    pairs = rows.reshape(rows.shape[0], -1, 2)
    tops = largest * np.maximum(pairs, 0).sum(axis=2)
    bottoms = largest * np.minimum(pairs, 0).sum(axis=2)
    risky = (tops > HIGHEST) | (bottoms < LOWEST)
    top, bottom = int(tops.max(initial=0)), int(bottoms.min(initial=0))
    return Risk(
        largest=largest,
        pairs=int(risky.size),
        at_risk=int(risky.sum()),
        channels=int(rows.shape[0]),
        channels_at_risk=int(risky.any(axis=1).sum()),
        channels_safe=int(safe.sum()),
        worst=top if top >= -bottom else bottom,
    )


def risks(graph: QuantizedGraph) -> Iterator[tuple[Weighted, Risk]]:
    """Yield what can saturate in every quantised operator whose integer weights are in the file."""
    for each in graph.quantized:
        weights, reads = graph.dequantizer(each.weight), graph.pair(each.input)
        values = graph.constants.array(weights.input) if weights else None
        fits = values is not None and values.dtype == np.int8 and values.ndim > 1 and values.size
        if values is None or not fits or reads is None:
            continue
        if each.kind == "Conv" and values.shape[1] == 1 < each.group:
            continue
        yield each, saturation_risk(_in_order(values, each), largest=_largest(graph, reads[0]))


def saturating(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the operators of which a pair of neighbouring products can saturate."""
    for each, risk in risks(graph):
        if risk.at_risk:
            pairs = _of(risk.at_risk, risk.pairs)
            channels = _of(risk.channels_at_risk, risk.channels)
            yield Fault(each.name, f"{pairs} pairs of weights can saturate 16 bits, in {channels} "
                        f"output channels; the worst sum is {risk.worst}")  # fmt: skip


def perhaps_saturating(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the operators that would saturate only if they were packed in another order."""
    for each, risk in risks(graph):
        unsafe = risk.channels - risk.channels_safe
        if unsafe and not risk.at_risk:
            yield Fault(each.name, f"{_of(unsafe, risk.channels)} output channels would saturate "
                        "if their weights were packed in another order")  # fmt: skip


def saturating_elsewhere(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield one fault for all operators together."""
    found = [(each.name, risk) for each, risk in risks(graph) if risk.at_risk]
    if found:
        name, worst = max(found, key=lambda pair: pair[1].at_risk / pair[1].pairs)
        yield Fault(name, f"{len(found)} operators can saturate 16 bits on a CPU without VNNI, "
                    f"this one in {_of(worst.at_risk, worst.pairs)} pairs of weights")  # fmt: skip


def _in_order(values: npt.NDArray[np.generic], each: Weighted) -> npt.NDArray[np.int8]:
    """Return weights as rows of output channels, channels innermost."""
    moved = np.moveaxis(values, each.output_axis, 0)
    return np.asarray(np.moveaxis(moved, 1, -1), np.int8)


def _largest(graph: QuantizedGraph, linear: Linear) -> int:
    """Return the largest unsigned integer that a tensor's quantisation can give."""
    source = graph.written.get(linear.input)
    if not linear.quantizes or source is None or linear.step is None or linear.zero is None:
        return _LEVELS
    _, high = bounds(graph, source)
    if not (high < np.inf and 0 < linear.step < np.inf):
        return _LEVELS
    # Kernels read INT8 as UINT8, moved by 128.
    lowest = -128 if linear.integers == "int8" else 0
    steps = np.rint(np.clip(high / linear.step, -_LEVELS, _LEVELS)) + linear.zero - lowest
    return int(np.clip(steps, 0, _LEVELS))


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole}"
