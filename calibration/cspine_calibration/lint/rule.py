"""A rule: what it asks of which targets, how grave a breach is, and what to do about one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cspine_calibration.lint.finding import Fault, Severity
from cspine_calibration.lint.quantized import QuantizedGraph
from cspine_calibration.targets import Target

Check = Callable[[QuantizedGraph], Iterator[Fault]]
Which = Callable[[Target], bool]


@dataclass(frozen=True)
class Rule:
    """One check of a file; several may have one number, where a rule can be broken in several ways.

    Attributes
    ----------
    number
        T for TensorRT, D for its deep learning accelerator, O for ONNX Runtime, V for OpenVINO, G
        for every target.
    severity
        See :data:`cspine_calibration.lint.finding.Severity`.
    which
        Which targets it is a rule of.
    asks
        What a file must be like.
    why
        What the runtime does with one that is not.
    remedy
        What to do then.
    check
        Yields the breaches in a graph.
    """

    number: str
    severity: Severity
    which: Which
    asks: str
    why: str
    remedy: str
    check: Check


@dataclass(frozen=True)
class Undecided:
    """A rule that no file can keep or break by itself, and who checks it."""

    number: str
    asks: str
    checked_by: str


def tensorrt(target: Target) -> bool:
    """Return whether TensorRT, in any of its forms, reads the file."""
    return _family(target) == "trt"


def accelerator(target: Target) -> bool:
    """Return whether the deep learning accelerator runs it: TensorRT with every tensor scaled."""
    return tensorrt(target) and target.integer_outputs == "written"


def gpu(target: Target) -> bool:
    """Return whether TensorRT runs it on a GPU, and fuses by itself."""
    return tensorrt(target) and target.integer_outputs == "none"


def onnxruntime(target: Target) -> bool:
    """Return whether ONNX Runtime reads the file."""
    return _family(target) == "ort"


def onnxruntime_x64(target: Target) -> bool:
    """Return whether ONNX Runtime reads it and has kernels for unsigned activations."""
    return onnxruntime(target) and target.activation.low == 0


def onnxruntime_arm(target: Target) -> bool:
    """Return whether ONNX Runtime reads it and has kernels for signed activations."""
    return onnxruntime(target) and target.activation.low < 0


def saturates(target: Target) -> bool:
    """Return whether the instruction set adds two products in 16 bits."""
    return onnxruntime_x64(target) and target.weight_limit < 127


def openvino(target: Target) -> bool:
    """Return whether OpenVINO reads the file."""
    return _family(target) == "openvino"


def cpu(target: Target) -> bool:
    """Return whether a CPU's runtime reads the file."""
    return not tensorrt(target)


def _family(target: Target) -> str:
    return target.name.partition("-")[0]
