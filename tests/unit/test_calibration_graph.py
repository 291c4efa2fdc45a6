from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cspine.errors import ModelError
from cspine_calibration.eligibility import bar, flaw
from cspine_calibration.graph import Graph
from cspine_calibration.placement import place
from cspine_calibration.read import read_float_graph, read_graph
from cspine_calibration.targets import TARGETS

HEADER = '<ir_version: 8, opset_import: ["" : 17]>'


def graph(text: str, **shapes) -> Graph:
    model = onnx.parser.parse_model(HEADER + text)
    for name, shape in shapes.items():
        model.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
    onnx.checker.check_model(model)
    return Graph(model)


def unit(view: Graph, weight: str):
    return next(each for each in view.units.values() if each.weight == weight)


W = (16, 16, 1, 1)
IO = "g (float[N,16,8,8] x) => (float[N,16,8,8] y)"


def test_activation_belongs_to_its_unit():
    view = graph(IO + "{ c = Conv(x, w) r = Relu(c) y = Conv(r, v) }", w=W, v=W)
    first, second = view.units.values()
    assert (first.input, first.output, first.bias) == ("x", "r", None)
    assert (second.input, second.output) == ("r", "y")


@pytest.mark.parametrize(
    "text",
    [
        IO + "{ c = Conv(x, w) r = Relu(c) s = Add(c, r) y = Conv(s, v) }",
        "g (float[N,16,8,8] x) => (float[N,16,8,8] y, float[N,16,8,8] c)"
        "{ c = Conv(x, w) r = Relu(c) y = Conv(r, v) }",
    ],
    ids=["read twice", "an output"],
)
def test_activation_apart_from_its_unit(text):
    assert unit(graph(text, w=W, v=W), "w").output == "c"


@pytest.mark.parametrize(
    ("body", "branch"),
    [
        ("a = Conv(x, w) b = Relu(a) c = Conv(b, v) s = Add(c, x)", 0),
        ("a = Conv(x, w) b = Relu(a) c = Conv(b, v) s = Add(x, c)", 1),
        # A down-sampling block: both operands are bare convolutions, one lies deeper.
        ("d = Conv(x, u) a = Conv(x, w) b = Relu(a) c = Conv(b, v) s = Add(d, c)", 1),
        ("a = Conv(x, w) b = Relu(a) c = Conv(b, v) d = Conv(x, u) s = Add(c, d)", 0),
        ("a = Conv(x, w) b = Relu(a) s = Add(b, x)", None),
        # What something else reads as well cannot disappear into the addition.
        ("a = Conv(x, w) b = Add(a, x) c = MaxPool<kernel_shape = [1, 1]>(a) s = Add(b, c)", None),
    ],
)
def test_conv_branch_of_an_addition(body, branch):
    view = graph(IO + "{" + body + " r = Relu(s) y = Conv(r, h) }", w=W, v=W, u=W, h=W)
    addition = list(view.residuals.values())[-1]
    assert addition.conv == branch
    assert addition.output == "r"


def test_addition_of_a_constant_is_no_residual():
    assert not graph(IO + "{ a = Conv(x, w) y = Add(a, k) }", w=W, k=(16, 1, 1)).residuals


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("a = Conv(x, w) y = Relu(a)", "head: its result reaches an output"),
        ("a = Conv(x, w) b = Add(a, x) y = Softmax<axis = 1>(b)", "head: its result reaches"),
        (
            "a = Conv(x, w) p = MaxPool<kernel_shape = [1, 1]>(a) s = Sigmoid(p) y = Conv(s, v)",
            "head: it feeds a Sigmoid",
        ),
        ("a = Conv(x, w) y = Conv(a, v)", None),
        # The shape of a tensor is none of its values.
        ("a = Conv(x, w) n = Shape(a) b = Conv(a, v) y = Reshape(b, n)", None),
    ],
)
def test_heads(body, reason):
    view = graph(IO + "{" + body + "}", w=W, v=W)
    found = view.head(unit(view, "w").output)
    assert found is None if reason is None else found.startswith(reason)


def test_map_and_score_from_one_feature_map_are_both_heads():
    view = graph(
        "g (float[N,16,8,8] x) => (float[N,1] y, float[N,1,8,8] cam) {"
        "a = Conv(x, w) f = Relu(a) p = GlobalAveragePool(f) q = Flatten(p)"
        "y = Gemm<transB = 1>(q, g) cam = Conv(f, h) }",
        w=W, g=(1, 16), h=(1, 16, 1, 1),
    )  # fmt: skip
    heads = {each.weight for each in view.units.values() if view.head(each.output)}
    assert heads == {"g", "h"}


