"""What each runtime wants of an INT8 file: one row a target.

No single file serves two runtimes: onnxruntime fuses an integer convolution only where its output
is quantised too and wants unsigned activations on x86-64, TensorRT wants signed ones, symmetric,
and no quantisation between a convolution and the addition it fuses with. The rows below are the
whole difference; :mod:`cspine_calibration.placement` is one algorithm over them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cspine.errors import ModelError, did_you_mean


@dataclass(frozen=True)
class Grid:
    """The integers of an activation, and whether real zero must sit at integer zero."""

    low: int
    high: int
    symmetric: bool


UINT8 = Grid(low=0, high=255, symmetric=False)
INT8 = Grid(low=-128, high=127, symmetric=False)
INT8_SYMMETRIC = Grid(low=-128, high=127, symmetric=True)


@dataclass(frozen=True)
class Target:
    """One row of the emission matrix.

    Attributes
    ----------
    name
        What :func:`cspine_calibration.emit.emit` calls this target.
    activation
        The integers of every activation, per tensor.
    weight_limit
        Weights lie in ``[-weight_limit, weight_limit]``, symmetric, per output channel: 127, or 64
        where the instruction set adds two products in 16 bits and would saturate.
    integer_operators
        The weighted operators for which the runtime has an integer kernel.
    quantize_outputs
        Whether quantised operators also need their *output* quantised to run as integers. If so,
        pooling, reshaping and concatenation between them stay integer as well; if not, the runtime
        moves the next operator's quantisation back over them by itself.
    add_inputs
        Which inputs of a residual addition are quantised.
    share_concat_scale
        Whether the inputs and the output of a concatenation have one scale.
    tensor_cores
        Whether the shapes that tensor cores cannot serve stay in float.
    """

    name: str
    activation: Grid
    weight_limit: int
    integer_operators: frozenset[str]
    quantize_outputs: bool
    add_inputs: Literal["all", "skip"]
    share_concat_scale: bool
    tensor_cores: bool


def _onnxruntime(name: str, *, activation: Grid, weight_limit: int) -> Target:
    return Target(
        name=name,
        activation=activation,
        weight_limit=weight_limit,
        integer_operators=frozenset({"Conv", "Gemm"}),
        quantize_outputs=True,
        add_inputs="all",
        # A ReLU melts into an integer convolution only if the range starts at zero, which a scale
        # shared with a signed tensor does not.
        share_concat_scale=False,
        tensor_cores=False,
    )


_ROWS = (
    _onnxruntime("ort-x64-vnni", activation=UINT8, weight_limit=127),
    _onnxruntime("ort-x64-avx2", activation=UINT8, weight_limit=64),
    _onnxruntime("ort-arm", activation=INT8, weight_limit=127),
    Target(
        name="openvino",
        activation=UINT8,
        weight_limit=127,
        integer_operators=frozenset({"Conv", "ConvTranspose", "Gemm"}),
        quantize_outputs=True,
        add_inputs="all",
        share_concat_scale=True,
        tensor_cores=False,
    ),
    Target(
        name="trt",
        activation=INT8_SYMMETRIC,
        weight_limit=127,
        integer_operators=frozenset({"Conv", "ConvTranspose", "Gemm"}),
        quantize_outputs=False,
        add_inputs="skip",
        share_concat_scale=True,
        tensor_cores=True,
    ),
)

TARGETS = {row.name: row for row in _ROWS}


def find_target(name: str) -> Target:
    """Return the row of a target.

    Raises
    ------
    ModelError
        If there is none of that name.
    """
    if name not in TARGETS:
        raise ModelError(
            f"unknown target {name!r}, expected one of {', '.join(TARGETS)}"
            f"{did_you_mean(name, TARGETS)}"
        )
    return TARGETS[name]
