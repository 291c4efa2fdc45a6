"""What `cspine diff` tells a reviewer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from cspine.bundle import PIPELINE, Bundle, emission_path, fp32_path, table_path, write_bundle
from cspine.cli import cspine
from cspine.compare import Comparison, compare, flattened
from cspine.outline import outline

VNNI = "ort-x64-vnni"


def graph(seed: int, *, last: str = "Relu", opset: int = 17, note: str = "") -> bytes:
    """Return a network of one convolution and one operator after it."""
    weights = np.random.default_rng(seed).normal(size=(2, 1, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["hidden"], name="conv", doc_string=note),
        helper.make_node(last, ["hidden"], ["logits"], name="last"),
    ]
    shape = ["batch", 1, 8, 8]
    made = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2, 6, 6])],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(np.zeros(2, np.float32), "b"),
        ],
    )
    data: bytes = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", opset)]
    ).SerializeToString()
    return data


@pytest.fixture
def old(bundle: Bundle, tmp_path: Path) -> Bundle:
    """Return a bundle whose classifier is a real graph."""
    emission = emission_path("classify", VNNI)
    return write_bundle(
        tmp_path / "old.cspine",
        {
            PIPELINE: bundle.read(PIPELINE),
            fp32_path("localise"): b"no graph",
            fp32_path("classify"): graph(1),
            table_path("classify"): b"table",
            emission: graph(2),
        },
        {
            fp32_path("classify"): {
                "checkpoint_sha256": "a" * 64,
                "torch": "2.8.0",
                "parity": [{"output": "logits", "max_abs": 0.0}],
            },
            table_path("classify"): {
                "set_digest": "b" * 64,
                "studies": [f"{n:064}" for n in range(9)],
            },
            emission: {"estimator": "mse"},
        },
    )


def changed(
    old: Bundle,
    files: Mapping[str, bytes],
    facts: Mapping[str, dict[str, object]] | None = None,
    drop: tuple[str, ...] = (),
) -> Bundle:
    kept = {name: old.read(name) for name in old.manifest.files if name not in drop}
    known = {name: each for name, each in old.manifest.provenance.items() if name not in drop}
    return write_bundle(
        old.path.with_name("new.cspine"), {**kept, **files}, {**known, **(facts or {})}
    )


def told(found: Comparison) -> dict[str, tuple[str, ...]]:
    return {network.stage: network.changes for network in found.networks}


def shown(old: Bundle, new: Bundle) -> str:
    result = CliRunner().invoke(cspine, ["diff", str(old.path), str(new.path)])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_same_bundle_differs_in_nothing(old: Bundle) -> None:
    found = compare(old, changed(old, {}))
    assert found.old == found.new == old.digest
    assert (found.pipeline, found.networks, found.files, found.provenance) == ((), (), (), ())
    assert shown(old, old).startswith(f"{old.digest[:12]} -> {old.digest[:12]}: the same bundle\n")


def test_a_key_of_the_pipeline_is_told_old_to_new(old: Bundle) -> None:
    text = old.read(PIPELINE).decode()
    assert "auc_margin = 0.01" in text
    new = changed(old, {PIPELINE: text.replace("auc_margin = 0.01", "auc_margin = 0.02").encode()})
    (change,) = compare(old, new).pipeline
    assert (change.key, change.old, change.new) == ("gate.auc_margin", 0.01, 0.02)
    assert "\npipeline\n  gate.auc_margin: 0.01 -> 0.02\n" in shown(old, new)


def test_a_sign_left_out_moves_no_other(old: Bundle) -> None:
    text = old.read(PIPELINE).decode()
    first = text.index("[[stage.sign]]")
    second = text.index("[[stage.sign]]", first + 1)
    new = changed(old, {PIPELINE: (text[:first] + text[second:]).encode()})
    keys = {change.key.rpartition(".")[0] for change in compare(old, new).pipeline}
    gone = old.spec.networks[0].sign[0].label  # type: ignore[union-attr]
    assert keys == {f"stage.screen.sign.{gone}"}


def test_a_comment_is_no_key(old: Bundle) -> None:
    new = changed(old, {PIPELINE: old.read(PIPELINE) + b"\n# reviewed\n"})
    assert [change.key for change in compare(old, new).pipeline] == ["comments or layout"]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (graph(3), "weights changed in 1 of 2 tensors; graph unchanged"),
        (graph(1, last="Abs"), "weights unchanged; graph changed: Relu 1 -> 0, Abs 0 -> 1"),
        (
            graph(1, opset=16),
            "weights unchanged; graph unchanged; inputs, outputs or operator sets changed",
        ),
        (graph(1, note="line 7"), "weights unchanged; graph unchanged"),
        (b"no graph", "one of the two cannot be read as ONNX"),
    ],
)
def test_what_of_a_model_changed(old: Bundle, model: bytes, words: str) -> None:
    new = changed(old, {fp32_path("classify"): model})
    assert told(compare(old, new)) == {"classify": (f"FP32 model changed: {words}",)}


def test_only_an_emission_changed(old: Bundle) -> None:
    new = changed(old, {emission_path("classify", VNNI): graph(4)})
    assert told(compare(old, new)) == {
        "classify": (
            "only emissions changed: the FP32 model and the calibration table are the same",
            f"INT8 emission for {VNNI} changed: weights changed in 1 of 2 tensors; graph unchanged",
        )
    }


def test_what_came_and_went(old: Bundle) -> None:
    emission = emission_path("classify", VNNI)
    new = changed(
        old,
        {table_path("localise"): b"t", "notes.txt": b"n"},
        drop=(table_path("classify"), emission),
    )
    found = compare(old, new)
    assert told(found) == {
        "localise": ("calibration table added",),
        "classify": ("calibration table removed", f"INT8 emission for {VNNI} removed"),
    }
    assert [change.key for change in found.files] == ["notes.txt"]
    assert f"  {emission}: 1 facts -> none\n" in shown(old, new)


def test_provenance_is_told_by_its_facts(old: Bundle) -> None:
    name, table = fp32_path("classify"), table_path("classify")
    facts = {**old.manifest.provenance[name], "checkpoint_sha256": "c" * 64, "torch": "2.9.0"}
    studies = [f"{n:064}" for n in range(2, 10)]
    new = changed(old, {}, {name: facts, table: {"set_digest": "d" * 64, "studies": studies}})
    text = shown(old, new)
    assert f"  {name}: checkpoint_sha256: {'a' * 12} -> {'c' * 12}\n" in text
    assert f"  {name}: torch: 2.8.0 -> 2.9.0\n" in text
    assert f"  {table}: set_digest: {'b' * 12} -> {'d' * 12}\n" in text
    assert f"  {table}: studies: 9 -> 8 (2 gone, 1 new)\n" in text
    assert "parity" not in text


def test_evidence_counts_for_its_own_bundle_only(old: Bundle) -> None:
    old.evidence.mkdir()
    document = {
        "format": 3,
        "bundle": old.digest,
        "backend": "onnxruntime",
        "target": VNNI,
        "verdict": "fail",
        "criteria": [],
    }
    path = old.evidence / f"{old.digest[:12]}.onnxruntime.{VNNI}.{'e' * 12}.json"
    path.write_text(json.dumps(document))
    new = changed(old, {emission_path("classify", VNNI): graph(4)})
    assert f"\nevidence\n  onnxruntime, {VNNI}, int8: fail -> none\n" in shown(old, new)


def test_programs_read_the_same(old: Bundle) -> None:
    new = changed(old, {fp32_path("classify"): graph(3)})
    result = CliRunner().invoke(cspine, ["diff", str(old.path), str(new.path), "--json"])
    document = json.loads(result.output)
    assert document["new"] == new.digest
    assert document["networks"][0]["stage"] == "classify"


def test_lists_are_named_by_what_tells_them_apart() -> None:
    value = {"stage": [{"id": "a", "size": [1, 2]}, {"kind": "b"}], "none": []}
    assert flattened(value) == {
        "stage.a.id": "a",
        "stage.a.size": [1, 2],
        "stage.1.kind": "b",
        "none": [],
    }


def test_the_outline_is_what_onnx_reads() -> None:
    data = graph(1)
    found = outline(data)
    model = onnx.load_from_string(data)
    assert found is not None
    assert set(found.weights) == {tensor.name for tensor in model.graph.initializer}
    assert sorted(found.operators.elements()) == sorted(node.op_type for node in model.graph.node)


def test_a_cut_file_has_no_outline() -> None:
    data = graph(1)
    assert outline(data) is not None
    assert outline(b"") is None
    # A cut in the last field of the model leaves the graph whole; before that, nothing is.
    whole = [place for place in range(len(data)) if outline(data[:place]) is not None]
    assert all(onnx.load_from_string(data[:place]).graph.node for place in whole)
    assert len(whole) < 4


def test_a_device_needs_no_onnx_to_compare(old: Bundle) -> None:
    code = (
        "import sys; sys.modules['onnx'] = None; sys.argv = ['cspine', 'diff', *sys.argv[1:]];"
        "from cspine.cli import main; main()"
    )
    words = [sys.executable, "-c", code, old.path, old.path]
    assert subprocess.run(words, check=False, capture_output=True).returncode == 0
