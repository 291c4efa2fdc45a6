"""One network through the bench of INT8, with every tool on both runtimes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import pytest

pytest.importorskip("timm")
pytest.importorskip("nncf", reason="pip install nncf")
from cspine_int8.measure import crash, measure
from cspine_int8.networks import Subject, subjects
from cspine_int8.peers import OURS, PEERS, TARGETS, observed
from cspine_int8.rounding import decibels, with_exact_weights

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def subject() -> Subject:
    return subjects()["ResNet-18"]()


@pytest.mark.parametrize("runtime", TARGETS)
def test_every_tool_is_measured(subject: Subject, runtime: str, tmp_path: Path) -> None:
    found = measure(subject, runtime, tmp_path, kept={}, threads=1)
    assert set(found.arms) | set(found.failed) == {peer.name for peer in PEERS}
    ours = found.arms[OURS]
    assert ours.integer > 0.99  # all but the head
    assert ours.decibels > 25
    assert all(arm.integer <= 1 for arm in found.arms.values())
    kind = "QLinearConv" if runtime == "onnxruntime" else "Convolution i8"
    assert next(iter(found.kernels[OURS])) == kind  # where most of the time goes
    assert found.kernels[OURS][kind][0] == 20


def test_exact_weights_are_those_of_fp32(subject: Subject) -> None:
    made = with_exact_weights(subject.model, observed(subject), target="openvino")
    graph = onnx.load_model_from_string(made).graph
    matrices = [each for each in graph.initializer if len(each.dims) > 1]
    assert {each.data_type for each in matrices} == {onnx.TensorProto.FLOAT}
    kinds = Counter(node.op_type for node in graph.node)
    assert kinds["QuantizeLinear"] == kinds["DequantizeLinear"] > 20
    assert min(decibels(subject)) > 25


def test_a_file_that_kills_its_process_is_told(subject: Subject, tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    assert crash(path, "onnxruntime", subject, tmp_path) is not None
