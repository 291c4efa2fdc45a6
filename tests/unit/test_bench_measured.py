"""A pipeline that places landmarks and measures is judged by what it answers."""

from __future__ import annotations

import math
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest

from cspine.errors import ModelError
from cspine.evidence import Evidence, believed
from cspine.gate import Gate
from cspine.geometry import Lines
from cspine_bench.accuracy.again import judged_again
from cspine_bench.accuracy.answers import Arm, Score
from cspine_bench.accuracy.compared import Compared
from cspine_bench.accuracy.criteria import judged_criteria
from cspine_bench.accuracy.evidence import Report, evidence_bytes, evidence_schema, read_evidence
from cspine_bench.accuracy.figure import limits
from cspine_bench.accuracy.layout import report_checks, report_summary, report_text
from cspine_bench.accuracy.measured import PairedValues, paired_points, point_changes
from cspine_bench.accuracy.points import point_change, point_performance
from cspine_bench.accuracy.truth import UNITS, true_values
from cspine_bench.accuracy.values import value_change, value_performance
from cspine_bench.metrics.bland_altman import limits_of_agreement
from cspine_bench.metrics.landmarks import landmark_error
from cspine_bench.metrics.reliability import icc, icc_interval
from cspine_bench.report import junit, markdown
from necks import (
    GATE,
    SPACING,
    Points,
    answered,
    case,
    cases,
    moved,
    neck,
    report,
    with_candidate,
)

SILENT = Arm(refusal="MODEL_UNSURE")


@pytest.fixture(scope="module")
def sound() -> Report:
    return report(cases(220))


def test_a_candidate_that_places_the_same_passes(sound: Report) -> None:
    assert sound.verdict == "pass", sound.reasons
    assert [each.name for each in sound.criteria] == list(GATE.margins)
    units = {each.name: each.unit for each in sound.criteria}
    assert units == {"landmarks": "mm", **UNITS, "answers": ""}
    assert list(UNITS.values()) == ["mm", "%", "deg", "deg", "deg", "deg"]
    assert (sound.levels, sound.reference.levels, sound.threshold) == (None, None, None)
    assert sound.values.keys() == sound.candidate.values.keys() == UNITS.keys()
    assert {(each.by, each.positive, each.verdict) for each in sound.subgroups} == {
        ("landmarks", None, "pass")
    }
    assert sum(each.compared for each in sound.subgroups if each.factor == "site") == 220


def test_the_reference_against_itself_changes_nothing() -> None:
    found = report(cases(30, noise=0.0))
    assert found.verdict == "inconclusive"  # of so few, whatever they show
    assert all(each.value == 0.0 > each.low for each in found.criteria)
    assert found.points
    assert found.points.furthest
    assert found.points.furthest.value == 0.0
    assert (found.points.across.lower, found.points.down.upper) == (0.0, 0.0)
    for change in found.values.values():
        assert (change.bias.bias.value, change.bias.lower, change.bias.upper) == (0.0, 0.0, 0.0)
    asked = max(each.patients_needed or 0 for each in found.criteria)
    assert 30 < asked < 400
    assert report(cases(asked + 10, noise=0.0)).verdict == "pass"


def test_half_a_millimetre_aside_is_seen_on_landmarks_and_on_no_parameter() -> None:
    shift = 0.5 / SPACING[1]
    answers = cases(60, noise=0.0, change=lambda points, line: moved(points, (shift, 0.0)))
    found = report(answers)
    assert found.points
    assert found.points.across.bias.value == pytest.approx(0.5)
    assert found.points.across.upper == pytest.approx(0.5)
    assert found.points.down.bias.value == pytest.approx(0.0, abs=1e-9)
    assert found.points.distance.value == pytest.approx(0.5)
    verdicts = {each.name: each.verdict for each in found.criteria}
    assert verdicts["landmarks"] == found.verdict == "fail"
    assert not [name for name in UNITS if verdicts[name] == "fail"]
    assert all(abs(each.bias.bias.value or 0.0) < 0.005 for each in found.values.values())
    # Of a shift s and an error of deviation d a side, the mean error is that of Rice.
    before, after = found.reference.points, found.candidate.points
    assert before
    assert after
    rayleigh = 0.2 * math.sqrt(math.pi / 2)
    assert before.error_mm.value == pytest.approx(rayleigh, rel=0.03)
    assert after.error_mm.value == pytest.approx(0.5409, rel=0.02)
    assert "landmarks: the 95 % interval of the difference is" in found.reasons[0]
    assert found.reasons[0].endswith("wholly below the margin of -0.1000 mm")


