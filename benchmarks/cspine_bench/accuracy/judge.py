"""From two pipelines' answers to a report, and nothing else goes into it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cspine.errors import ModelError
from cspine.precision import Verdict
from cspine_bench.accuracy.answers import CaseAnswers
from cspine_bench.accuracy.criteria import judged_criteria
from cspine_bench.accuracy.evidence import Report, Trial
from cspine_bench.accuracy.levels import level_change
from cspine_bench.accuracy.measured import PairedPoints, paired_points, paired_values
from cspine_bench.accuracy.noninferiority import Criterion
from cspine_bench.accuracy.pairs import PairedLevels, paired_levels
from cspine_bench.accuracy.performance import performance
from cspine_bench.accuracy.points import point_change
from cspine_bench.accuracy.subgroup import Subgroup, subgroups
from cspine_bench.accuracy.truth import UNITS
from cspine_bench.accuracy.values import value_change

# What a set lacks if there is nothing to compare by a criterion; of the others it is answers.
_REMEDY = {
    "Dice": "add masks, or look at what was refused",
    "refusals": "add studies with a fault, which have neither labels nor points",
}


def judge(trial: Trial) -> Report:
    """Judge a candidate by its answers alone: the same answers, the same report.

    Raises
    ------
    ModelError
        If the set, or what the reference answered of it, is too one-sided to judge.
    """
    cases, gate = trial.answers, trial.gate
    levels = None if trial.threshold is None else _judgeable_levels(cases)
    points = None if trial.lines is None else _judgeable_points(cases)
    criteria = judged_criteria(cases, levels, gate=gate)
    judged_by = [name for name, found in (("AUC", levels), ("landmarks", points)) if found]
    by = next((name for name in judged_by if name in gate.margins), None)
    groups = subgroups(cases, by=by, margin=gate.margins[by]) if by else ()
    missing = gate.margins.keys() - {criterion.name for criterion in criteria}
    verdict, reasons = decide(criteria, groups, missing=missing)
    return Report(
        format=3,
        bundle=trial.bundle,
        backend=trial.backend,
        target=trial.target,
        verdict=verdict,
        reasons=reasons,
        gate=gate,
        threshold=trial.threshold,
        lines=trial.lines,
        set_digest=trial.set_digest,
        look=trial.look,
        reference=performance(cases, levels, points, arm="reference"),
        candidate=performance(cases, levels, points, arm="candidate"),
        criteria=criteria,
        subgroups=groups,
        levels=level_change(cases, levels) if levels else None,
        points=point_change(cases, points) if points else None,
        values={
            name: value_change(paired_values(cases, name), unit=unit)
            for name, unit in (UNITS if points else {}).items()
        },
        answered_by_one=_answered_by_one(cases),
        device=trial.device,
        versions=trial.versions,
        answers=cases,
    )


def decide(
    criteria: Sequence[Criterion], groups: Sequence[Subgroup], *, missing: Collection[str]
) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict and the reasons.

    Every criterion must pass, and one that fails is a ``fail``, so none of them needs an
    adjustment. A subgroup that is shown to be worse is a ``fail``, too; one of which too little is
    known is reported and does not keep the whole from passing. ``missing`` names the criteria that
    too few cases could be compared by. What no criterion was judged by is ``inconclusive``.
    """
    harmed = [group for group in groups if group.verdict == "fail"]
    found = {criterion.verdict for criterion in criteria} | {group.verdict for group in harmed}
    if missing or not criteria:
        found.add("inconclusive")
    order: tuple[Verdict, ...] = ("fail", "inconclusive", "pass")
    verdict = next(verdict for verdict in order if verdict in found)
    decisive = [criterion.reason for criterion in criteria if criterion.verdict == verdict]
    return verdict, (
        *decisive,
        *(
            f"{group.factor} {group.value}: {group.by}: worse by more than the margin, "
            f"{group.low:+.4f} to {group.high:+.4f}"
            for group in harmed
        ),
        *(
            f"{name}: too few cases can be compared; "
            + _REMEDY.get(name, "look at what was refused")
            for name in sorted(missing)
        ),
        *(() if criteria or missing else ("the pipeline file declares no margin to judge by",)),
    )


def _judgeable_levels(cases: Sequence[CaseAnswers]) -> PairedLevels:
    levels = paired_levels(cases)
    if not levels.rankable:
        raise ModelError(
            "the set has labelled levels of fewer than two patients of one of the classes; add "
            "cases"
        )
    if not levels.chosen(levels.reference.answered).rankable:
        raise ModelError(
            "FP32 answered levels of fewer than two patients of one of the classes; look at what "
            "it refused"
        )
    return levels


def _judgeable_points(cases: Sequence[CaseAnswers]) -> PairedPoints:
    if len({case.patient for case in cases if case.true_points}) < 2:
        raise ModelError("the set has points of fewer than two patients; add cases with points")
    points = paired_points(cases)
    if not points.placed_by_several("reference"):
        raise ModelError("FP32 placed points of fewer than two patients; look at what it refused")
    return points


def _answered_by_one(cases: Sequence[CaseAnswers]) -> tuple[str, ...]:
    """Name the studies, and the labelled levels and the values of the others, that one answered."""
    found = []
    for case in cases:
        arms = (("FP32 only", case.reference), ("candidate only", case.candidate))
        if (case.reference.refusal is None) != (case.candidate.refusal is None):
            found += [f"line {case.line}: {name}" for name, arm in arms if arm.refusal is None]
            continue
        for asked in (*case.truth, *UNITS):
            answering = [name for name, arm in arms if asked in arm.scores or asked in arm.values]
            if len(answering) == 1:
                found.append(f"line {case.line}, {asked}: {answering[0]}")
    return tuple(found)
