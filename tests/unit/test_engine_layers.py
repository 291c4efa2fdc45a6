"""TensorRT's lists of layers, as its builders and inspectors gave them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.engines import wording
from cspine.engines.builderlog import read_layers
from cspine.engines.convolutions import convolutions
from cspine.engines.inspector import read_inspector
from cspine.engines.layers import Layer, Tensor, left_in_float, of_last_profile
from cspine.errors import BackendError
from cspine.onnxfile import read_onnx
from cspine_calibration.emit import emit
from small_graphs import build, calibrated, cases, random_weights

INT8, HALF = "Int8", "Half"
GOLDEN = Path(__file__).parents[1] / "data" / "inspector"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(GOLDEN.iterdir())}
LOG = TEXTS["tensorrt-rtx-1.7.log"]


def shown(layers: tuple[Layer, ...]) -> list[tuple[object, ...]]:
    """Return of each layer the kind, the precisions, the nodes, and what is said of it."""
    return [
        (
            each.kind,
            [tensor.dtype for tensor in each.inputs],
            [tensor.dtype for tensor in each.outputs],
            each.origins,
            "".join(
                letter
                for letter, holds in [
                    ("c", each.convolves),
                    ("w", each.weighted),
                    ("i", each.integer),
                    ("r", each.reformats),
                    ("o", each.opaque),
                ]
                if holds
            ),
        )
        for each in layers
    ]


def test_the_log_of_tensorrt_rtx() -> None:
    layers = read_layers(["Engine generation completed", LOG])
    assert shown(layers) == [
        (
            "kgen",
            ["Float"],
            [INT8],
            (
                "x_quantized_Quantize",
                "node/s0",
                "x_dequantized_Dequantize",
                "s0_weight_dequantized_Dequantize",
            ),
            "",
        ),
        (
            "correlation",
            [INT8],
            ["Float"],
            ("node/s0", "x_dequantized_Dequantize", "s0_weight_dequantized_Dequantize"),
            "cwi",
        ),
        ("runtime_fusion", [HALF], ["Float"], ("node/y", "y_Cast"), ""),
    ]
    assert layers[1].inputs == (Tensor("__mye1441s0_before_bias.1_2_myl0", INT8, (2, 4, 64, 64)),)
    assert [each.shape for each in layers[1].constants] == [
        (16, 4, 7, 7),
        (1, 16, 1, 1),
        (1, 16, 1, 1),
    ]


def test_the_log_of_tensorrt_10() -> None:
    first, second, last = layers = read_layers([TEXTS["tensorrt-10.log"]])
    assert shown(layers) == [
        ("Reformat", [HALF], [HALF], (), "r"),
        (
            "CaskConvolution",
            [HALF],
            [HALF],
            ("/features/features.0/Conv", "/features/features.1/Relu"),
            "cw",
        ),
        (
            "gemm",
            [HALF, HALF, "Float", "Float", HALF],
            [HALF],
            ("/classifier/classifier.6/Gemm",),
            "w",
        ),
    ]
    assert first.constants == last.constants == ()
    assert second.constants == (Tensor("weights", HALF, (23232,)),)
    assert last.operands[1] == Tensor("__mye595_dconst", HALF, (4096, 1000))


def test_the_inspector_of_tensorrt_8() -> None:
    layers = read_inspector(TEXTS["tensorrt-8.json"])
    assert shown(layers) == [
        ("Reformat", ["Float"], [INT8], (), "r"),
        (
            "CaskConvolution",
            [INT8],
            [INT8],
            ("features.0.0.weight", "QuantizeLinear_7", "Conv_9", "Clip_13"),
            "cwi",
        ),
        (
            "CudaDepthwiseConvolution",
            [INT8],
            [INT8],
            ("features.1.conv.0.0.weight", "QuantizeLinear_21", "Conv_23", "Clip_27"),
            "cwi",
        ),
        (
            "CaskConvolution",
            [INT8, INT8],
            [INT8],
            ("features.3.conv.2.weight", "QuantizeLinear_119", "Conv_121", "Add_123"),
            "cwi",
        ),
        ("NoOp", ["Float"], ["Float"], (), ""),
    ]
    assert layers[1].constants == (Tensor("weights", INT8, (864,)),)
    assert layers[3].inputs[1] == Tensor("523", INT8, (1, 24, 56, 56))


def test_the_inspector_of_tensorrt_10() -> None:
    layers = read_inspector(TEXTS["tensorrt-10.json"])
    logged = read_layers([TEXTS["tensorrt-10.log"]])
    assert layers[:2] == logged[:2]  # the same engine, with layouts here
    assert shown(layers[2:]) == [
        ("shape_call", [], [], (), ""),
        ("kgen", [HALF], [HALF], ("/Flatten",), "r"),
        (
            "gemm",
            [HALF, HALF, "Float", "Float", HALF],
            [HALF],
            ("/classifier/classifier.1/Gemm", "/classifier/classifier.2/Relu"),
            "w",
        ),
    ]


@pytest.mark.parametrize("key", ["Datatype", "DataType"])
def test_the_inspector_of_tensorrt_11(key: str) -> None:
    (layer,) = read_inspector(TEXTS["tensorrt-11.json"].replace('"Datatype"', f'"{key}"'))
    logged = read_layers([LOG])[1]
    assert (layer.kind, layer.inputs, layer.outputs) == (logged.kind, logged.inputs, logged.outputs)
    assert layer.constants == logged.constants[:2]
    assert layer.origins == logged.origins
    assert layer.integer


def test_what_runs_on_a_dla_or_in_one_piece_is_opaque() -> None:
    text = json.dumps(
        {
            "Layers": [
                {"Name": "{ForeignNode[conv1...conv9]}", "LayerType": kind, "Metadata": ""}
                for kind in ("DLA", "Myelin")
            ]
        }
    )
    assert [(each.opaque, each.weighted) for each in read_inspector(text)] == [(True, False)] * 2


def test_names_alone_are_no_layers() -> None:
    assert (
        read_inspector('{"Layers": ["Conv__25 + Relu"\n,"MaxPool2d"],\n"Bindings": ["x:0"]}') == ()
    )
    assert read_layers(["Name: x, DataType: Float", ""]) == ()


def test_half_a_list_is_none() -> None:
    lines = LOG.split("\n")
    lines.insert(2, "Name: a, LayerType: of another form")
    assert read_layers(["\n".join(lines)]) == ()
    withheld = TEXTS["tensorrt-10.log"].replace(
        "Format/Datatype: Half", "Format/Datatype: N/A due to dynamic shapes"
    )
    assert read_layers([withheld]) == ()
    assert read_layers([TEXTS["tensorrt-10.log"].replace("23232", "9" * 5000)]) != ()


@pytest.mark.parametrize("said", ['"N/A due to dynamic shapes"', '"N/A"', '""'])
def test_a_type_that_is_withheld_is_not_told(said: str) -> None:
    text = re.sub(
        '"Format/Datatype": ".*?"', f'"Format/Datatype": {said}', TEXTS["tensorrt-8.json"]
    )
    convolution = read_inspector(text)[1]
    assert (convolution.inputs[0].dtype, convolution.constants[0].dtype) == ("", INT8)
    assert (convolution.told, convolution.integer) == (False, False)


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("Row major linear FP32", "Float"),
        ("Row major linear FP16 format (kLINEAR)", HALF),
        ("Thirty-two wide channel vectorized row major INT8 format (kCHW32)", INT8),
        ("Channel major Int8 format where channel % 4 == 0", INT8),
        ("Eight channel BF16 format (kHWC8) where C is padded to a multiple of 8", "BFloat16"),
        ("Row major linear UINT8 format (kLINEAR)", "UINT8"),
        ("Int64", "Int64"),
        ("E8M0", "E8M0"),
        ("Format not available due to dynamic shapes", ""),
    ],
)
def test_types_are_found_in_what_is_said(said: str, word: str) -> None:
    assert wording.dtype(said) == word


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Input data was truncated"),
        ("Name: conv, LayerType: Convolution", "JSON is malformed"),
        ("[]", "Expected `object`, got `array`"),
        ('{"Bindings": []}', "Object missing required field `Layers`"),
        ('{"Layers": [{"Name": "conv"}]}', "Object missing required field `LayerType`"),
        (
            '{"Layers": [{"Name": "c", "LayerType": "x", "Inputs": 3}]}',
            "Expected `array`, got `int`",
        ),
        ('{"Layers": ' + "[" * 5000, "."),
        (TEXTS["tensorrt-8.json"].replace("[1,3,224,224]", f"[{'9' * 5000}]"), "."),
        (TEXTS["tensorrt-8.json"].replace("864", "9" * 30), "."),
    ],
)
def test_what_is_no_description_is_refused(text: str, reason: str) -> None:
    with pytest.raises(BackendError) as caught:
        read_inspector(text)
    said = str(caught.value)
    assert said.startswith(
        "the engine inspector's description is not the JSON that TensorRT writes"
    )
    assert reason in said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "Layers Name LayerType Inputs Outputs Constants Weights Type Count Dimensions "
                "Format/Datatype Datatype Metadata".split()
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(st.text() | JSON.map(json.dumps) | JSON.map(lambda inner: json.dumps({"Layers": [inner]})))
def test_no_description_is_a_fault_of_ours(text: str) -> None:
    try:
        layers = read_inspector(text)
    except BackendError:
        return
    assert all(isinstance(each.kind, str) for each in layers)


@given(st.data())
def test_damaged_texts_are_read_or_refused(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(TEXTS)))
    text = TEXTS[name]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 50)))
    damaged = text[:start] + data.draw(st.text(max_size=5)) + text[end:]
    assert isinstance(read_layers([damaged]), tuple)
    try:
        assert isinstance(read_inspector(damaged), tuple)
    except BackendError:
        return


@given(st.lists(st.text() | st.builds("Name: {}, LayerType: {}".format, st.text(), st.text())))
def test_no_log_is_a_fault_of_ours(messages: list[str]) -> None:
    assert isinstance(read_layers(messages), tuple)


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

    def kernel(weights: str, kind: str = "correlation") -> Layer:
        return Layer(
            "a", kind, (Tensor("x", INT8, ()),), (Tensor("w", weights, ()),), (), ("node_of_c",)
        )

    assert left_in_float(asked, [kernel(INT8)]) == ()
    assert left_in_float(asked, [kernel(HALF)]) == asked[:1]
    # What quantises for a convolution, or goes on from it, names it too.
    assert left_in_float(asked, [kernel(INT8, "kgen")]) == asked[:1]
    assert left_in_float(asked, ()) == asked[:1]


def test_of_several_profiles_the_last_ones_layers_are_kept() -> None:
    def layer(name: str, reads: str) -> Layer:
        return Layer(name=name, kind="kgen", inputs=(Tensor(reads, "Float", (1,)),), constants=(),
                     outputs=(), origins=())  # fmt: skip

    first = [layer("a", "image"), layer("b", "t")]
    second = [layer("a_1", "image [profile 1]"), layer("b [profile 1]", "t_1")]
    third = [layer("a_2", "image [profile 2]"), layer("b [profile 2]", "t_2")]
    assert of_last_profile(first) == tuple(first)
    assert of_last_profile([*first, *second]) == tuple(second)
    assert of_last_profile([*first, *second, *third]) == tuple(third)
    assert of_last_profile([]) == ()