def swapped(points: Points) -> dict[str, tuple[float, float]]:
    return {**points, "C7AI": points["C7PI"], "C7PI": points["C7AI"]}


def test_one_swapped_endplate_is_named_and_fails() -> None:
    gate = Gate(landmark_margin_mm=0.1, c2_c7_margin_deg=0.3)
    every = report(cases(40, change=lambda points, line: swapped(points)), gate)
    verdicts = {each.name: each.verdict for each in every.criteria}
    assert set(verdicts.values()) == {"fail"}
    assert every.candidate.points
    assert every.candidate.points.worst
    assert every.candidate.points.worst.name in ("C7AI", "C7PI")
    one = report(
        cases(220, change=lambda points, line: swapped(points) if line == 7 else points), gate
    )
    verdicts = {each.name: each.verdict for each in one.criteria}
    assert verdicts["C2-C7"] == one.verdict == "inconclusive"
    assert one.values["C2-C7"].largest
    assert one.values["C2-C7"].largest.line == 7
    assert abs(one.values["C2-C7"].largest.value) > 90.0
    assert one.points
    assert one.points.furthest
    assert (one.points.furthest.line, one.points.furthest.name[:2]) == (7, "C7")


def test_values_that_are_lost_are_lost_successes() -> None:
    answers = cases(120)
    lost = [
        with_candidate(each, values={}, points=dict(list(each.candidate.points.items())[:-2]))
        if number % 4 == 0
        else each
        for number, each in enumerate(answers)
    ]
    gate = Gate(c2_c7_margin_deg=0.3, answer_margin=0.02)
    found = report(lost, gate)
    criteria = {each.name: each for each in found.criteria}
    assert criteria["answers"].verdict == found.verdict == "fail"
    assert criteria["answers"].value == pytest.approx(-0.25)
    assert criteria["answers"].high < -0.02
    # What is left is compared as if nothing else had been asked.
    kept = report([each for number, each in enumerate(answers) if number % 4], gate)
    assert criteria["C2-C7"] == next(each for each in kept.criteria if each.name == "C2-C7")
    assert found.candidate.values["CCI"] == msgspec.structs.replace(
        kept.candidate.values["CCI"], studies=120
    )
    assert (found.candidate.values["CCI"].given, found.reference.values["CCI"].given) == (90, 120)
    assert found.answered_by_one[:6] == tuple(f"line 2, {name}: FP32 only" for name in UNITS)
    assert len(found.answered_by_one) == 6 * 30
    assert found.points
    assert found.points.placed_by_one == 2 * 30
    assert found.candidate.points
    assert found.candidate.points.missing == 2 * 30


def test_a_study_that_is_refused_is_charged_as_lost_values_and_not_as_misplaced() -> None:
    answers = cases(60)
    refused = [
        msgspec.structs.replace(each, candidate=SILENT) if number < 20 else each
        for number, each in enumerate(answers)
    ]
    gate = Gate(landmark_margin_mm=0.1, answer_margin=0.02)
    found = report(refused, gate)
    kept = report(answers[20:], gate)
    criteria = {each.name: each for each in found.criteria}
    assert criteria["answers"].value == pytest.approx(-1 / 3)
    assert (found.candidate.refused, found.reference.refused) == (20, 0)
    assert found.candidate.points == kept.candidate.points
    assert criteria["landmarks"].value == kept.criteria[0].value
    assert found.answered_by_one[0] == "line 2: FP32 only"
    both = [
        case(each.line, each.true_points, SILENT, SILENT) if number < 20 else each
        for number, each in enumerate(answers)
    ]
    assert both[0].true_values == {}
    assert report(both, gate).criteria == kept.criteria


def test_what_must_be_refused_counts_as_of_any_pipeline() -> None:
    gate = Gate(refusal_margin=0.1)
    fit = cases(60)
    assert report(fit, gate).reasons == (
        "refusals: too few cases can be compared; add studies with a fault, which have neither "
        "labels nor points",
    )
    for lost, verdict in ((0, "pass"), (40, "fail")):
        spoilt = [
            msgspec.structs.replace(
                case(300 + number, {}, SILENT, answered(neck()) if number < lost else SILENT),
                unfit="ap",
            )
            for number in range(60)
        ]
        found = report([*fit, *spoilt], gate)
        assert [(each.name, each.verdict) for each in found.criteria] == [("refusals", verdict)]
        assert found.verdict == verdict
        assert (found.candidate.cases, found.candidate.unfit) == (60, 60)
        # No point of theirs is true, so none is off.
        assert found.candidate.points == point_performance(paired_points(fit), arm="candidate")


