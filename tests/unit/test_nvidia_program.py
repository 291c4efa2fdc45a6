"""Programs are asked once, in time, and none is left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cspine.nvidia import program
from cspine.nvidia.program import NoAnswer, ask


@pytest.fixture
def made(tmp_path: Path):
    """Return the function that writes a program and returns the path that it is found on."""

    def make(body: str) -> str:
        tool = tmp_path / "tool"
        tool.write_text(f"#!/bin/sh\n{body}\n")
        tool.chmod(0o755)
        return str(tmp_path)

    return make


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "SECONDS", 0.3)


def gone(pid: int) -> bool:
    """Whether a process has ended, waiting a moment for it."""
    until = time.monotonic() + 5.0
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_the_answer_is_what_it_prints_in_plain_english(made) -> None:
    path = made('echo "$@" "$LC_ALL"; echo not this >&2')
    assert ask("tool", "-q", "x y", path=path) == "-q x y C\n"


def test_what_is_no_text_is_no_fault(made) -> None:
    assert ask("tool", path=made(r"printf '\377\000'")) == "�\0"


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoAnswer, match=r"^there is no tool$"):
        ask("tool", path=str(tmp_path))


def test_one_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "tool").write_bytes(b"\x7fELF, but not really")
    (tmp_path / "tool").chmod(0o755)
    with pytest.raises(NoAnswer, match=r"^tool cannot be run: Exec format error$"):
        ask("tool", path=str(tmp_path))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("echo; echo no driver; exit 9", "tool failed (exit code 9): no driver"),
        ("echo root only >&2; exit 1", "tool failed (exit code 1): root only"),
        ("exit 3", "tool failed (exit code 3): it said nothing"),
        ("kill -SEGV $$", "tool failed (signal 11): it said nothing"),
    ],
)
def test_a_failure_keeps_its_reason(made, body: str, why: str) -> None:
    with pytest.raises(NoAnswer) as raised:
        ask("tool", path=made(body))
    assert str(raised.value) == why


def test_one_that_hangs_is_ended_with_what_it_started(made, tmp_path: Path, soon) -> None:
    path = made(f"sleep 60 & echo $! >{tmp_path}/child; echo $$ >{tmp_path}/parent; wait")
    with pytest.raises(NoAnswer, match=r"did not answer within 0.3 s"):
        ask("tool", path=path)
    assert gone(int((tmp_path / "parent").read_text()))
    assert gone(int((tmp_path / "child").read_text()))


def test_one_that_says_goodbye_but_stays_is_ended(made, tmp_path: Path, soon) -> None:
    path = made(f"echo $$ >{tmp_path}/pid; exec >&-; sleep 60")
    with pytest.raises(NoAnswer, match="did not answer"):
        ask("tool", path=path)
    assert gone(int((tmp_path / "pid").read_text()))


def test_of_one_that_goes_on_the_first_line_is_taken(made, tmp_path: Path) -> None:
    path = made(f"echo $$ >{tmp_path}/pid; while :; do echo a sample; sleep 0.01; done")
    assert ask("tool", path=path, first_line=True) == "a sample"
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_first_line_that_never_comes_is_a_reason(made) -> None:
    with pytest.raises(NoAnswer, match=r"exit code 0.*: it said nothing"):
        ask("tool", path=made("exit 0"), first_line=True)


def test_a_flood_is_ended(made, tmp_path: Path, soon) -> None:
    with pytest.raises(NoAnswer, match="did not answer"):
        ask("tool", path=made(f"echo $$ >{tmp_path}/pid; exec yes"))
    assert gone(int((tmp_path / "pid").read_text()))


def test_no_file_is_left_open(made) -> None:
    path = made("echo x")
    ask("tool", path=path)
    before = len(os.listdir("/proc/self/fd"))
    ask("tool", path=path)
    assert len(os.listdir("/proc/self/fd")) == before
