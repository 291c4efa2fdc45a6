"""What each runtime wants of an INT8 or FP16 file: one row a target.

No single file serves two runtimes: onnxruntime fuses an integer convolution only where its output
is quantised too and wants unsigned activations on x86-64, TensorRT wants signed ones, symmetric,
and no quantisation between a convolution and the addition it fuses with. The rows below are the
whole difference; :mod:`cspine_calibration.placement` is one algorithm over them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cspine.bundle import EmittedPrecision
from cspine.errors import ModelError, did_you_mean

Precision = EmittedPrecision


@dataclass(frozen=True)
class Grid:
    """The integers of an activation, and whether real zero must sit at integer zero."""

    low: int
    high: int
    symmetric: bool


UINT8 = Grid(low=0, high=255, symmetric=False)
INT8 = Grid(low=-128, high=127, symmetric=False)
INT8_SYMMETRIC = Grid(low=-128, high=127, symmetric=True)
_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm"})
MOVED_AS_FLOAT = frozenset({"SpaceToDepth"})
"""Operators that only move values, for which OpenVINO makes floats of integers."""
# Of onnxruntime: QLinearSigmoid, QLinearMul and so on. With the first two large SiLU are integer.
_INTEGER_ACTIVATIONS = frozenset(
    {"AveragePool", "GlobalAveragePool", "LeakyRelu", "Mul", "Sigmoid"}
)


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
    integer_outputs
        Which outputs of quantised operators are quantised: every one that is ``written``, where
        they would not run as integers otherwise; those that are ``read`` by another, where what
        computes in float next fuses better with a float result (an average pool next to a reader
        takes the integers all the same, and integers that are moved or
        concatenated are not quantised again); or ``none``. But for the last,
        pooling, reshaping and concatenation between quantised operators stay integer as well; there
        the runtime moves the next operator's quantisation back over them by itself.
    add_inputs
        Which inputs of a residual addition are quantised.
    share_concat_scale
        Whether the inputs and the output of a concatenation have one scale.
    chained_concats
        Whether a concatenation that repeats another begins with that one's result.
    joins
        The integers of what is concatenated and then normalised, as DenseNet does before each
        convolution: it is moved many times, and in integers that takes a quarter. Symmetric, so
        that the normalisation takes up the scale. ``None`` leaves it in float.
    heads
        Which heads multiply integers; what a head gives is float on every target but one without a
        float unit. ``none``; ``products`` of matrices, whose kernel writes float, and convolutions
        that are such (:mod:`cspine_calibration.products`), if what they read is integer anyway; or
        ``convolutions``, if nothing else reads what they read, which is then not written in float.
    tensor_cores
        Whether the shapes that tensor cores cannot serve stay in float.
    integer_activations
        Operators without weights that run as integers where what they read and write is quantised;
        if there are any, :mod:`cspine_calibration.form` first brings the graph to them, but for a
        SiLU that :mod:`cspine_calibration.silu` finds small enough to be faster in float.
    every_tensor
        Whether all that operators compute is quantised, weighted or not, but what heads give: an
        accelerator without a float unit next to its integer one leaves the region otherwise.
    precisions
        What can be emitted, the default first. Where FP16 is among them the graph is strongly
        typed, and what INT8 leaves in float is FP16 as well.
    """

    name: str
    activation: Grid
    weight_limit: int
    integer_operators: frozenset[str]
    integer_outputs: Literal["written", "read", "none"]
    add_inputs: Literal["all", "skip"]
    share_concat_scale: bool
    chained_concats: bool
    joins: Grid | None
    heads: Literal["none", "products", "convolutions"]
    tensor_cores: bool
    integer_activations: frozenset[str]
    every_tensor: bool
    precisions: tuple[Precision, ...]

    @property
    def float_products(self) -> bool:
        """Whether matrices of integers are multiplied into float, with no pass to requantise."""
        return self.integer_outputs == "written" and not self.every_tensor

    @property
    def half(self) -> bool:
        """Whether what is float in the file is FP16."""
        return "fp16" in self.precisions


def _onnxruntime(name: str, *, activation: Grid, weight_limit: int) -> Target:
    return Target(
        name=name,
        activation=activation,
        weight_limit=weight_limit,
        integer_operators=frozenset({"Conv", "Gemm", "MatMul"}),
        integer_outputs="written",
        add_inputs="all",
        # A ReLU melts into an integer convolution only if the range starts at zero, which a scale
        # shared with a signed tensor does not.
        share_concat_scale=False,
        chained_concats=True,
        joins=None,
        heads="products",
        tensor_cores=False,
        integer_activations=_INTEGER_ACTIVATIONS,
        every_tensor=False,
        precisions=("int8",),
    )


def _tensorrt(
    name: str, *precisions: Precision, integer_operators: frozenset[str] = _WEIGHTED
) -> Target:
    return Target(
        name=name,
        activation=INT8_SYMMETRIC,
        weight_limit=127,
        integer_operators=integer_operators,
        integer_outputs="none",
        add_inputs="skip",
        share_concat_scale=True,
        chained_concats=False,
        joins=None,
        heads="none",
        tensor_cores=True,
        integer_activations=frozenset(),
        every_tensor=False,
        precisions=precisions,
    )


_ROWS = (
    _onnxruntime("ort-x64-vnni", activation=UINT8, weight_limit=127),
    _onnxruntime("ort-x64-avx2", activation=UINT8, weight_limit=64),
    _onnxruntime("ort-arm", activation=INT8, weight_limit=127),
    Target(
        name="openvino",
        activation=UINT8,
        weight_limit=127,
        integer_operators=_WEIGHTED | {"MatMul"},
        integer_outputs="read",
        add_inputs="all",
        share_concat_scale=True,
        chained_concats=True,
        joins=INT8_SYMMETRIC,
        heads="convolutions",
        tensor_cores=False,
        integer_activations=frozenset(),
        every_tensor=False,
        precisions=("int8",),
    ),
    _tensorrt("trt", "int8", "fp16"),
    # Weakly typed: the builder's flags, not the file, make its float part FP16.
    _tensorrt("trt-8", "int8"),
    # INT8 convolutions there write float, which a further kernel requantises: no gain is proven.
    # Transposed ones are computed in float whatever the file says.
    _tensorrt("trt-rtx", "fp16", "int8", integer_operators=_WEIGHTED - {"ConvTranspose"}),
    Target(
        name="trt-dla",
        activation=INT8_SYMMETRIC,
        weight_limit=127,
        integer_operators=_WEIGHTED,
        integer_outputs="written",
        add_inputs="all",
        share_concat_scale=True,
        chained_concats=False,
        joins=None,
        heads="none",
        tensor_cores=False,
        integer_activations=frozenset(),
        every_tensor=True,
        precisions=("int8", "fp16"),
    ),
)

TARGETS = {row.name: row for row in _ROWS}
# What `calibrate` emits; the others are asked for by name.
DEFAULT_TARGETS = ("ort-x64-vnni", "ort-x64-avx2", "ort-arm", "openvino", "trt")


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
