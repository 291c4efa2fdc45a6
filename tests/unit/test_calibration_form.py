"""The graph as a runtime computes it fastest: the same values by fewer operators."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cspine.backends import open_backend
from cspine_calibration.form import formed
from cspine_calibration.read import read_graph
from cspine_calibration.targets import TARGETS

ORT = TARGETS["ort-x64-vnni"]
INPUT = "float[N,4,6,6] x"


def model(body: str, output: str, **weights: tuple[int, ...]) -> bytes:
    rng = np.random.default_rng(0)
    proto = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g ({INPUT}) => ({output}) {{ {body} }}'
    )
    for name, shape in weights.items():
        values = rng.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(values, name))
    return proto.SerializeToString()


def operators(proto: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in proto.graph.node]


def outputs(data: bytes) -> dict[str, np.ndarray]:
    backend = open_backend("onnxruntime", data, threads=1)
    image = np.random.default_rng(1).normal(size=(2, 4, 6, 6)).astype(np.float32)
    found = backend.run({"x": image})
    backend.close()
    return found


DENSE = """
  a = Conv(x, w)  p = Concat<axis = 1>(x, a)
  b = Conv(p, v)  q = Concat<axis = 1>(x, a, b)
  c = Conv(q, u)  r = Concat<axis = 1>(x, a, b, c)
  y = Relu(r)
"""
ENDS = " y = Neg(p) z = Neg(q)"
WEIGHTS = {"w": (4, 4, 1, 1), "v": (4, 8, 1, 1), "u": (4, 12, 1, 1)}


@pytest.mark.parametrize("axes", ["2, 3", "-2, -1", "3, 2"])
def test_a_mean_over_rows_and_columns_is_pooling(axes: str) -> None:
    data = model(f"y = ReduceMean<axes = [{axes}]>(x)", "float[N,4,1,1] y")
    made = formed(read_graph(data), ORT).model
    assert operators(made) == ["GlobalAveragePool"]
    (before, after) = (outputs(each) for each in (data, made.SerializeToString()))
    np.testing.assert_allclose(after["y"], before["y"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "body",
    [
        "y = ReduceMean<axes = [1, 2]>(x)",
        "y = ReduceMean<axes = [3]>(x)",
        "y = ReduceMean<axes = [2, 3], keepdims = 0>(x)",
        "y = ReduceMax<axes = [2, 3]>(x)",
        "t = Reshape(x, s) y = ReduceMean<axes = [2, 3]>(t)",  # of five axes, or nobody knows
    ],
)
def test_what_is_no_global_pooling_stays(body: str) -> None:
    made = formed(read_graph(model(body, "float[A,B,C,D] y")), ORT).model
    assert "GlobalAveragePool" not in operators(made)


@pytest.mark.parametrize("target", ["ort-x64-vnni", "openvino"])
def test_a_concatenation_begins_with_the_one_before_it(target: str) -> None:
    data = model(DENSE, "float[N,16,6,6] y", **WEIGHTS)
    made = formed(read_graph(data), TARGETS[target]).model
    inputs = [list(node.input) for node in made.graph.node if node.op_type == "Concat"]
    assert inputs == [["x", "a"], ["p", "b"], ["q", "c"]]
    np.testing.assert_array_equal(outputs(made.SerializeToString())["y"], outputs(data)["y"])


@pytest.mark.parametrize(
    "body",
    [
        "a = Relu(x) p = Concat<axis = 1>(x, a) q = Concat<axis = 2>(x, a, a)" + ENDS,
        "a = Relu(x) p = Concat<axis = 1>(a, x) q = Concat<axis = 1>(x, a, a)" + ENDS,
    ],
)
def test_another_axis_or_order_is_no_beginning(body: str) -> None:
    data = model(body, "float[N,C,H,W] y, float[N,D,K,W] z")
    made = formed(read_graph(data), ORT).model
    assert list(made.graph.node[2].input) == ["x", "a", "a"]


@pytest.mark.parametrize("target", [name for name in TARGETS if not name.startswith("ort-")])
def test_other_targets_get_the_graph_as_it_is(target: str) -> None:
    graph = read_graph(model("y = ReduceMean<axes = [2, 3]>(x)", "float[N,4,1,1] y"))
    assert formed(graph, TARGETS[target]) is graph


@pytest.mark.parametrize("target", [name for name in TARGETS if name.startswith("trt")])
def test_tensorrt_joins_what_the_file_joins(target: str) -> None:
    graph = read_graph(model(DENSE, "float[N,16,6,6] y", **WEIGHTS))
    assert formed(graph, TARGETS[target]) is graph