@pytest.mark.parametrize(
    ("body", "weights", "head"),
    [
        # A level of a feature pyramid: another network reads it too.
        ("f = Conv(x, w) y = Conv(f, v)", {}, False),
        ("c = Conv(x, w) f = Relu(c) p = MaxPool<kernel_shape = [1, 1]>(f) y = Conv(p, v)", {},
         False),
        ("c = Conv(x, w) s = Add(c, x) f = Relu(s) y = Conv(f, v)", {}, True),  # x was never made
        ("a = Conv(x, w) b = Conv(a, u) f = Add(a, b) y = Conv(f, v)", {"u": W}, False),
        # The scores of a cascade, from which the next stage goes on: fewer than what they are from.
        ("f = Conv(x, w) y = Conv(f, v)", {"w": (4, 16, 1, 1), "v": (16, 4, 1, 1)}, True),
        ("a = Conv(x, w) b = Conv(a, u) f = Add(a, b) y = Conv(f, v)",
         {"w": (4, 16, 1, 1), "u": (4, 4, 1, 1), "v": (16, 4, 1, 1)}, True),
        # Probabilities, and a map from which nothing goes on.
        ("c = Conv(x, w) f = Sigmoid(c) y = Conv(f, v)", {}, True),
        ("f = Conv(x, w) y = Relu(f)", {}, True),
    ],
)  # fmt: skip
def test_an_output_that_the_network_reads_on_from_is_no_head(body, weights, head):
    text = "g (float[N,16,8,8] x) => (float[N,16,8,8] y, float[N,C,8,8] f) {" + body + "}"
    view = graph(text, **{"w": W, "v": W} | weights)
    assert (view.head(unit(view, "w").output) is not None) == head


def test_constants_may_be_nodes():
    view = graph(
        IO + "{ k = Constant<value = float[1] {2.0}>() i = Identity(w) y = Conv(x, i) }",
        w=W,
    )
    assert view.array("k").tolist() == [2.0]
    assert view.array("i").shape == W


@pytest.mark.parametrize(
    ("target", "weights", "attributes", "admitted"),
    [
        # The first layer of a grey-level network: 1 to 16 channels.
        ("trt", (16, 1, 7, 7), "", True),
        ("trt", (12, 1, 7, 7), "", False),
        ("trt", (16, 1, 3, 5), "", False),
        ("trt", (16, 1, 3, 3), "group = 16", True),
        ("trt", (12, 1, 3, 3), "group = 12", False),
        ("ort-x64-vnni", (16, 3, 3, 3), "", True),
        ("openvino", (16, 1, 7, 7), "", True),
    ],
)
def test_channels_that_a_target_admits(target, weights, attributes, admitted):
    channels = weights[0] if attributes else weights[1]
    view = graph(
        f"g (float[N,{channels},16,16] x) => (float[N,C,H,V] y)"
        f"{{ a = Conv<{attributes}>(x, w) y = Conv(a, v) }}".replace("<>", ""),
        w=weights, v=(8, weights[0], 1, 1),
    )  # fmt: skip
    assert (bar(view, unit(view, "w"), TARGETS[target]) is None) == admitted


def test_inner_layer_wants_more_channels_of_tensor_cores_than_the_first():
    view = graph(IO.replace("16", "8") + "{ a = Conv(x, w) b = Conv(a, v) y = Conv(b, u) }",
                 w=(8, 8, 3, 3), v=(8, 8, 3, 3), u=(8, 8, 3, 3))  # fmt: skip
    trt = TARGETS["trt"]
    assert bar(view, unit(view, "w"), trt) is None
    assert "do not suit tensor cores" in bar(view, unit(view, "v"), trt)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("k = Relu(w) a = Conv(x, k) y = Conv(a, v)", "no float32 constant"),
        ("a = Conv(c, w) b = Add(a, x) y = Conv(b, v)", "input is constant"),
        ("a = Conv(x, w) b = BatchNormalization(a, s, s, s, s) y = Conv(b, v)", "BatchNorm"),
    ],
)
def test_flaws_are_eligible_and_left(body, reason):
    view = graph(IO + "{" + body + "}", w=W, v=W, s=(16,), c=(1, 16, 8, 8))
    first = next(iter(view.units.values()))
    assert reason in flaw(view, first)
    placement = place(view, TARGETS["trt"])
    assert placement.eligible == (first,)
    assert not placement.units
    assert (first.name, flaw(view, first)) in placement.left


@pytest.mark.parametrize("read", [read_graph, read_float_graph])
@pytest.mark.parametrize("data", [b"not a model", b""])
def test_foreign_bytes_are_refused(read, data):
    with pytest.raises(ModelError, match="not an ONNX model"):
        read(data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.replace("17", "11") + IO + "{ y = Relu(x) }", "opset 11, expected 13"),
        (HEADER + IO + "{ y = If(b) <then_branch = t () => (float[1] z) { z = Identity(x) },"
         " else_branch = e () => (float[1] z) { z = Identity(x) }> }", r"control flow \(If\)"),
        (HEADER + IO + "{ y = DequantizeLinear(q, s) }", "quantised already"),
    ],
)  # fmt: skip
def test_unsuitable_model_is_refused(text, message):
    model = onnx.parser.parse_model(text).SerializeToString()
    assert read_graph(model).nodes
    with pytest.raises(ModelError, match=message):
        read_float_graph(model)
