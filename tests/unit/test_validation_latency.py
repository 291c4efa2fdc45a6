"""The error rates of the latency verdict: reproducible, and the committed ones computed again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
import msgspec
import pytest

from cspine_bench.latency.commands import bench
from cspine_bench.latency.record import Record, read_record
from cspine_validation.latency import AT_MOST, BLOCKS, SLOWDOWNS, Simulation, simulate

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "benchmarks" / "records"
BACKENDS = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}


class Committed(msgspec.Struct):
    """What of the file is read here."""

    latency: list[Simulation]


@pytest.fixture(scope="module")
def committed() -> list[Simulation]:
    data = (RECORDS / "statistics.json").read_bytes()
    return msgspec.json.decode(data, type=Committed).latency


def recorded(backend: str) -> Record:
    return read_record(RECORDS / f"statistics-{backend}.json")


def test_a_run_depends_on_the_seed_and_its_number_alone() -> None:
    record = recorded("openvino")
    found = simulate(record, runs=4, seed=1, slowdown=1.03)
    again = simulate(record, runs=2, seed=1, slowdown=1.03)
    assert (found.verdicts[:2], found.measured[:2]) == (again.verdicts, again.measured)
    assert sum(rate.count for rate in found.rates.values()) == 4
    assert simulate(record, runs=4, seed=2, slowdown=1.03).measured != found.measured


def test_what_is_far_from_the_limit_is_told() -> None:
    record = recorded("onnxruntime")
    assert simulate(record, runs=3, seed=0, slowdown=0.9).verdicts == "ppp"
    assert simulate(record, runs=3, seed=0, slowdown=1.2).verdicts == "fff"


def test_the_committed_rates_keep_what_was_promised(committed: list[Simulation]) -> None:
    cells = {(each.backend, each.slowdown): each for each in committed}
    assert len(committed) == len(cells)
    assert cells.keys() == {(backend, slow) for backend in BACKENDS for slow in SLOWDOWNS}
    for each in committed:
        assert len(each.verdicts) == len(each.measured) >= 400
        assert Counter(each.verdicts) == +Counter({v[0]: r.count for v, r in each.rates.items()})
        assert max(each.measured) <= each.at_most
    for backend in BACKENDS:
        unchanged, limit, twice = (cells[backend, slowdown] for slowdown in SLOWDOWNS)
        assert unchanged.rates["pass"].low >= 0.80
        assert limit.rates["pass"].high <= 0.05
        assert twice.rates["fail"].low >= 0.80


def test_a_committed_cell_computes_again(committed: list[Simulation]) -> None:
    for cell in committed[::4]:
        few = simulate(recorded(cell.backend), runs=4, seed=cell.seed, slowdown=cell.slowdown)
        assert (few.margin, few.blocks, few.at_most) == (cell.margin, cell.blocks, cell.at_most)
        assert few.verdicts == cell.verdicts[:4]
        assert few.measured == cell.measured[:4]


def test_the_tool_is_given_what_it_is_by_default_and_in_its_example() -> None:
    options = {option.name: option for option in bench.params}
    blocks = options["blocks"]
    assert isinstance(blocks, click.Option)
    assert blocks.default == BLOCKS
    assert bench.help is not None
    assert f"--until-decided {AT_MOST}" in bench.help
