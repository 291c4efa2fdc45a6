"""One answer for a stack of MR slices: the shipped network, refusals, and INT8."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.bundle import Bundle
from cspine.device import this_device
from cspine.dicom.select import Study
from cspine.findings import Findings, Refused
from cspine.outcome import Outcome
from cspine.overlay import overlay_png
from cspine.pipeline import Pipeline
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.precision import Choice, fp32, lower
from cspine.spec import Slices
from cspine_bench.accuracy.verdict import answered_levels
from cspine_bench.cases import read_cases
from cspine_calibration.calibrate import calibrate, emit_targets
from cspine_calibration.estimate import DEFAULT
from cspine_export.export import export
from cspine_phantom.mr.cases import write_cases
from cspine_phantom.mr.disease import draw_disease
from cspine_phantom.mr.faults import TOLD
from cspine_phantom.mr.study import mr_phantom
from cspine_phantom.patients import draw_patient
from cspine_phantom.study import phantom
from mr_series import T2, classic, enhanced, neck, reformatted, sagittal

Find = Callable[[str], Path]

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "assets" / "mr-opll"
PIPELINE = shipped_spec("mr-opll")
SPEC = load_spec(PIPELINE)
STAGE: Slices = SPEC.only(Slices)
BACKENDS = ("onnxruntime", "openvino")
REFERENCE = fp32("onnxruntime")
SEED, PATIENTS = 561, 4  # one of each site, and of either class one that is clear


@pytest.fixture(scope="module")
def stacks() -> list[Study]:
    """Four patients, then a study with each fault that is told by headers or the canal."""
    faults = [*[None] * PATIENTS, *TOLD]
    return [
        Study(mr_phantom(seed=SEED, number=number, fault=fault).datasets)
        for number, fault in enumerate(faults)
    ]


@pytest.fixture(scope="module")
def opll(tmp_path_factory: pytest.TempPathFactory, stacks: list[Study]) -> Bundle:
    """The shipped checkpoint as a calibrated bundle; not to be written to."""
    place = tmp_path_factory.mktemp("opll")
    checkpoints = {"classify": ASSETS / "classify.safetensors"}
    bundle = export(
        PIPELINE,
        checkpoints,
        studies=stacks[:2],
        to=place / "opll.cspine",
        exporters=["torchscript"],  # whose graph is taken; to make the other's, too, takes longest
    )
    write_cases(place / "set", patients=4, seed=522, split="calibration")
    cases = read_cases(place / "set", split="calibration", levels=answered_levels(bundle))
    bundle = calibrate(bundle, cases, threads=1, progress=lambda done, total: None)
    targets = [lower(backend, this_device(), "int8").target for backend in BACKENDS]
    return emit_targets(bundle, targets, estimator=DEFAULT)


def answers(bundle: Bundle, studies: Sequence[Study], choice: Choice = REFERENCE) -> list[Outcome]:
    pipeline = Pipeline.open(bundle, choice, threads=1)
    outcomes = [pipeline.run(study) for study in studies]
    pipeline.close()
    return outcomes


@pytest.fixture(scope="module")
def reference(opll: Bundle, stacks: list[Study]) -> list[Outcome]:
    return answers(opll, stacks)


def score(found: Findings) -> float:
    (decision,) = found.decisions
    return decision.probability


def test_patients_are_told_apart_who_are_clearly_one_or_the_other(
    reference: list[Outcome],
) -> None:
    evidence = [draw_disease(SEED, number).evidence for number in range(PATIENTS)]
    clear = [number for number, found in enumerate(evidence) if abs(found) > 1]
    assert {evidence[number] > 0 for number in clear} == {False, True}
    for number in clear:
        (decision,) = reference[number].findings.decisions
        assert decision.question == "OPLL"
        assert decision.positive == (evidence[number] > 0), evidence[number]
        assert decision.decision == (STAGE.positive if decision.positive else STAGE.negative)


def test_an_answer_says_what_each_slice_said_and_what_the_network_cannot_know(
    reference: list[Outcome],
) -> None:
    for outcome in reference[:PATIENTS]:
        found = outcome.findings
        assert (found.status, found.levels, found.withheld) == ("answered", (), ())
        (decision,) = found.decisions
        assert len(decision.slices) == 5
        assert len({str(each.source) for each in decision.slices}) == 5
        odds = [np.log(each.probability / (1 - each.probability)) for each in decision.slices]
        # Four decimals of a probability are what is left of each logit.
        assert 1 / (1 + np.exp(-np.mean(odds))) == pytest.approx(decision.probability, abs=0.02)
        assert STAGE.note in found.notes
        assert found.notes[0].startswith("MR series found: ")
        assert outcome.view
        assert overlay_png(found, outcome.view).startswith(b"\x89PNG")


def test_what_is_no_neck_with_a_sagittal_t2_is_refused(reference: list[Outcome]) -> None:
    refused = [outcome.findings for outcome in reference[PATIENTS:]]
    codes = [found.refusal.code for found in refused if found.refusal]
    assert codes == ["INCOMPLETE_SET", "INCOMPLETE_SET", "WRONG_ANATOMY"]
    assert {found.decisions for found in refused} == {()}


def test_the_order_of_files_changes_no_byte(
    opll: Bundle, stacks: list[Study], reference: list[Outcome]
) -> None:
    rng = np.random.default_rng(9)
    shuffled = []
    for study in stacks[:PATIENTS]:
        order = rng.permutation(len(study.instances))
        shuffled.append(replace(study, instances=tuple(study.instances[i] for i in order)))
    assert any(
        mixed.instances[0] is not study.instances[0]
        for mixed, study in zip(shuffled, stacks, strict=False)
    )
    for before, after in zip(reference, answers(opll, shuffled), strict=False):
        assert after.findings.to_json() == before.findings.to_json()


def test_single_and_multi_frame_objects_of_the_same_slices_say_the_same(opll: Bundle) -> None:
    cuts = sagittal(neck(), spacing_mm=(3.5, 1.0, 1.0))
    single, multi = answers(opll, [Study(tuple(classic(cuts))), Study((enhanced(cuts),))])
    assert single.findings.status == multi.findings.status == "answered"
    (one,), (other,) = single.findings.decisions, multi.findings.decisions
    assert one.probability == other.probability
    assert [each.probability for each in one.slices] == [each.probability for each in other.slices]


def test_the_patients_are_stored_in_both_forms(stacks: list[Study]) -> None:
    assert {len(study.instances) > 8 for study in stacks[:PATIENTS]} == {False, True}
    assert len({draw_patient(SEED, number).site for number in range(PATIENTS)}) > 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_int8_says_nearly_the_same(
    opll: Bundle, stacks: list[Study], reference: list[Outcome], backend: str
) -> None:
    candidate = answers(opll, stacks[:PATIENTS], lower(backend, this_device(), "int8"))
    moved = [
        abs(score(after.findings) - score(before.findings))
        for before, after in zip(reference, candidate, strict=False)
    ]
    assert 0 < max(moved) < 0.1  # another computation, and no worse one
    assert np.mean(moved) < 0.03


def test_a_film_is_none_of_its_business_nor_mr_that_of_a_pipeline_of_films(
    opll: Bundle, stacks: list[Study]
) -> None:
    (film,) = answers(opll, [Study((phantom(seed=SEED, number=0).dataset,))])
    assert film.findings.refusal
    assert film.findings.refusal.code == "UNSUPPORTED_OBJECT"
    with pytest.raises(Refused, match="MR Image Storage") as caught:
        stacks[0].images(load_spec(shipped_spec("xray-compression")).accept)
    assert caught.value.refusal.code == "UNSUPPORTED_OBJECT"


# Volume and the header's times of its contrast.
PUBLIC = {
    "t2": "sct_testing_data/t2/t2.nii.gz",
    "template": "sct_testing_data/template/template/PAM50_small_t2.nii.gz",
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_volumes_are_answered_or_refused_in_words(
    opll: Bundle, corpora: Find, name: str
) -> None:
    """Whatever it says of them: it has seen phantoms only, and nobody knows their truth."""
    values, spacing = reformatted(corpora(PUBLIC[name]))
    levels = values * (3000 / np.percentile(values, 99.9))
    study = Study(tuple(classic(sagittal(levels, spacing_mm=spacing), **T2)))
    (outcome,) = answers(opll, [study])
    found = outcome.findings
    print(f"\n{name}: {found.refusal or score(found)}")
    assert found.refusal is None or found.refusal.code in ("INCOMPLETE_SET", "WRONG_ANATOMY")
    assert bool(found.refusal) != bool(found.decisions)
