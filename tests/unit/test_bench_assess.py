"""What a record says follows from its samples, and its verdict from nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest

from cspine.errors import ModelError
from cspine_bench.latency.assess import assessed, record_checks
from cspine_bench.latency.comparison import baseline_of, check_comparable
from cspine_bench.latency.fresh import Start
from cspine_bench.latency.gate import judged, until_decided
from cspine_bench.latency.machine import MachineState
from cspine_bench.latency.record import Arm, Gate, Record, narrowed, read_record, record_schema
from cspine_bench.latency.scenario import NETWORKS, SINGLE_STREAM, TOTAL, Scenario
from cspine_bench.latency.stationary import WarmUp

SCHEMA = Path(__file__).parents[2] / "docs" / "bench-record.schema.json"
REGENERATE = (
    'python -c "import json; from cspine_bench.latency.record import record_schema; '
    'print(json.dumps(record_schema(), indent=2))" > docs/bench-record.schema.json'
)
OLD, NEW = "onnxruntime fp32", "onnxruntime int8"
GATE = Gate(median=0.03, p99=None, memory=0.05)
STEADY = MachineState(
    seconds=0.0,
    spin_ns=15_000,
    cpu_mhz=None,
    load=0.0,
    celsius=None,
    throttled=None,
    governor=None,
    fixed=None,
    power_mode=None,
    device_mhz={},
)


def measured(
    ratio: float, *, blocks: int = 60, studies: int = 2, spread: float = 0.02, seed: int = 0
) -> Record:
    """A record of samples that drift together; nothing of them is summed up yet."""
    rng = np.random.default_rng(seed)
    drift = rng.lognormal(sigma=0.1, size=(blocks, 1))
    noise = rng.lognormal(sigma=spread, size=(2, blocks, studies))
    times = {OLD: 40e6 * drift * noise[0], NEW: 40e6 * ratio * drift * noise[1]}
    samples = {
        arm: {
            "read": (each * 0.1).astype(int).tolist(),
            NETWORKS: (each * 0.8).astype(int).tolist(),
            TOTAL: each.astype(int).tolist(),
        }
        for arm, each in times.items()
    }
    start = Start(cold_ms=900.0, load_ms=50.0, first_ms=60.0, peak_mib=200.0)
    return Record(
        format=2,
        bundle="b" * 64,
        reference=OLD,
        candidate=NEW,
        arms={
            OLD: Arm(
                bundle="b" * 64,
                backend="onnxruntime",
                precision="fp32",
                target=None,
                models={"classify": "f" * 64},
            ),
            NEW: Arm(
                bundle="b" * 64,
                backend="onnxruntime",
                precision="int8",
                target="ort-x64-vnni",
                models={"classify": "8" * 64},
            ),
        },
        scenario=SINGLE_STREAM,
        threads=1,
        studies=studies,
        study_digests=["5" * 64] * studies,
        blocks=blocks,
        gate=GATE,
        baseline=None,
        warm_up={arm: WarmUp(windows_ms=[41.0, 40.0, 40.0], stationary=True) for arm in times},
        load_ms={OLD: 50.0, NEW: 40.0},
        starts={OLD: [start] * 3, NEW: [start] * 3},
        statistics={},
        speed={},
        speed_p99={},
        misses={},
        verdict=None,
        peak_memory_mib=256.0,
        device={"machine": "x86_64", "cpu": "a CPU", "cores": 4, "flags": ["avx2"]},
        load_average=(0.0, 0.0),
        versions={"onnxruntime": "1.23.2", "openvino": None, "tensorrt": None},
        machine=[STEADY] * (2 * blocks + 1),
        nanoseconds=samples,
    )


def verdict(record: Record) -> str:
    found = assessed(record).verdict
    assert found is not None
    return found.verdict


def changed(record: Record, **fields: object) -> Record:
    return msgspec.structs.replace(record, **fields)


def test_unchanged_passes_and_slower_by_twice_the_margin_fails() -> None:
    assert [verdict(measured(ratio)) for ratio in (1.0, 1.06)] == ["pass", "fail"]
    assert verdict(measured(1.03)) == "inconclusive"


def test_too_few_blocks_say_how_many_it_takes() -> None:
    few = measured(1.0, blocks=8, spread=0.1)
    found = assessed(few).verdict
    assert found is not None
    assert found.verdict == "inconclusive"
    needed = found.checks[0].blocks_needed
    assert needed is not None
    assert needed > 50
    assert f"; {needed} blocks would decide" in found.reasons[0]
    near = assessed(measured(1.029, blocks=100)).verdict
    assert near is not None
    assert "which it lies near; were it as found" in near.reasons[0]


def test_a_quantile_that_is_gated_needs_its_samples() -> None:
    record = changed(measured(1.0), gate=Gate(median=0.03, p99=0.05, memory=0.05))
    found = assessed(record).verdict
    assert found is not None
    assert [check.verdict for check in found.checks] == ["pass", "inconclusive", "pass"]
    assert found.reasons == ["p99: insufficient: 120 samples, expected 662"]
    assert found.checks[1].blocks_needed == 331

    enough = changed(measured(1.0, blocks=340), gate=record.gate)
    summary = assessed(enough)
    assert summary.verdict is not None
    assert summary.verdict.verdict == "pass"
    assert summary.speed_p99.keys() == {NETWORKS, TOTAL}
    assert summary.statistics[NEW][TOTAL].p99 is not None
    assert assessed(record).speed_p99 == {}

    late = enough.nanoseconds[NEW][TOTAL]
    enough.nanoseconds[NEW][TOTAL] = [
        [time * 3 if number % 20 == 0 else time for time in row] for number, row in enumerate(late)
    ]
    assert verdict(enough) == "fail"
    assert verdict(changed(enough, gate=GATE)) == "pass"  # one in twenty does not move the median


def test_measuring_on_asks_for_whole_batches_and_keeps_to_the_cap() -> None:
    asked = []

    def more(record: Record, count: int) -> Record:
        asked.append(count)
        return measured(1.0, blocks=record.blocks + count, spread=0.1)

    few = measured(1.0, blocks=8, spread=0.1)
    found = until_decided(few, more, batch=8, at_most=4000)
    first, last = (judged(record)[0].blocks_needed for record in (few, found))
    assert first is not None
    assert last is not None
    assert 0 <= 8 + asked[0] - first < 8
    assert last <= found.blocks == 8 + sum(asked) < 4000
    assert {count % 8 for count in asked} == {0}
    assert until_decided(few, more, batch=8, at_most=13).blocks == 13
    quiet = measured(1.029, blocks=24)  # near the limit, which is no reason to go on
    assert until_decided(quiet, more, batch=8, at_most=4000) is quiet


def test_memory_is_judged_by_the_extremes_of_the_starts() -> None:
    record = measured(1.0)
    for peaks, expected in [
        ([200, 202, 209], "pass"),
        ([200, 202, 211], "inconclusive"),
        ([215, 211, 216], "fail"),
    ]:
        start = record.starts[NEW][0]
        starts = [msgspec.structs.replace(start, peak_mib=float(peak)) for peak in peaks]
        assert verdict(changed(record, starts={**record.starts, NEW: starts})) == expected
    found = assessed(changed(record, starts={})).verdict
    assert found is not None
    assert [(check.name, check.verdict) for check in found.checks] == [
        ("median", "pass"),
        ("peak memory", "inconclusive"),
    ]
    assert found.reasons == ["peak memory: insufficient: no process was started for the candidate"]
    gate = Gate(median=0.03, p99=None, memory=None)
    found = assessed(changed(record, starts={}, gate=gate)).verdict
    assert found is not None
    assert [check.name for check in found.checks] == ["median"]


def test_moving_clocks_void_any_verdict() -> None:
    slow = msgspec.structs.replace(STEADY, spin_ns=15_600)
    moved = changed(measured(1.0), machine=[STEADY] * 30 + [slow] * 31)
    found = assessed(moved).verdict
    assert found is not None
    assert found.verdict == "void"
    assert found.reasons[0].startswith("the clocks moved by 4.0%")
    assert {check.verdict for check in record_checks(assessed(moved))} == {"void"}
    ungated = assessed(changed(moved, gate=None)).verdict
    assert ungated is not None
    assert (ungated.verdict, ungated.checks) == ("void", [])
    assert assessed(changed(measured(1.0), gate=None)).verdict is None


def test_a_warm_up_that_did_not_settle_is_told() -> None:
    record = measured(1.0)
    record.warm_up[NEW] = WarmUp(windows_ms=[40.0] * 20, stationary=False)
    found = assessed(record).verdict
    assert found is not None
    assert found.reasons[-1] == f"{NEW}: its times had not settled after 20 windows of warm-up"


def test_against_a_record_the_ratios_to_fp32_are_compared() -> None:
    then = measured(0.50, blocks=200, seed=1)
    for ratio, expected in [(0.50, "pass"), (0.53, "fail")]:
        now = measured(ratio, blocks=200, seed=2)
        for arm in (OLD, NEW):  # a slower machine
            now.nanoseconds[arm][TOTAL] = [
                [2 * time for time in row] for row in now.nanoseconds[arm][TOTAL]
            ]
        check_comparable(then, now, state=STEADY)
        assert verdict(changed(now, baseline=baseline_of(then))) == expected


def half(arms: dict[str, Arm]) -> dict[str, Arm]:
    return {**arms, NEW: msgspec.structs.replace(arms[NEW], precision="fp16")}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"threads": 4}, "threads: those of the record are others"),
        ({"study_digests": ["6" * 64] * 2}, "studies: those of the record"),
        ({"scenario": Scenario(name="offline")}, "scenario: those"),
        ({"versions": {"onnxruntime": "1.24", "openvino": None, "tensorrt": None}}, "runtimes: "),
        (
            {"device": {"machine": "x86_64", "cpu": "a CPU", "cores": 2, "flags": ["avx2"]}},
            "device's cores: ",
        ),
        (
            {"machine": [msgspec.structs.replace(STEADY, power_mode="pmode:0003")] * 121},
            "power_mode: ",
        ),
        ({"arms": half(measured(0.5).arms)}, "precision: those of the record are others"),
        ({"reference": NEW}, "the record holds one candidate against another"),
        ({"machine": [STEADY] * 30 + [msgspec.structs.replace(STEADY, spin_ns=9)] * 31}, "void"),
    ],
)
def test_records_of_something_else_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check_comparable(changed(measured(0.5), **fields), measured(0.5), state=STEADY)


def test_another_fp32_ties_nothing_together() -> None:
    old = measured(0.5)
    old.arms[OLD] = msgspec.structs.replace(old.arms[OLD], models={"classify": "e" * 64})
    with pytest.raises(ModelError, match=r"FP32 models: .* give the bundle that it was made of"):
        check_comparable(old, measured(0.5), state=STEADY)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"reference": "none"}, "arm 'none' is missing"),
        ({"blocks": 5000}, "not 5000 blocks of as many times each"),
        ({"machine": []}, "the machine was not looked at before each turn"),
        (
            {"machine": [msgspec.structs.replace(STEADY, spin_ns=0)] * 121},
            "a look at the machine tells no clock",
        ),
        ({"nanoseconds": {OLD: {TOTAL: [[1]] * 60}, NEW: {}}}, "no times of whole studies"),
        (
            {"nanoseconds": {OLD: {TOTAL: [[1]] * 60}, NEW: {TOTAL: [[1]] * 59 + [[1, 1]]}}},
            "not 60 blocks of as many times each",
        ),
        (
            {"nanoseconds": {OLD: {TOTAL: [[1]] * 60}, NEW: {TOTAL: [[0]] * 60}}},
            "a time is not above zero",
        ),
    ],
)
def test_a_record_that_does_not_fit_together_is_refused(
    tmp_path: Path, fields: dict[str, object], message: str
) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(msgspec.json.encode(changed(measured(1.0), **fields)))
    with pytest.raises(ModelError, match=f"{message}.*measure again"):
        read_record(path)


def test_margins_of_a_file_are_narrowed_and_never_widened() -> None:
    wide = Gate(median=9.0, p99=None, memory=0.5)
    asked = Gate(median=0.03, p99=0.05, memory=0.05)
    assert narrowed(wide, asked) == asked
    assert narrowed(asked, wide) == asked
    unjudged = Gate(median=0.03, p99=None, memory=None)
    assert narrowed(unjudged, wide) == unjudged


def test_what_a_record_claims_of_its_samples_does_not_count() -> None:
    true = assessed(measured(1.06))
    assert true.verdict is not None
    claimed = msgspec.structs.replace(true.verdict, verdict="pass")
    assert assessed(changed(true, verdict=claimed, speed={})) == true


def test_late_answers_are_counted_by_block() -> None:
    paced = changed(
        measured(1.0),
        gate=None,
        scenario=Scenario(name="paced", rate_hz=20.0, deadline_ms=50.0),
    )
    paced.nanoseconds[NEW][TOTAL] = [[49_000_000, 51_000_000]] * 3 + [[50_000_000] * 2] * 57
    misses = assessed(paced).misses[NEW]
    assert (misses.missed, misses.arrivals, misses.share) == (3, 120, 0.025)
    assert 0.0 < misses.low < 0.025 < misses.high < 0.1
    assert assessed(measured(1.0)).misses == {}


def test_one_value_a_block_will_do() -> None:
    offline = changed(measured(1.0), scenario=Scenario(name="offline"))
    for arm in (OLD, NEW):
        rows = offline.nanoseconds[arm][TOTAL]
        offline.nanoseconds[arm] = {TOTAL: [[sum(row)] for row in rows]}
    assert verdict(offline) == "pass"


def test_a_record_is_read_back_and_fits_its_schema(tmp_path: Path) -> None:
    record = assessed(changed(measured(0.5), baseline=baseline_of(measured(0.5, seed=1))))
    data = msgspec.json.encode(record)
    (tmp_path / "record.json").write_bytes(data)
    assert read_record(tmp_path / "record.json") == record
    jsonschema.Draft202012Validator(record_schema()).validate(json.loads(data))
    (tmp_path / "record.json").write_bytes(data.replace(b'"format":2', b'"format":1'))
    with pytest.raises(ModelError, match="cannot be read as a latency record of format 2"):
        read_record(tmp_path / "record.json")


def test_the_published_schema_is_current() -> None:
    published = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert published == record_schema(), f"it is old; run: {REGENERATE}"
