"""Pass, fail and inconclusive mean what they say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import jsonschema
import msgspec
import numpy as np
import pytest

from cspine.errors import ModelError
from cspine.gate import Gate
from cspine_bench.accuracy.again import judged_again
from cspine_bench.accuracy.answers import Arm, CaseAnswers, Score
from cspine_bench.accuracy.compared import Compared
from cspine_bench.accuracy.evidence import (
    Report,
    evidence_bytes,
    evidence_schema,
    read_evidence,
)
from cspine_bench.accuracy.figure import mean_figure
from cspine_bench.accuracy.judge import judge
from cspine_bench.accuracy.levels import LevelPerformance, dice_changes
from cspine_bench.accuracy.noninferiority import judged, p_above, p_below, verdict_by
from cspine_bench.accuracy.pairs import paired_levels
from cspine_bench.accuracy.performance import performance
from cspine_bench.accuracy.trial import Trial
from cspine_bench.metrics.holm import holm_adjusted
from cspine_bench.metrics.interval import Interval
from cspine_bench.metrics.proportion import wilson

GATE = Gate(
    auc_margin=0.02, sensitivity_margin=0.05, specificity_margin=0.05, agreement_margin=0.05
)
LEVELS = ("C2/3", "C3/4", "C4/5")
Scores = Mapping[str, float]


def arm(
    scores: Scores, *, refusal: str | None = None, dice: Mapping[str, float | None] | None = None
) -> Arm:
    known = {level: float(str(np.float32(logit))) for level, logit in scores.items()}
    return Arm(
        refusal=refusal,
        scores={level: Score(logit, logit >= 0.0) for level, logit in known.items()},
        dice=dict(dice or {}),
        numbered=None,
    )


def case(
    line: int, truth: Mapping[str, bool], before: Arm, after: Arm, **groups: str
) -> CaseAnswers:
    return CaseAnswers(
        line=line,
        study=f"{line:064}",
        patient=line,
        unfit=None,
        groups=groups,
        truth=dict(truth),
        severity={},
        reference=before,
        candidate=after,
    )


def cases(
    patients: int, *, noise: float = 0.05, seed: int = 0, harmed: str = ""
) -> list[CaseAnswers]:
    """Patients of whom INT8 says what FP32 says but for noise, or at one site nothing at all."""
    rng = np.random.default_rng(seed)
    found = []
    for line in range(2, patients + 2):
        burden = rng.normal()
        severity = {level: burden + rng.normal() for level in LEVELS}
        before = {level: 4 * (value - 1) + rng.normal() for level, value in severity.items()}
        site = "AB"[line % 2]
        scale = 20.0 if site == harmed else noise
        after = {level: logit + scale * rng.normal() for level, logit in before.items()}
        truth = {level: value > 1 for level, value in severity.items()}
        found.append(case(line, truth, arm(before), arm(after), site=site, sex="FM"[line // 2 % 2]))
    return found


def report(answers: list[CaseAnswers], gate: Gate = GATE) -> Report:
    return judge(
        Trial(
            bundle="b" * 64,
            backend="onnxruntime",
            target="ort-x64-vnni",
            precision="int8",
            gate=gate,
            threshold=0.5,
            lines=None,
            set_digest="c" * 64,
            look=1,
            device={},
            versions={},
            answers=tuple(answers),
        )
    )


def of_levels(
    answers: list[CaseAnswers], *, arm: Literal["reference", "candidate"]
) -> LevelPerformance:
    found = performance(answers, Compared(paired_levels(answers)), arm=arm).levels
    assert found
    return found


@pytest.fixture(scope="module")
def sound() -> Report:
    return report(cases(200))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.01, 0.01, "pass"),
        (-0.0199, 0.3, "pass"),
        (-0.02, 0.01, "inconclusive"),
        (-0.05, -0.019, "inconclusive"),
        (-0.05, -0.0201, "fail"),
    ],
)
def test_the_whole_interval_decides(low: float, high: float, verdict: str) -> None:
    interval = Interval(low, high, 0.95)
    assert verdict_by(interval, margin=0.02) == verdict
    found = judged("AUC", 0.0, lambda level: interval, margin=0.02, patients_needed=None)
    assert found.verdict == verdict
    assert f"{low:+.4f} to {high:+.4f}" in found.reason


@pytest.mark.parametrize("middle", [-0.03, -0.011, -0.009, 0.0, 0.02])
def test_p_is_below_the_level_exactly_if_the_interval_decides(middle: float) -> None:
    def at(level: float) -> Interval:
        return Interval(middle - 0.02 * level, middle + 0.02 * level, level)

    for find, excluded in ((p_above, middle - 0.019 > -0.01), (p_below, middle + 0.019 < -0.01)):
        assert (find(at, -0.01) < 0.025) == excluded
    # Half-width 0.02 (1 - 2 p) reaches the bound.
    assert p_above(at, middle - 0.01) == pytest.approx(0.25)
    assert p_above(at, middle + 0.01) == 1.0


def test_a_candidate_that_says_the_same_passes(sound: Report) -> None:
    assert sound.verdict == "pass", sound.reasons
    assert [each.name for each in sound.criteria] == list(GATE.margins)
    assert all(each.low > -each.margin and each.p < 0.025 for each in sound.criteria)
    change, before, after = sound.levels, sound.reference.levels, sound.candidate.levels
    assert change
    assert before
    assert after
    assert change.difference is not None
    assert change.difference.value == pytest.approx(
        (after.auc.value or 0) - (before.auc.value or 0)
    )
    assert (sound.points, sound.values, sound.candidate.points) == (None, {}, None)
    assert (change.difference.low, change.difference.high) == (
        sound.criteria[0].low,
        sound.criteria[0].high,
    )


def test_a_set_without_masks_cannot_pass_a_margin_of_dice() -> None:
    gate = Gate(auc_margin=0.05, dice_margin=0.01)
    bare = report(cases(200), gate)
    assert (bare.verdict, [each.name for each in bare.criteria]) == ("inconclusive", ["AUC"])
    assert bare.reasons == (
        "Dice: too few cases can be compared; add masks, or look at what was refused",
    )
    for change, verdict in (
        (0.0, "pass"),
        (-0.007, "pass"),
        (-0.009, "inconclusive"),
        (-0.02, "fail"),
    ):
        masked = [
            msgspec.structs.replace(
                each,
                reference=msgspec.structs.replace(each.reference, dice={"C2": 0.9}),
                candidate=msgspec.structs.replace(each.candidate, dice={"C2": 0.9 + change}),
            )
            for each in cases(200)
        ]
        (_, dice) = report(masked, gate).criteria
        assert (dice.name, dice.verdict) == ("Dice", verdict)
        assert dice.value == pytest.approx(change)


def test_a_candidate_that_answers_what_must_be_refused_fails() -> None:
    gate = Gate(auc_margin=0.05, refusal_margin=0.05)
    no_films = report(cases(200), gate)
    assert no_films.verdict == "inconclusive"
    assert no_films.reasons[-1] == (
        "refusals: too few cases can be compared; add studies with a fault, which have neither "
        "labels nor points"
    )
    refused, answered = arm({}, refusal="HARDWARE"), arm({})
    for lost, verdict in ((0, "pass"), (1, "pass"), (40, "fail")):
        spoilt = [
            msgspec.structs.replace(
                case(300 + number, {}, refused, answered if number < lost else refused),
                unfit="hardware",
            )
            for number in range(120)
        ]
        found = report([*cases(200), *spoilt], gate)
        (_, refusals) = found.criteria
        assert (refusals.name, refusals.verdict) == ("refusals", verdict)
        assert refusals.value == pytest.approx(-lost / 120)
        assert (found.candidate.cases, found.candidate.refused) == (200, 0)
        assert found.candidate.levels
        assert (found.candidate.unfit, found.candidate.levels.labelled) == (120, 600)
        assert found.candidate.unfit_refused.value == pytest.approx(1 - lost / 120)
        assert found.verdict == verdict
        assert len(found.answered_by_one) == lost


def test_what_has_no_margin_is_not_judged() -> None:
    found = report(cases(60), Gate(auc_margin=0.05))
    assert [each.name for each in found.criteria] == ["AUC"]


def test_a_candidate_that_is_worse_fails() -> None:
    found = report(cases(120, noise=8.0))
    assert found.verdict == "fail"
    assert any("wholly below the margin" in reason for reason in found.reasons)


def test_two_answers_alike_on_few_cases_are_not_proof() -> None:
    found = report(cases(12, noise=0.0))
    assert found.levels
    assert found.levels.difference is not None
    assert found.levels.difference.degenerate
    assert found.levels.difference.value == 0.0
    assert found.verdict == "inconclusive"
    assert "patients would decide, if it is no worse" in found.reasons[0]


def test_as_many_patients_as_it_asks_for_decide() -> None:
    first = report(cases(12, noise=0.0))
    asked = max(each.patients_needed or 0 for each in first.criteria)
    assert 12 < asked < 400
    assert report(cases(2 * asked, noise=0.0)).verdict == "pass"
    few = report(cases(asked // 2, noise=0.0)).criteria
    assert "inconclusive" in {each.verdict for each in few}


def test_a_decision_that_turns_counts_at_the_operating_point() -> None:
    answers = cases(120)
    turned = []
    for each in answers:
        lowered = {
            level: -0.01 if 0.0 <= score.logit < 4.0 else score.logit
            for level, score in each.reference.scores.items()
        }
        turned.append(msgspec.structs.replace(each, candidate=arm(lowered)))
    found = {each.name: each for each in report(turned).criteria}
    assert found["sensitivity"].verdict == "fail"
    assert found["specificity"].value > 0.0


def test_a_candidate_that_withholds_what_fp32_answers_is_charged_for_it() -> None:
    answers = cases(240)
    refused = [
        msgspec.structs.replace(each, candidate=arm({}, refusal="MODEL_UNSURE"))
        if number % 4 == 0
        else each
        for number, each in enumerate(answers)
    ]
    found = report(refused)
    names = {each.name: each for each in found.criteria}
    assert names["sensitivity"].verdict == names["specificity"].verdict == "fail"
    assert found.verdict == "fail"
    # Scores are compared where there are two; what is lost counts where a decision is missed.
    kept = report([each for number, each in enumerate(answers) if number % 4])
    assert (names["AUC"], names["score agreement"]) == (kept.criteria[0], kept.criteria[3])
    levels = found.candidate.levels
    assert levels
    assert kept.candidate.levels
    assert found.reference.levels
    assert levels.auc == kept.candidate.levels.auc
    assert (found.candidate.refused, levels.unanswered) == (60, 180)
    assert levels.labelled == found.reference.levels.labelled == 720
    assert found.answered_by_one[0] == "line 2: FP32 only"
    one = {each.name: each for each in report([refused[0], *answers[1:]]).criteria}
    assert one["specificity"].value < 0.0


def test_a_level_that_one_withholds_is_named() -> None:
    answers = cases(60)
    scores = {level: score.logit for level, score in answers[3].reference.scores.items()}
    del scores["C3/4"]
    answers[3] = msgspec.structs.replace(answers[3], reference=arm(scores))
    assert report(answers).answered_by_one == ("line 5, C3/4: candidate only",)


def test_flips_are_listed() -> None:
    answers = cases(60, noise=0.0)
    scores = {level: score.logit for level, score in answers[7].reference.scores.items()}
    scores["C3/4"] = -scores["C3/4"]
    answers[7] = msgspec.structs.replace(answers[7], candidate=arm(scores))
    found = report(answers).levels
    assert found
    (flip,) = found.flips
    assert (flip.line, flip.level) == (9, "C3/4")
    assert flip.reference + flip.candidate == pytest.approx(1.0, abs=1e-3)
    assert found.flip_rate.value == pytest.approx(1 / 180)
    assert found.agreement is not None
    assert found.agreement.largest_shift == pytest.approx(2 * abs(scores["C3/4"]), rel=1e-6)


def test_one_site_that_is_harmed_fails_the_whole() -> None:
    found = report(cases(300, harmed="B"), Gate(auc_margin=0.05))
    groups = {(each.factor, each.value): each for each in found.subgroups}
    assert set(groups) == {("site", "A"), ("site", "B"), ("sex", "F"), ("sex", "M")}
    assert groups["site", "A"].verdict == "pass"
    assert groups["site", "B"].verdict == "fail"
    assert found.verdict == "fail"
    assert any(reason.startswith("site B: AUC: worse by") for reason in found.reasons)


def test_subgroups_are_adjusted_and_do_not_keep_the_whole_from_passing(sound: Report) -> None:
    tests = [(each.p, each.adjusted, each.verdict) for each in sound.subgroups]
    assert [adjusted for _, adjusted, _ in tests] == holm_adjusted(
        [p or 0 for p, _, _ in tests]
    ).tolist()
    assert all((verdict == "pass") == ((adjusted or 1) <= 0.025) for _, adjusted, verdict in tests)
    assert sum(each.patients for each in sound.subgroups if each.factor == "site") == 200
    few = cases(60)
    few[0] = msgspec.structs.replace(few[0], groups={"site": "C"})
    (alone,) = (each for each in report(few).subgroups if each.value == "C")
    assert (alone.patients, alone.p, alone.low, alone.verdict) == (1, None, None, "inconclusive")


def test_performance_counts_what_was_not_answered() -> None:
    answered = [
        case(
            line,
            {"C2/3": line % 2 == 0, "C3/4": False},
            arm({"C2/3": 1.5 if line % 2 == 0 else -1.5}, dice={"C2": 0.9, "C3": 0.7}),
            arm({}),
        )
        for line in range(2, 7)
    ]
    silent = case(7, {"C2/3": False, "C3/4": True}, arm({}, refusal="WRONG_VIEW"), arm({}))
    every = [*answered, silent]
    whole = performance(every, Compared(paired_levels(every)), arm="reference")
    found = of_levels(every, arm="reference")
    assert (whole.cases, whole.refused, whole.levels, whole.values) == (6, 1, found, {})
    assert (found.labelled, found.unanswered) == (12, 7)
    assert found.accuracy.value == pytest.approx(5 / 12)
    assert found.sensitivity.value == pytest.approx(3 / 4)
    assert found.specificity.value == pytest.approx(2 / 8)
    assert found.auc.value == 1.0
    # Of 4 * 8 pairs, 3 * 2 have two scores and are in order; of the others half count.
    assert found.auc_of_all.value == pytest.approx((6 + 26 / 2) / 32)
    assert (found.dice, found.worst_vertebra) == (pytest.approx(0.8), pytest.approx(0.7))


def test_numbering_is_of_studies_with_a_mask() -> None:
    found = []
    for line, numbered in ((2, True), (3, False), (4, True), (5, None)):
        answers = msgspec.structs.replace(
            arm({"C2/3": float(line)}, dice={} if numbered is None else {"C2": 0.5}),
            numbered=numbered,
        )
        found.append(case(line, {"C2/3": line % 2 == 0}, answers, answers))
    numbering = of_levels(found, arm="candidate").numbering
    alone = wilson(2, 3)  # one study a patient
    assert numbering.value == pytest.approx(2 / 3)
    assert (numbering.low, numbering.high) == pytest.approx((alone.low, alone.high))


def test_the_dice_of_a_study_is_compared_with_itself() -> None:
    before = {2: {"C2": 0.9, "C3": 0.7}, 3: {"C2": 0.8, "C3": None}, 4: {"C2": None}}
    after = {2: {"C2": 0.8, "C3": 0.7}, 3: {"C2": 0.9, "C3": None}, 4: {"C2": None}}
    pairs = [
        case(line, {}, arm({}, dice=before[line]), arm({}, dice=after[line])) for line in before
    ]
    pairs.append(case(5, {}, arm({}, dice={"C2": 0.1}), arm({})))
    found = mean_figure(*dice_changes(pairs))
    assert found.value == pytest.approx((-0.05 + 0.1) / 2)
    # The standard error of two values, by Student's t with one degree of freedom.
    half = 12.706205 * 0.15 / math.sqrt(2) / math.sqrt(2)
    assert (found.low, found.high) == pytest.approx((0.025 - half, 0.025 + half))
    one = mean_figure(*dice_changes(pairs[:1]))
    assert (one.value, one.low, one.high) == (pytest.approx(-0.05), None, None)


def test_evidence_is_read_back_and_judged_the_same(sound: Report, tmp_path: Path) -> None:
    path = tmp_path / "evidence.json"
    path.write_bytes(evidence_bytes(sound))
    again = judged_again(read_evidence(path), where="evidence")
    assert again == sound
    assert evidence_bytes(again) == path.read_bytes()
    jsonschema.Draft202012Validator(evidence_schema()).validate(
        msgspec.json.decode(path.read_bytes())
    )


@pytest.mark.parametrize("name", ["verdict", "criteria", "candidate", "levels", "subgroups"])
def test_a_figure_that_does_not_follow_is_refused(name: str) -> None:
    honest = report(cases(60, noise=8.0))
    better = report(cases(60, noise=0.0))
    changed = msgspec.structs.replace(honest, **{name: getattr(better, name)})
    if name == "verdict":
        assert (honest.verdict, better.verdict) == ("fail", "inconclusive")
    with pytest.raises(ModelError, match=f"^evidence: '{name}' does not follow"):
        judged_again(changed, where="evidence")


def test_a_score_that_was_changed_is_refused(sound: Report) -> None:
    first = sound.answers[0]
    level, score = next(iter(first.candidate.scores.items()))
    for other, message in (
        (Score(score.logit, not score.positive), "a decision does not follow from its score"),
        (Score(score.logit + 9.0, score.logit + 9.0 >= 0.0), "does not follow from the answers"),
    ):
        scores = {**first.candidate.scores, level: other}
        candidate = msgspec.structs.replace(first.candidate, scores=scores)
        answers = (msgspec.structs.replace(first, candidate=candidate), *sound.answers[1:])
        with pytest.raises(ModelError, match=message):
            judged_again(msgspec.structs.replace(sound, answers=answers), where="evidence")


def test_a_truth_that_was_swapped_is_refused(sound: Report) -> None:
    first = sound.answers[0]
    truth = {**first.truth, "C2/3": not first.truth["C2/3"]}
    answers = (msgspec.structs.replace(first, truth=truth), *sound.answers[1:])
    with pytest.raises(ModelError, match="does not follow from the answers"):
        judged_again(msgspec.structs.replace(sound, answers=answers), where="evidence")


def test_evidence_of_another_format_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text('{"verdict": "pass"}')
    with pytest.raises(ModelError, match=r"evidence of format 3 to 5: .*; judge again with"):
        read_evidence(path)


@pytest.mark.parametrize("truth", [True, False])
def test_levels_of_one_class_cannot_be_judged(truth: bool) -> None:
    one_sided = [
        msgspec.structs.replace(each, truth=dict.fromkeys(each.truth, truth)) for each in cases(5)
    ]
    with pytest.raises(ModelError, match="fewer than two patients of one of the classes; add"):
        report(one_sided)


def test_a_candidate_that_answers_nothing_fails() -> None:
    silent = [msgspec.structs.replace(each, candidate=arm({})) for each in cases(20)]
    found = report(silent)
    assert [(each.name, each.verdict) for each in found.criteria] == [
        ("sensitivity", "fail"),
        ("specificity", "fail"),
    ]
    assert found.verdict == "fail"
    assert found.reasons[-2:] == (
        "AUC: too few cases can be compared; look at what was refused",
        "score agreement: too few cases can be compared; look at what was refused",
    )
    assert found.levels
    assert found.candidate.levels
    assert found.levels.difference is found.levels.agreement is found.levels.flip_rate.value is None
    assert found.candidate.levels.auc.value is None
    assert found.candidate.levels.auc_of_all.value == 0.5
    only_ranked = report(silent, Gate(auc_margin=0.02))
    assert (only_ranked.verdict, only_ranked.criteria) == ("inconclusive", ())


def test_a_set_that_fp32_does_not_answer_cannot_be_judged() -> None:
    silent = [msgspec.structs.replace(each, reference=arm({})) for each in cases(20)]
    with pytest.raises(ModelError, match="FP32 answered levels of fewer than two patients"):
        report(silent)
