"""Grades, ratios and regions are judged as their definitions have it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest

from cspine.errors import ModelError
from cspine.evidence import Evidence, believed
from cspine.gate import Gate
from cspine_bench.accuracy.again import judged_again
from cspine_bench.accuracy.agreement import UNKNOWN, class_agreement
from cspine_bench.accuracy.answers import Arm, CaseAnswers, Graded
from cspine_bench.accuracy.boxes import box_change, box_performance, kept_boxes, paired_boxes
from cspine_bench.accuracy.evidence import (
    Report,
    evidence_bytes,
    evidence_schema,
    read_evidence,
)
from cspine_bench.accuracy.grades import paired_grades, quadratic_changes
from cspine_bench.accuracy.layout import report_checks, report_summary, report_text
from cspine_bench.accuracy.measured import given, paired_values
from cspine_bench.accuracy.truth import LOWEST_RATIO, RATIO
from cspine_bench.accuracy.values import value_performance
from cspine_bench.metrics.agreement import clustered_kappa_interval, confusion_matrix, kappa
from cspine_bench.metrics.correlation import pearson, spearman
from cspine_bench.metrics.detection import box_recall
from cspine_bench.metrics.paired_kappa import kappa_changes
from grading import CLASSES, LEVEL, PUBLISHED, arm, case, published, report

RATIOS = Gate(ratio_margin=0.1)
BOXES = Gate(box_margin=0.05)
SQUARE = (10.0, 20.0, 20.0, 30.0)


@pytest.fixture(scope="module")
def sound() -> Report:
    """Of INT8 that grades as FP32 does, the published matrix twice over."""
    answers = [
        msgspec.structs.replace(each, candidate=each.reference, line=each.line + 100 * again,
                                patient=each.line + 100 * again)
        for again in range(2)
        for each in published()
    ]  # fmt: skip
    return report(answers)


def moved(right: float) -> tuple[float, float, float, float]:
    """The square moved to the right: an overlap of (10 - right) / (10 + right)."""
    left, top, end, bottom = SQUARE
    return left + right, top, end + right, bottom


def test_published_agreement_goes_through_the_verdict() -> None:
    found = report(published())
    truth = found.reference.grades and found.reference.grades.truth
    assert truth
    assert truth.counts == PUBLISHED
    assert (truth.named, truth.accuracy.value) == (100, 0.75)
    assert truth.macro_f1.value == pytest.approx(0.762415, abs=5e-7)
    assert truth.kappa.value == pytest.approx(0.662618, abs=5e-7)
    assert (truth.kappa.low, truth.kappa.high) == pytest.approx((0.5468, 0.7784), abs=2e-3)
    assert truth.linear_kappa.value == pytest.approx(0.784036, abs=5e-7)
    assert truth.quadratic_kappa.value == pytest.approx(0.884388, abs=5e-7)
    assert found.reference.grades
    assert found.reference.grades.second == truth  # who says what the truth is
    assert found.candidate.grades
    assert found.candidate.grades.right.value == 1.0
    assert found.readers
    assert found.readers.grades
    assert found.readers.grades.quadratic_kappa.value == 1.0
    assert found.readers.levels
    assert found.readers.levels.counts == ((53, 0), (0, 47))
    assert found.reference.levels
    assert found.reference.levels.second
    assert found.reference.levels.second.counts == ((47, 6), (5, 42))
    assert found.grades
    assert found.grades.quadratic_kappa.value == pytest.approx(1 - 0.884388, abs=5e-7)
    assert found.grades.change_rate.value == 0.25
    assert len(found.grades.regrades) == 25
    first = found.grades.regrades[0]
    assert (first.line, first.level, first.truth) == (22, LEVEL, "0")
    assert (first.reference, first.candidate) == ("1", "0")
    assert found.grades.largest_shift == pytest.approx(0.6)


def test_the_same_grades_pass_and_a_grade_too_high_fails(sound: Report) -> None:
    (criterion,) = sound.criteria
    assert (criterion.name, criterion.verdict, sound.verdict) == ("quadratic kappa", "pass", "pass")
    assert criterion.value == 0.0
    # What none of 200 patients showed, of ten margins.
    assert criterion.low == pytest.approx(-0.5 * (1 - 0.025 ** (1 / 200)))
    harmed = [
        msgspec.structs.replace(each, candidate=arm(min(3, int(each.true_grades[LEVEL]) + 1)))
        for each in published()
    ]
    found = report(harmed)
    assert (found.verdict, found.criteria[0].verdict) == ("fail", "fail")
    assert found.reasons[0].startswith("quadratic kappa: the 95 % interval of the difference is")
    few = [msgspec.structs.replace(each, candidate=each.reference) for each in published()[::9]]
    assert report(few).verdict == "inconclusive"


def test_the_change_of_a_kappa_is_a_mean_over_levels() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 4, 400)

    def read(noise: float, drawn: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(truth + noise * drawn), 0, 3).astype(int)

    drawn = rng.normal(size=400)
    before, after = read(0.5, drawn), read(0.6, drawn)
    changes = kappa_changes(truth, before, after, classes=4, weights="quadratic")

    def value(called: np.ndarray, of: slice | np.ndarray = slice(None)) -> float:
        return kappa(confusion_matrix(truth[of], called[of], classes=4), weights="quadratic")

    assert changes.mean() == pytest.approx(value(after) - value(before))
    # Its standard error is that of draws of patients.
    draws = [rng.integers(0, 400, 400) for _ in range(400)]
    spread = np.std([value(after, drawn) - value(before, drawn) for drawn in draws])
    assert changes.std(ddof=1) / 20.0 == pytest.approx(spread, rel=0.12)
    assert not kappa_changes(truth, before, before, classes=4, weights="quadratic").any()


def test_what_was_not_graded_is_wrong_and_agrees_with_nothing() -> None:
    answers = published()
    for at in (0, 1, 99):  # rightly graded by FP32, as by INT8
        answers[at] = msgspec.structs.replace(answers[at], candidate=arm(None))
    found = report(answers).candidate.grades
    assert found
    assert (found.graded, found.unanswered, found.right.value) == (100, 3, 0.97)
    assert found.truth
    assert (found.truth.named, found.truth.accuracy.value) == (97, 1.0)


def test_agreement_is_of_what_both_named_and_clustered_by_patient() -> None:
    truth = np.array([0, 1, 2, UNKNOWN, 1, 0, 2, 1])
    called = np.array([0, 1, 1, 2, UNKNOWN, 0, 2, 2])
    patients = np.array([1, 1, 2, 2, 3, 3, 4, 4])
    found = class_agreement(truth, called, patients, classes=3)
    assert found
    assert found.counts == ((2, 0, 0), (0, 1, 1), (0, 1, 1))
    both = [0, 1, 2, 5, 6, 7]
    expected = clustered_kappa_interval(
        truth[both], called[both], patients[both], classes=3, weights="linear"
    )
    assert (found.linear_kappa.low, found.linear_kappa.high) == (expected.low, expected.high)
    # Four patients are too few for a bootstrap, which says nothing then.
    assert (found.macro_f1.value, found.macro_f1.low) == (pytest.approx(2 / 3), None)
    assert class_agreement(truth, np.full(8, UNKNOWN), patients, classes=3) is None


def test_one_class_is_too_little_and_is_said_so() -> None:
    grades = paired_grades([case(line, 1, arm(1), arm(1)) for line in range(2, 8)], CLASSES)
    assert grades
    assert quadratic_changes(grades)[0].size == 0
    truth = grades.agreement(grades.truth, grades.reference)
    assert truth
    assert (truth.accuracy.value, truth.kappa.value, truth.kappa.low) == (1.0, None, None)
    # Decisions of both kinds, and all of them graded alike.
    answers = [
        msgspec.structs.replace(each, true_grades={}, true_ratios={}) for each in published()
    ]
    found = report(answers, Gate(kappa_margin=0.05, ratio_margin=0.01, box_margin=0.05))
    assert (found.verdict, found.criteria) == ("inconclusive", ())
    assert found.reasons == (
        "boxes: too few cases can be compared; look at what was refused",
        "quadratic kappa: too few cases can be compared; add graded cases of several classes, or "
        "look at what was refused",
        "ratio: too few cases can be compared; add cases with ratios, or look at what was refused",
    )
    assert found.grades is found.boxes is found.candidate.grades is found.candidate.boxes is None


def with_ratios(off: float, *, lost: int = 0, count: int = 100) -> list[CaseAnswers]:
    """Two levels a patient, of which FP32 is off by 0.02 and INT8 by that and more."""
    found = []
    for line in range(2, count + 2):
        grade = line % 4
        truth = {"C4/5": 0.5 - 0.001 * (line % 7), "C5/6": 0.4 + 0.002 * (line % 11)}
        before = {level: value + 0.02 for level, value in truth.items()}
        after = {level: value + off for level, value in before.items()}
        if line < 2 + lost:
            del after["C4/5"]
        found.append(
            case(
                line,
                grade,
                arm(grade, ratios=before),
                arm(grade, ratios=after),
                ratios=truth,
                symptom=20.0 * truth["C5/6"] + 0.1 * (line % 3),
            )
        )
    return found


def test_ratios_are_judged_by_their_error_and_those_that_are_lost_by_the_answers() -> None:
    gate = Gate(ratio_margin=0.01, answer_margin=0.1)
    for off, lost, verdicts in (
        (0.0, 0, ("pass", "pass")),
        (0.02, 0, ("pass", "fail")),
        (0.0, 60, ("fail", "pass")),
    ):
        found = report(with_ratios(off, lost=lost), gate)
        criteria = {each.name: each for each in found.criteria}
        assert (criteria["answers"].verdict, criteria["ratio"].verdict) == verdicts
        assert criteria["ratio"].value == pytest.approx(-off, abs=1e-12)
        assert criteria["ratio"].unit == ""
        assert criteria["answers"].value == pytest.approx(-lost / 200)
        assert found.reference.values.keys() == found.values.keys() == {RATIO, LOWEST_RATIO}
        before, after = found.reference.values[RATIO], found.candidate.values[RATIO]
        assert (before.studies, before.given, after.given) == (200, 200, 200 - lost)
        assert before.mae.value == before.bias.bias.value == pytest.approx(0.02)
        assert found.values[RATIO].bias.bias.value == pytest.approx(off, abs=1e-12)
        assert found.values[LOWEST_RATIO].studies == 100
        assert len(found.answered_by_one) == lost
    assert found.answered_by_one[0] == "line 2, ratio C4/5: FP32 only"


def test_published_errors_of_a_ratio() -> None:
    truth, found = (12, -4, 20.5, 8, 0.5), (13.5, -2, 19, 10, -0.5)
    answers = [
        case(line, 1, arm(1, ratios={LEVEL: after}), arm(1), ratios={LEVEL: before})
        for line, (before, after) in enumerate(zip(truth, found, strict=True), 2)
    ]
    figures = value_performance(paired_values(answers, RATIO), arm="reference", unit="")
    assert figures.mae.value == pytest.approx(1.6)
    assert figures.smape == pytest.approx(61.6497, abs=5e-5)
    assert (figures.bias.lower, figures.bias.upper) == pytest.approx((-2.752, 3.952), abs=5e-4)
    before, after, patients = given(answers)
    assert (before.tolist(), after.tolist()) == ([True] * 5, [False] * 5)
    assert patients.tolist() == [2, 3, 4, 5, 6]


def test_the_lowest_ratio_is_of_the_levels_that_are_given() -> None:
    ratios = {"C4/5": 0.5, "C5/6": 0.3}
    answers = [case(2, 1, arm(1, ratios=ratios), arm(1, ratios={"C4/5": 0.5}), ratios=ratios)]
    lowest = paired_values([*answers, case(3, 1, arm(None), arm(1), ratios=ratios)], LOWEST_RATIO)
    assert lowest.truth.tolist() == [0.3, 0.3]
    assert lowest.reference[0] == 0.3
    assert lowest.candidate[0] == 0.5
    assert math.isnan(lowest.reference[1])
    assert math.isnan(lowest.candidate[1])


def test_symptoms_go_with_the_lowest_ratio_and_the_worst_grade() -> None:
    answers = with_ratios(0.01, count=40)
    found = report(answers, RATIOS)
    scores = [each.symptom or 0.0 for each in answers]
    lowest = [min(each.reference.ratios.values()) for each in answers]
    grades = [int(each.reference.grades[LEVEL].grade) for each in answers]
    symptoms = found.reference.symptoms
    assert symptoms
    assert symptoms.studies == 40
    assert symptoms.lowest_ratio.value == pytest.approx(pearson(lowest, scores))
    assert symptoms.lowest_ratio.low is not None
    assert symptoms.worst_grade.value == pytest.approx(spearman(grades, scores))
    assert found.readers
    assert found.readers.symptoms
    assert found.readers.symptoms.lowest_ratio.value == pytest.approx(symptoms.lowest_ratio.value)
    bare = [msgspec.structs.replace(each, symptom=None) for each in answers]
    assert report(bare, RATIOS).readers is report(bare, RATIOS).reference.symptoms is None


def with_boxes(*shifts: float | None, lines: int = 1) -> list[CaseAnswers]:
    """Each patient has a slice for each shift of INT8's region; FP32's is the true one."""
    truth = dict.fromkeys(range(len(shifts)), SQUARE)
    after = {at: moved(shift) for at, shift in enumerate(shifts) if shift is not None}
    return [
        case(line, line % 4, arm(line % 4, boxes=truth), arm(line % 4, boxes=after), boxes=truth)
        for line in range(2, lines + 2)
    ]


def test_regions_are_found_at_half_and_kept_at_nine_tenths() -> None:
    # Overlaps of 1, .905, .818, .504 and .493, and one that was not found.
    boxes = paired_boxes(with_boxes(0.0, 0.5, 1.0, 3.3, 3.4, None))
    assert boxes
    assert boxes.iou == pytest.approx([1, 9.5 / 10.5, 9 / 11, 6.7 / 13.3, 6.6 / 13.4, 0])
    change, found = box_change(boxes), box_performance(boxes, arm="candidate")
    assert (change.boxes, change.kept.value) == (6, pytest.approx(2 / 6))
    assert (change.lost, change.gained) == (1, 0)
    assert change.least
    assert (change.least.line, change.least.slice) == (2, 4)
    assert (found.regions, found.recall.value) == (6, pytest.approx(4 / 6))
    assert found.iou.value == pytest.approx(boxes.iou[:5].mean())
    assert box_performance(boxes, arm="reference").recall.value == 1.0


def test_recall_is_that_of_the_metrics() -> None:
    answers = with_boxes(0.0, 5.0, 1.0, lines=4)
    answers[0] = msgspec.structs.replace(answers[0], candidate=arm(None))
    boxes = paired_boxes(answers)
    assert boxes
    found = box_performance(boxes, arm="candidate").recall
    expected = box_recall([[0, 0, 0], *([[1, 0, 1]] * 3)], [2, 3, 4, 5])
    assert (found.value, found.low) == (expected.share, expected.interval.low)
    assert found.value == 0.5


def test_a_region_where_there_is_none_is_counted_and_not_found() -> None:
    (one,) = with_boxes(0.0, 0.0)
    boxes = paired_boxes([msgspec.structs.replace(one, true_boxes={1: SQUARE})])
    assert boxes
    found = box_performance(boxes, arm="candidate")
    assert (found.regions, found.elsewhere, found.recall.value) == (1, 1, 1.0)
    swapped = msgspec.structs.replace(one, reference=arm(1, boxes={0: SQUARE}))
    gained = paired_boxes([swapped])
    assert gained
    assert (box_change(gained).boxes, box_change(gained).gained) == (1, 1)
    assert kept_boxes(gained)[1].tolist() == [True]
    assert paired_boxes([case(2, 1, arm(1), arm(1))]) is None


def test_a_candidate_that_moves_regions_fails_and_few_patients_are_no_proof() -> None:
    for answers, verdict in (
        (with_boxes(0.0, 0.4, lines=120), "pass"),
        (with_boxes(0.0, 1.0, lines=120), "fail"),
        (with_boxes(0.0, None, lines=120), "fail"),
        (with_boxes(0.0, 0.4, lines=20), "inconclusive"),
    ):
        found = report(answers, BOXES)
        (criterion,) = found.criteria
        assert (criterion.name, criterion.verdict, found.verdict) == ("boxes", verdict, verdict)
        assert found.boxes
        assert criterion.value == pytest.approx((found.boxes.kept.value or 0.0) - 1.0)


def test_evidence_is_read_back_and_judged_the_same(tmp_path: Path) -> None:
    answers = [
        msgspec.structs.replace(boxed, true_ratios=rated.true_ratios, symptom=rated.symptom)
        for boxed, rated in zip(with_boxes(0.5, lines=20), with_ratios(0.0, count=20), strict=True)
    ]
    whole = report(answers, Gate(kappa_margin=0.05, box_margin=0.05))
    path = tmp_path / "evidence.json"
    path.write_bytes(evidence_bytes(whole))
    again = judged_again(read_evidence(path), where="evidence")
    assert again == whole
    assert evidence_bytes(again) == path.read_bytes()
    jsonschema.Draft202012Validator(evidence_schema()).validate(json.loads(path.read_bytes()))


def test_a_grade_that_was_changed_is_refused(sound: Report) -> None:
    first = sound.answers[0]

    def changed(grade: Graded) -> Report:
        candidate = msgspec.structs.replace(first.candidate, grades={LEVEL: grade})
        answers = (msgspec.structs.replace(first, candidate=candidate), *sound.answers[1:])
        return msgspec.structs.replace(sound, answers=answers)

    with pytest.raises(ModelError, match="a grade of line 2 is not its most probable class"):
        judged_again(changed(Graded("1", (0.7, 0.1, 0.1, 0.1))), where="evidence")
    with pytest.raises(ModelError, match="does not follow from the answers"):
        judged_again(changed(Graded("1", (0.1, 0.7, 0.1, 0.1))), where="evidence")


def test_evidence_of_format_3_is_read_and_counts(tmp_path: Path) -> None:
    def bare(found: Arm) -> Arm:
        return msgspec.structs.replace(found, grades={})

    answers = [
        msgspec.structs.replace(each, true_grades={}, second={}, second_grades={},
                                reference=bare(each.reference), candidate=bare(each.candidate))
        for each in published()
    ]  # fmt: skip
    document = json.loads(evidence_bytes(report(answers, Gate(sensitivity_margin=0.1))))
    document["format"] = 3
    for name in ("classes", "readers", "grades", "boxes"):
        del document[name]
    for name in ("kappa_margin", "ratio_margin", "box_margin"):
        del document["gate"][name]
    for performance in (document["reference"], document["candidate"]):
        for name in ("grades", "boxes", "symptoms"):
            del performance[name]
        del performance["levels"]["second"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(document))
    old = read_evidence(path)
    assert judged_again(old, where="old") == old
    kept = msgspec.json.decode(path.read_bytes(), type=Evidence)
    assert believed(kept, gate=old.gate) == old.verdict
    # Of what it does not have it says nothing, so that it passes no margin of it.
    assert believed(kept, gate=Gate(sensitivity_margin=0.1, kappa_margin=0.1)) != "pass"


def test_a_report_shows_grades_ratios_and_regions(sound: Report) -> None:
    found = report_text(sound)
    assert "quadratic kappa" in found
    assert "grades, FP32 and truth" in found
    assert "changed grades: 0, of the levels that both graded 0.0000" in found
    boxes = report_text(report(with_boxes(0.0, 1.0, lines=12), BOXES))
    assert "regions kept at IoU 0.9: 0.5000" in boxes
    assert "found at IoU 0.5" in boxes
    rated = report(with_ratios(0.0, count=12), RATIOS)
    assert "lowest ratio" in report_text(rated)
    assert "symptoms, lowest ratio, Pearson" in report_text(rated)
    assert "changes 0 of 200 grades" in report_summary(sound)
    checks = {check.name: check for check in report_checks(sound)}
    assert "quadratic 0.884" in checks["quadratic kappa"].figures["FP32 against the truth"]
