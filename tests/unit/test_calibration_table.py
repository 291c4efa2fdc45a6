from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cspine.errors import ModelError
from cspine_calibration.emit import emit
from cspine_calibration.table import CalibrationTable, summarize

DIGESTS = {
    "model_digest": "a" * 64,
    "set_digest": "b" * 64,
    "preprocessing_digest": "c" * 64,
}


VERSION_1 = Path(__file__).parents[1] / "data" / "calibration-format-1"


@pytest.fixture
def table() -> CalibrationTable:
    rng = np.random.default_rng(0)
    signed = rng.normal(size=(2, 3, 5)).astype(np.float32)
    return CalibrationTable(
        **DIGESTS,
        samples=2,
        tensors={
            "x": summarize(signed),
            "relu": summarize(np.maximum(signed, 0)),
            "still": summarize(np.zeros(7, np.float32)),
        },
        means={"x": (0.25, -1e-30, 3.0), "pooled": (1 / 3,)},
        choices={"symmetric": {"x": "mse"}, "asymmetric": {}},
    )


def altered(table: CalibrationTable, **changes) -> bytes:
    line, _, counts = table.to_bytes().partition(b"\n")
    return json.dumps({**json.loads(line), **changes}).encode() + b"\n" + counts


def test_statistics_are_what_was_seen(table):
    values = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    seen = table.tensors["x"]
    assert (seen.minimum, seen.maximum, seen.values) == (values.min(), values.max(), 30)
    assert not seen.non_negative
    assert table.tensors["relu"].non_negative


def test_bytes_give_the_table_back(table):
    assert CalibrationTable.from_bytes(table.to_bytes()) == table


def test_same_statistics_give_the_same_bytes(table):
    backwards = dict(reversed(table.tensors.items()))
    means = dict(reversed(table.means.items()))
    twin = CalibrationTable(
        **DIGESTS, samples=2, tensors=backwards, means=means, choices=table.choices
    )
    assert twin.to_bytes() == table.to_bytes()


def test_joint_statistics_are_those_of_all_numbers_together():
    rng = np.random.default_rng(1)
    parts = {
        name: rng.normal(scale=scale, size=50).astype("f") for name, scale in (("a", 1), ("b", 9))
    }
    tensors = {name: summarize(part) for name, part in parts.items()}
    table = CalibrationTable(**DIGESTS, samples=1, tensors=tensors, means={}, choices={})
    assert table.statistics(["a", "b"]) == summarize(np.concatenate(list(parts.values())))


def test_missing_tensor_is_named_with_its_neighbour(table):
    with pytest.raises(ModelError, match="'relu_1' was not observed; did you mean 'relu'"):
        table.statistics(["x", "relu_1"])


@pytest.mark.parametrize("digest", ["A" * 64, "a" * 63, ""])
def test_digest_must_be_one(digest):
    with pytest.raises(ModelError, match="set_digest is"):
        CalibrationTable(
            **{**DIGESTS, "set_digest": digest},
            samples=1,
            tensors={"x": None},
            means={},
            choices={},
        )


def test_table_of_nothing_is_refused():
    with pytest.raises(ModelError, match="0 samples of 0 tensors"):
        CalibrationTable(**DIGESTS, samples=0, tensors={}, means={}, choices={})


@pytest.mark.parametrize("data", [b"", b"\n", b"PK\x03\x04", b"[]\n", b"{}\n", b"\xff\n", b"7\n"])
def test_foreign_bytes_are_refused(data):
    with pytest.raises(ModelError, match="not a calibration table"):
        CalibrationTable.from_bytes(data)


def test_other_schema_is_refused(table):
    with pytest.raises(ModelError, match="schema 'cspine-calibration/3', expected"):
        CalibrationTable.from_bytes(altered(table, schema="cspine-calibration/3"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data, table: data[:-8],
        lambda data, table: data[:-3],
        lambda data, table: data + bytes(8),
        lambda data, table: data[:-8] + b"\xff" * 8,
        lambda data, table: altered(table, tensors=3),
        lambda data, table: altered(table, tensors=[{"name": "x"}]),
        lambda data, table: altered(table, samples="many"),
        lambda data, table: altered(table, means=[{"name": "x", "channels": 5}]),
        lambda data, table: altered(table, means=[{"name": "x", "channels": 0}]),
        lambda data, table: altered(table, means=[{"name": "x", "channels": 3}]),
    ],
)
def test_damage_is_refused(table, damage):
    with pytest.raises(ModelError, match="damaged"):
        CalibrationTable.from_bytes(damage(table.to_bytes(), table))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bins", [5, 4097]),
        ("bins", [5, 5]),
        ("bins", [5]),
        ("exponent", 100000),
        ("exponent", -65),
        ("minimum", -1e9),
        ("maximum", float("nan")),
        ("maximum", float("inf")),
        ("maximum", None),
    ],
)
def test_impossible_statistics_are_refused(table, key, value):
    rows = json.loads(table.to_bytes().partition(b"\n")[0])["tensors"]
    rows[0][key] = value
    with pytest.raises(ModelError, match="damaged"):
        CalibrationTable.from_bytes(altered(table, tensors=rows))


def test_a_table_of_version_1_is_still_read():
    """Both files are of the last release that wrote that version."""
    old = CalibrationTable.from_bytes((VERSION_1 / "calibration.bin").read_bytes())
    assert (old.samples, sorted(old.tensors), old.means) == (6, ["a", "c", "r", "x"], {})
    assert old.tensors["r"].non_negative
    emission = emit((VERSION_1 / "fp32.onnx").read_bytes(), old, target="trt")
    assert emission.summary.quantized == 2
    assert b"corrected_bias" not in emission.model
    assert CalibrationTable.from_bytes(old.to_bytes()) == old