def test_landmark_errors_are_those_of_the_metrics() -> None:
    answers = cases(20, noise=3.0)
    points = paired_points(answers)
    found = point_performance(points, arm="candidate")
    expected = landmark_error(points.candidate, points.patient)
    assert found.error_mm.value == expected.mean_mm
    assert (found.error_mm.low, found.error_mm.high) == (
        expected.mean_interval.low,
        expected.mean_interval.high,
    )
    assert (found.sd_mm, found.points, found.missing) == (expected.sd_mm, 20 * 31, 0)
    assert [found.within_3_mm.value, found.within_4_mm.value] == [
        each.share for each in expected.within
    ]
    assert found.worst
    worst = points.candidate[points.name == found.worst.name]
    assert found.worst.value == pytest.approx(worst.mean())
    assert all(points.candidate[points.name == name].mean() <= worst.mean() for name in neck())


def test_a_point_that_is_not_placed_is_near_nothing_and_compared_with_nothing() -> None:
    answers = cases(4, noise=0.0)
    fewer = {name: place for name, place in answers[0].candidate.points.items() if name != "HP"}
    answers[0] = with_candidate(answers[0], points=fewer)
    points = paired_points(answers)
    found = point_performance(points, arm="candidate")
    assert (found.points, found.missing) == (124, 1)
    assert found.within_4_mm.value == pytest.approx(123 / 124)
    assert point_change(answers, points).points == 123
    changes, patients = point_changes(answers)
    assert changes == pytest.approx([0.0] * 4, abs=1e-12)
    assert patients.tolist() == [2, 3, 4, 5]


def test_nearer_is_a_gain_and_is_counted_a_study() -> None:
    truth = neck()
    off = [moved(truth, (0.0, 5.0 * number)) for number in range(3)]
    answers = [
        case(2, truth, answered(off[2]), answered(off[1])),
        case(3, truth, answered(off[0]), answered(off[1]), patient=2),
        case(4, truth, answered(off[1]), answered(off[1])),
    ]
    changes, patients = point_changes(answers)
    assert changes == pytest.approx([1.0, -1.0, 0.0])
    assert patients.tolist() == [2, 2, 4]
    (criterion,) = judged_criteria(answers, Compared(), gate=Gate(landmark_margin_mm=1.0))
    assert criterion.value == pytest.approx(0.0)


def test_published_errors_of_a_parameter() -> None:
    truth = np.array([12, -4, 20.5, 8, 0.5])
    found = np.array([13.5, -2, 19, 10, -0.5])
    values = PairedValues(np.arange(5) + 2, np.arange(5), truth, found, found - 1.0)
    figures = value_performance(values, arm="reference", unit="deg")
    assert (figures.studies, figures.given, figures.unit) == (5, 5, "deg")
    assert figures.mae.value == pytest.approx(1.6)
    assert figures.smape == pytest.approx(61.6497, abs=5e-5)
    assert figures.bias.bias.value == pytest.approx(0.6)
    assert (figures.bias.lower, figures.bias.upper) == pytest.approx((-2.752, 3.952), abs=5e-4)
    ratings = np.stack([truth, found], axis=1)
    interval = icc_interval(ratings, form="2,1")
    assert figures.icc.value == icc(ratings, form="2,1")
    assert (figures.icc.low, figures.icc.high) == (interval.low, interval.high)
    change = value_change(values, unit="deg")
    assert change.bias.bias.value == change.bias.lower == pytest.approx(-1.0)
    assert change.largest
    assert change.largest.value == pytest.approx(-1.0)


def test_reliability_takes_one_study_a_patient() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=12)
    found = truth + 0.1 * rng.normal(size=12)
    twice = PairedValues(np.arange(12), np.repeat(np.arange(6), 2), truth, found, found)
    ratings = np.stack([truth, found], axis=1)[::2]
    assert value_performance(twice, arm="reference", unit="mm").icc.value == icc(
        ratings, form="2,1"
    )
    exact = PairedValues(np.arange(12), np.arange(12), truth, truth, truth)
    figures = value_performance(exact, arm="candidate", unit="mm")
    assert (figures.icc.value, figures.icc.low, figures.mae.value) == (1.0, None, 0.0)
    nothing = PairedValues(*(np.array([], kind) for kind in (int, int, float, float, float)))
    empty = value_performance(nothing, arm="reference", unit="mm")
    assert empty.icc.value is empty.mae.value is empty.smape is empty.bias.lower is None
    assert value_change(nothing, unit="mm").largest is None


