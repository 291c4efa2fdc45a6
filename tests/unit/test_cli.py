"""What a user can mend is one line and exit 2; only our own faults keep their traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
import pytest

from cspine.bundle import Bundle
from cspine.cli import Verbs, main

Main = Callable[..., tuple[int, str]]


@pytest.fixture
def cspine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Main:
    """Run a command line; return its exit code and what it said on stderr."""

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["cspine", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
        return int(caught.value.code or 0), capsys.readouterr().err

    return run


def test_a_record_that_cannot_be_written_is_refused_before_anything_is_read(
    cspine: Main, tmp_path: Path
) -> None:
    words = ("bench", "no bundle", "--study", "no study", "--record")
    assert cspine(*words, tmp_path) == (
        2,
        f"cspine: {tmp_path}: cannot be read or written: Is a directory\n",
    )
    (tmp_path / "file").touch()
    assert cspine(*words, tmp_path / "file" / "record.json") == (
        2,
        f"cspine: {tmp_path}/file/record.json: cannot be read or written: Not a directory\n",
    )


def test_an_unwritable_place_is_one_line(cspine: Main, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "cases"
    code, said = cspine("phantom", "xray", "--patients", 1, "--seed", 1, "-o", place)
    assert code == 2
    assert said == f"cspine: {place}: cannot be read or written: Not a directory\n"


def failing(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a fault into a verb; the real ones have none that a test could call up."""

    @click.command()
    @click.argument("paths", nargs=-1)
    def broken(paths: tuple[str, ...]) -> None:
        raise error

    monkeypatch.setattr(Verbs, "get_command", lambda *_: broken)


@pytest.mark.parametrize("given", ["{folder}", "--set={folder}", "{folder}/"])
def test_a_name_below_a_folder_that_was_given_stays_unsaid(
    cspine: Main, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str
) -> None:
    name = str(tmp_path / "DOE^JANE.dcm")
    failing(PermissionError(13, "Permission denied", name), monkeypatch)
    code, said = cspine("run", "--", "elsewhere", given.format(folder=tmp_path))
    assert code == 2
    assert said.startswith(f"cspine: {tmp_path}")
    assert said.endswith(": cannot be read or written: Permission denied\n")
    assert "DOE" not in said


def test_a_place_that_was_not_given_is_named(cspine: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(PermissionError(13, "Permission denied", "/cache/tuning"), monkeypatch)
    assert cspine("tune", "x") == (
        2,
        "cspine: /cache/tuning: cannot be read or written: Permission denied\n",
    )


@pytest.mark.parametrize("fault", [ValueError("ours"), OSError("of no file: ours")])
def test_a_fault_of_ours_keeps_its_traceback(
    cspine: Main, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    failing(fault, monkeypatch)
    code, said = cspine("run")
    assert code == 70
    assert said.startswith("Traceback")


def test_inspect_refuses_damaged_evidence_as_run_does(cspine: Main, exported: Bundle) -> None:
    exported.evidence.mkdir()
    path = exported.evidence / f"{exported.digest[:12]}.onnxruntime.ort-x64-avx2.{'a' * 12}.json"
    path.write_bytes(msgspec.json.encode({"verdict": "pass"}))
    said = f"cspine: {path}: cannot be read as evidence; remove it and verify\n"
    assert cspine("inspect", exported.path) == (2, said)
    path.unlink()
    assert cspine("inspect", exported.path) == (0, "")
