"""Every rule of a target over a file."""

from __future__ import annotations

from collections.abc import Iterator

from cspine_calibration.lint import onnxruntime, openvino, scales, tensorrt
from cspine_calibration.lint.finding import Fault, Finding
from cspine_calibration.lint.quantized import QuantizedGraph, read_quantized
from cspine_calibration.lint.rule import Rule, cpu
from cspine_calibration.targets import Target, find_target

_CONTROL_FLOW = frozenset({"If", "Loop", "Scan"})


def unread_parts(graph: QuantizedGraph) -> Iterator[Fault]:
    """Yield the operators that hold a graph of their own, which no rule looks into."""
    for place, node in enumerate(graph.nodes):
        if node.operator in _CONTROL_FLOW or node.op_type in graph.file.functions:
            yield Fault(graph.name(place), f"{node.op_type} holds operators of its own")


RULES: tuple[Rule, ...] = (
    *tensorrt.RULES,
    *onnxruntime.RULES,
    *openvino.RULES,
    Rule("G1", "error", cpu, "scales are finite and above zero", "the result is no number",
         "give what is zero throughout a small scale, such as 1e-8", scales.impossible_scales),
    Rule("G2", "warning", lambda _: True,
         "both operators of a pair have the same scale and zero point",
         "a tensor is read with another scale than it was written with",
         "give both operators the same scale and zero point", scales.disagreeing_pairs),
    Rule("G3", "warning", lambda _: True, "no operator holds a graph of its own",
         "they are not looked into", "export it without control flow and functions", unread_parts),
)  # fmt: skip
UNDECIDED = (*tensorrt.UNDECIDED, *onnxruntime.UNDECIDED, *openvino.UNDECIDED)


def lint(model: bytes, *, target: str, where: str) -> tuple[Finding, ...]:
    """Return what is wrong with a file for a target, in the order of the rules.

    Parameters
    ----------
    model
        A serialised ONNX model, from anyone.
    target
        One of :data:`cspine_calibration.targets.TARGETS`.
    where
        What to call the file.

    Raises
    ------
    ModelError
        If the bytes are no ONNX model, or the target is unknown.
    """
    return apply(read_quantized(model, where=where), find_target(target))


def apply(graph: QuantizedGraph, target: Target) -> tuple[Finding, ...]:
    """Return the breaches of a target's rules in a graph, in the order of the rules."""
    return tuple(
        Finding(rule.number, rule.severity, fault.place, fault.found, rule.remedy)
        for rule in RULES
        if rule.which(target)
        for fault in rule.check(graph)
    )
