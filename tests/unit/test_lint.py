"""The linter finds each broken graph broken, for its rule, and sound ones sound."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from broken import CASES, FORMS, Broken, closed, sound
from cspine.bundle import Bundle, emission_path
from cspine.cli import cspine
from cspine.errors import BundleError, ModelError
from cspine_calibration.lint.finding import Finding
from cspine_calibration.lint.lint import RULES, UNDECIDED, apply, lint
from cspine_calibration.lint.quantized import read_quantized
from cspine_calibration.targets import TARGETS
from drawing import CHANNELS, Drawing

DLA = TARGETS["trt-dla"]
BY_NAME = {case.name: case for case in CASES}


def errors(findings: tuple[Finding, ...]) -> set[str]:
    return {each.number for each in findings if each.severity == "error"}


@pytest.mark.parametrize("target", FORMS)
def test_a_sound_graph_has_no_findings(target: str) -> None:
    assert lint(sound(target), target=target, where="sound") == ()


@pytest.mark.parametrize("name", BY_NAME)
def test_a_broken_graph_breaks_its_rule_and_no_other(name: str) -> None:
    case = BY_NAME[name]
    found = lint(case.model, target=case.target, where=case.name)
    assert (case.number, case.severity) in {(each.number, each.severity) for each in found}
    assert errors(found) == ({case.number} if case.severity == "error" else set())
    names = {node.name for node in onnx.load_model_from_string(case.model).graph.node}
    assert all(each.place in names | {"x"} and each.remedy for each in found)


def test_a_gate_is_no_head() -> None:
    d = Drawing()
    convolved = d.conv(d.stored("x"))
    gated = d.node("Mul", convolved, d.node("Sigmoid", convolved))
    assert lint(d.model(d.head(gated)), target="trt", where="m") == ()


@pytest.mark.parametrize(("channels", "heads"), [(CHANNELS, 0), (CHANNELS // 2, 1)])
def test_a_feature_map_that_is_read_on_is_no_head(channels: int, heads: int) -> None:
    """Another network may read it besides; one that has lost channels is a result."""
    d = Drawing()
    shown = d.conv(d.stored("x"), d.weights((channels, CHANNELS, 3, 3)), d.bias(channels))
    onwards = d.node("Relu", d.conv(d.stored(shown), d.weights((CHANNELS, channels, 3, 3))))
    model = onnx.load_model_from_string(d.model(d.head(onwards)))
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(shown))
    found = lint(model.SerializeToString(), target="trt", where="m")
    assert [each.number for each in found if each.place == shown] == ["T10"] * heads


def test_every_rule_is_broken_by_a_case() -> None:
    broken = {(case.number, case.severity) for case in CASES} | {("D1", "warning"), ("D2", "error")}
    assert {(rule.number, rule.severity) for rule in RULES} == broken


def test_every_rule_is_decided_by_a_file_or_said_not_to_be() -> None:
    numbers = {rule.number for rule in RULES} | {each.number for each in UNDECIDED}
    counts = {"T": 14, "D": 5, "O": 9, "V": 6, "G": 3}
    assert numbers == {f"{kind}{n + 1}" for kind, count in counts.items() for n in range(count)}


@pytest.mark.parametrize("target", [name for name in FORMS if name.startswith("ort")])
def test_a_file_for_onnxruntime_is_rejected_for_tensorrt(target: str) -> None:
    assert "T1" in errors(lint(sound(target), target="trt", where="sound"))


def drawn_for_dla(*, scaled: bool) -> bytes:
    d = Drawing()
    x = d.stored("x")
    convolved = d.conv(x)
    added = d.node("Relu", d.node("Add", d.stored(convolved) if scaled else convolved, x))
    hidden = d.node("Relu", d.conv(d.stored(added)))
    return d.model(d.head(d.stored(hidden) if scaled else hidden), batch=1 if scaled else "n")


def test_the_accelerator_wants_every_tensor_scaled_and_fixed_shapes() -> None:
    good = apply(read_quantized(drawn_for_dla(scaled=True), where="dla"), DLA)
    assert good == ()
    bad = apply(read_quantized(drawn_for_dla(scaled=False), where="dla"), DLA)
    assert [(each.number, each.place) for each in bad] == [
        ("D1", "x"), ("D2", "add4"), ("D2", "conv3"), ("D2", "conv9"),
    ]  # fmt: skip


def test_operators_and_tensors_are_named_and_numbers_told() -> None:
    case = BY_NAME["ort-x64-avx2: weights of the full range"]
    (found,) = lint(case.model, target=case.target, where="m")
    assert found.place == "conv3"
    assert "277 of 1152 pairs of weights can saturate 16 bits, in 16 of 16 output" in found.found


def model_file(folder: Path, case: Broken) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(case.model)
    return path


def test_the_command_prints_a_table_and_exits_1(tmp_path: Path) -> None:
    path = model_file(tmp_path, BY_NAME["trt: bias in int32"])
    result = CliRunner().invoke(cspine, ["inspect", str(path), "--target", "trt"])
    assert result.exit_code == 1
    assert result.stdout.startswith("model.onnx for trt: 1 errors, 0 warnings\n\nrule  severity")
    assert "T4    error     conv4" in result.stdout
    assert "INT32 through DequantizeLinear" in result.stdout
    assert result.stdout.rstrip().endswith("store the bias as FP32")


def test_json_says_the_same(tmp_path: Path) -> None:
    path = model_file(tmp_path, BY_NAME["trt: bias in int32"])
    result = CliRunner().invoke(cspine, ["inspect", str(path), "--target", "trt", "--json"])
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    (model,) = told["models"]
    (found,) = lint(path.read_bytes(), target="trt", where="m")
    assert (told["target"], len(told["digest"]), model["model"]) == ("trt", 64, "model.onnx")
    assert model["findings"] == [found.facts()]


def test_warnings_alone_exit_0(tmp_path: Path) -> None:
    path = model_file(tmp_path, BY_NAME["trt: quantised head"])
    result = CliRunner().invoke(cspine, ["inspect", str(path), "--target", "trt"])
    assert (result.exit_code, "T10   warning" in result.stdout) == (0, True)


def test_of_a_bundle_every_stage_is_linted(exported: Bundle) -> None:
    files = {
        emission_path(stage.id, "trt"): BY_NAME["trt: bias in int32"].model
        if stage.id == "classify"
        else sound("trt")
        for stage in exported.spec.networks
    }
    bundle = exported.extended(files, {})
    words = ["inspect", str(bundle.path), "--target", "trt", "--json"]
    result = CliRunner().invoke(cspine, words)
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["digest"] == bundle.digest
    counts = {model["model"]: len(model["findings"]) for model in told["models"]}
    assert counts == {"screen": 0, "localise": 0, "classify": 1}


def test_a_bundle_without_the_emission_is_refused(exported: Bundle) -> None:
    result = CliRunner().invoke(cspine, ["inspect", str(exported.path), "--target", "trt"])
    assert isinstance(result.exception, BundleError)
    assert "make it with: cspine emit" in str(result.exception)


def test_what_has_no_target_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.engine"
    result = CliRunner().invoke(cspine, ["inspect", str(path), "--target", "trt"])
    assert isinstance(result.exception, ModelError)
    assert "expected a bundle or an .onnx file" in str(result.exception)


@pytest.mark.parametrize("target", TARGETS)
def test_no_case_is_too_odd_for_another_target(target: str) -> None:
    for case in CASES:
        lint(case.model, target=target, where=case.name)


def test_a_pair_that_feeds_itself_ends() -> None:
    d = Drawing()
    loop = d.stored("x")
    model = onnx.load_model_from_string(d.model(closed(d, d.conv(loop))))
    quantize = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    quantize.input[0] = loop
    for target in TARGETS:
        lint(model.SerializeToString(), target=target, where="m")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"^m: not an ONNX model"):
        lint(data, target="trt", where="m")


@settings(max_examples=150, deadline=None)
@given(
    case=st.sampled_from(CASES),
    target=st.sampled_from(tuple(TARGETS)),
    edits=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=6),
)
def test_damaged_models_are_refused_or_linted(
    case: Broken, target: str, edits: list[tuple[int, int]]
) -> None:
    data = bytearray(case.model)
    for place, value in edits:
        data[place % len(data)] = value
    told(bytes(data), target)


def told(data: bytes, target: str) -> None:
    with suppress(ModelError):
        found = lint(data, target=target, where="m")
        assert all(each.number and each.found for each in found)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), case=st.sampled_from(CASES), target=st.sampled_from(tuple(TARGETS)))
def test_graphs_wired_at_random_are_linted(data: st.DataObject, case: Broken, target: str) -> None:
    model = onnx.load_model_from_string(case.model)
    nodes = model.graph.node
    names = ["", "x", *(name for node in nodes for name in (*node.input, *node.output))]
    for _ in range(data.draw(st.integers(1, 5))):
        node = nodes[data.draw(st.integers(0, len(nodes) - 1))]
        match data.draw(st.sampled_from(["input", "drop", "type", "attribute"])):
            case "input" if node.input:
                place = data.draw(st.integers(0, len(node.input) - 1))
                node.input[place] = data.draw(st.sampled_from(names))
            case "drop":
                del node.input[data.draw(st.integers(0, len(node.input))) :]
            case "type":
                node.op_type = data.draw(st.sampled_from(nodes)).op_type
            case "attribute":
                del node.attribute[:]
                value = data.draw(st.sampled_from([1 << 62, -9, "text", [3], 1.5]))
                name = data.draw(st.sampled_from(["axis", "group", "to", "transB", "block_size"]))
                node.attribute.append(onnx.helper.make_attribute(name, value))
    told(model.SerializeToString(), target)


def test_constants_in_another_file_are_unknown_and_no_fault() -> None:
    model = onnx.load_model_from_string(sound("trt"))
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.int8 and values.ndim == 4:
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="../weights.bin")
    assert errors(lint(model.SerializeToString(), target="trt", where="m")) == set()