def test_limits_are_those_of_bland_and_altman() -> None:
    rng = np.random.default_rng(2)
    before, after = rng.normal(size=(2, 30))
    expected = limits_of_agreement(before, after)
    found = limits(after - before, np.arange(30))
    assert found.bias.value == pytest.approx(expected.bias)
    assert (found.lower, found.upper) == pytest.approx((expected.lower, expected.upper))
    assert limits(np.ones(1), np.zeros(1, int)).lower is None


def test_true_values_are_those_of_the_points_at_the_stated_spacing() -> None:
    values = true_values(neck(), SPACING, Lines())
    expected = [5.1263, 19.1566, 20.8118, 21.5953, 33.1765, 21.8876]
    assert list(values) == ["Borden", "CCI", "CCL", "C0-C7", "C1-C7", "C2-C7"]
    assert list(values.values()) == pytest.approx(expected, abs=5e-5)
    larger = true_values(neck(), (0.3, 0.3), Lines())
    assert larger["Borden"] == pytest.approx(1.5 * values["Borden"])
    assert larger["CCI"] == pytest.approx(values["CCI"])
    other = true_values(neck(), SPACING, Lines(c0="foramen magnum", c2="body centroid"))
    assert (other["C0-C7"], other["CCL"]) == pytest.approx((26.92, 17.4221), abs=5e-5)
    without = {name: place for name, place in neck().items() if name not in ("C7AI", "HP")}
    assert list(true_values(without, SPACING, Lines())) == ["Borden", "CCI"]
    assert true_values(neck(), None, Lines()) == true_values(neck(), SPACING, None) == {}


def test_a_site_at_which_landmarks_are_worse_fails() -> None:
    def at_b(points: Points, line: int) -> dict[str, tuple[float, float]]:
        return moved(points, (4.0, 0.0)) if line % 2 else dict(points)

    found = report(cases(120, change=at_b), Gate(landmark_margin_mm=0.4))
    groups = {(each.factor, each.value): each for each in found.subgroups}
    assert groups["site", "A"].verdict == "pass"
    assert groups["site", "B"].verdict == found.verdict == "fail"
    assert any(reason.startswith("site B: landmarks: worse by") for reason in found.reasons)
    assert report(cases(6), Gate(c2_c7_margin_deg=0.5)).subgroups == ()


def test_evidence_of_measurements_is_read_back_and_judged_the_same(
    sound: Report, tmp_path: Path
) -> None:
    path = tmp_path / "evidence.json"
    path.write_bytes(evidence_bytes(sound))
    again = judged_again(read_evidence(path), where="evidence")
    assert again == sound
    assert evidence_bytes(again) == path.read_bytes()
    document = msgspec.json.decode(path.read_bytes())
    jsonschema.Draft202012Validator(evidence_schema()).validate(document)
    known = msgspec.json.decode(path.read_bytes(), type=Evidence)
    assert believed(known, gate=sound.gate) == "pass"


@pytest.mark.parametrize("name", ["candidate", "criteria", "points", "values", "verdict"])
def test_a_figure_of_measurements_that_does_not_follow_is_refused(name: str) -> None:
    gate = Gate(landmark_margin_mm=0.1, answer_margin=0.1)
    honest = report(cases(60, noise=5.0), gate)
    better = report(cases(60, noise=0.0), gate)
    assert (honest.verdict, better.verdict) == ("fail", "pass")
    changed = msgspec.structs.replace(honest, **{name: getattr(better, name)})
    with pytest.raises(ModelError, match=f"^evidence: '{name}' does not follow"):
        judged_again(changed, where="evidence")


