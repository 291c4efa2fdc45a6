"""Every interval that the bench offers, with a population of which its truth is known.

Cases of a patient share :data:`~cspine_validation.scores.WITHIN` of the variance. Grades and
decisions are normal values cut at thresholds, so that patients correlate and the shares stay exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine_bench.metrics.agreement import (
    clustered_kappa_interval,
    confusion_matrix,
    kappa,
    kappa_interval,
    macro_f1,
)
from cspine_bench.metrics.auc import auc_interval, paired_auc
from cspine_bench.metrics.bland_altman import limits_of_agreement
from cspine_bench.metrics.bootstrap import bootstrap_interval
from cspine_bench.metrics.correlation import (
    bonett_wright_interval,
    fisher_interval,
    pearson,
    pearson_interval,
    spearman,
    spearman_interval,
)
from cspine_bench.metrics.detection import box_recall
from cspine_bench.metrics.error import mean_absolute_error_interval, smape, smape_interval
from cspine_bench.metrics.f1 import f1_interval, macro_f1_interval
from cspine_bench.metrics.interval import Interval
from cspine_bench.metrics.landmarks import landmark_error
from cspine_bench.metrics.mcnemar import paired_decisions
from cspine_bench.metrics.mean import clustered_mean
from cspine_bench.metrics.paired import newcombe_interval, tango_interval
from cspine_bench.metrics.proportion import clustered_wilson, wilson
from cspine_bench.metrics.reliability import Form, icc_interval
from cspine_validation.scores import AUC, NORMAL, Cases, parted, within, worse_auc

Rng = np.random.Generator
Ids = NDArray[np.int64]
Draw = Callable[[Rng, Ids], Interval | None]

EACH = 4  # cases of a patient, where patients give several
RATE = 0.9
CORRELATION = 0.8
LOSS = 0.01
# By how much two models' decisions differ, as a correlation of what they are cut from.
ALIKE = 0.9
GRADES = (-0.5, 0.5, 1.3)
BOOTSTRAPS = 200


@dataclass(frozen=True)
class Entry:
    """An interval: how to draw one, and what it should hold."""

    draw: Draw
    truth: Callable[[Ids], float]
    clustered: bool = False
    runs: int = 2000


def _known(value: float) -> Callable[[Ids], float]:
    return lambda _: value


def _pair(rng: Rng, patient: Ids, correlation: float) -> tuple[NDArray[np.float64], ...]:
    first, second = within(rng, patient), within(rng, patient)
    return first, correlation * first + math.sqrt(1.0 - correlation**2) * second


def _right(rng: Rng, patient: Ids) -> NDArray[np.bool_]:
    return within(rng, patient) < NORMAL.inv_cdf(RATE)


def _two_models(rng: Rng, patient: Ids) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    before, after = _pair(rng, patient, ALIKE)
    return before < NORMAL.inv_cdf(RATE), after < NORMAL.inv_cdf(RATE - LOSS)


def _changes(rng: Rng, patient: Ids) -> tuple[int, int, int, int]:
    before, after = _two_models(rng, patient)
    cells = ((before & after), (after & ~before), (before & ~after), ~(before | after))
    both, gained, lost, neither = (int(cell.sum()) for cell in cells)
    return both, gained, lost, neither


def _wilson(rng: Rng, patient: Ids) -> Interval:
    return wilson(int(_right(rng, patient).sum()), patient.size)


def _clustered_wilson(rng: Rng, patient: Ids) -> Interval:
    return clustered_wilson(_right(rng, patient), patient)


def _box_recall(rng: Rng, patient: Ids) -> Interval:
    images = int(patient[-1]) + 1
    return box_recall(np.split(_right(rng, patient), images), np.arange(images)).interval


def _tango(rng: Rng, patient: Ids) -> Interval:
    _, gained, lost, _ = _changes(rng, patient)
    return tango_interval(gained, lost, patient.size)


def _newcombe(rng: Rng, patient: Ids) -> Interval:
    return newcombe_interval(*_changes(rng, patient))


def _paired_decisions(rng: Rng, patient: Ids) -> Interval:
    return paired_decisions(*_two_models(rng, patient), clusters=patient).interval


def _cases(patient: Ids) -> Cases:
    return Cases(patient.size // 2, patient.size // (int(patient[-1]) + 1))


def _auc(rng: Rng, patient: Ids) -> Interval:
    cases = _cases(patient)
    scores = cases.noise(rng) + parted(AUC) * cases.truth
    return auc_interval(cases.truth, scores, clusters=patient)


def _paired_auc(correlation: float) -> Draw:
    def draw(rng: Rng, patient: Ids) -> Interval:
        cases = _cases(patient)
        model = worse_auc(cases, by=LOSS, correlation=correlation)
        before, after = _pair(rng, patient, correlation)
        scores = before + model.reference * cases.truth, after + model.candidate * cases.truth
        return paired_auc(cases.truth, *scores, clusters=patient).interval

    return draw


def _mean(rng: Rng, patient: Ids) -> Interval:
    return clustered_mean(np.abs(within(rng, patient)), patient)


def _landmarks(rng: Rng, patient: Ids) -> Interval:
    off = np.hypot(within(rng, patient), within(rng, patient))
    return landmark_error(off, patient).mean_interval


def _bootstrap(rng: Rng, patient: Ids) -> Interval:
    values = np.exp(within(rng, patient))
    seed = int(rng.integers(2**32))
    return bootstrap_interval(
        lambda drawn: float(values[drawn].mean()), patient, seed=seed, method="percentile"
    )


def _bca(rng: Rng, patient: Ids) -> Interval:
    values = np.exp(within(rng, patient))
    seed = int(rng.integers(2**32))
    return bootstrap_interval(lambda drawn: float(values[drawn].mean()), patient, seed=seed)


def _absolute_error(rng: Rng, patient: Ids) -> Interval:
    error, seed = within(rng, patient), int(rng.integers(2**32))
    return mean_absolute_error_interval(np.zeros(error.size), error, clusters=patient, seed=seed)


def _measured(rng: Rng, patient: Ids) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return angles about 10 degrees, and what a reader makes of them."""
    angle = 10.0 * np.exp(0.3 * within(rng, patient))
    return angle, angle + within(rng, patient)


