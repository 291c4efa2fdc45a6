"""TensorRT-RTX's list of kernels, as it printed one."""

from __future__ import annotations

from cspine.engines.convolutions import convolutions
from cspine.engines.layers import Tensor, left_in_float, read_layers
from cspine.onnxfile import read_onnx
from cspine_calibration.emit import emit
from small_graphs import build, calibrated, cases, random_weights

INT8, HALF = "Int8", "Half"


def line(name: str, kind: str, data: str, weights: str, origin: str) -> str:
    def tensor(name: str, shape: str, dtype: str) -> str:
        return (
            f"{{ Name: {name}, Dimensions: [{shape}], Strides: [1,1], StrideOrder: [1,0], "
            f"Datatype: {dtype}, Format: (NHWC) Channel major format }}"
        )

    return (
        f"Name: {name}, LayerType: {kind}, Inputs: [ {tensor('in', '2,4,9,9', data)}], "
        f"Constants: [ {tensor('w', '16,4,3,3', weights)}, {tensor('s', '', 'Float')}], "
        f"Outputs: [ {tensor('out', '2,16,7,7', 'Float')}], TacticName: __myelin_CASK_STUB, "
        f"StreamId: 0, Metadata: [ONNX Layer: {origin}][ONNX Layer: x_dequantized_Dequantize]"
    )


def test_kernels_are_read_with_operands_and_origins() -> None:
    listed = "\n".join(
        [
            "Layers:",
            line("a_myl0_0", "correlation", INT8, INT8, "node_of_c"),
            line("b_myl0_1", "deconv", HALF, HALF, "u"),
            line("c_myl0_2", "kgen", HALF, HALF, "r"),
            "Name: w_myl0_3, LayerType: wait, Inputs: [], Constants: [], Outputs: [], "
            "TacticName: , StreamId: 1, Metadata: ",
            "",
            "I/O Tensors:",
            " Name: x, IOMode: Input, DataType: Float, Dimensions: [2,4,9,9]",
        ]
    )
    first, second, third, last = read_layers(["Engine generation completed", listed])
    assert first.inputs == (Tensor("in", "Int8", (2, 4, 9, 9)),)
    assert [each.shape for each in first.constants] == [(16, 4, 3, 3), ()]
    assert first.outputs[0].dtype == "Float"
    assert first.origins == ("node_of_c", "x_dequantized_Dequantize")
    assert (first.convolves, first.integer) == (True, True)
    assert (second.convolves, second.integer) == (True, False)
    assert not third.convolves
    assert (last.kind, last.inputs, last.origins, last.integer) == ("wait", (), (), False)


def test_a_log_without_a_list_has_no_kernels() -> None:
    assert read_layers(["Name: x, DataType: Float", ""]) == ()


def test_a_quantized_convolution_in_float_is_named() -> None:
    model = build(
        '<ir_version: 8, opset_import: ["" : 17]>'
        "g (float[N,4,9,9] x) => (float[N,2,7,7] y) { c = Conv(x, w) r = Relu(c) y = Conv(r, h) }",
        **random_weights({"w": (16, 4, 3, 3), "h": (2, 16, 1, 1)}),
    )
    data = emit(model, calibrated(model, cases((2, 4, 9, 9), count=1)), target="trt").model
    asked = convolutions(read_onnx(data, where="a test"))
    assert [(each.name, each.quantized) for each in asked] == [
        ("node_of_c", True),
        ("node_of_y_fp16", False),
    ]
    integer, mixed = (
        read_layers([line("a", "correlation", INT8, weights, "node_of_c")])
        for weights in (INT8, HALF)
    )
    assert left_in_float(asked, integer) == ()
    assert left_in_float(asked, mixed) == asked[:1]
    assert left_in_float(asked, ()) == asked[:1]
