"""How often the accuracy gate passes, fails, or leaves open, where the truth is known.

``margin`` is a candidate that is worse by exactly the margin: what passes is an error. ``none`` is
one that is perturbed and no worse: what fails is an error. ``gross`` is worse by the margin, too,
but by a few lost cases and nothing else, which the bound of :mod:`cspine_bench.metrics.bounds`
leaves out. What holds for the sensitivity holds for the specificity, which is the same of the other
class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec
import numpy as np

from cspine.evidence import Verdict
from cspine_bench.accuracy.criteria import agreement_interval, auc_criterion
from cspine_bench.accuracy.figure import Flags
from cspine_bench.accuracy.noninferiority import verdict_by
from cspine_bench.accuracy.pairs import PairedLevels
from cspine_bench.metrics.mcnemar import paired_decisions
from cspine_validation.rate import Rate, rate, seed_of
from cspine_validation.scores import (
    AUC,
    NORMAL,
    Binormal,
    Cases,
    changed_by,
    paired,
    parted,
    worse_auc,
    worse_sensitivity,
)

Judge = Literal["AUC", "sensitivity", "score agreement", "all"]
Effect = Literal["margin", "none", "gross"]
LEVELS = 6  # of one patient, where patients give several
# Cases of either class, and how many a patient gives.
SIZES = (
    (30, 1),
    (60, 1),
    (300, 1),
    (30, LEVELS),
    (60, LEVELS),
    (300, LEVELS),
    (900, LEVELS),
)
# The AUC takes longest, and more so the more cases there are.
RUNS = {30: 4000, 60: 4000, 300: 2000, 900: 1000}
CORRELATIONS = (0.9, 0.99, 0.999, 0.9999)
# Of the score agreement: what share of the margin an honest perturbation changes it by.
UNHARMED = 0.25
_SEED = 7


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What is simulated: ``of_class`` cases of either class, ``each`` of a patient.

    ``correlation`` is ``None`` where the effect itself determines it.
    """

    judge: Judge
    effect: Effect
    margin: float
    of_class: int
    each: int
    correlation: float | None
    runs: int

    @property
    def patients(self) -> int:
        """How many patients that makes."""
        return 2 * self.of_class // self.each


class GateCell(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the runs; of ``passed`` and ``failed`` one is the error of the effect."""

    setting: Setting
    seed: int
    passed: Rate
    failed: Rate
    inconclusive: Rate

    @property
    def error(self) -> Rate:
        """Of which at most 2.5 % may happen."""
        return self.failed if self.setting.effect == "none" else self.passed


def settings() -> Iterator[Setting]:
    """Give every setting of the record."""
    effects: tuple[Effect, ...] = ("margin", "none")
    for of_class, each in SIZES:
        for effect in effects:
            for correlation in CORRELATIONS:
                for margin in (0.01, 0.005):
                    yield _setting("AUC", effect, margin, of_class, each, correlation)
                yield _setting("sensitivity", effect, 0.02, of_class, each, correlation)
            yield _setting("score agreement", effect, 0.005, of_class, each, None)
        yield _setting("all", "none", 0.01, of_class, each, 0.9999)
        if each == 1:
            yield _setting("AUC", "gross", 0.01, of_class, each, None)
            yield _setting("sensitivity", "gross", 0.02, of_class, each, None)
            yield _setting("all", "gross", 0.01, of_class, each, None)


def simulate(setting: Setting) -> GateCell:
    """Judge as many sets as the setting says, all drawn from one seed."""
    cases = Cases(setting.of_class, setting.each)
    seed = seed_of(*msgspec.structs.astuple(setting))
    rng = np.random.default_rng(seed)
    draw, judge = _drawn(setting, cases), _JUDGES[setting.judge]
    found = [judge(draw(rng), setting.margin) for _ in range(setting.runs)]
    return GateCell(
        setting=setting,
        seed=seed,
        passed=rate(found.count("pass"), setting.runs),
        failed=rate(found.count("fail"), setting.runs),
        inconclusive=rate(found.count("inconclusive"), setting.runs),
    )


def _setting(
    judge: Judge,
    effect: Effect,
    margin: float,
    of_class: int,
    each: int,
    correlation: float | None,
) -> Setting:
    return Setting(
        judge=judge,
        effect=effect,
        margin=margin,
        of_class=of_class,
        each=each,
        correlation=correlation,
        runs=RUNS[of_class] if judge in ("AUC", "all") else 4000,
    )


def _drawn(setting: Setting, cases: Cases) -> Callable[[np.random.Generator], PairedLevels]:
    by = setting.margin if setting.effect == "margin" else 0.0
    if setting.effect == "gross":
        return lambda rng: _lost(cases, setting, rng)
    model: Binormal
    if setting.judge == "score agreement":
        part = 1.0 if setting.effect == "margin" else UNHARMED
        model = changed_by(part * setting.margin, seed=_SEED)
    elif setting.judge == "sensitivity":
        model = worse_sensitivity(by=by, correlation=setting.correlation or 0.0)
    else:
        model = worse_auc(cases, by=by, correlation=setting.correlation or 0.0)
    return lambda rng: model.levels(cases, rng)


def _lost(cases: Cases, setting: Setting, rng: np.random.Generator) -> PairedLevels:
    """Draw a candidate that scores as the reference does but for positive cases that it loses.

    A lost case ranks below all, and costs as much AUC or sensitivity as it had before.
    """
    shift = parted(AUC)
    reference = Binormal(shift, shift, 1.0).levels(cases, rng).reference.logits
    had = NORMAL.cdf(shift / 2.0) if setting.judge == "sensitivity" else AUC
    gone = cases.truth & (rng.random(reference.size) < setting.margin / had)
    return paired(cases, reference, np.where(gone, reference.min() - 1.0, reference))


def _by_auc(levels: PairedLevels, margin: float) -> Verdict:
    return auc_criterion(levels, margin=margin).verdict


# Of the others the interval alone: the criteria's p takes forty more, and decides nothing.
def _by_sensitivity(levels: PairedLevels, margin: float) -> Verdict:
    return _by_decisions(levels, levels.truth, margin)


def _by_decisions(levels: PairedLevels, of: Flags, margin: float) -> Verdict:
    arms = levels.right(levels.reference)[of], levels.right(levels.candidate)[of]
    found = paired_decisions(*arms, clusters=levels.patient[of])
    return verdict_by(found.interval, margin=margin)


def _by_agreement(levels: PairedLevels, margin: float) -> Verdict:
    return verdict_by(agreement_interval(levels, margin=margin), margin=margin)


def _by_all(levels: PairedLevels, margin: float) -> Verdict:
    """Judge by four criteria together, the others by twice, twice and half the margin."""
    found = {
        _by_auc(levels, margin),
        _by_decisions(levels, levels.truth, 2.0 * margin),
        _by_decisions(levels, ~levels.truth, 2.0 * margin),
        _by_agreement(levels, margin / 2.0),
    }
    order: tuple[Verdict, ...] = ("fail", "inconclusive", "pass")
    return next(verdict for verdict in order if verdict in found)


_JUDGES: dict[Judge, Callable[[PairedLevels, float], Verdict]] = {
    "AUC": _by_auc,
    "sensitivity": _by_sensitivity,
    "score agreement": _by_agreement,
    "all": _by_all,
}
