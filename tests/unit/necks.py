"""Answers of two pipelines that place landmarks and measure, on necks that are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from cspine.gate import Gate
from cspine.geometry import Lines
from cspine_bench.accuracy.answers import Arm, CaseAnswers
from cspine_bench.accuracy.evidence import Report
from cspine_bench.accuracy.judge import judge
from cspine_bench.accuracy.trial import Trial
from cspine_bench.accuracy.truth import true_values
from cspine_bench.marks import Position

SPACING = (0.2, 0.2)
GATE = Gate(
    landmark_margin_mm=0.1,
    borden_margin_mm=0.15,
    cci_margin_percent=0.3,
    ccl_margin_deg=0.4,
    c0_c7_margin_deg=0.3,
    c1_c7_margin_deg=0.3,
    c2_c7_margin_deg=0.3,
    answer_margin=0.02,
)
VECTOR = (
    "HP330,310 OC690,350 BA505,340 OP660,372 C1A455,370 C1P690,446 C2D520,395 "
    "C2AS443,488 C2PS527,498 C2AI437,574 C2PI523,584 C3AS430,594 C3PS516,602 C3AI424,660 "
    "C3PI510,668 C4AS419,682 C4PS506,688 C4AI416,748 C4PI504,752 C5AS414,772 C5PS503,772 "
    "C5AI416,840 C5PI505,836 C6AS418,864 C6PS507,856 C6AI426,932 C6PI514,920 C7AS430,956 "
    "C7PS518,940 C7AI446,1030 C7PI534,1006"
)
Points = Mapping[str, Position]


def neck() -> dict[str, Position]:
    """The published neck, which faces left, at 0.2 mm."""
    words = (word.split(",") for word in VECTOR.split())
    return {
        name.rstrip("0123456789"): (float(name[len(name.rstrip("0123456789")) :]), float(row))
        for name, row in words
    }


def moved(points: Points, by: np.ndarray | tuple[float, float]) -> dict[str, Position]:
    """Points with pixels added, the same to all of them or each its own."""
    places = np.array(list(points.values())) + by
    return {
        name: (float(x), float(y)) for name, (x, y) in zip(points, places.round(2), strict=True)
    }


def bent(points: Points, angle: float) -> dict[str, Position]:
    """A neck bowed forward and whose lines tip the more, the lower they lie; by an angle."""
    x, y = np.array(list(points.values())).T
    tipped = (x - 500.0) * np.tan(angle * y / y.max())
    bowed = -500.0 * angle * np.sin(np.pi * (y - y.min()) / np.ptp(y))
    return moved(points, np.stack([bowed, tipped], axis=1))


def answered(points: Points) -> Arm:
    """What a pipeline says that places these points."""
    values = true_values(points, SPACING, Lines())
    return Arm(
        refusal=None,
        points=dict(points),
        values={name: round(value, 2) for name, value in values.items()},
    )


def case(
    line: int, truth: Points, before: Arm, after: Arm, *, patient: int = 0, **groups: str
) -> CaseAnswers:
    spacing = None if before.refusal and after.refusal else SPACING
    return CaseAnswers(
        line=line,
        study=f"{line:064}",
        patient=patient or line,
        unfit=None,
        groups=groups,
        true_points=dict(truth),
        spacing_mm=spacing,
        true_values=true_values(truth, spacing, Lines()),
        reference=before,
        candidate=after,
    )


def cases(
    patients: int,
    *,
    noise: float = 0.1,
    change: Callable[[dict[str, Position], int], dict[str, Position]] = lambda points, line: points,
    seed: int = 0,
) -> list[CaseAnswers]:
    """Patients of whom FP32 is off by a pixel a side, and INT8 by that and `noise` and a change."""
    rng = np.random.default_rng(seed)
    found = []
    for line in range(2, patients + 2):
        truth = bent(neck(), rng.normal(0.0, 0.15))
        before = moved(truth, rng.normal(size=(len(truth), 2)))
        after = change(moved(before, noise * rng.normal(size=(len(truth), 2))), line)
        groups = {"site": "AB"[line % 2], "sex": "FM"[line // 2 % 2]}
        found.append(case(line, truth, answered(before), answered(after), **groups))
    return found


def report(
    answers: Sequence[CaseAnswers], gate: Gate = GATE, *, threshold: float | None = None
) -> Report:
    return judge(
        Trial(
            bundle="b" * 64,
            backend="onnxruntime",
            target="ort-x64-vnni",
            precision="int8",
            gate=gate,
            threshold=threshold,
            lines=Lines(),
            set_digest="c" * 64,
            look=1,
            device={},
            versions={},
            answers=tuple(answers),
        )
    )


def with_candidate(answers: CaseAnswers, **changes: object) -> CaseAnswers:
    """The same case with something else in the candidate's answer."""
    return msgspec.structs.replace(
        answers, candidate=msgspec.structs.replace(answers.candidate, **changes)
    )
