"""From two pipelines' answers to a report, and nothing else goes into it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import msgspec
import numpy as np

from cspine.errors import ModelError
from cspine.precision import Verdict
from cspine_bench.accuracy.answers import CaseAnswers
from cspine_bench.accuracy.criteria import judged_criteria
from cspine_bench.accuracy.evidence import Agreement, Difference, Flip, Report, Trial
from cspine_bench.accuracy.noninferiority import LEVEL, Criterion
from cspine_bench.accuracy.pairs import PairedLevels, paired_levels
from cspine_bench.accuracy.performance import dice_change, performance, share
from cspine_bench.accuracy.subgroup import Subgroup, subgroups
from cspine_bench.metrics.correlation import spearman

# By how much a figure may differ where another processor adds up the same numbers.
_ROUNDING = 1e-9
# What a set lacks if there is nothing to compare by a criterion; of the others it is answers.
_REMEDY = {
    "Dice": "add masks, or look at what was refused",
    "refusals": "add studies with a fault, which have no labels",
}


def judge(trial: Trial) -> Report:
    """Judge a candidate by its answers alone: the same answers, the same report.

    Raises
    ------
    ModelError
        If the set, or what the reference answered of it, is too one-sided to judge.
    """
    cases, gate = trial.answers, trial.gate
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
    common = levels.answered_by_both()
    criteria = judged_criteria(cases, levels, gate=gate)
    groups = subgroups(cases, margin=gate.auc_margin)
    missing = gate.margins.keys() - {criterion.name for criterion in criteria}
    verdict, reasons = decide(criteria, groups, missing=missing)
    flipped = common.reference.positive != common.candidate.positive
    return Report(
        format=2,
        bundle=trial.bundle,
        backend=trial.backend,
        target=trial.target,
        verdict=verdict,
        reasons=reasons,
        gate=gate,
        threshold=trial.threshold,
        set_digest=trial.set_digest,
        look=trial.look,
        reference=performance(cases, levels, arm="reference"),
        candidate=performance(cases, levels, arm="candidate"),
        criteria=criteria,
        subgroups=groups,
        difference=_difference(common) if common.rankable else None,
        agreement=_agreement(common) if common.rankable else None,
        dice_difference=dice_change(cases),
        flip_rate=share(flipped, common.patient),
        flips=_flips(common.chosen(flipped)),
        answered_by_one=_answered_by_one(cases),
        device=trial.device,
        versions=trial.versions,
        answers=cases,
    )


def judged_again(report: Report, *, where: str) -> Report:
    """Compute a report again from its answers, and check that it says the same.

    Parameters
    ----------
    where
        What to call it in a message.

    Raises
    ------
    ModelError
        If a decision does not follow from its score, or a figure not from the answers.
    """
    levels = paired_levels(report.answers)
    for arm in (levels.reference, levels.candidate):
        if ((arm.probability() >= report.threshold) != arm.positive).any():
            raise ModelError(f"{where}: a decision does not follow from its score; judge again")
    facts = msgspec.structs.asdict(report)
    again = judge(Trial(**{name: facts[name] for name in Trial.__struct_fields__}))
    for name in Report.__struct_fields__:
        old, new = (msgspec.to_builtins(getattr(each, name)) for each in (report, again))
        if not _same(old, new):
            raise ModelError(
                f"{where}: {name!r} does not follow from the answers in it, so it was changed or "
                "made by another version; judge again"
            )
    return again


def decide(
    criteria: Sequence[Criterion], groups: Sequence[Subgroup], *, missing: Collection[str]
) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict and the reasons.

    Every criterion must pass, and one that fails is a ``fail``, so none of them needs an
    adjustment. A subgroup that is shown to be worse is a ``fail``, too; one of which too little is
    known is reported and does not keep the whole from passing. ``missing`` names the criteria that
    too few cases could be compared by.
    """
    harmed = [group for group in groups if group.verdict == "fail"]
    found = {criterion.verdict for criterion in criteria} | {group.verdict for group in harmed}
    if missing:
        found.add("inconclusive")
    order: tuple[Verdict, ...] = ("fail", "inconclusive", "pass")
    verdict = next(verdict for verdict in order if verdict in found)
    decisive = [criterion.reason for criterion in criteria if criterion.verdict == verdict]
    return verdict, (
        *decisive,
        *(
            f"{group.factor} {group.value}: the AUC is worse by more than the margin, "
            f"{group.low:+.4f} to {group.high:+.4f}"
            for group in harmed
        ),
        *(
            f"{name}: too few cases can be compared; "
            + _REMEDY.get(name, "look at what was refused")
            for name in sorted(missing)
        ),
    )


def _difference(levels: PairedLevels) -> Difference:
    found = levels.compared_auc()(LEVEL)
    return Difference(
        value=found.difference,
        low=found.interval.low,
        high=found.interval.high,
        degenerate=found.degenerate,
    )


def _agreement(levels: PairedLevels) -> Agreement:
    before, after = levels.reference, levels.candidate
    rank = spearman(before.logits, after.logits)
    return Agreement(
        mean_change=float((after.probability() - before.probability()).mean()),
        largest_shift=float(np.abs(after.logits - before.logits).max()),
        spearman=None if np.isnan(rank) else rank,
    )


def _flips(levels: PairedLevels) -> tuple[Flip, ...]:
    before, after = (arm.probability().round(4) for arm in (levels.reference, levels.candidate))
    return tuple(
        Flip(
            line=int(levels.line[index]),
            level=str(levels.level[index]),
            truth=bool(levels.truth[index]),
            reference=float(before[index]),
            candidate=float(after[index]),
        )
        for index in range(levels.line.size)
    )


def _answered_by_one(cases: Sequence[CaseAnswers]) -> tuple[str, ...]:
    """Name the studies, and the labelled levels of the others, that only one answered."""
    found = []
    for case in cases:
        arms = (("FP32 only", case.reference), ("candidate only", case.candidate))
        if (case.reference.refusal is None) != (case.candidate.refusal is None):
            found += [f"line {case.line}: {name}" for name, arm in arms if arm.refusal is None]
            continue
        for level in case.truth:
            answering = [name for name, arm in arms if level in arm.scores]
            if len(answering) == 1:
                found.append(f"line {case.line}, {level}: {answering[0]}")
    return tuple(found)


def _same(old: object, new: object) -> bool:
    """Compare two documents, numbers but for rounding."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)):
        return len(old) == len(new) and all(map(_same, old, new))
    if isinstance(old, float) and isinstance(new, (float, int)):
        return math.isclose(old, new, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
    return old == new
