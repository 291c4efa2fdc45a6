"""The committed records say what the documents claim, and can be computed again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from cspine_bench.bench import NETWORKS, Record
from cspine_bench.latency import ratio_interval
from cspine_bench.verdict import Report

RECORDS = Path(__file__).parents[2] / "benchmarks" / "records"
LATENCY = sorted(RECORDS.glob("*cpu-o*.json"))
VERDICTS = sorted(RECORDS.glob("*.o*.o*.*.json"))


@pytest.mark.parametrize("path", LATENCY, ids=lambda path: path.name)
def test_int8_runs_the_networks_at_least_1_8_times_as_fast(path: Path) -> None:
    record = msgspec.json.decode(path.read_bytes(), type=Record)
    assert {"avx512_vnni", "avx_vnni"} & set(record.device["flags"])  # type: ignore[call-overload]
    arms = list(record.nanoseconds)
    reference, candidate = (np.array(record.nanoseconds[arm][NETWORKS]) for arm in arms)
    again = ratio_interval(reference, candidate, seed=0)
    assert record.speed[NETWORKS].value == pytest.approx(1 / again.ratio, abs=1e-3)
    assert record.speed[NETWORKS].low == pytest.approx(1 / again.high, abs=1e-3)
    assert record.speed[NETWORKS].low >= 1.8


@pytest.mark.parametrize("path", VERDICTS, ids=lambda path: path.name)
def test_verdicts_meet_what_was_promised(path: Path) -> None:
    report = msgspec.json.decode(path.read_bytes(), type=Report)
    assert report.verdict == "pass"
    assert report.reference.cases >= 300
    assert report.reference.auc.low is not None
    assert report.reference.auc.low >= 0.90
    assert report.reference.dice is not None
    assert report.reference.dice >= 0.85
    assert -0.02 < report.difference.low <= report.difference.high < 0.02


def test_both_kinds_are_there() -> None:
    assert len(LATENCY) == len(VERDICTS) == 2
