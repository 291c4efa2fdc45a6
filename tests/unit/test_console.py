from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cspine.console import (
    EXIT_BAD_INPUT,
    EXIT_FAULT,
    EXIT_GATE_FAILED,
    EXIT_INCONCLUSIVE,
    backend_option,
    bundle_argument,
    emit_json,
    json_option,
    progress,
    table,
    threads_option,
)
from cspine.findings import Findings


def test_exit_codes_are_the_published_ones() -> None:
    codes = (EXIT_GATE_FAILED, EXIT_BAD_INPUT, EXIT_INCONCLUSIVE, EXIT_FAULT)
    assert codes == (1, 2, 3, 70)


def test_json_is_one_document(findings: Findings, capsys: pytest.CaptureFixture[str]) -> None:
    emit_json({"path": "a b", "studies": [findings]})
    document = json.loads(capsys.readouterr().out)
    assert document["studies"] == [json.loads(findings.to_json())]


def test_numbers_are_set_to_the_right_and_words_to_the_left() -> None:
    assert table(["level", "p"], [["C2/3", 0.5], ["C7/T1", 12.25]]).splitlines() == [
        "level      p",
        "-----  -----",
        "C2/3     0.5",
        "C7/T1  12.25",
    ]


def test_a_column_with_one_word_is_a_column_of_words() -> None:
    text = table(["n", "p"], [[-1, "0.5"], [20, "none"]])
    assert text.splitlines()[2:] == ["-1  0.5", "20  none"]


def test_a_table_may_be_empty() -> None:
    assert table(["level", "p"], []) == "level  p\n-----  -"


def test_progress_says_nothing_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(iter("abc"), label="studies", length=3)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def written_to(terminal: int) -> str:
    """Read a pseudo-terminal to its end, where Linux says EIO and others nothing.

    One read would do for a pipe. A terminal hands on in pieces, as its line discipline gets to it.
    """
    pieces = []
    with contextlib.suppress(OSError):
        while piece := os.read(terminal, 10_000):
            pieces.append(piece)
    return b"".join(pieces).decode()


def test_progress_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, terminal = os.openpty()
    with os.fdopen(terminal, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        assert list(progress(iter("abc"), label="studies", length=3)) == ["a", "b", "c"]
    shown = written_to(seen)
    os.close(seen)
    assert "studies" in shown
    assert "100%" in shown


@click.command()
@bundle_argument
@backend_option
@threads_option
@json_option
def verb(bundle: Path, backend: str, threads: int | None, as_json: bool) -> None:
    """Echo what was given."""
    click.echo(f"{type(bundle).__name__ == type(Path()).__name__} {backend} {threads} {as_json}")


@pytest.mark.parametrize(
    ("arguments", "echoed"),
    [
        (["b"], "True onnxruntime None False"),
        (["b", "--backend", "openvino", "--threads", "2", "--json"], "True openvino 2 True"),
    ],
)
def test_common_options(arguments: list[str], echoed: str) -> None:
    assert CliRunner().invoke(verb, arguments).output.strip() == echoed


@pytest.mark.parametrize("wrong", [[], ["b", "--threads", "0"], ["b", "--backend", "cuda"]])
def test_common_options_that_are_wrong_end_with_2(wrong: list[str]) -> None:
    assert CliRunner().invoke(verb, wrong).exit_code == EXIT_BAD_INPUT