def _smape(rng: Rng, patient: Ids) -> Interval:
    pair, seed = _measured(rng, patient), int(rng.integers(2**32))
    return smape_interval(*pair, denominator="mean", clusters=patient, seed=seed)


def _true_smape(_: Ids) -> float:
    """Return that of a million patients of seed 7."""
    pair = _measured(np.random.default_rng(7), np.arange(1_000_000))
    return smape(*pair, denominator="mean")


def _icc(form: Form, readers: float) -> Draw:
    """Draw two readers of each patient; of the variance 0.2 is error, and so much the readers'."""

    def draw(rng: Rng, patient: Ids) -> Interval:
        between = math.sqrt(0.8) * rng.standard_normal((patient.size, 1))
        reader = math.sqrt(readers) * rng.standard_normal((1, 2))
        error = math.sqrt(0.2) * rng.standard_normal((patient.size, 2))
        return icc_interval(between + reader + error, form=form)

    return draw


def _limits(which: str) -> Draw:
    def draw(rng: Rng, patient: Ids) -> Interval:
        reference, error = within(rng, patient), within(rng, patient)
        found: Interval = getattr(limits_of_agreement(reference, reference + error), which)
        return found

    return draw


def _pearson(rng: Rng, patient: Ids) -> Interval | None:
    return pearson_interval(*_pair(rng, patient, CORRELATION), clusters=patient)


def _fisher(rng: Rng, patient: Ids) -> Interval:
    return fisher_interval(pearson(*_pair(rng, patient, CORRELATION)), patient.size)


def _spearman(rng: Rng, patient: Ids) -> Interval | None:
    return spearman_interval(*_pair(rng, patient, CORRELATION), clusters=patient)


def _bonett_wright(rng: Rng, patient: Ids) -> Interval:
    return bonett_wright_interval(spearman(*_pair(rng, patient, CORRELATION)), patient.size)


def _grades(rng: Rng, patient: Ids) -> tuple[Ids, Ids]:
    """Return true grades, and what they are called: a tenth is called the next one."""
    true = np.searchsorted(GRADES, within(rng, patient)).astype(np.int64)
    beside = np.where(true < len(GRADES), true + 1, true - 1)
    return true, np.where(_right(rng, patient), true, beside)


def _grade_shares() -> NDArray[np.float64]:
    ends = [0.0, *(NORMAL.cdf(cut) for cut in GRADES), 1.0]
    shares = np.diff(ends)
    matrix = np.diag(RATE * shares)
    for grade, share in enumerate(shares):
        matrix[grade, min(grade + 1, 2 * len(GRADES) - grade - 1)] += (1.0 - RATE) * share
    return matrix


