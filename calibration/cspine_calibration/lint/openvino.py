"""The rules of OpenVINO on CPUs."""

from __future__ import annotations

from cspine_calibration.lint import activations, bias, fusion, joins, saturation, stored
from cspine_calibration.lint.rule import Rule, Undecided, openvino

_FLOAT = "it may be computed in float"

RULES = (
    Rule("V1", "error", openvino, "an activation has one scale", _FLOAT,
         "give it one scale, per tensor", activations.per_channel_activations),
    Rule("V1", "error", openvino,
         "scales of weights run over output channels: Conv axis 0, ConvTranspose 1, Gemm by transB",
         _FLOAT, "quantise the weights along that axis", stored.wrong_axis),
    Rule("V1", "warning", openvino, "weights are INT8 with zero point 0", _FLOAT,
         "quantise the weights symmetrically", stored.asymmetric_weights),
    Rule("V1", "warning", openvino, "weights have one scale an output channel",
         "it runs, with less accuracy", "quantise the weights per channel",
         stored.per_tensor_weights),
    Rule("V1", "warning", openvino, "weights lie between -127 and 127",
         "their range is not symmetric", "leave -128 out", stored.lowest_weights),
    Rule("V2", "error", openvino, "the input of an operator with quantised weights is quantised",
         "it is computed in float", "quantise its input, or leave its weights in float",
         joins.uneven_input),
    Rule("V2", "error", lambda target: openvino(target) and target.share_concat_scale,
         "all inputs and the output of a Concat share one scale", "a pass that rescales",
         "give them the scale of their joint range", joins.uneven_concatenation),
    Rule("V2", "error", openvino, "both operands of an addition are quantised, or neither",
         "it is computed in float", "quantise the other operand", fusion.uneven_addition),
    Rule("V2", "error", openvino, "BatchNormalization is folded into quantised operators",
         "it is computed in float", "fold it at export, before calibration",
         fusion.unfolded_normalization),
    Rule("V3", "warning", openvino, "no two neighbouring weights can saturate 16 bits",
         "on a CPU without VNNI sums are cut off: the result is wrong there",
         "emit for ort-x64-avx2 where there is no VNNI", saturation.saturating_elsewhere),
    Rule("V4", "warning", openvino, "biases are FP32", _FLOAT, "store the bias as FP32",
         bias.any_bias),
    Rule("V5", "error", openvino, "what a convolution reads from a Concat is not INT8",
         "wrong output, without a word, on CPUs without AMX", "use UINT8",
         joins.signed_concatenation),
    Rule("V6", "error", openvino,
         "a Concat is not quantised, scaled or rectified, and quantised again",
         "the process dies of it where the shapes are fixed",
         "leave the result of the Concat in float", joins.requantized_concatenation),
)  # fmt: skip

UNDECIDED = (
    Undecided("V3", "VNNI or AMX on the processor that will run the file",
              "`cspine tune`, by the CPU"),
)  # fmt: skip
