"""Pass, fail and inconclusive mean what they say."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from cspine.findings import Level
from cspine_bench.answers import Answers, dice_change, performance
from cspine_bench.auc import PairedAuc, paired_auc
from cspine_bench.cases import Case
from cspine_bench.interval import Interval
from cspine_bench.proportion import wilson
from cspine_bench.verdict import decide


def difference(low: float, high: float) -> PairedAuc:
    middle = (low + high) / 2
    return PairedAuc(
        auc_reference=0.95,
        auc_candidate=0.95 + middle,
        difference=middle,
        standard_error=0.001,
        interval=Interval(low, high, 0.95),
        z=0.0,
        p=1.0,
        degenerate=False,
        exact_bound=math.nan,
    )


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
    found, reasons = decide(difference(low, high), margin=0.02, lost=[])
    assert found == verdict
    assert f"{low:+.4f} to {high:+.4f}" in reasons[0]


def test_a_candidate_that_withholds_what_fp32_answers_cannot_pass() -> None:
    found, reasons = decide(difference(-0.001, 0.001), margin=0.02, lost=["line 2, C5/6"])
    assert (found, reasons) == ("inconclusive", ("1 levels are answered by FP32 alone",))
    assert decide(difference(-0.9, -0.8), margin=0.02, lost=["line 2, C5/6"])[0] == "fail"


def test_two_answers_alike_on_few_cases_are_not_proof() -> None:
    truth = np.array([0, 1] * 10)
    scores = np.linspace(0, 1, 20)
    same = paired_auc(truth, scores, scores)
    assert same.degenerate
    assert decide(same, margin=0.02, lost=[])[0] == "inconclusive"


def level(*, positive: bool) -> Level:
    # The rounded probability is the threshold itself: only `positive` says what was decided.
    corner = (0.0, 0.0)
    return Level(
        label="C2/3",
        probability=0.5,
        positive=positive,
        decision="",
        box_px=(corner, corner, corner, corner),
    )


OVERLAP = {2: {"C2": 0.9, "C3": 0.7}, 3: {"C2": math.nan, "C3": math.nan}}


def case(row: int) -> Case:
    return Case(
        row=row,
        study=Path(),
        patient=f"p{row}",
        labels={"C2/3": row % 2 == 0, "C3/4": False},
        severity={"C2/3": float(row)} if row < 6 else {},
        mask=None,
        points=None,
    )


def test_performance_counts_what_was_not_answered() -> None:
    cases = [case(row) for row in range(2, 8)]
    levels = {(row, "C2/3"): level(positive=row % 2 == 0) for row in range(2, 7)}
    logits = {key: 1.5 if found.positive else -1.5 for key, found in levels.items()}
    answers = Answers(logits, levels, {7: "WRONG_VIEW"}, OVERLAP, {2: True, 3: False, 4: True})
    found = performance(answers, cases, sorted(levels))
    assert (found.cases, found.refused, found.levels, found.unanswered) == (6, 1, 5, 7)
    assert found.auc.value == found.accuracy.value == found.sensitivity.value == 1.0
    assert found.dice == pytest.approx(0.8)
    assert found.worst_vertebra == pytest.approx(0.7)
    assert found.numbering.value == pytest.approx(2 / 3)
    alone = wilson(2, 3)  # one study a patient
    assert (found.numbering.low, found.numbering.high) == pytest.approx((alone.low, alone.high))
    # High, low, high, low against 2 to 5; line 6 states no severity.
    assert found.severity.value == pytest.approx(-math.sqrt(1 / 5))


def test_the_dice_of_a_study_is_compared_with_itself() -> None:
    cases = [case(row) for row in range(2, 7)]
    before = {2: {"C2": 0.9, "C3": 0.7}, 3: {"C2": 0.8, "C3": math.nan}, 4: {"C2": math.nan}}
    after = {2: {"C2": 0.8, "C3": 0.7}, 3: {"C2": 0.9, "C3": math.nan}, 4: {"C2": math.nan}}
    arms = [Answers({}, {}, {}, each, {}) for each in (before | {5: {"C2": 0.1}}, after)]
    found = dice_change(*arms, cases)
    assert found.value == pytest.approx((-0.05 + 0.1) / 2)
    half = 1.959964 * 0.15 / math.sqrt(2) / math.sqrt(2)  # standard error of two values
    assert (found.low, found.high) == pytest.approx((0.025 - half, 0.025 + half))
    one = dice_change(*[Answers({}, {}, {}, {2: each[2]}, {}) for each in (before, after)], cases)
    assert (one.value, one.low, one.high) == (pytest.approx(-0.05), None, None)
