"""``verify``: a candidate against FP32 on the same cases, as pass, fail or inconclusive."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from cspine.bundle import Bundle
from cspine.device import installed, this_device
from cspine.errors import ModelError
from cspine.files import write_atomic
from cspine.pipeline import Pipeline
from cspine.precision import Choice, Verdict, evidence_path, fp32
from cspine.spec import Classify, Levels
from cspine.stages.levels import level_names
from cspine_bench.answers import (
    Answers,
    Figure,
    Key,
    Performance,
    answer,
    dice_change,
    performance,
    proportion,
)
from cspine_bench.auc import PairedAuc, paired_auc
from cspine_bench.cases import FILE, Case, CaseSet, study_digest


class Flip(msgspec.Struct, frozen=True):
    """A decision that differs; the case is named by its line in ``cases.csv``."""

    line: int
    level: str
    truth: bool
    reference: float
    candidate: float


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Candidate's AUC less the reference's: paired DeLong, clustered by patient, 95 %."""

    value: float
    low: float
    high: float
    degenerate: bool


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a verdict rests on; the file is the evidence.

    ``dice_difference`` is the candidate's Dice less the reference's, the mean over studies that
    both answered; ``flip_rate`` the share of levels that both answered whose decision differs.
    Both intervals are clustered by patient; neither is a criterion.
    """

    bundle: str
    backend: str
    target: str
    verdict: Verdict
    reasons: tuple[str, ...]
    auc_margin: float
    threshold: float
    set_digest: str
    reference: Performance
    candidate: Performance
    difference: Difference
    dice_difference: Figure
    flip_rate: Figure
    flips: tuple[Flip, ...]
    answered_by_one: tuple[str, ...]
    device: dict[str, object]
    versions: dict[str, str | None]


def verify(bundle: Bundle, candidate: Choice, cases: CaseSet, *, threads: int | None) -> Report:
    """Run both precisions over a locked set, judge the candidate and keep the evidence.

    The reference is FP32 on ONNX Runtime's CPU provider, whatever the candidate's backend.

    Raises
    ------
    ModelError
        If the bundle was calibrated on a study of the set, or the set is too one-sided to judge.
    """
    _check_locked(bundle, cases)
    reference = Pipeline.open(bundle, fp32("onnxruntime"), threads=threads)
    tested = Pipeline.open(bundle, candidate, threads=threads)
    try:
        answers = [answer(pipeline, cases.cases) for pipeline in (reference, tested)]
    finally:
        reference.close()
        tested.close()
    report = _judge(bundle, candidate, cases, *answers)
    text = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
    write_atomic(evidence_path(bundle, candidate, set_digest=report.set_digest), text)
    return report


def decide(
    difference: PairedAuc, *, margin: float, lost: Sequence[str]
) -> tuple[Verdict, tuple[str, ...]]:
    """Judge non-inferiority of the AUC.

    ``fail`` if the whole interval lies below the margin, ``pass`` if it lies above and nothing
    that the reference answered is left unanswered, else ``inconclusive``.
    """
    low, high = difference.interval.low, difference.interval.high
    found = f"the 95 % interval of the AUC difference is {low:+.4f} to {high:+.4f}"
    if high < -margin:
        return "fail", (f"{found}, wholly below the margin of {-margin:+.4f}",)
    if low <= -margin:
        return "inconclusive", (f"{found} and holds the margin of {-margin:+.4f}: add cases",)
    if lost:
        return "inconclusive", (f"{len(lost)} levels are answered by FP32 alone",)
    return "pass", (f"{found}, above the margin of {-margin:+.4f}",)


def _judge(
    bundle: Bundle, candidate: Choice, cases: CaseSet, reference: Answers, tested: Answers
) -> Report:
    classify: Classify = bundle.spec.only(Classify)
    labelled = [(case.row, level) for case in cases.cases for level in case.labels]
    keys = [key for key in labelled if key in reference.logits and key in tested.logits]
    truth = _truth(cases.cases, keys)
    if not 0 < sum(truth) < len(truth):
        raise ModelError("the answered levels of the set are all of one class; add cases")
    patients = {case.row: case.patient for case in cases.cases}
    of_key = np.array([patients[row] for row, _ in keys])
    difference = paired_auc(
        truth,
        np.array([reference.logits[key] for key in keys]),
        np.array([tested.logits[key] for key in keys]),
        clusters=of_key,
    )
    lost = [_named(key) for key in labelled if key in reference.logits and key not in tested.logits]
    gained = [
        _named(key) for key in labelled if key in tested.logits and key not in reference.logits
    ]
    margin = bundle.spec.gate.auc_margin
    verdict, reasons = decide(difference, margin=margin, lost=lost)
    flipped = [reference.levels[key].positive != tested.levels[key].positive for key in keys]
    both = [performance(answers, cases.cases, keys) for answers in (reference, tested)]
    return Report(
        bundle=bundle.digest,
        backend=candidate.backend,
        target=candidate.target or "fp32",
        verdict=verdict,
        reasons=reasons,
        auc_margin=margin,
        threshold=classify.threshold,
        set_digest=cases.digest,
        reference=both[0],
        candidate=both[1],
        difference=Difference(
            value=difference.difference,
            low=difference.interval.low,
            high=difference.interval.high,
            degenerate=difference.degenerate,
        ),
        dice_difference=dice_change(reference, tested, cases.cases),
        flip_rate=proportion(np.array(flipped, bool), of_key),
        flips=_flips(keys, truth, reference, tested),
        answered_by_one=(
            *(f"{name}: FP32 only" for name in lost),
            *(f"{name}: candidate only" for name in gained),
        ),
        device=this_device().facts(),
        versions={name: installed(name) for name in ("cspine", "onnxruntime", "openvino")},
    )


def _flips(
    keys: Sequence[Key],
    truth: Sequence[bool],
    reference: Answers,
    tested: Answers,
) -> tuple[Flip, ...]:
    found = []
    for key, positive in zip(keys, truth, strict=True):
        before, after = reference.levels[key], tested.levels[key]
        if before.positive != after.positive:
            found.append(Flip(*key, positive, before.probability, after.probability))
    return tuple(found)


def _check_locked(bundle: Bundle, cases: CaseSet) -> None:
    """Refuse a set of which a study shaped the candidate, whatever has become of its header."""
    known = {
        digest: name
        for name, facts in bundle.manifest.provenance.items()
        for digest in facts.get("studies", ())
    }
    for case in cases.cases:
        if maker := known.get(study_digest(case.read())):
            raise ModelError(
                f"{FILE}, line {case.row}: {maker} was calibrated on this study, so it proves "
                "nothing about it; use a locked set that shares no patient"
            )


def answered_levels(bundle: Bundle) -> tuple[str, ...]:
    """Return the level columns that a case set for this bundle must have."""
    stage: Levels = bundle.spec.only(Levels)
    return level_names(stage.vertebrae)


def _truth(cases: Sequence[Case], keys: Sequence[Key]) -> list[bool]:
    labels = {case.row: case.labels for case in cases}
    return [labels[row][level] for row, level in keys]


def _named(key: Key) -> str:
    return f"line {key[0]}, {key[1]}"
