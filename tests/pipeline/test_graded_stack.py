"""A stack of slices on which a region is found and graded, with small networks of random weights.

The whole way: checkpoints to graphs that are proven on the slices, tables, INT8, findings.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from click.testing import Result
from safetensors.torch import save_file

from cspine.backends import open_backend
from cspine.backends.recorder import Recorder
from cspine.bundle import PIPELINE as PIPELINE_NAME
from cspine.bundle import Bundle, fp32_path, table_path
from cspine.commands.run import findings_table
from cspine.detection.faster_rcnn import FasterRcnn
from cspine.device import this_device
from cspine.dicom.select import Study
from cspine.errors import BundleError, ModelError
from cspine.findings import Source
from cspine.outcome import Outcome
from cspine.overlay import overlay_png
from cspine.pipeline import Pipeline
from cspine.pipeline_file import load_spec
from cspine.precision import Choice, fp32, lower
from cspine.session import Session
from cspine.spec import Detect, Features, Grade, Worst
from cspine.stages.explain import activation_maps
from cspine.stages.frame import frame_feeds, frame_map
from cspine.stages.grade import log_softmax
from cspine_bench.accuracy.again import judged_again
from cspine_bench.accuracy.evidence import read_evidence
from cspine_bench.accuracy.verdict import answered_levels, verify
from cspine_bench.cases import read_cases
from cspine_calibration.calibrate import calibrate, emit_targets, read_table
from cspine_calibration.estimate import DEFAULT
from cspine_calibration.numeric import sqnr
from cspine_calibration.tuning import fp32_pipeline
from cspine_export.architecture import build_network
from cspine_export.detectors import Detector
from cspine_export.export import export
from cspine_export.stage_network import networks_of
from mr_series import classic, neck, sagittal

PIPELINE = Path(__file__).parents[1] / "data" / "pipelines" / "graded-stack.toml"
SPEC = load_spec(PIPELINE)
FEATURES: Features = SPEC.only(Features)
DETECT: Detect = SPEC.only(Detect)
GRADE: Grade = SPEC.only(Grade)
WORST: Worst = SPEC.only(Worst)
EXACT = fp32("onnxruntime")


@cache
def study(seed: int) -> Study:
    made = classic(sagittal(neck(seed=seed), spacing_mm=(3.5, 1.0, 1.0)), series=f"1.2.{seed}")
    for dataset in made:
        dataset.PatientID = dataset.StudyInstanceUID = f"1.2.{seed}"
    return Study(tuple(made))


def fresh(stage: Detect | Grade) -> torch.nn.Module:
    """Return a network of random weights whose values have a spread that a trained one's have."""
    torch.manual_seed(3)
    network = build_network(stage.architecture, detector=SPEC.detector_of(stage)).train()
    with torch.no_grad():
        for _ in range(30):  # statistics of BatchNorm
            if isinstance(network, Detector):
                network.backbone(torch.rand(4, 1, *FEATURES.size_px))
            else:
                network(torch.randn(4, 1, *GRADE.size_px))
        if isinstance(network, Detector):
            for part, gain in (
                (network.rpn_head.cls_logits, 50),
                (network.rpn_head.bbox_pred, 10),
                (network.box_predictor.cls_score, 20),
            ):
                part.weight *= gain  # type: ignore[operator, union-attr]
    return network.eval()


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    for stage in (DETECT, GRADE):
        state = {name: each.contiguous() for name, each in fresh(stage).state_dict().items()}
        save_file(state, folder / f"{stage.id}.safetensors")
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a case set of four studies."""
    place = tmp_path_factory.mktemp("cases")
    rows = []
    for seed in range(4):
        (place / f"{seed}").mkdir()
        for number, dataset in enumerate(study(seed).instances):
            dataset.save_as(place / f"{seed}" / f"{number}.dcm", enforce_file_format=True)
        split = "calibration" if seed < 3 else "tuning"
        rows.append([f"{seed}", f"patient {seed}", split, seed % 2])
    with (place / "cases.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["study", "patient", "split", "stenosis"], *rows])
    return place


@pytest.fixture(scope="module")
def made(
    checkpoints: dict[str, Path], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """Return a complete bundle; not to be written to."""
    place = tmp_path_factory.mktemp("bundle") / "stack.cspine"
    bundle = export(PIPELINE, checkpoints, studies=[study(0)], to=place, exporters=["torchscript"])
    cases = read_cases(folder, split="calibration", levels=answered_levels(bundle))
    bundle = calibrate(bundle, cases, threads=1, progress=lambda done, total: None)
    device = this_device()
    targets = {device.onnxruntime_target, "openvino", "trt"}
    return emit_targets(bundle, sorted(targets), estimator=DEFAULT)


def changed(made: Bundle, folder: Path, old: str, new: str) -> Bundle:
    """Return a copy of a bundle with another pipeline file."""
    text = PIPELINE.read_text()
    assert old in text
    shutil.copytree(made.path, folder / "other.cspine")
    other = Bundle.open(folder / "other.cspine")
    return other.extended({PIPELINE_NAME: text.replace(old, new, 1).encode()}, {})


def answers(bundle: Bundle, choice: Choice = EXACT, seeds: Sequence[int] = (8, 9)) -> list[Outcome]:
    pipeline = Pipeline.open(bundle, choice, threads=1)
    found = [pipeline.run(study(seed)) for seed in seeds]
    pipeline.close()
    return found


def test_graphs_of_one_checkpoint_are_proven_on_what_the_pipeline_feeds_them(made: Bundle) -> None:
    facts = {stage.id: made.manifest.provenance[fp32_path(stage.id)] for stage in SPEC.networks}
    assert facts["features"]["checkpoint_sha256"] == facts["detect"]["checkpoint_sha256"]
    assert facts["features"]["checkpoint_sha256"] != facts["grade"]["checkpoint_sha256"]
    outputs = {name: [each["output"] for each in of["parity"]] for name, of in facts.items()}
    assert outputs == {
        "features": ["p0", "p1", "p2", "pool", "objectness", "deltas"],
        "detect": ["class_logits", "box_deltas"],
        "grade": ["logits", "cam"],
    }
    # Two batches of noise, and of the study one a slice, or all slices at once.
    assert [facts[name]["parity"][0]["tensors"] for name in facts] == [7, 7, 3]
    assert [facts[name]["parity"][0]["meaning"] for name in facts] == [None, "classes", "classes"]


def test_the_stages_find_what_the_whole_detector_finds(made: Bundle) -> None:
    """By the two graphs and host code in one piece, then crops, softmax and a search."""
    sessions = {
        stage.id: Session(stage.id, open_backend("onnxruntime", made.model(stage.id)))
        for stage in SPEC.networks
    }
    numbers = SPEC.detector_of(DETECT)
    assert numbers is not None
    whole = FasterRcnn(numbers, features=sessions["features"], head=sessions["detect"])
    images = study(8).images(SPEC.accept)
    (outcome,) = answers(made, seeds=[8])
    (decision,) = outcome.findings.decisions
    boxes = {each.source: each.box_px for each in decision.slices}
    for image in images:
        to_image = frame_map(image, FEATURES)
        (found,) = whole.run(frame_feeds(image, to_image, FEATURES)["image"])
        left, top, right, bottom = found.boxes[0] - 0.5
        wanted = to_image([[left, top], [right, top], [right, bottom], [left, bottom]])
        np.testing.assert_allclose(boxes[image.source], wanted, atol=0.006)
    assert len(boxes) == len(images) == 5


def test_the_answer_follows_from_what_its_slices_say(made: Bundle) -> None:
    for outcome in answers(made):
        found = outcome.findings
        assert (found.status, found.levels, found.threshold) == ("answered", (), GRADE.threshold)
        (decision,) = found.decisions
        assert decision.question == WORST.question
        first, *others = decision.slices
        order = sorted(decision.slices, key=lambda each: height(each.source))
        assert others == [each for each in order if each is not first]
        pairs = [(a.probability + b.probability) / 2 for a, b in pairwise(order)]
        assert decision.probability == pytest.approx(max(pairs), abs=1.1e-4)
        best = pairs.index(max(pairs))
        assert first in order[best : best + 2]
        assert first.probability == max(each.probability for each in order[best : best + 2])
        for each in (decision, *decision.slices):
            assert [score.label for score in each.classes] == GRADE.classes
            chance = {score.label: score.probability for score in each.classes}
            assert each.probability == pytest.approx(chance["mild"] + chance["severe"], abs=2e-4)
            assert chance[each.grade or ""] == max(chance.values())
        assert decision.positive == (decision.probability >= GRADE.threshold)
        assert decision.decision == (WORST.positive if decision.positive else WORST.negative)
        assert found.notes[-2:] == ("The grades are of 5 of 5 slices.", WORST.note)
        odds = outcome.logits[WORST.question]
        assert 1 / (1 + np.exp(-odds)) == pytest.approx(decision.probability, abs=1e-4)


def height(source: Source | None) -> float:
    """Return where a slice lies along its stack."""
    assert source
    images = study(int(source.study_uid.rpartition(".")[2])).images(SPEC.accept)
    (plane,) = (image.plane for image in images if image.source == source)
    assert plane
    return float(plane.origin_mm @ (plane.normal if plane.normal[2] >= 0 else -plane.normal))


def test_the_picture_shows_the_worst_slice_and_where_the_network_looked(made: Bundle) -> None:
    (outcome,) = answers(made, seeds=[8])
    view = outcome.view
    assert view is not None
    assert view.heat is not None
    (decision,) = outcome.findings.decisions
    assert view.image.source == decision.slices[0].source
    assert (len(view.crops), len(view.heat)) == (1, 1)
    png = overlay_png(outcome.findings, view)
    assert png.startswith(b"\x89PNG")
    first = msgspec.structs.replace(decision.slices[0], grade="none")
    other = msgspec.structs.replace(decision, slices=(first, *decision.slices[1:]))
    assert overlay_png(msgspec.structs.replace(outcome.findings, decisions=(other,)), view) != png
    text = findings_table([outcome.findings])
    assert f"{decision.probability:.2f} {decision.decision} ({decision.grade})" in text


def test_the_map_is_of_the_most_probable_class(made: Bundle) -> None:
    recorder = Recorder(open_backend("onnxruntime", made.model("grade")))
    rng = np.random.default_rng(0)
    outputs = recorder.run({"image": rng.normal(size=(6, 1, 32, 32)).astype(np.float32)})
    for row, (logits, maps) in enumerate(zip(outputs["logits"], outputs["cam"], strict=True)):
        seen = activation_maps({name: values[row : row + 1] for name, values in outputs.items()})
        np.testing.assert_array_equal(seen[0], np.maximum(maps[logits.argmax()], 0))


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_int8_of_all_three_networks_is_close(made: Bundle, backend: str) -> None:
    recorders = {
        stage.id: Recorder(open_backend("onnxruntime", made.model(stage.id)))
        for stage in SPEC.networks
    }
    pipeline = fp32_pipeline(made, recorders)
    pipeline.run(study(8))
    target = lower(backend, this_device(), "int8").target
    for stage in SPEC.networks:
        quantised = open_backend(backend, made.model(stage.id, target=target), threads=1)
        exact = open_backend("onnxruntime", made.model(stage.id))
        for feed in recorders[stage.id].feeds:
            wanted, got = exact.run(feed), quantised.run(feed)
            for name, values in wanted.items():
                assert sqnr(values, got[name]) > 15, (stage.id, name)
    (outcome,) = answers(made, lower(backend, this_device(), "int8"), seeds=[8])
    assert outcome.findings.identity.precision == "int8"
    assert outcome.findings.decisions


def test_the_head_is_calibrated_on_the_regions_that_it_sees(made: Bundle) -> None:
    tables = {stage.id: read_table(made, stage) for stage in SPEC.networks}
    assert tables["features"].samples == tables["grade"].samples == 3 * 5
    assert 3 * 5 < tables["detect"].samples <= 3 * 5 * DETECT.proposals.after_nms
    assert "regions" in tables["detect"].tensors


def test_a_table_of_regions_cut_otherwise_is_refused(made: Bundle, tmp_path: Path) -> None:
    other = changed(made, tmp_path, "sampling_ratio = 2", "sampling_ratio = 1")
    with pytest.raises(BundleError, match="'detect' was calibrated with another preprocessing"):
        read_table(other, other.spec.only(Detect))
    assert read_table(other, other.spec.only(Features))


def test_ranges_are_tuned_on_one_slice_a_study(
    made: Bundle, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cspine_calibration.tune_ranges.MOST_TRIALS", 1)
    from cspine_calibration import tuning

    seen: list[int] = []

    def keep(model: bytes, table: object, feeds: Sequence[object], **rest: object) -> object:
        seen.append(len(feeds))
        return table

    monkeypatch.setattr(tuning, "tuned", keep)
    cases = read_cases(folder, split="tuning", levels=answered_levels(made))
    tables = {stage.id: read_table(made, stage) for stage in SPEC.networks}
    tuning.tune(made, tables, cases, threads=1, progress=lambda done, total: None)
    assert seen == [1, 1, 1]


def test_where_nothing_is_found_the_study_is_refused(made: Bundle, tmp_path: Path) -> None:
    none = changed(made, tmp_path, "score_threshold = 0.05", "score_threshold = 1.0")
    (outcome,) = answers(none, seeds=[8])
    refusal = outcome.findings.refusal
    assert refusal is not None
    assert (refusal.code, outcome.findings.decisions) == ("MODEL_UNSURE", ())
    assert refusal.reason == "The spinal canal was found on none of 5 slices."


def test_without_proposals_no_network_is_asked(made: Bundle, tmp_path: Path) -> None:
    none = changed(made, tmp_path, "minimum_side_px = 0.001", "minimum_side_px = 1000.0")
    (outcome,) = answers(none, seeds=[8])
    assert outcome.findings.refusal
    assert "detect" not in outcome.nanoseconds
    assert "features" in outcome.nanoseconds


def test_softmax_of_logits_is_what_is_said(made: Bundle) -> None:
    recorder = Recorder(open_backend("onnxruntime", made.model("grade")))
    backends = {
        stage.id: open_backend("onnxruntime", made.model(stage.id))
        for stage in SPEC.networks
        if stage.id != "grade"
    }
    (outcome,) = [fp32_pipeline(made, {**backends, "grade": recorder}).run(study(8))]
    (feed,) = recorder.feeds
    logits = open_backend("onnxruntime", made.model("grade")).run(feed)["logits"]
    chance = np.exp(log_softmax(logits))
    said = [[each.probability for each in one.classes] for one in
            outcome.findings.decisions[0].slices]  # fmt: skip
    np.testing.assert_allclose(sorted(said), sorted(np.round(chance, 4).tolist()), atol=1e-4)


def test_commands_know_every_network(
    made: Bundle, folder: Path, invoke: Callable[[Sequence[object]], Result]
) -> None:
    for words in (
        ["inspect", made.path],
        ["inspect", made.path, "--json"],
        ["inspect", made.path, "--target", "trt"],
        ["diff", made.path, made.path],
        ["run", made.path, folder / "0", "--json"],
    ):
        done = invoke(words)
        assert done.exit_code == 0, done.output
    told = invoke(["inspect", made.path]).output
    assert "detect, a stage of kind detect" in told
    assert "-> deltas: float32 (batch, 256, 4)" in told
    assert table_path("detect") in made.manifest.files


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("layers = [1, 1, 1, 1]\nblock_inplanes = [4, 8, 8, 8]\nrepresentation",
         "layers = [1, 1, 1]\nblock_inplanes = [4, 8, 8, 8]\nrepresentation", "refuses its"),
        ('block = "basic"\nlayers = [1, 1, 1, 1]\nblock_inplanes = [4, 8, 8, 8]\nrepresentation',
         'block = "plain"\nlayers = [1, 1, 1, 1]\nblock_inplanes = [4, 8, 8, 8]\nrepresentation',
         "refuses its arguments: 'plain'"),
        ("aspect_ratios = [1.0, 2.0]\n\n[[stage.anchors]]\nmap = \"p1\"",
         "aspect_ratios = [1.0]\n\n[[stage.anchors]]\nmap = \"p1\"",
         "anchors: got [1, 2] a cell, expected as many on every map"),
        ("grid = [2, 1]\nstride_px = [48, 64]", "grid = [1, 1]\nstride_px = [96, 64]",
         "stage 'features', output 'pool': the network returns (2, 8, 2, 1), the pipeline file "
         "says (2, 8, 1, 1)"),
    ],
)  # fmt: skip
def test_a_detector_of_other_numbers_is_refused_by_name(
    old: str, new: str, told: str, tmp_path: Path
) -> None:
    text = PIPELINE.read_text()
    assert old in text
    (tmp_path / "other.toml").write_text(text.replace(old, new))
    spec = load_spec(tmp_path / "other.toml")
    stage: Detect = spec.only(Detect)
    with pytest.raises(ModelError) as caught:
        networks_of(
            build_network(stage.architecture, detector=spec.detector_of(stage)), stage, spec
        )
    assert told in str(caught.value)


def test_a_checkpoint_is_of_the_stage_with_the_architecture(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    wrong = {"features": checkpoints["detect"], "grade": checkpoints["grade"]}
    with pytest.raises(ModelError, match="no network stage 'features' in graded-stack"):
        export(PIPELINE, wrong, studies=[], to=tmp_path / "x.cspine")


def test_a_verdict_is_of_grades_and_regions(made: Bundle, tmp_path: Path) -> None:
    """The true regions are FP32's own, of which one lies on another slice."""
    gate = "[gate]\nkappa_margin = 0.1\nbox_margin = 0.1\n"
    bundle = changed(made, tmp_path, "[gate]\n", gate)
    header = ["study", "patient", "split", "stenosis", "grade stenosis", "second stenosis", "boxes"]
    rows = []
    for at, seed in enumerate(range(8, 14)):
        (outcome,) = answers(made, seeds=[seed])
        # Sagittal slices, whose normal runs to the right.
        heights = sorted(-float(each.ImagePositionPatient[0]) for each in study(seed).instances)
        (tmp_path / f"{seed}").mkdir()
        for number, dataset in enumerate(study(seed).instances):
            dataset.save_as(tmp_path / f"{seed}" / f"{number}.dcm", enforce_file_format=True)
        regions = []
        for one in outcome.findings.decisions[0].slices:
            place = int(np.abs(np.array(heights) - height(one.source)).argmin())
            (left, top), _, (right, bottom), _ = one.box_px
            regions.append([place, left, top, right, bottom])
        if at == 0:
            judged = {place for place, *_ in regions}
            regions[0][0] = next(free for free in range(len(heights)) if free not in judged)
        with (tmp_path / f"{seed}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["slice", "left", "top", "right", "bottom"], *regions])
        grade = GRADE.classes[at % 3]
        positive = int(grade in GRADE.positive)
        rows.append([f"{seed}", f"p{seed}", "test", positive, grade, 1, f"{seed}.csv"])
    with (tmp_path / "cases.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    levels = answered_levels(bundle)
    cases = read_cases(tmp_path, split="test", levels=levels, regions=True)
    candidate = lower("onnxruntime", this_device(), "int8")
    report = verify(bundle, candidate, cases, threads=1)
    assert report.classes == tuple(GRADE.classes)
    assert {each.name for each in report.criteria} >= {"quadratic kappa", "boxes"}
    before, after = report.reference, report.candidate
    assert before.boxes
    assert after.boxes
    assert before.grades
    assert (before.boxes.regions, before.boxes.recall.value) == (6 * 5 - 1, 1.0)
    assert before.boxes.elsewhere == 1
    assert before.boxes.iou.value == pytest.approx(1.0)
    assert report.boxes
    assert report.boxes.boxes == 6 * 5
    assert (before.grades.graded, before.grades.unanswered) == (6, 0)
    assert report.readers
    assert report.readers.levels
    assert report.readers.levels.counts == ((0, 2), (0, 4))
    (path,) = bundle.evidence.glob("*.json")
    assert judged_again(read_evidence(path), where="evidence") == report
