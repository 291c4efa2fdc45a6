"""Which weighted operators a target may run as integers, and why the others may not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import onnx

from cspine.errors import ModelError, did_you_mean
from cspine_calibration.graph import Graph, Unit
from cspine_calibration.targets import Target

_TENSOR_CORE_CHANNELS = 16


def bar(graph: Graph, unit: Unit, target: Target) -> str | None:
    """Return the rule that keeps a unit in float on this target; ``None`` if it is eligible."""
    if unit.kind not in target.integer_operators:
        return f"{target.name} has no integer {unit.kind}"
    if head := graph.head(unit.output):
        return head
    if unit.kind != "Conv" or unit.weight not in graph.constants:
        return None
    if not target.every_tensor and unit.input in graph.points:
        return "one pixel an image: a product with a vector gains nothing"
    writes, reads, *kernel = graph.constants[unit.weight].dims
    if target.tensor_cores and not suits_tensor_cores(
        (writes, reads),
        kernel,
        grouped=_groups(graph, unit) > 1,
        first=unit.input in graph.inputs,
    ):
        return f"{reads} to {writes} channels do not suit tensor cores"
    return None


def asked(graph: Graph, keep_float: Sequence[str]) -> Mapping[int, str]:
    """Return the units that the pipeline file keeps in float, and that as the reason.

    Raises
    ------
    ModelError
        If a name is that of no weighted operator.
    """
    names = {node: unit.name for node, unit in graph.units.items()}
    for pattern in keep_float:
        if not any(fnmatchcase(name, pattern) for name in names.values()):
            raise ModelError(
                f"keep_float: {pattern!r} names no weighted operator of the network"
                f"{did_you_mean(pattern, names.values())}; it has {', '.join(names.values())}"
            )
    return {
        node: "the pipeline file keeps it in float"
        for node, name in names.items()
        if any(fnmatchcase(name, pattern) for pattern in keep_float)
    }


def flaw(graph: Graph, unit: Unit) -> str | None:
    """Return what in the graph makes an eligible unit impossible to quantise, if anything."""
    weight = graph.constants.get(unit.weight)
    if weight is None or weight.data_type != onnx.TensorProto.FLOAT:
        return "its weights are no float32 constant"
    if unit.input in graph.constants:
        return "its input is constant"
    # Between a convolution and its normalisation a rounding error would be normalised too.
    follower = graph.sole_consumer(unit.output)
    if follower is not None and follower.op_type == "BatchNormalization":
        return "a BatchNormalization follows it; fold it at export"
    return None


def _groups(graph: Graph, unit: Unit) -> int:
    return next((a.i for a in graph.nodes[unit.node].attribute if a.name == "group"), 1)


def suits_tensor_cores(
    channels: tuple[int, int], kernel: Sequence[int], *, grouped: bool, first: bool
) -> bool:
    """Apply the rule by which NVIDIA's Model Optimizer admits an INT8 convolution."""
    if min(channels) >= _TENSOR_CORE_CHANNELS:
        return True
    if grouped:
        return channels[0] % 8 == 0 and min(kernel) >= 3
    return (
        any(count % 8 == 0 for count in channels)
        and (first or max(channels) >= _TENSOR_CORE_CHANNELS)
        and len(set(kernel)) == 1
    )
