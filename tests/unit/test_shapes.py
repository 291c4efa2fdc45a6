"""Shapes worked out without onnx are those that onnx works out, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from cspine.onnxfile import read_onnx
from cspine.shapes.infer import RULES, Shapes, infer

Sizes = Sequence[int]


def model(
    nodes: Sequence[onnx.NodeProto],
    *,
    feeds: Mapping[str, Sequence[Any]],
    constants: Mapping[str, Any] | None = None,
    values: Mapping[str, Sequence[Any]] | None = None,
    opset: int = 17,
) -> bytes:
    """Return a graph of some nodes whose last output is its output."""
    made = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(*_info(name, shape)) for name, shape in feeds.items()],
        [helper.make_empty_tensor_value_info(name) for name in nodes[-1].output[:1]],
        [
            numpy_helper.from_array(np.array(value), name)
            for name, value in (constants or {}).items()
        ],
        value_info=[
            helper.make_tensor_value_info(*_info(name, shape))
            for name, shape in (values or {}).items()
        ],
    )
    opsets = [helper.make_opsetid("", opset)]
    data: bytes = helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString()
    return data


def _info(name: str, shape: Sequence[Any]) -> tuple[str, int, Sequence[Any]]:
    return name, TensorProto.FLOAT, shape


def ours(data: bytes) -> Shapes:
    return infer(read_onnx(data, where="test"))


def theirs(data: bytes) -> dict[str, tuple[int, ...]]:
    """Return every shape that onnx knows, none of the outputs if it refuses the graph."""
    try:
        found = shape_inference.infer_shapes(
            onnx.load_from_string(data), strict_mode=True, data_prop=True
        )
    except (shape_inference.InferenceError, onnx.checker.ValidationError):
        return {}
    known = {}
    for value in (*found.graph.value_info, *found.graph.output):
        kind = value.type.tensor_type
        sizes = [dim.dim_value for dim in kind.shape.dim if dim.HasField("dim_value")]
        if kind.HasField("shape") and len(sizes) == len(kind.shape.dim):
            known[value.name] = tuple(sizes)
    return known


def agree(op: str, *shapes: Sizes, constants: Mapping[str, Any] | None = None, **attributes: Any):
    """Hold one operator against onnx; `constants` are further inputs, in order.

    A gap where onnx knows the shape is a fault, unless the check is `lenient`.
    """
    opset, lenient = attributes.pop("opset", 17), attributes.pop("lenient", False)
    outputs = [f"y{place}" for place in range(attributes.pop("outputs", 1))]
    inputs = [f"x{place}" for place in range(len(shapes))]
    node = helper.make_node(op, [*inputs, *(constants or {})], outputs, **attributes)
    given_constants = {name: value for name, value in (constants or {}).items() if name}
    data = model(
        [node], feeds=dict(zip(inputs, shapes, strict=True)), constants=given_constants, opset=opset
    )
    found, expected = ours(data), theirs(data)
    for name in outputs:
        if name in found.tensors:
            assert found.tensors[name].shape == expected.get(name), (op, shapes, attributes)
        else:
            assert found.gaps
            # What leaves nothing of an axis is no network.
            assert lenient or min(expected.get(name, (0,)), default=1) < 1, (op, shapes, attributes)
    return found


def known(*arguments: Any, **words: Any) -> None:
    assert not agree(*arguments, **words).gaps


pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
windows = st.fixed_dictionaries(
    {},
    optional={
        "strides": pair,
        "dilations": pair,
        "pads": st.tuples(*[st.integers(0, 2)] * 4),
        "auto_pad": st.sampled_from(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]),
    },
)
space = st.tuples(st.integers(1, 12), st.integers(1, 12))


def of_kernel(attributes: dict[str, Any]) -> dict[str, Any]:
    """Leave out pads that another attribute rules out."""
    if attributes.get("auto_pad", "NOTSET") != "NOTSET":
        return {name: value for name, value in attributes.items() if name != "pads"}
    return attributes


def too_large(size: Sizes, kernel: Sizes, attributes: dict[str, Any]) -> bool:
    """Return whether a window is larger than the image; onnx rounds that up to one place."""
    pads = attributes.get("pads", (0,) * 4)
    holes = attributes.get("dilations", (1, 1))
    return any(
        (kernel[axis] - 1) * holes[axis] >= size[axis] + pads[axis] + pads[axis + 2]
        for axis in range(2)
    )


@given(space, pair, st.sampled_from([1, 2, 4]), windows)
def test_convolutions(size: Sizes, kernel: Sizes, group: int, attributes: dict[str, Any]) -> None:
    weights = {"w": np.zeros((8, 4 // group, *kernel), np.float32)}
    words = of_kernel(attributes)
    large = too_large(size, kernel, words)
    agree("Conv", (1, 4, *size), constants=weights, group=group, lenient=large, **words)


@given(space, pair, st.sampled_from([1, 2, 4]), windows, st.sampled_from([None, (1, 0), (2, 1)]))
def test_transposed_convolutions(
    size: Sizes, kernel: Sizes, group: int, attributes: dict[str, Any], more: Sizes | None
) -> None:
    weights = {"w": np.zeros((4, 2, *kernel), np.float32)}
    words = of_kernel(attributes) | ({"output_padding": more} if more else {})
    same = "SAME" in attributes.get("auto_pad", "")
    agree("ConvTranspose", (1, 4, *size), constants=weights, group=group, lenient=same, **words)


@given(st.sampled_from(["MaxPool", "AveragePool"]), space, pair, windows, st.booleans())
def test_pools(op: str, size: Sizes, kernel: Sizes, attributes: dict[str, Any], ceil: bool) -> None:
    words = of_kernel(attributes)
    lenient = ceil or too_large(size, kernel, words)
    words |= {"kernel_shape": kernel, "ceil_mode": int(ceil)}
    agree(op, (1, 4, *size), opset=22, lenient=lenient, **words)


@given(st.data())
def test_slices(data: st.DataObject) -> None:
    ends = st.lists(
        st.sampled_from([-(2**31), -9, -3, -1, 0, 1, 2, 5, 2**62]), min_size=2, max_size=2
    )
    steps = st.lists(st.sampled_from([-2, -1, 1, 3]), min_size=2, max_size=2)
    settings = {
        "starts": np.array(data.draw(ends)),
        "ends": np.array(data.draw(ends)),
        "axes": np.array(data.draw(st.sampled_from([(0, 1), (2, -3), (-1, 1)]))),
        "steps": np.array(data.draw(steps)),
    }
    agree("Slice", (4, 5, 6), constants=settings)


@given(st.lists(st.sampled_from([-1, 0, 1, 2, 3, 4, 6, 12]), min_size=1, max_size=4), st.booleans())
def test_reshapes(shape: list[int], allowzero: bool) -> None:
    words = {"constants": {"shape": np.array(shape, np.int64)}, "allowzero": int(allowzero)}
    copied = [size or (0 if allowzero else (2, 3, 4, 7)[axis]) for axis, size in enumerate(shape)]
    try:
        np.zeros((2, 3, 4)).reshape(copied)
    except ValueError:
        assert agree("Reshape", (2, 3, 4), lenient=True, **words).gaps
    else:
        known("Reshape", (2, 3, 4), **words)


shapes = st.lists(st.sampled_from([1, 2, 3]), max_size=4)


@given(shapes, shapes)
def test_broadcasts_and_products(left: list[int], right: list[int]) -> None:
    for op in ("Add", "Mul", "Max", "MatMul", "Gemm"):
        agree(op, left, right)
    agree("Gemm", left, right, transA=1, transB=1)


@given(
    st.sampled_from(["ReduceMean", "ReduceMax", "ReduceL2"]),
    st.none()
    | st.lists(st.integers(-4, 3), min_size=1, max_size=3, unique_by=lambda axis: axis % 3),
    st.booleans(),
)
def test_reductions(op: str, axes: list[int] | None, keepdims: bool) -> None:
    agree(op, (2, 3, 4), keepdims=int(keepdims), **({"axes": axes} if axes is not None else {}))
    constants = {} if axes is None else {"axes": np.array(axes, np.int64)}
    agree(op, (2, 3, 4), keepdims=int(keepdims), constants=constants, opset=18)


@given(st.lists(st.floats(0.125, 4.0, width=32), min_size=4, max_size=4))
def test_resizes_by_factors(factors: list[float]) -> None:
    scales = np.array(factors, np.float32)
    agree("Resize", (1, 3, 10, 17), constants={"": None, "scales": scales}, lenient=True)
    agree("Resize", (1, 3, 10, 17), constants={"scales": scales}, opset=10, lenient=True)


def test_a_resize_by_whole_factors_is_known() -> None:
    for factor in (0.5, 1.0, 2.0, 3.0):
        scales = np.array([1, 1, factor, factor], np.float32)
        known("Resize", (1, 3, 10, 18), constants={"": None, "scales": scales})


@pytest.mark.parametrize(
    ("op", "sizes", "words"),
    [
        ("Resize", [(1, 3, 8, 8)],
         {"constants": {"": None, "s": np.zeros(0, np.float32), "n": np.array([1, 3, 5, 9])}}),
        ("Pad", [(1, 3, 8, 8)], {"constants": {"pads": np.array([0, 0, 1, 2, 0, 0, -3, 4])}}),
        ("Pad", [(1, 3, 8, 8)], {"pads": [0, 0, 1, 2, 0, 0, 3, 4], "opset": 10}),
        ("Pad", [(1, 3, 8, 8)],
         {"constants": {"p": np.array([1, 2, 3, 4]), "c": np.float32(0), "a": np.array([-1, 2])},
          "opset": 18}),
        ("Flatten", [(2, 3, 4)], {}), ("Flatten", [(2, 3, 4)], {"axis": 3}),
        ("Flatten", [(2, 3, 4)], {"axis": -1}),
        ("Transpose", [(2, 3, 4)], {}), ("Transpose", [(2, 3, 4)], {"perm": [1, 2, 0]}),
        ("Squeeze", [(1, 3, 1)], {}), ("Squeeze", [(1, 3, 1)], {"axes": [0], "opset": 11}),
        ("Squeeze", [(1, 3, 1)], {"constants": {"axes": np.array([-1])}}),
        ("Unsqueeze", [(2, 3)], {"constants": {"axes": np.array([0, -1])}}),
        ("Unsqueeze", [(2, 3)], {"axes": [1], "opset": 11}),
        ("Slice", [(4, 5)], {"starts": [1], "ends": [-1], "opset": 9}),
        ("Split", [(2, 6)], {"axis": 1, "outputs": 3}),
        ("Split", [(2, 7)], {"axis": 1, "outputs": 3, "num_outputs": 3, "opset": 18}),
        ("Split", [(2, 6)], {"axis": -1, "outputs": 2, "constants": {"s": np.array([1, 5])}}),
        ("Gather", [(4, 5, 6)], {"axis": 1, "constants": {"i": np.zeros((2, 3), np.int64)}}),
        ("Concat", [(2, 3, 4), (2, 1, 4)], {"axis": -2}),
        ("Expand", [(3, 1)], {"constants": {"s": np.array([2, 1, 6])}}),
        ("DepthToSpace", [(1, 8, 2, 3)], {"blocksize": 2}),
        ("SpaceToDepth", [(1, 2, 4, 6)], {"blocksize": 2}),
        ("GlobalAveragePool", [(1, 8, 4, 6)], {}),
        ("ArgMax", [(2, 3, 4)], {"axis": 1, "keepdims": 0}),
        ("ArgMin", [(2, 3, 4)], {}),
        ("Where", [(2, 1), (3,), (1, 1)], {}),
        ("Softmax", [(2, 3)], {}), ("Relu", [(2, 3)], {}), ("Erf", [(2, 3)], {}),
        ("LayerNormalization", [(2, 3)], {"constants": {"s": np.ones(3, np.float32)}}),
        ("BatchNormalization", [(1, 2, 4)],
         {"constants": {each: np.ones(2, np.float32) for each in "abcd"}}),
        ("QuantizeLinear", [(2, 3)], {"constants": {"s": np.float32(1), "z": np.int8(0)}}),
        ("Conv", [(1, 2, 9)], {"constants": {"w": np.zeros((3, 2, 3), np.float32)}}),
        ("Conv", [(1, 1, 4, 5, 6)], {"constants": {"w": np.zeros((2, 1, 3, 1, 3), np.float32)}}),
        ("ConvTranspose", [(1, 2, 4, 4)],
         {"constants": {"w": np.zeros((2, 3, 3, 3), np.float32)}, "output_shape": [8, 9],
          "strides": [2, 2]}),
    ],
)  # fmt: skip
def test_operators(op: str, sizes: list[Sizes], words: dict[str, Any]) -> None:
    known(op, *sizes, **words)


def flattening() -> list[onnx.NodeProto]:
    """Flatten as PyTorch's exporter writes it: the batch is read from the tensor's own shape."""
    return [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"], axis=0),
        helper.make_node("Unsqueeze", ["batch", "axes"], ["first"]),
        helper.make_node("Concat", ["first", "rest"], ["asked"], axis=0),
        helper.make_node("Reshape", ["x", "asked"], ["y"]),
    ]


def test_shapes_computed_from_shapes() -> None:
    constants = {"zero": np.int64(0), "axes": np.array([0]), "rest": np.array([-1])}
    data = model(flattening(), feeds={"x": (1, 3, 4)}, constants=constants)
    assert ours(data).tensors["y"].shape == theirs(data)["y"] == (1, 12)
    half = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Slice", ["shape", "two", "four"], ["sides"]),
        helper.make_node("Cast", ["sides"], ["cast"], to=TensorProto.INT64),
        helper.make_node("Div", ["cast", "two"], ["halves"]),
        helper.make_node("Mul", ["halves", "three"], ["more"]),
        helper.make_node("Concat", ["two", "more"], ["sizes"], axis=0),
        helper.make_node("ConstantOfShape", ["sizes"], ["y"]),
    ]
    constants = {"two": np.array([2]), "three": np.array([3]), "four": np.array([4])}
    data = model(half, feeds={"x": (1, 1, 9, 6)}, constants=constants)
    (run,) = ReferenceEvaluator(data).run(None, {"x": np.zeros((1, 1, 9, 6), np.float32)})
    assert ours(data).tensors["y"].shape == run.shape == (2, 12, 9)


def test_a_quotient_of_real_numbers_is_not_followed() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["real", "two"], ["half"]),
        helper.make_node("Mul", ["half", "two"], ["again"]),
        helper.make_node("Cast", ["again"], ["sizes"], to=TensorProto.INT64),
        helper.make_node("ConstantOfShape", ["sizes"], ["y"]),
    ]
    data = model(nodes, feeds={"x": (1, 9)}, constants={"two": np.array([2], np.float32)})
    assert ours(data).gaps == ("ConstantOfShape 'y': its input 0 is computed from the data",)


def test_an_open_batch_is_one_wherever_its_name_stands() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Custom", ["y"], ["z"])]
    data = model(nodes, feeds={"x": ("n", 3)}, values={"z": ("n", 7)})
    found = ours(data)
    assert (found.batch, found.tensors["y"].shape, found.tensors["z"].shape) == (1, (1, 3), (1, 7))
    assert found.gaps == ("Custom: it has no rule",)


def test_what_only_the_data_tells_is_taken_from_the_file() -> None:
    node = helper.make_node("Reshape", ["x", "asked"], ["y"])
    feeds = {"x": ("n", 12), "asked": (2,)}
    assert ours(model([node], feeds=feeds)).gaps
    found = ours(model([node], feeds=feeds, values={"y": ("n", 3, 4)}))
    assert (found.tensors["y"].shape, found.gaps) == ((1, 3, 4), ())
    assert ours(model([node], feeds=feeds, values={"y": ("n", "rows", 4)})).gaps


def test_what_contradicts_itself_is_not_believed() -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    after = helper.make_node("Neg", ["y"], ["z"])
    found = ours(model([node, after], feeds={"x": ("n", 12)}, values={"y": ("n", 13)}))
    assert found.gaps == ("Relu 'y': it gives (1, 12) where the file states ('n', 13)",)
    assert set(found.tensors) == {"x"}


@pytest.mark.parametrize(
    ("node", "feeds", "reason"),
    [
        (helper.make_node("Relu", ["x"], ["y"]), {"x": ("n", "rows")}, "its batch is open"),
        (helper.make_node("Relu", ["q"], ["y"]), {"x": (1,)}, "its input 'q' is not known"),
        (helper.make_node("Relu", [], ["y"]), {"x": (1,)}, "it lacks input 0"),
        (helper.make_node("Relu", ["x"], ["y"], domain="mine"), {"x": (1,)}, "it has no rule"),
        (helper.make_node("Flatten", ["x"], ["y"], axis="1"), {"x": (1, 2)}, "type than int"),
        (helper.make_node("Split", ["x"], []), {"x": (1, 2)}, "it has no outputs"),
        (helper.make_node("Concat", ["x"] * 9, ["y"], axis=0), {"x": (1 << 46,)}, "larger than"),
    ],
)  # fmt: skip
def test_gaps_say_why(node: onnx.NodeProto, feeds: dict[str, Sizes], reason: str) -> None:
    last = helper.make_node("Relu", ["x"], ["last"])
    (gap,) = ours(model([node, last], feeds=feeds)).gaps
    assert reason in gap


def test_doubling_does_not_grow_without_end() -> None:
    nodes = [
        helper.make_node("Concat", [f"x{place}"] * 2, [f"x{place + 1}"], axis=0)
        for place in range(5000)
    ]
    (gap,) = ours(model(nodes, feeds={"x0": (4,)})).gaps
    assert "larger than any device holds" in gap


def test_an_operator_that_the_file_defines_is_not_onnx_s_own() -> None:
    proto = onnx.load_from_string(
        model([helper.make_node("Relu", ["x"], ["y"])], feeds={"x": (1, 2)})
    )
    proto.functions.append(
        helper.make_function("", "Relu", ["a"], ["b"], [], [helper.make_opsetid("", 17)])
    )
    assert ours(proto.SerializeToString()).gaps == ("Relu: it has no rule",)


def test_every_rule_is_an_operator_of_onnx() -> None:
    assert set(RULES) <= {schema.name for schema in onnx.defs.get_all_schemas_with_history()}
