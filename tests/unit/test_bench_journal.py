"""A kill loses the case that was under way and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from cspine.errors import ModelError
from cspine_bench.accuracy.answers import Arm, CaseAnswers, Score
from cspine_bench.accuracy.journal import Journal

KEY = {"bundle": "a", "threads": None}


def answers(line: int) -> CaseAnswers:
    arm = Arm(refusal=None, scores={"C2/3": Score(line / 3, True)}, dice={}, numbered=None)
    return CaseAnswers(
        line=line,
        study=f"{line:064}",
        patient=line,
        unfit=None,
        groups={"site": "A"},
        truth={"C2/3": True},
        severity={"C2/3": -0.25},
        reference=arm,
        candidate=arm,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "made" / "x.journal"
    with Journal(path, key=KEY) as journal:
        assert journal.answers == []
        for line in (2, 3, 4):
            journal.append(answers(line))
    return path


def kept(path: Path, key: dict[str, object] | None = None) -> list[int]:
    with Journal(path, key=key or KEY) as journal:
        assert journal.answers == [answers(each.line) for each in journal.answers]
        return [each.line for each in journal.answers]


def test_what_was_appended_is_there_again(path: Path) -> None:
    assert kept(path) == [2, 3, 4]


def test_a_line_that_cannot_be_read_costs_what_follows(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"\0" * 40 + b"\n", *lines[3:]]))
    assert kept(path) == [2]


def test_a_line_cut_off_anywhere_costs_its_case_alone(path: Path) -> None:
    whole = path.read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    for end in (start, start + 1, (start + len(whole)) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        with Journal(path, key=KEY) as journal:
            assert [each.line for each in journal.answers] == [2, 3]
            journal.append(answers(4))
        assert path.read_bytes() == whole


def test_what_was_begun_for_something_else_is_begun_anew(path: Path) -> None:
    assert kept(path, {**KEY, "bundle": "b"}) == []
    assert kept(path) == []


def test_a_header_cut_off_is_begun_anew(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5])
    assert kept(path) == []


def test_two_cannot_write_to_one(path: Path) -> None:
    with (
        Journal(path, key=KEY),
        pytest.raises(ModelError, match="another process is judging the same candidate"),
    ):
        Journal(path, key=KEY)
    assert kept(path) == [2, 3, 4]


def test_it_is_removed_when_all_is_done(path: Path) -> None:
    with Journal(path, key=KEY) as journal:
        journal.remove()
    assert not path.exists()
