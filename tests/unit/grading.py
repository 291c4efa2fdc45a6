"""Answers of two pipelines that grade levels, measure ratios and find regions, on known truths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cspine.gate import Gate
from cspine_bench.accuracy.answers import Arm, CaseAnswers, Graded, Score
from cspine_bench.accuracy.evidence import Report
from cspine_bench.accuracy.judge import judge
from cspine_bench.accuracy.trial import Trial

CLASSES = ("0", "1", "2", "3")
LEVEL = "C5/6"
# Rows are the truth: kappa .662618, linear .784036, quadratic .884388, macro F1 .762415.
PUBLISHED = ((20, 5, 0, 0), (4, 18, 6, 0), (0, 5, 22, 3), (0, 0, 2, 15))
Ratios = Mapping[str, float]
Boxes = Mapping[int, tuple[float, float, float, float]]


def graded(grade: int) -> Graded:
    """A grade of which the network is fairly sure."""
    return Graded(CLASSES[grade], tuple(0.7 if at == grade else 0.1 for at in range(4)))


def arm(grade: int | None, *, ratios: Ratios | None = None, boxes: Boxes | None = None) -> Arm:
    """What a pipeline says of one level; positive from grade 2 on."""
    if grade is None:
        return Arm(refusal="MODEL_UNSURE")
    logit = float(str(np.float32(grade - 1.5)))
    return Arm(
        refusal=None,
        scores={LEVEL: Score(logit, logit >= 0.0)},
        grades={LEVEL: graded(grade)},
        ratios=dict(ratios or {}),
        boxes=dict(boxes or {}),
    )


def case(
    line: int,
    truth: int,
    before: Arm,
    after: Arm,
    *,
    second: int | None = None,
    symptom: float | None = None,
    ratios: Ratios | None = None,
    boxes: Boxes | None = None,
) -> CaseAnswers:
    return CaseAnswers(
        line=line,
        study=f"{line:064}",
        patient=line,
        unfit=None,
        groups={},
        truth={LEVEL: truth >= 2},
        true_grades={LEVEL: CLASSES[truth]},
        true_ratios=dict(ratios or {}),
        true_boxes=dict(boxes or {}),
        second={} if second is None else {LEVEL: second >= 2},
        second_grades={} if second is None else {LEVEL: CLASSES[second]},
        symptom=symptom,
        reference=before,
        candidate=after,
    )


def pairs(matrix: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """The cases of a matrix, (row, column)."""
    return [
        (row, column)
        for row, counts in enumerate(matrix)
        for column, count in enumerate(counts)
        for _ in range(count)
    ]


def published() -> list[CaseAnswers]:
    """The published matrix, FP32 its columns; INT8 and a second reader say what the truth is."""
    return [
        case(line, truth, arm(called), arm(truth), second=truth)
        for line, (truth, called) in enumerate(pairs(PUBLISHED), 2)
    ]


def report(answers: Sequence[CaseAnswers], gate: Gate | None = None) -> Report:
    return judge(
        Trial(
            bundle="b" * 64,
            backend="onnxruntime",
            target="ort-x64-vnni",
            precision="int8",
            gate=gate or Gate(kappa_margin=0.05),
            threshold=0.5,
            lines=None,
            classes=CLASSES,
            set_digest="c" * 64,
            look=1,
            device={},
            versions={},
            answers=tuple(answers),
        )
    )
