"""Faults that are planted in the INT8 models, the case set or the record are found."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from pydicom import dcmread

from cspine.bundle import Bundle, emission_path
from cspine.device import this_device
from cspine.errors import ModelError
from cspine.pipeline_file import shipped_spec
from cspine.precision import lower
from cspine_bench.accuracy.commands import check_bundle
from cspine_bench.accuracy.evidence import Report, evidence_bytes
from cspine_bench.accuracy.verdict import answered_levels, verify
from cspine_bench.cases import read_cases, study_digest
from cspine_phantom.cases import write_cases
from cspine_phantom.faults.film import UNFIT

Surgery = Callable[[onnx.ModelProto], None]


def halved_scales(model: onnx.ModelProto) -> None:
    """Halve the scales of the weights of the last layer in integers."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    layers = [
        node
        for node in model.graph.node
        if node.op_type == "DequantizeLinear"
        and node.input[0] in weights
        and len(weights[node.input[0]].dims) == 4
    ]
    scale = weights[layers[-1].input[1]]
    half = numpy_helper.to_array(scale) / 2
    scale.CopyFrom(numpy_helper.from_array(half.astype(np.float32), scale.name))


def before(model: onnx.ModelProto, *nodes: onnx.NodeProto) -> None:
    """Put nodes that make ``changed`` of ``image`` before the others."""
    for node in model.graph.node:
        node.input[:] = ["changed" if name == "image" else name for name in node.input]
    for number, node in enumerate(nodes):
        model.graph.node.insert(number, node)


def constant(model: onnx.ModelProto, name: str, values: object) -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    return name


def crop_one_pixel_aside(model: onnx.ModelProto) -> None:
    width = model.graph.input[0].type.tensor_type.shape.dim[3].dim_value
    pads = constant(model, "pads", np.array([0, 0, 0, 1, 0, 0, 0, 0], np.int64))
    ends = [constant(model, name, np.array([value], np.int64)) for name, value in
            (("starts", 0), ("ends", width), ("axes", 3))]  # fmt: skip
    before(
        model,
        helper.make_node("Pad", ["image", pads], ["padded"], mode="edge"),
        helper.make_node("Slice", ["padded", *ends], ["changed"]),
    )


def window_shifted(model: onnx.ModelProto) -> None:
    shift = constant(model, "shift", np.array(0.5, np.float32))
    before(model, helper.make_node("Add", ["image", shift], ["changed"]))


def labels_swapped(model: onnx.ModelProto) -> None:
    """Let the third vertebra be called the fourth, and the other way round."""
    channels = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    order = [0, 1, 2, 4, 3, *range(5, channels)]
    for node in model.graph.node:
        node.output[:] = ["unswapped" if name == "logits" else name for name in node.output]
    index = constant(model, "order", np.array(order, np.int64))
    model.graph.node.append(helper.make_node("Gather", ["unswapped", index], ["logits"], axis=1))


def nothing_shows(model: onnx.ModelProto) -> None:
    """Let the screen find no sign in any image."""
    low = constant(model, "low", np.array(-20.0, np.float32))
    for node in model.graph.node:
        node.output[:] = ["unlowered" if name == "logits" else name for name in node.output]
    model.graph.node.append(helper.make_node("Add", ["unlowered", low], ["logits"]))


PLANTED: list[tuple[str, Surgery]] = [
    ("localise", halved_scales),
    ("classify", halved_scales),
    ("localise", labels_swapped),
    ("classify", window_shifted),
    ("classify", crop_one_pixel_aside),
]


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A locked set of 20 patients, and a film with each fault that must be refused."""
    folder = tmp_path_factory.mktemp("few")
    write_cases(folder, patients=20, seed=504, split="test", faults=UNFIT, header="lying")
    return folder


@pytest.fixture(scope="module")
def shipped(made: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with the margins that the shipped pipeline file has."""
    path = tmp_path_factory.mktemp("shipped") / "xray.cspine"
    shutil.copytree(made.path, path)
    return Bundle.open(path).extended(
        {"pipeline.toml": shipped_spec("xray-compression").read_bytes()}, {}
    )


@pytest.fixture
def bundle(shipped: Bundle, tmp_path: Path) -> Bundle:
    """A copy of it that a test may change."""
    shutil.copytree(shipped.path, tmp_path / "xray.cspine")
    return Bundle.open(tmp_path / "xray.cspine")


def judged(bundle: Bundle, folder: Path) -> Report:
    cases = read_cases(folder, split="test", levels=answered_levels(bundle))
    return verify(bundle, lower("onnxruntime", this_device(), "int8"), cases, threads=None)


