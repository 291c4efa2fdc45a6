"""A report computed again from its answers, and held against what it says."""

from __future__ import annotations

import math

import msgspec

from cspine.errors import ModelError
from cspine_bench.accuracy.evidence import Report
from cspine_bench.accuracy.judge import judge
from cspine_bench.accuracy.pairs import paired_levels
from cspine_bench.accuracy.trial import Trial
from cspine_bench.accuracy.truth import true_values

# By how much a figure may differ where another processor adds up the same numbers.
_ROUNDING = 1e-9


def judged_again(report: Report, *, where: str) -> Report:
    """Compute a report again from its answers, and check that it says the same.

    Parameters
    ----------
    where
        What to call it in a message.

    Raises
    ------
    ModelError
        If a decision does not follow from its score, a grade not from its probabilities, a true
        value not from its points, or a figure not from the answers.
    """
    _check_decisions(report, where=where)
    for case in report.answers:
        if not _same(
            case.true_values, true_values(case.true_points, case.spacing_mm, report.lines)
        ):
            raise ModelError(
                f"{where}: a true value of line {case.line} does not follow from its points; judge "
                "again"
            )
    facts = msgspec.structs.asdict(report)
    again = judge(Trial(**{name: facts[name] for name in Trial.__struct_fields__}))
    # Of what an older format does not have there is nothing, and nothing is what follows.
    for name in set(Report.__struct_fields__) - {"format"}:
        old, new = (msgspec.to_builtins(getattr(each, name)) for each in (report, again))
        if not _same(old, new):
            raise ModelError(
                f"{where}: {name!r} does not follow from the answers in it, so it was changed or "
                "made by another version; judge again"
            )
    return msgspec.structs.replace(again, format=report.format)


def _check_decisions(report: Report, *, where: str) -> None:
    levels = paired_levels(report.answers)
    for arm in (levels.reference, levels.candidate):
        if ((arm.probability() >= (report.threshold or 0.0)) != arm.positive).any():
            raise ModelError(f"{where}: a decision does not follow from its score; judge again")
    for case in report.answers:
        for graded in (*case.reference.grades.values(), *case.candidate.grades.values()):
            named = dict(zip(report.classes, graded.probabilities, strict=False))
            if named.get(graded.grade) != max(graded.probabilities):  # of rounded ones, two may be
                raise ModelError(
                    f"{where}: a grade of line {case.line} is not its most probable class; judge "
                    "again"
                )


def _same(old: object, new: object) -> bool:
    """Compare two documents, numbers but for rounding."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)):
        return len(old) == len(new) and all(map(_same, old, new))
    if isinstance(old, float) and isinstance(new, (float, int)):
        return math.isclose(old, new, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
    return old == new
