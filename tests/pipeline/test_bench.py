"""``cspine bench`` on the shipped checkpoints: scenarios, verdicts, records that stand alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from click.testing import Result
from msgspec.structs import replace

from cspine.bundle import Bundle, emission_path
from cspine.cli import cspine
from cspine.device import this_device
from cspine.dicom.select import Study
from cspine.errors import BackendError, ModelError, StudyError
from cspine.pipeline import Pipeline
from cspine.precision import fp32, lower
from cspine_bench.latency.assess import assessed
from cspine_bench.latency.bench import Side, bench, fresh_starts, sides
from cspine_bench.latency.commands import EXITS
from cspine_bench.latency.comparison import Comparison, model_digests
from cspine_bench.latency.record import Gate, Record, read_record
from cspine_bench.latency.scenario import (
    ARRIVALS,
    NETWORKS,
    TOTAL,
    Name,
    Scenario,
    run_block,
    scenario,
)

Invoke = Callable[[Sequence[object]], Result]

GATE = Gate(median=0.03, p99=None, memory=0.05)


def silent(done: int, total: int) -> None:
    """Show nothing."""


@pytest.fixture(scope="module")
def pipeline(made: Bundle) -> Any:
    opened = Pipeline.open(made, fp32("onnxruntime"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def lateral(studies: list[Study]) -> list[Study]:
    return studies[:2]


@pytest.fixture(scope="module")
def short(made: Bundle, lateral: list[Study]) -> Record:
    """FP32 and INT8, six blocks."""
    choices = (fp32("onnxruntime"), lower("onnxruntime", this_device(), "int8"))
    return bench(sides(made, choices), lateral, repeats=6, threads=1, progress=silent)


def test_one_after_another_gives_a_value_a_study(pipeline: Pipeline, lateral: list[Study]) -> None:
    rows = run_block(Scenario(), pipeline, lateral)
    assert {"read", "prepare", "screen", "localise", "classify", NETWORKS, TOTAL} <= rows.keys()
    assert {len(row) for row in rows.values()} == {2}
    for i, total in enumerate(rows[TOTAL]):
        networks = [rows[stage.id][i] for stage in pipeline.spec.networks]
        assert rows[NETWORKS][i] == sum(networks) < total


def test_who_comes_faster_than_he_is_answered_waits(
    pipeline: Pipeline, lateral: list[Study]
) -> None:
    hurried = scenario("paced", rate_hz=1000.0, deadline_ms=None)
    assert hurried.deadline_ms == 1.0
    rows = run_block(hurried, pipeline, lateral)
    waits = [
        total - read - networks
        for total, read, networks in zip(rows[TOTAL], rows["read"], rows[NETWORKS], strict=True)
    ]
    assert len(waits) == ARRIVALS
    assert waits[-1] > waits[4] > waits[0]
    # The last one waited for nearly all the others.
    assert rows[TOTAL][-1] > sum(rows[NETWORKS][:-1]) - ARRIVALS * 1_000_000


def test_all_at_once_gives_the_time_of_the_stream(pipeline: Pipeline, lateral: list[Study]) -> None:
    rows = run_block(Scenario(name="offline"), pipeline, lateral)
    assert rows.keys() == {TOTAL}
    (value,) = rows[TOTAL]
    assert value > 1_000_000


@pytest.mark.parametrize("name", ["single-stream", "offline"])
def test_a_study_refused_on_the_way_ends_the_run(
    pipeline: Pipeline, studies: list[Study], name: Name
) -> None:
    with pytest.raises(StudyError, match="a study is refused"):
        run_block(Scenario(name=name), pipeline, studies)


def test_a_rate_goes_with_the_scenario_that_has_one() -> None:
    with pytest.raises(ModelError, match="scenario 'paced': got no rate"):
        scenario("paced", rate_hz=None, deadline_ms=5.0)
    with pytest.raises(ModelError, match="scenario 'offline': got a rate or a deadline"):
        scenario("offline", rate_hz=2.0, deadline_ms=None)


def test_a_record_holds_what_it_follows_from(short: Record, made: Bundle) -> None:
    assert assessed(short) == short
    assert (short.reference, short.candidate) == ("onnxruntime fp32", "onnxruntime int8")
    for arm, parts in short.nanoseconds.items():
        facts = short.arms[arm]
        assert facts.models == model_digests(made, target=facts.target, precision=facts.precision)
        assert {(len(rows), len(rows[0])) for rows in parts.values()} == {(6, 2)}
    assert len(short.machine) == 2 * 6 + 1
    assert len(set(short.study_digests)) == 2
    assert short.verdict is None or short.verdict.verdict == "void"
    assert short.speed.keys() >= {"localise", NETWORKS, TOTAL}


def test_a_refused_study_is_not_timed(made: Bundle, studies: list[Study]) -> None:
    choices = (fp32("onnxruntime"), lower("onnxruntime", this_device(), "int8"))
    with pytest.raises(StudyError, match="a study is refused"):
        bench(sides(made, choices), studies, repeats=6, threads=1, progress=silent)


def test_it_goes_on_to_what_the_spread_asks_for_and_no_further(
    made: Bundle, bundle: Bundle, lateral: list[Study]
) -> None:
    candidate = lower("onnxruntime", this_device(), "int8")
    tight = Gate(median=1e-6, p99=None, memory=0.05)  # no number of blocks will do
    comparison = Comparison(bundle, tight, at_most=10)
    record = bench(
        sides(made, (fp32("onnxruntime"), candidate), comparison=comparison),
        lateral[:1],
        repeats=6,
        threads=1,
        progress=silent,
        comparison=comparison,
    )
    assert record.blocks == 10
    assert {len(rows) for parts in record.nanoseconds.values() for rows in parts.values()} == {10}
    assert record.verdict is not None
    assert (record.verdict.checks[0].blocks_needed or 0) > 10


def test_a_record_of_another_run_is_compared_by_fp32(
    short: Record, bundle: Bundle, lateral: list[Study]
) -> None:
    settled = [short.machine[0]] * len(short.machine)  # whatever this machine did meanwhile
    old = assessed(replace(short, machine=settled))
    choices = (fp32("onnxruntime"), lower("onnxruntime", this_device(), "int8"))
    comparison = Comparison(old, GATE)
    arms = sides(bundle, choices, comparison=comparison)
    with pytest.raises(ModelError, match="threads: those of the record are others"):
        bench(
            arms,
            lateral,
            repeats=6,
            threads=2,
            progress=silent,
            comparison=comparison,
        )
    record = bench(arms, lateral, repeats=6, threads=1, progress=silent, comparison=comparison)
    assert record.baseline is not None
    assert record.baseline.candidate == short.nanoseconds[short.candidate][TOTAL]
    assert record.verdict is not None
    assert [check.name for check in record.verdict.checks] == ["median", "peak memory"]
    assert record.verdict.checks[1].verdict == "inconclusive"  # no process was started for it


def test_a_start_of_its_own_is_cold(made: Bundle, sets: Path) -> None:
    study = sets / "faults" / "studies" / "phantom-503-00000"
    arms = sides(made, (fp32("onnxruntime"), lower("onnxruntime", this_device(), "int8")))
    starts = fresh_starts(arms, [study], count=1, threads=1)
    assert starts.keys() == {"onnxruntime fp32", "onnxruntime int8"}
    for (start,) in starts.values():
        assert start.cold_ms > start.load_ms + start.first_ms > 0.0
        assert 30.0 < start.peak_mib < 4000.0


def test_a_start_that_fails_is_one_error(made: Bundle, tmp_path: Path) -> None:
    side = Side("fp32", made, fp32("onnxruntime"))
    with pytest.raises(BackendError, match="ended with 1, expected an answer; try: cspine run"):
        fresh_starts([side], [tmp_path / "none"], count=1, threads=1)


def test_the_verb_judges_against_a_bundle_and_again_from_the_record(
    invoke: Invoke, made: Bundle, bundle: Bundle, sets: Path, tmp_path: Path
) -> None:
    study = sets / "faults" / "studies" / "phantom-503-00000"
    record, junit, markdown = (tmp_path / name for name in ("r.json", "j.xml", "m.md"))
    run = ["bench", bundle.path, "--study", study, "--against", made.path, "--blocks", 6]
    written = ["--record", record, "--junit", junit, "--markdown", markdown]
    measured = invoke([*run, "--starts", 1, "--threads", 1, *written])
    found = read_record(record)
    assert found.reference == "old onnxruntime int8"
    assert found.verdict is not None
    assert measured.exit_code == EXITS[found.verdict.verdict]
    assert f"{found.verdict.verdict}: " in measured.stdout
    assert "cold start" in measured.stdout
    assert [check.name for check in found.verdict.checks] == ["median", "peak memory"]
    cases = ElementTree.fromstring(junit.read_bytes()).findall("testcase")
    assert cases[0].get("name") == "onnxruntime int8: median"
    assert markdown.read_text().startswith("## cspine bench\n")

    again = invoke(["bench", "--from", record, bundle.path, "--json"])
    assert again.exit_code == measured.exit_code
    assert json.loads(again.stdout) == json.loads(record.read_text())


def test_a_record_of_another_bundle_is_refused(
    short: Record, bundle: Bundle, tmp_path: Path
) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(msgspec.json.encode(short))
    words = ["bench", "--from", str(path), str(bundle.path)]
    other = bundle.extended({}, {}, drop=[emission_path("classify", "trt")])
    with pytest.raises(ModelError, match="of which the record is; measure this bundle"):
        cspine.main(words, standalone_mode=False)

    forged = {
        name: replace(arm, bundle=other.digest, models={**arm.models, "classify": "0" * 64})
        for name, arm in short.arms.items()
    }
    path.write_bytes(msgspec.json.encode(replace(short, arms=forged, bundle=other.digest)))
    with pytest.raises(ModelError, match="arm 'onnxruntime fp32': the record's models are not"):
        cspine.main(words, standalone_mode=False)