def test_an_answer_that_was_changed_is_refused() -> None:
    honest = report(cases(10), Gate(landmark_margin_mm=0.1))
    first = honest.answers[0]
    values = {**first.candidate.values, "CCL": first.candidate.values["CCL"] + 0.5}
    points = {**first.candidate.points, "HP": (1.0, 1.0)}
    true = {**first.true_values, "CCL": first.true_values["CCL"] + 0.5}
    place = {**first.true_points, "C7AI": (440.0, 1030.0)}
    for other, message in (
        (with_candidate(first, values=values), "does not follow from the answers"),
        (with_candidate(first, points=points), "does not follow from the answers"),
        (msgspec.structs.replace(first, true_values=true), "a true value of line 2 does not"),
        (msgspec.structs.replace(first, true_points=place), "a true value of line 2 does not"),
        (msgspec.structs.replace(first, spacing_mm=(0.1, 0.1)), "a true value of line 2 does not"),
    ):
        answers = (other, *honest.answers[1:])
        with pytest.raises(ModelError, match=message):
            judged_again(msgspec.structs.replace(honest, answers=answers), where="evidence")


def test_points_of_one_patient_cannot_be_judged() -> None:
    alone = [msgspec.structs.replace(each, patient=2) for each in cases(3)]
    with pytest.raises(ModelError, match="points of fewer than two patients; add cases with"):
        report(alone)
    silent = [msgspec.structs.replace(each, reference=SILENT) for each in cases(3)]
    with pytest.raises(ModelError, match="FP32 placed points of fewer than two patients; look"):
        report(silent)


def test_a_candidate_that_places_nothing_fails() -> None:
    found = report([msgspec.structs.replace(each, candidate=SILENT) for each in cases(20)])
    assert [(each.name, each.verdict) for each in found.criteria] == [("answers", "fail")]
    assert found.verdict == "fail"
    assert "landmarks: too few cases can be compared; look at what was refused" in found.reasons
    assert found.candidate.points
    assert found.candidate.points.error_mm.value is found.candidate.points.worst is None
    assert report_text(found)


def test_a_pipeline_that_does_both_is_judged_by_both() -> None:
    rng = np.random.default_rng(3)
    both = []
    for each in cases(40):
        positive = bool(each.line % 3)
        logit = float(np.float32(rng.normal() + (2.0 if positive else -2.0)).round(3))
        scores = {"C5/6": Score(logit, logit >= 0.0)}
        arms = {
            name: msgspec.structs.replace(getattr(each, name), scores=scores)
            for name in ("reference", "candidate")
        }
        both.append(msgspec.structs.replace(each, truth={"C5/6": positive}, **arms))
    gate = Gate(auc_margin=0.05, c2_c7_margin_deg=0.5)
    found = report(both, gate, threshold=0.5)
    assert [each.name for each in found.criteria] == ["AUC", "C2-C7"]
    assert found.levels
    assert found.points
    assert {each.by for each in found.subgroups} == {"AUC"}
    lines = report_text(found).splitlines()
    for start in ("AUC, answered levels", "radial error, mm", "C2-C7, deg", "flipped decisions: 0"):
        assert any(line.startswith(start) for line in lines), start
    assert report_summary(found).startswith("flips 0 of 40 decisions and moves landmarks by ")
    only = report(both, Gate(landmark_margin_mm=0.1), threshold=0.5)
    assert {each.by for each in only.subgroups} == {"landmarks"}


def test_a_report_shows_landmarks_and_parameters(sound: Report) -> None:
    text = report_text(sound)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 130
    assert not [line for line in lines if line.startswith(("levels", "AUC", "Dice", "flipped"))]
    change = sound.values["C2-C7"].largest
    assert change
    for start, part in (
        ("landmarks  ", "6820"),
        ("radial error, mm", f"{sound.reference.points.error_mm.value:.3f}"),  # type: ignore[union-attr]
        ("C2-C7, deg  ", f"{sound.reference.values['C2-C7'].mae.value:.2f} ["),
        ("C2-C7, deg  ", f"{change.value:+.2f}, line {change.line}"),
        ("landmarks moved, mm", " of line "),
        ("C2-C7, deg  ", "-0.3000"),
        ("site A", "110"),
    ):
        assert any(line.startswith(start) and part in line for line in lines), (start, part)
    assert report_summary(sound) == (
        f"moves landmarks by {sound.points.distance.value:.3f} mm"  # type: ignore[union-attr]
    )
    checks = report_checks(sound)
    assert [each.name for each in checks] == ["verdict", *GATE.margins]
    page = markdown("cspine verify", checks) + junit("cspine verify", checks).decode()
    assert page.count("FP32 radial error") == page.count("INT8 radial error") == 2
    assert page.count("ICC(2,1)") == 2 * 2 * 6
