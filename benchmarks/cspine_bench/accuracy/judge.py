"""From two pipelines' answers to a report, and nothing else goes into it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cspine.evidence import FORMAT, Verdict
from cspine_bench.accuracy.answers import Arm, CaseAnswers
from cspine_bench.accuracy.boxes import box_change
from cspine_bench.accuracy.compared import compared
from cspine_bench.accuracy.criteria import judged_criteria
from cspine_bench.accuracy.evidence import Report
from cspine_bench.accuracy.grades import grade_change
from cspine_bench.accuracy.levels import level_change
from cspine_bench.accuracy.measured import paired_values
from cspine_bench.accuracy.noninferiority import Criterion
from cspine_bench.accuracy.performance import performance
from cspine_bench.accuracy.points import point_change
from cspine_bench.accuracy.readers import readers
from cspine_bench.accuracy.subgroup import Subgroup, subgroups
from cspine_bench.accuracy.trial import Trial
from cspine_bench.accuracy.truth import RATIO, UNITS
from cspine_bench.accuracy.values import value_change

# What a set lacks if there is nothing to compare by a criterion; of the others it is answers.
_REMEDY = {
    "Dice": "add masks, or look at what was refused",
    "refusals": "add studies with a fault, which have neither labels nor points",
    "quadratic kappa": "add graded cases of several classes, or look at what was refused",
    "ratio": "add cases with ratios, or look at what was refused",
}


def judge(trial: Trial) -> Report:
    """Judge a candidate by its answers alone: the same answers, the same report.

    Raises
    ------
    ModelError
        If the set, or what the reference answered of it, is too one-sided to judge.
    """
    cases, gate = trial.answers, trial.gate
    of = compared(trial)
    criteria = judged_criteria(cases, of, gate=gate)
    judged_by = [name for name, found in (("AUC", of.levels), ("landmarks", of.points)) if found]
    by = next((name for name in judged_by if name in gate.margins), None)
    groups = subgroups(cases, by=by, margin=gate.margins[by]) if by else ()
    missing = gate.margins.keys() - {criterion.name for criterion in criteria}
    verdict, reasons = decide(criteria, groups, missing=missing)
    return Report(
        format=FORMAT,
        bundle=trial.bundle,
        backend=trial.backend,
        target=trial.target,
        precision=trial.precision,
        verdict=verdict,
        reasons=reasons,
        gate=gate,
        threshold=trial.threshold,
        lines=trial.lines,
        classes=trial.classes,
        set_digest=trial.set_digest,
        look=trial.look,
        readers=readers(cases, of),
        reference=performance(cases, of, arm="reference"),
        candidate=performance(cases, of, arm="candidate"),
        criteria=criteria,
        subgroups=groups,
        levels=level_change(cases, of.levels) if of.levels else None,
        points=point_change(cases, of.points) if of.points else None,
        values={
            name: value_change(paired_values(cases, name), unit=unit)
            for name, unit in of.units.items()
        },
        grades=grade_change(of.grades) if of.grades else None,
        boxes=box_change(of.boxes) if of.boxes else None,
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


def _answered_by_one(cases: Sequence[CaseAnswers]) -> tuple[str, ...]:
    """Name the studies, and the labelled levels and the values of the others, that one answered."""
    found = []
    for case in cases:
        arms = (("FP32 only", case.reference), ("candidate only", case.candidate))
        if (case.reference.refusal is None) != (case.candidate.refusal is None):
            found += [f"line {case.line}: {name}" for name, arm in arms if arm.refusal is None]
            continue
        for name in (*case.truth, *UNITS, *map(_ratio_at, case.true_ratios)):
            answering = [which for which, arm in arms if name in _names(arm)]
            if len(answering) == 1:
                found.append(f"line {case.line}, {name}: {answering[0]}")
    return tuple(found)


def _names(arm: Arm) -> set[str]:
    return {*arm.scores, *arm.values, *map(_ratio_at, arm.ratios)}


def _ratio_at(level: str) -> str:
    return f"{RATIO} {level}"