@pytest.fixture(scope="module")
def sound(shipped: Bundle, few: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    copy = tmp_path_factory.mktemp("sound") / "xray.cspine"
    shutil.copytree(shipped.path, copy)
    return judged(Bundle.open(copy), few)


def test_what_nothing_was_planted_in_does_not_fail(sound: Report) -> None:
    assert sound.verdict != "fail", sound.reasons
    found = {each.name: each.verdict for each in sound.criteria}
    assert found.keys() == sound.gate.margins.keys()
    assert "fail" not in found.values(), sound.criteria
    assert sound.reference.unfit == sound.candidate.unfit == len(UNFIT)


@pytest.mark.parametrize(("stage", "surgery"), PLANTED)
def test_a_fault_in_an_int8_model_fails(
    bundle: Bundle, few: Path, stage: str, surgery: Surgery
) -> None:
    name = emission_path(stage, lower("onnxruntime", this_device(), "int8").target or "")
    model = onnx.load_from_string(bundle.read(name))
    surgery(model)
    onnx.checker.check_model(model)
    found = judged(bundle.extended({name: model.SerializeToString()}, {}), few)
    assert found.verdict == "fail", found.reasons


def test_a_screen_that_lets_every_film_pass_fails(bundle: Bundle, tmp_path: Path) -> None:
    write_cases(
        tmp_path / "unfit", patients=4, seed=505, split="test", faults=UNFIT * 3, header="lying"
    )
    name = emission_path("screen", lower("onnxruntime", this_device(), "int8").target or "")
    model = onnx.load_from_string(bundle.read(name))
    nothing_shows(model)
    onnx.checker.check_model(model)
    found = judged(bundle.extended({name: model.SerializeToString()}, {}), tmp_path / "unfit")
    (refusals,) = (each for each in found.criteria if each.name == "refusals")
    assert refusals.verdict == found.verdict == "fail", found.reasons


def test_evidence_of_another_bundle_is_refused(
    shipped: Bundle, bundle: Bundle, sound: Report
) -> None:
    check_bundle(sound, shipped, where="x.json")
    other = bundle.extended({}, {"pipeline.toml": {"note": "another"}})
    with pytest.raises(ModelError, match=r"^x\.json: is of bundle .* expected "):
        check_bundle(sound, other, where="x.json")
    gate = msgspec.structs.replace(sound.gate, auc_margin=0.05)
    wider = msgspec.structs.replace(sound, gate=gate)
    with pytest.raises(ModelError, match="the margins are not those of the bundle's"):
        check_bundle(wider, shipped, where="x.json")


def test_a_study_that_the_bundle_was_tuned_on_is_refused(bundle: Bundle, few: Path) -> None:
    (case, *_) = read_cases(few, split="test", levels=answered_levels(bundle)).cases
    tuned = bundle.extended({}, {"pipeline.toml": {"tuned_on": [study_digest(case.read())]}})
    with pytest.raises(ModelError, match=r"line 2: pipeline\.toml was tuned on this study"):
        judged(tuned, few)


def three_of(few: Path, folder: Path) -> list[str]:
    """Copy the first three studies into a set of their own; return the lines of its table."""
    lines = (few / "cases.csv").read_text().splitlines(keepends=True)[:4]
    for name in ("studies", "masks", "points"):
        for path in sorted((few / name).iterdir())[:3]:
            copied = folder / name / path.name
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(path, copied) if path.is_dir() else shutil.copy(path, copied)
    (folder / "cases.csv").write_text("".join(lines))
    return lines


@pytest.mark.parametrize(
    ("value", "said"), [(0, "shows no vertebra"), (255, "holds 255, expected")]
)
def test_a_mask_that_says_nothing_is_refused(
    bundle: Bundle, few: Path, tmp_path: Path, value: int, said: str
) -> None:
    three_of(few, tmp_path / "set")
    before = read_cases(tmp_path / "set", split="test", levels=answered_levels(bundle)).digest
    for path in (tmp_path / "set" / "masks").iterdir():
        shape = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape
        cv2.imwrite(str(path), np.full(shape, value, np.uint8))
    assert (
        read_cases(tmp_path / "set", split="test", levels=answered_levels(bundle)).digest != before
    )
    with pytest.raises(ModelError, match=f"line 2: the mask {said}"):
        judged(bundle, tmp_path / "set")


def test_pixels_under_two_patients_are_refused_whatever_the_header_says(
    bundle: Bundle, few: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    lines = three_of(few, folder)
    study = folder / lines[3].split(",")[0]
    shutil.rmtree(study)
    shutil.copytree(folder / lines[1].split(",")[0], study)
    dataset = dcmread(study / "image.dcm")
    dataset.PatientID = "ANOTHER"
    dataset.save_as(study / "image.dcm", enforce_file_format=True)
    cells = lines[3].split(",")
    mask = lines[0].split(",").index("mask")
    cells[mask] = lines[1].split(",")[mask]
    (folder / "cases.csv").write_text("".join([*lines[:3], ",".join(cells)]))
    with pytest.raises(ModelError, match="lines 2 and 4: the same pixels under two patients"):
        judged(bundle, folder)
    assert not (folder / "looks.jsonl").exists()


def test_a_kill_costs_one_study_and_leaves_the_verdict_byte_for_byte(
    bundle: Bundle, few: Path, sound: Report
) -> None:
    command = [Path(sys.executable).with_name("cspine"), "verify", bundle.path, "--set", few]
    first = subprocess.Popen([*command, "--json"], stdout=subprocess.DEVNULL)
    answered = 0
    while answered < 5:
        assert first.poll() is None, "it was done before it could be killed"
        for journal in bundle.evidence.glob("*.journal"):
            answered = journal.read_bytes().count(b"\n") - 1
        time.sleep(0.01)
    first.kill()
    first.wait()
    (journal,) = bundle.evidence.iterdir()
    before = journal.read_bytes()
    assert before.count(b"\n") >= 6
    seen: list[int] = []
    cases = read_cases(few, split="test", levels=answered_levels(bundle))
    candidate = lower("onnxruntime", this_device(), "int8")
    again = verify(
        bundle, candidate, cases, threads=None, progress=lambda done, total: seen.append(done)
    )
    every = 20 + len(UNFIT)
    assert seen == list(range(before.count(b"\n"), every + 1))  # the header and the answers before
    assert evidence_bytes(again) == evidence_bytes(sound)
    assert [path.suffix for path in bundle.evidence.iterdir()] == [".json"]
