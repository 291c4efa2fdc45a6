"""What quantised graphs cost, and the data sheet that says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from cspine.bundle import Bundle, emission_path, fp32_path, write_bundle
from cspine.cli import cspine
from cspine.complexity import Complexity, complexity
from cspine.errors import ModelError
from cspine.fields import Window
from cspine.onnxfile import read_onnx
from cspine.spec import Classify
from cspine_calibration.datasheet import pixels, read_datasheet, sheets_text

CONV, GEMM = 2 * 4 * 6 * 6 * 2 * 9, 2 * 144 * 3


def quantised(name: str, *, dtype: type[Any] = np.uint8) -> list[onnx.NodeProto]:
    """Return the pair that rounds a tensor to integers and back."""
    zero = f"zero_{np.dtype(dtype).name}"
    return [
        helper.make_node("QuantizeLinear", [name, "scale", zero], [f"{name}_q"]),
        helper.make_node("DequantizeLinear", [f"{name}_q", "scale", zero], [f"{name}_dq"]),
    ]


def graph(
    *nodes: onnx.NodeProto, batch: int | str = "batch", weight: Any = np.int8, extra: Any = None
) -> bytes:
    """Return a convolution and a linear layer, with some nodes before them."""
    constants = {
        "w": np.zeros((4, 2, 3, 3), np.float32),
        "w_q": np.zeros((4, 2, 3, 3), weight),
        "w_scale": np.ones(4, np.float32),
        "w_zero": np.zeros(4, weight),
        "bias": np.zeros(4, np.float32),
        "bias_q": np.zeros(4, np.int32),
        "fc": np.zeros((144, 3), np.float32),
        "scale": np.float32(0.1),
        "zero_uint8": np.uint8(0),
        "zero_int16": np.int16(0),
        "rest": np.array([1, -1]),
        **(extra or {}),
    }
    used = {name for node in nodes for name in node.input}
    made = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 2, 6, 6])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
    )
    data: bytes = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10
    ).SerializeToString()
    return data


def conv(image: str, weight: str, bias: str = "bias") -> onnx.NodeProto:
    return helper.make_node("Conv", [image, weight, bias], ["y"], pads=[1] * 4)


HEAD = [
    helper.make_node("Reshape", ["y", "rest"], ["flat"]),
    helper.make_node("Gemm", ["flat", "fc"], ["logits"]),
]
WEIGHT = helper.make_node("DequantizeLinear", ["w_q", "w_scale", "w_zero"], ["w_dq"], axis=0)


def cost(data: bytes) -> Complexity:
    return complexity(read_onnx(data, where="test"))


def test_a_float_graph() -> None:
    found = cost(graph(conv("x", "w"), *HEAD))
    assert found.operators == {"Conv": 1, "Reshape": 1, "Gemm": 1}
    assert found.parameters == 4 * 2 * 9 + 4 + 144 * 3
    assert found.weights == {"float32": 4 * found.parameters}
    assert (found.batch, found.flops, found.integer_flops) == (1, CONV + GEMM, 0)
    assert (found.integer_share, found.gaps) == (0.0, ())


def test_quantised_input_and_weights_count_as_integers() -> None:
    found = cost(graph(*quantised("x"), WEIGHT, conv("x_dq", "w_dq"), *HEAD))
    assert (found.flops, found.integer_flops) == (CONV + GEMM, CONV)
    assert found.integer_share == CONV / (CONV + GEMM)
    # Scales and zero points are no parameters, so the precision does not change their number.
    assert found.parameters == 4 * 2 * 9 + 4 + 144 * 3
    assert found.weights == {"float32": 4 * (4 + 144 * 3), "int8": 4 * 2 * 9}


@pytest.mark.parametrize(
    "nodes",
    [
        [WEIGHT, conv("x", "w_dq")],  # the input is float
        [*quantised("x"), conv("x_dq", "w")],  # the weights are
        [
            *quantised("x"),
            WEIGHT,
            helper.make_node("Relu", ["x_dq"], ["r"]),
            conv("r", "w_dq"),  # float between the two
        ],
    ],
)
def test_half_of_it_does_not(nodes: list[onnx.NodeProto]) -> None:
    assert cost(graph(*nodes, *HEAD)).integer_flops == 0


def test_wide_integers_and_floats_of_eight_bits_are_none() -> None:
    narrow = [*quantised("x", dtype=np.int16), WEIGHT, conv("x_dq", "w_dq"), *HEAD]
    assert cost(graph(*narrow)).integer_flops == CONV
    wide = [
        *quantised("x"),
        helper.make_node("DequantizeLinear", ["w_q", "w_scale"], ["w_dq"], axis=0),
        conv("x_dq", "w_dq"),
        *HEAD,
    ]
    assert cost(graph(*wide, weight=np.int32)).integer_flops == 0
    floats = [
        helper.make_node(
            "QuantizeLinear", ["x", "scale"], ["q"], output_dtype=TensorProto.FLOAT8E4M3FN
        ),
        helper.make_node("DequantizeLinear", ["q", "scale"], ["x_dq"]),
        WEIGHT,
        conv("x_dq", "w_dq"),
        *HEAD,
    ]
    assert cost(graph(*floats)).integer_flops == 0
    del floats[0].attribute[:]  # then it is uint8
    assert cost(graph(*floats)).integer_flops == CONV


def test_a_bias_in_integers_is_a_parameter() -> None:
    bias = helper.make_node("DequantizeLinear", ["bias_q", "scale"], ["b"])
    found = cost(graph(*quantised("x"), WEIGHT, bias, conv("x_dq", "w_dq", "b"), *HEAD))
    assert found.parameters == 4 * 2 * 9 + 4 + 144 * 3
    assert found.weights["int32"] == 16


def test_weights_in_constant_operators_are_parameters() -> None:
    held = numpy_helper.from_array(np.zeros((4, 2, 3, 3), np.float32), "")
    constant = helper.make_node("Constant", [], ["held"], value=held)
    found = cost(graph(constant, conv("x", "held"), *HEAD))
    assert (found.parameters, found.flops) == (4 * 2 * 9 + 4 + 144 * 3, CONV + GEMM)


def test_a_fixed_batch_is_said() -> None:
    nodes = [conv("x", "w"), helper.make_node("Flatten", ["y"], ["flat"]), HEAD[1]]
    found = cost(graph(*nodes, batch=5))
    assert (found.batch, found.flops) == (5, 5 * (CONV + GEMM))
    sheet = read_datasheet(graph(*nodes, batch=5), model="m", file="m.onnx", where="m")
    assert "the file fixes a batch of 5; FLOPs are of all" in sheets_text([sheet], pixels=None)


def test_what_is_not_understood_is_named_and_nothing_guessed() -> None:
    data = graph(conv("x", "w"), helper.make_node("Einsum", ["y"], ["e"], equation="abcd->ab"))
    found = cost(data)
    assert (found.flops, found.integer_flops, found.integer_share) == (None, None, None)
    assert found.gaps == ("Einsum: it has no rule",)
    text = sheets_text([read_datasheet(data, model="m", file="m.onnx", where="m")], pixels=None)
    assert "m: FLOPs unknown: Einsum: it has no rule" in text
    assert " unknown" in text.splitlines()[5]


@pytest.fixture
def real(exported: Bundle) -> Bundle:
    """Return a bundle whose screen has a graph with weights, and an emission for one target."""
    files = {name: exported.read(name) for name in exported.manifest.files}
    files[fp32_path("screen")] = graph(conv("x", "w"), *HEAD)
    # For one stage only, so that the bundle as a whole has no such target.
    emission = emission_path("screen", "trt")
    files[emission] = graph(*quantised("x"), WEIGHT, conv("x_dq", "w_dq"), *HEAD)
    return write_bundle(exported.path, files, exported.manifest.provenance)


def test_programs_get_everything(real: Bundle) -> None:
    result = CliRunner().invoke(cspine, ["inspect", str(real.path), "--json"])
    stages = {each["stage"]: each for each in json.loads(result.stdout)["stages"]}
    assert list(stages) == ["screen", "localise", "classify"]
    fp32, trt = stages["screen"]["models"]
    assert (fp32["model"], trt["model"]) == ("fp32", "trt")
    assert fp32["inputs"] == [{"name": "x", "dtype": "float32", "shape": ["batch", 2, 6, 6]}]
    assert fp32["outputs"] == [{"name": "logits", "dtype": "float32", "shape": None}]
    assert trt["bytes"] == len(real.read(emission_path("screen", "trt")))
    assert (trt["flops"], trt["integer_flops"]) == (CONV + GEMM, CONV)
    assert trt["operators"]["Conv"] == 1
    assert stages["classify"]["pixels"]["grey"] == {"kind": "standardise"}
    assert stages["screen"]["pixels"]["size_mm"] == [256.0, 192.0]


def test_people_get_a_table_that_fits(real: Bundle) -> None:
    text = CliRunner().invoke(cspine, ["inspect", str(real.path)]).stdout
    assert "x: float32 (batch, 2, 6, 6): 256 × 192 mm, in the middle of the image, 1 mm a" in text
    assert "grey levels of percentiles 1 to 99 become 0 to 1, the rest is clipped" in " ".join(
        text.split()
    )
    assert "x: float32 (n, 2): 56 × 56 mm, one crop a level along the spine" in text
    share = int(10_000 * CONV / (CONV + GEMM)) / 100
    assert f"{share} %" in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_pixel_means_what_the_pipeline_file_says(bundle: Bundle) -> None:
    said = {stage.id: str(pixels(stage)) for stage in bundle.spec.networks}
    assert said["classify"] == (
        "56 × 56 mm, one crop a level along the spine, 0.5 mm a pixel; "
        "grey levels less their mean, over their standard deviation"
    )
    windowed = msgspec.structs.replace(
        bundle.spec.only(Classify), grey=Window(center_hu=300, width_hu=1500)
    )
    assert str(pixels(windowed)).endswith("; -450 to 1050 HU become 0 to 1, the rest is clipped")


def test_a_model_that_cannot_be_read_is_named(exported: Bundle) -> None:
    name = fp32_path("localise")
    files = {each: exported.read(each) for each in exported.manifest.files}
    broken = {**files, name: files[name][:-20]}
    opened = write_bundle(exported.path, broken, exported.manifest.provenance)
    result = CliRunner().invoke(cspine, ["inspect", str(opened.path)])
    assert isinstance(result.exception, ModelError)
    assert f"{opened.path}: {name}: not an ONNX model: " in str(result.exception)


def test_a_device_needs_no_onnx_to_inspect(real: Bundle, tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(real.read(fp32_path("screen")))
    code = (
        "import sys; sys.modules['onnx'] = None; sys.argv = ['cspine', 'inspect', *sys.argv[1:]];"
        "from cspine.cli import main; main()"
    )
    for path in (real.path, model):
        done = subprocess.run(
            [sys.executable, "-c", code, path], check=True, capture_output=True, text=True
        )
        assert "GFLOPs" in done.stdout
    assert "convolutions in float: " in done.stdout
