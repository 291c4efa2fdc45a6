"""Scales and zero points that no tensor may have, whatever it holds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cspine_calibration.lint.finding import Fault
from cspine_calibration.lint.linear import said
from cspine_calibration.lint.quantized import QuantizedGraph

_TINY = float(np.finfo(np.float32).tiny)  # the smallest float32 that is not subnormal


def computed_parameters(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the operators whose scale or zero point is no constant of the file."""
    for linear in graph.linears.values():
        if linear.scale is None or linear.zero_point is None:
            what = "scale" if linear.scale is None else "zero point"
            yield Fault(linear.output, f"its {what} is no numeric constant in the file")


def disagreeing_pairs(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the pairs whose second operator undoes another quantisation than the first did."""
    for linear in graph.linears.values():
        pair = graph.pair(linear.output)
        if pair is None or pair[0] is linear or pair[0].step is None or linear.step is None:
            continue
        first = (pair[0].step, pair[0].zero)
        if first != (linear.step, linear.zero):
            written, read = (f"{step:.6g}, {said(zero)}" for step, zero in (
                first, (linear.step, linear.zero)))  # fmt: skip
            yield Fault(linear.output, f"quantised with {written}, dequantised with {read}")


def impossible_scales(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the operators with a scale that is zero, negative or not finite."""
    for linear in graph.linears.values():
        if linear.scale is None:
            continue
        wrong = ~(np.isfinite(linear.scale) & (linear.scale > 0))
        if wrong.any():
            worst = float(linear.scale[wrong].ravel()[0])
            yield Fault(
                linear.output, f"{int(wrong.sum())} of {wrong.size} scales like {worst:.3g}"
            )


def subnormal_scales(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the operators with a float32 scale that a GPU may flush to zero."""
    for linear in graph.linears.values():
        if linear.scale is not None and linear.scale.dtype == np.float32:
            small = (linear.scale > 0) & (linear.scale < _TINY)
            if small.any():
                yield Fault(linear.output, f"{int(small.sum())} of {small.size} are subnormal")