def _kappa(rng: Rng, patient: Ids) -> Interval:
    matrix = confusion_matrix(*_grades(rng, patient), classes=len(GRADES) + 1)
    return kappa_interval(matrix, weights="quadratic")


def _clustered_kappa(rng: Rng, patient: Ids) -> Interval:
    grades = _grades(rng, patient)
    return clustered_kappa_interval(*grades, patient, classes=len(GRADES) + 1, weights="quadratic")


def _macro_f1(rng: Rng, patient: Ids) -> Interval:
    grades, seed = _grades(rng, patient), int(rng.integers(2**32))
    return macro_f1_interval(*grades, classes=len(GRADES) + 1, clusters=patient, seed=seed)


def _f1(rng: Rng, patient: Ids) -> Interval:
    positive = within(rng, patient) > NORMAL.inv_cdf(0.6)
    return f1_interval(positive, positive == _right(rng, patient), clusters=patient)


_HALF_NORMAL = math.sqrt(2.0 / math.pi)
_KAPPA = kappa(_grade_shares(), weights="quadratic")
_F1 = 2.0 * 0.4 * RATE / (2.0 * 0.4 * RATE + 1.0 - RATE)

CATALOGUE = {
    "Wilson": Entry(_wilson, _known(RATE)),
    "Wilson, clustered": Entry(_clustered_wilson, _known(RATE), clustered=True),
    "box recall": Entry(_box_recall, _known(RATE), clustered=True),
    "Tango": Entry(_tango, _known(-LOSS)),
    "Newcombe": Entry(_newcombe, _known(-LOSS)),
    "paired decisions": Entry(_paired_decisions, _known(-LOSS), clustered=True),
    "AUC": Entry(_auc, lambda patient: _cases(patient).auc(parted(AUC)), clustered=True),
    "AUC difference, correlation 0.9": Entry(_paired_auc(0.9), _known(-LOSS), clustered=True),
    "AUC difference, correlation 0.99": Entry(_paired_auc(0.99), _known(-LOSS), clustered=True),
    "AUC difference, correlation 0.9999": Entry(_paired_auc(0.9999), _known(-LOSS), clustered=True),
    "mean": Entry(_mean, _known(_HALF_NORMAL), clustered=True),
    "landmark error": Entry(_landmarks, _known(math.sqrt(math.pi / 2.0)), clustered=True),
    "bootstrap percentile, skewed mean": Entry(
        _bootstrap, _known(math.exp(0.5)), clustered=True, runs=BOOTSTRAPS
    ),
    "bootstrap BCa, skewed mean": Entry(
        _bca, _known(math.exp(0.5)), clustered=True, runs=BOOTSTRAPS
    ),
    "mean absolute error": Entry(
        _absolute_error, _known(_HALF_NORMAL), clustered=True, runs=BOOTSTRAPS
    ),
    "SMAPE": Entry(_smape, _true_smape, runs=BOOTSTRAPS),
    "ICC(1,1)": Entry(_icc("1,1", 0.0), _known(0.8), runs=1000),
    "ICC(2,1)": Entry(_icc("2,1", 0.02), _known(0.8 / 1.02), runs=1000),
    "ICC(3,1)": Entry(_icc("3,1", 0.02), _known(0.8), runs=1000),
    "Bland-Altman bias": Entry(_limits("bias_interval"), _known(0.0)),
    "Bland-Altman lower limit": Entry(_limits("lower_interval"), _known(NORMAL.inv_cdf(0.025))),
    "Bland-Altman upper limit": Entry(_limits("upper_interval"), _known(NORMAL.inv_cdf(0.975))),
    "Pearson": Entry(_pearson, _known(CORRELATION), clustered=True, runs=400),
    "Pearson, Fisher": Entry(_fisher, _known(CORRELATION)),
    "Spearman": Entry(
        _spearman, _known(6.0 / math.pi * math.asin(CORRELATION / 2.0)), clustered=True, runs=400
    ),
    "Spearman, Bonett and Wright": Entry(
        _bonett_wright, _known(6.0 / math.pi * math.asin(CORRELATION / 2.0))
    ),
    "kappa, quadratic": Entry(_kappa, _known(_KAPPA)),
    "kappa, quadratic, clustered": Entry(_clustered_kappa, _known(_KAPPA), clustered=True),
    "F1": Entry(_f1, _known(_F1), clustered=True),
    "macro F1": Entry(
        _macro_f1, _known(macro_f1(_grade_shares())), clustered=True, runs=BOOTSTRAPS
    ),
}
