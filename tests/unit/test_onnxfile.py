"""ONNX files are read without onnx as onnx reads them; damaged ones are refused in a line."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from cspine.complexity import complexity
from cspine.errors import ModelError
from cspine.onnxfile import read_onnx
from cspine.onnxtensor import dtype_name
from cspine.outline import outline


def graph() -> onnx.ModelProto:
    """Return a quantised convolution with every form of constant and attribute that is read."""
    weights = np.arange(-9, 9, dtype=np.int8).reshape(2, 1, 3, 3)
    constants = [
        numpy_helper.from_array(weights, "w"),
        numpy_helper.from_array(np.float32(0.1), "scale"),
        numpy_helper.from_array(np.uint8(3), "zero"),
        numpy_helper.from_array(np.full(2, 0.5, np.float32), "w_scale"),
        helper.make_tensor("rest", TensorProto.INT64, [2], [1, -1]),  # int64_data, not raw
        helper.make_tensor("bias", TensorProto.FLOAT, [2], [0.5, -0.5]),
        helper.make_tensor("half", TensorProto.FLOAT16, [2], [1.0, 2.0]),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["x"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale"], ["dw"], axis=0),
        helper.make_node(
            "Conv", ["x", "dw", "bias"], ["conv"], name="conv", pads=[1, 1, 1, 1], auto_pad="NOTSET"
        ),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("Reshape", ["relu", "rest"], ["logits"]),
    ]
    made = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 6, 6])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 72])],
        constants,
        value_info=[
            helper.make_tensor_value_info("relu", TensorProto.FLOAT, ["batch", 2, 6, None])
        ],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


DATA: bytes = graph().SerializeToString()


def said(value: onnx.ValueInfoProto) -> tuple[str, str, tuple[int | str | None, ...]]:
    """Return name, element type and shape as onnx reads them."""
    kind = value.type.tensor_type
    sizes = [dim.dim_param or dim.dim_value or None for dim in kind.shape.dim]
    return value.name, dtype_name(kind.elem_type), tuple(sizes)


def assert_read_as_onnx_does(data: bytes) -> None:
    found, expected = read_onnx(data, where="test"), onnx.load_from_string(data).graph
    assert [(node.op_type, node.domain, node.name) for node in found.nodes] == [
        (node.op_type, node.domain, node.name) for node in expected.node
    ]
    assert [(*node.inputs, *node.outputs) for node in found.nodes] == [
        (*node.input, *node.output) for node in expected.node
    ]
    assert {name: (each.shape, each.dtype) for name, each in found.constants.items()} == {
        tensor.name: (tuple(tensor.dims), dtype_name(tensor.data_type))
        for tensor in expected.initializer
    }


def test_everything_is_read_as_onnx_reads_it() -> None:
    assert_read_as_onnx_does(DATA)
    found, expected = read_onnx(DATA, where="test"), graph().graph
    for mine, theirs in ((found.inputs, expected.input), (found.outputs, expected.output)):
        assert [(each.name, each.dtype, each.shape) for each in mine] == list(map(said, theirs))
    assert found.stated["relu"].shape == ("batch", 2, 6, None)
    for tensor in expected.initializer:
        held = found.constants[tensor.name]
        values = numpy_helper.to_array(tensor)
        assert (held.elements, held.size) == (values.size, values.nbytes)
        if values.dtype in (np.float32, np.int64):
            assert held.values() == tuple(values.reshape(-1).tolist())
    conv = found.nodes[3]
    assert (conv.integers("pads"), conv.integers("strides")) == ((1, 1, 1, 1), None)
    assert conv.text("auto_pad", "") == "NOTSET"
    assert found.nodes[2].integer("axis", 1) == 0


@pytest.mark.parametrize("number", [n for n in TensorProto.DataType.values() if 0 < n < 27])
def test_every_element_type_is_known_by_its_size(number: int) -> None:
    values = ["a", "b", "c"] if number == TensorProto.STRING else [1, 0, 1]
    tensor = helper.make_tensor("t", number, [3], values)
    made = graph()
    made.graph.initializer.append(tensor)
    held = read_onnx(made.SerializeToString(), where="test").constants["t"]
    assert held.elements == 3
    if number != TensorProto.STRING:
        packed = numpy_helper.from_array(numpy_helper.to_array(tensor), "t")
        assert held.size == len(packed.raw_data)


def test_weights_in_another_file_are_counted_by_their_shape() -> None:
    made = graph()
    tensor = made.graph.initializer.add(name="far", data_type=TensorProto.FLOAT, dims=[4, 5])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="far.bin")
    held = read_onnx(made.SerializeToString(), where="test").constants["far"]
    assert (held.elements, held.size, held.values()) == (20, 80, None)


def refused(data: bytes) -> str | None:
    """Return why a file is refused, or count what it costs and return ``None``."""
    outline(data)
    try:
        complexity(read_onnx(data, where="m.onnx"))
    except ModelError as error:
        why = str(error)
    else:
        return None
    assert why.startswith("m.onnx: not an ONNX model: ")
    assert "\n" not in why
    return why


def test_a_cut_file_is_refused_or_counted_right() -> None:
    whole = complexity(read_onnx(DATA, where="whole"))
    kept = [end for end in range(len(DATA)) if refused(DATA[:end]) is None]
    # A cut in the last field of the model, its operator sets, leaves the graph whole.
    assert all(complexity(read_onnx(DATA[:end], where="cut")) == whole for end in kept)
    assert len(kept) < 4


@settings(max_examples=300)
@given(st.integers(0, len(DATA) - 1), st.integers(0, 255))
def test_a_changed_byte_is_refused_or_read_as_onnx_reads_it(place: int, byte: int) -> None:
    data = DATA[:place] + bytes([byte]) + DATA[place + 1 :]
    if refused(data) is None:
        try:
            onnx.load_from_string(data)
        except (DecodeError, UnicodeDecodeError):
            return
        assert_read_as_onnx_does(data)


@settings(max_examples=300)
@given(st.binary(max_size=200))
@example(b"\x3a\x04\x0a\x02\x0a\x00")
def test_any_bytes_are_refused_in_a_line(data: bytes) -> None:
    refused(data)


@given(st.data())
def test_shuffled_and_repeated_parts_are_refused_or_counted(data: st.DataObject) -> None:
    made = graph()
    order = data.draw(st.permutations(range(len(made.graph.node))))
    nodes = [made.graph.node[place] for place in order]
    twice = data.draw(st.none() | st.sampled_from(nodes))
    del made.graph.node[:]
    made.graph.node.extend([*nodes, *([twice] if twice is not None else [])])
    why = refused(made.SerializeToString())
    assert (why is None) == (twice is None)


def message(number: int, content: bytes) -> bytes:
    size, head = len(content), bytearray([number << 3 | 2])
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    return bytes([*head, size]) + content


def in_graph(number: int, content: bytes, *, times: int = 1) -> bytes:
    """Return a model with a sound operator and something else beside it in the graph."""
    node = message(1, message(2, b"y") + message(4, b"Relu"))
    return message(7, node + message(number, content) * times)


DEEP = b""
for _ in range(2000):
    DEEP = message(5, message(6, message(1, DEEP)))  # attribute, its graph, a node of that


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it has no operators"),
        (b"\x80" * 5000, "a number is cut or too long"),
        (b"\x07", "a field has the number 0"),
        (b"\x0b", "a field has the wire type 3"),
        (b"\x38\x01", "a number where a message belongs"),
        (message(7, b"") * 2, "field 7 stands 2 times"),
        (in_graph(1, b""), "an operator has no type"),
        (in_graph(1, message(4, b"\xff")), "'utf-8' codec can't decode"),
        (in_graph(1, message(4, b"\x1b[2J")), "a name cannot be printed"),
        (in_graph(1, message(4, b"A") + message(5, b"") * 2), "A has an attribute twice"),
        (in_graph(1, message(4, b"A") + message(2, b"y")), "tensor 'y' is written twice"),
        (in_graph(5, b"\x10\x63" + message(8, b"w")), "tensor 'w' has the element type 99"),
        (in_graph(5, b"\x10\x01\x08\x05" + message(8, b"w")), "tensor 'w' does not hold the elem"),
        (in_graph(5, b"\x10\x01" + b"\x08\x01" * 33), "more than 32 integers"),
        (in_graph(5, b"\x10\x01" + b"\x08\xff\xff\xff\x7f" * 32), "has the shape"),
        (in_graph(13, message(2, message(1, message(2, message(1, b"") * 33)))), "33 dimensions"),
        (in_graph(13, b"", times=1 << 16), "a message has more than 65536 fields"),
    ],
)  # fmt: skip
def test_hostile_files_are_refused(data: bytes, reason: str) -> None:
    assert reason in str(refused(data))


def test_nesting_is_not_followed() -> None:
    assert refused(in_graph(1, message(4, b"If") + DEEP)) is None


def test_memory_grows_with_the_file_and_no_faster() -> None:
    nodes = (message(2, b"y%d" % n) + message(4, b"R") for n in itertools.count())
    data = message(7, b"".join(message(1, next(nodes)) for _ in range(5000)))
    tracemalloc.start()
    assert refused(data) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150 * len(data)
