"""The simulations say that the gate holds, are what is on record, and are what the page shows.

Run this file to write the tables of docs/statistics.md anew from the record that
``make validate-statistics`` makes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cspine_bench.accuracy.criteria import LEVEL_CRITERIA, agreement_criterion
from cspine_bench.metrics.auc import auc
from cspine_validation import coverage, gate, latency
from cspine_validation.__main__ import lines, main
from cspine_validation.coverage import CoverageCell
from cspine_validation.gate import CORRELATIONS, SIZES, GateCell
from cspine_validation.latency import Simulation
from cspine_validation.rate import Rate
from cspine_validation.record import Statistics
from cspine_validation.scores import (
    AUC,
    Cases,
    changed_by,
    paired,
    parted,
    worse_auc,
    worse_sensitivity,
)

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "benchmarks" / "records" / "statistics.json"
PAGE = ROOT / "docs" / "statistics.md"
FIRST, LAST = "<!-- statistics -->", "<!-- /statistics -->"
ALLOWED = 0.025


def record() -> Statistics:
    return msgspec.json.decode(RECORD.read_bytes(), type=Statistics)


def tables(found: Statistics) -> str:
    """Return the Markdown tables of a record."""
    return "\n".join([
        "## Worse by the margin: how often it passes\n",
        "Per cent of the sets; at most 2.5 is allowed.\n",
        by_correlation(found.gate, effect="margin", show=lambda cell: percent(cell.passed)),
        "## No worse: how often it fails, and how often that is left open\n",
        "Per cent `fail`, at most 2.5 allowed; then per cent `inconclusive`. The rest passes.\n",
        by_correlation(
            found.gate,
            effect="none",
            show=lambda cell: f"{percent(cell.failed)} / {percent(cell.inconclusive)}",
        ),
        "## Score agreement, and the whole verdict\n",
        "The score agreement has no correlation to choose: the mean change determines it. \"No "
        "worse\" is a\nmean change of a quarter of the margin. The whole verdict is by the four "
        "shipped margins, of a\ncandidate that is no worse and correlates by 0.9999.\n",
        others(found.gate),
        "## Rare gross errors\n",
        "The candidate loses a few positive cases and nothing else, and is worse by the margin.\n",
        gross(found.gate),
        "## Coverage\n",
        "Per cent of the intervals that hold the truth (wholly above it, wholly below it).\n",
        covered(found.coverage),
        "## Latency\n",
        f"Of {len(found.latency[0].verdicts):,} runs each, {found.latency[0].blocks} blocks at "
        f"first and at most {found.latency[0].at_most}, with Wilson's 95 % interval.\n",
        timed(found.latency),
    ])  # fmt: skip


def by_correlation(cells, *, effect, show) -> str:
    rows = []
    for judge, margin in (("AUC", 0.01), ("AUC", 0.005), ("sensitivity", 0.02)):
        for of_class, each in SIZES:
            chosen = {
                cell.setting.correlation: cell
                for cell in cells
                if at(cell, judge=judge, effect=effect, margin=margin)
                and (cell.setting.of_class, cell.setting.each) == (of_class, each)
            }
            first = chosen[CORRELATIONS[0]].setting
            shown = [show(chosen[correlation]) for correlation in CORRELATIONS]
            rows.append([judge, margin, levels(first), first.patients, *shown])
    header = ["criterion", "margin", "levels", "patients", *(f"at {each}" for each in CORRELATIONS)]
    return table(header, rows)


def others(cells: Iterable[GateCell]) -> str:
    names = {
        ("score agreement", "margin"): "score agreement, worse by the margin",
        ("score agreement", "none"): "score agreement, no worse",
        ("all", "none"): "whole verdict, no worse",
    }
    chosen = [cell for cell in cells if (cell.setting.judge, cell.setting.effect) in names]
    return verdicts(chosen, names)


def gross(cells: Iterable[GateCell]) -> str:
    names = {
        ("AUC", "gross"): "AUC, worse by 0.01",
        ("sensitivity", "gross"): "sensitivity, worse by 0.02",
        ("all", "gross"): "whole verdict, AUC worse by 0.01",
    }
    chosen = [cell for cell in cells if (cell.setting.judge, cell.setting.effect) in names]
    return verdicts(chosen, names)


def verdicts(cells: Iterable[GateCell], names: dict[tuple[str, str], str]) -> str:
    order = list(names)
    ranked = sorted(cells, key=lambda cell: order.index((cell.setting.judge, cell.setting.effect)))
    rows = [
        [
            names[cell.setting.judge, cell.setting.effect],
            levels(cell.setting),
            cell.setting.patients,
            percent(cell.passed),
            percent(cell.failed),
            percent(cell.inconclusive),
        ]
        for cell in ranked
    ]
    return table(["criterion", "levels", "patients", "pass", "fail", "inconclusive"], rows)


def covered(cells: Iterable[CoverageCell]) -> str:
    rows: dict[tuple[str, int], dict[int, CoverageCell]] = defaultdict(dict)
    for cell in cells:
        rows[cell.sample.interval, cell.sample.each][cell.sample.patients] = cell
    header = ["interval", "cases a patient", *(f"{each} patients" for each in coverage.PATIENTS)]
    return table(
        header,
        [
            [name, each, *(share(found[patients]) for patients in coverage.PATIENTS)]
            for (name, each), found in rows.items()
        ],
    )


def timed(cells: Iterable[Simulation]) -> str:
    rows = [
        [
            {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}[cell.backend],
            f"{100 * (cell.slowdown - 1):.0f} %",
            *(
                f"{percent(each)} [{100 * each.low:.1f}, {100 * each.high:.1f}]"
                for each in (cell.rates[name] for name in ("pass", "inconclusive", "fail"))
            ),
            f"{cell.median_blocks:.0f}",
        ]
        for cell in cells
    ]
    header = ["times of", "study slowed by", "pass", "inconclusive", "fail", "blocks, median"]
    return table(header, rows)


def share(cell: CoverageCell) -> str:
    star = " *" if cell.covered.high < 0.95 else ""
    lost = f"; {cell.undefined} of {cell.sample.runs} undefined" if cell.undefined else ""
    sides = f"{percent(cell.above)}, {percent(cell.below)}"
    return f"{percent(cell.covered)} ({sides}{lost}){star}"


def levels(setting: gate.Setting) -> str:
    return f"{setting.of_class}+{setting.of_class}"


def percent(rate: Rate) -> str:
    return f"{100 * rate.share:.1f}"


def at(cell: GateCell, **wanted: object) -> bool:
    return all(getattr(cell.setting, name) == value for name, value in wanted.items())


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    ruled = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in ruled) + "\n"


def page() -> str:
    """Return docs/statistics.md with the tables of the record between its two marks."""
    before, _, rest = PAGE.read_text().partition(FIRST)
    _, _, after = rest.partition(LAST)
    return f"{before}{FIRST}\n{tables(record())}\n{LAST}{after}"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run: python tests/unit/test_validation.py"


def test_the_record_has_every_cell() -> None:
    found = record()
    assert [cell.setting for cell in found.gate] == list(gate.settings())
    assert [cell.sample for cell in found.coverage] == list(coverage.samples())
    assert lines(found) == RECORD.read_bytes()


def test_the_gate_errs_at_most_as_often_as_it_may() -> None:
    """Within three standard errors of the Monte-Carlo sample."""
    judged = [cell for cell in record().gate if cell.setting.effect != "gross"]
    for cell in judged:
        runs = cell.setting.runs
        assert cell.error.share <= ALLOWED + 3.0 * standard_error(runs), cell.setting
    pooled: dict[object, list[GateCell]] = defaultdict(list)
    for cell in judged:
        setting = cell.setting
        pooled[setting.judge, setting.effect, setting.each > 1].append(cell)
    for name, cells in pooled.items():
        runs = sum(cell.setting.runs for cell in cells)
        errors = sum(cell.error.count for cell in cells)
        assert errors / runs <= ALLOWED + 3.0 * standard_error(runs), name


def test_intervals_hold_the_truth_where_patients_are_many() -> None:
    """At 300 patients, but for the bootstrap of a skewed mean, of which the page tells."""
    for cell in record().coverage:
        if cell.sample.patients == 300 and "bootstrap" not in cell.sample.interval:
            assert cell.covered.high >= 0.94, cell.sample
            assert cell.undefined == 0


@pytest.mark.parametrize(
    ("judge", "effect", "correlation"),
    [
        ("AUC", "margin", 0.9999),
        ("sensitivity", "none", 0.9),
        ("score agreement", "margin", None),
    ],
)
def test_the_gate_of_now_gives_the_counts_on_record(judge, effect, correlation) -> None:
    cell = next(
        cell
        for cell in record().gate
        if at(cell, judge=judge, effect=effect, correlation=correlation, of_class=30, each=1)
    )
    assert gate.simulate(cell.setting) == cell


@pytest.mark.parametrize(
    "interval", ["Wilson, clustered", "Tango", "AUC", "mean", "ICC(3,1)", "F1", "kappa, quadratic"]
)
def test_an_interval_of_now_gives_the_counts_on_record(interval) -> None:
    cell = next(cell for cell in record().coverage if cell.sample.interval == interval)
    assert coverage.simulate(cell.sample) == cell


@pytest.mark.parametrize("each", [1, 6])
def test_a_candidate_is_truly_worse_by_what_was_asked(each) -> None:
    cases, rng = Cases(30, each), np.random.default_rng(3)
    model = worse_auc(cases, by=0.01, correlation=0.99)
    found = [model.levels(cases, rng) for _ in range(800)]
    areas = np.array([
        [auc(one.truth, arm.logits) for arm in (one.reference, one.candidate)] for one in found
    ])  # fmt: skip
    lost = areas[:, 0] - areas[:, 1]
    error = lost.std(ddof=1) / math.sqrt(lost.size)
    assert abs(lost.mean() - 0.01) < 4.0 * error < 0.005
    assert areas[:, 0].mean() == pytest.approx(cases.auc(parted(AUC)), abs=0.005)
    positive = found[0].truth
    both = np.array([
        [one.reference.logits[positive].mean(), one.candidate.logits[positive].mean()]
        for one in found
    ])  # fmt: skip
    assert np.corrcoef(both.T)[0, 1] == pytest.approx(0.99, abs=0.003)


def test_sensitivity_and_agreement_are_worse_by_what_was_asked() -> None:
    cases, rng = Cases(200_000, 1), np.random.default_rng(4)
    levels_ = worse_sensitivity(by=0.02, correlation=0.9).levels(cases, rng)
    of = levels_.truth
    arms = (levels_.right(arm)[of].mean() for arm in (levels_.reference, levels_.candidate))
    assert next(arms) - next(arms) == pytest.approx(0.02, abs=0.003)
    levels_ = changed_by(0.01, seed=7).levels(cases, rng)
    change = np.abs(levels_.candidate.probability() - levels_.reference.probability())
    assert change.mean() == pytest.approx(0.01, rel=0.02)


def test_the_simulated_verdict_is_that_of_the_criteria() -> None:
    rng = np.random.default_rng(5)
    model = worse_auc(Cases(60, 6), by=0.0, correlation=0.9)
    for _ in range(3):
        one = model.levels(Cases(60, 6), rng)
        for name, margin in (("AUC", 0.05), ("sensitivity", 0.05), ("score agreement", 0.08)):
            expected = LEVEL_CRITERIA[name](one, margin=margin).verdict
            assert gate._JUDGES[name](one, margin) == expected


def test_agreement_is_bounded_by_what_no_patient_showed() -> None:
    """One patient of twenty changes: the normal end is nearer than that a few others may."""
    cases = Cases(60, 6)
    logits = np.linspace(-4.0, 4.0, 120)
    changed = np.where(cases.patient == 7, logits + 0.5, logits)
    unseen = 1.0 - 0.025 ** (1 / 20)
    found = agreement_criterion(paired(cases, logits, changed), margin=0.001)
    most = -found.value * 20
    assert found.low == pytest.approx(found.value - 2.0 * most * unseen)
    # Ten margins at least, though nobody changes.
    found = agreement_criterion(paired(cases, logits, logits), margin=0.001)
    assert found.low == pytest.approx(-0.01 * unseen)


def test_the_number_of_processes_changes_nothing(tmp_path, monkeypatch, capsys) -> None:
    settings, samples = list(gate.settings())[:3], list(coverage.samples())[:3]
    few = [msgspec.structs.replace(each, runs=20) for each in settings]
    less = [msgspec.structs.replace(each, runs=20) for each in samples]
    monkeypatch.setattr(gate, "settings", lambda: few)
    monkeypatch.setattr(coverage, "samples", lambda: less)
    monkeypatch.setattr(latency, "SLOWDOWNS", ())
    timed = [str(RECORD.with_name("statistics-openvino.json"))]
    for processes in ("1", "2"):
        path = str(tmp_path / processes)
        words = ["", "--record", path, "--processes", processes, "--latency", *timed]
        monkeypatch.setattr("sys.argv", words)
        main()
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert "gate: 3 of 3" in capsys.readouterr().err
    assert [cell.setting for cell in msgspec.json.decode(
        (tmp_path / "1").read_bytes(), type=Statistics
    ).gate] == few  # fmt: skip


def standard_error(runs: int) -> float:
    return math.sqrt(ALLOWED * (1.0 - ALLOWED) / runs)


if __name__ == "__main__":
    PAGE.write_text(page())
