"""``cspine run --isolate`` answers what ``cspine run`` answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from click.testing import CliRunner

from cspine.bundle import Bundle
from cspine.cli import cspine


def test_another_process_changes_no_answer(made: Bundle, sets: Path, tmp_path: Path) -> None:
    shutil.copytree(sets / "faults" / "studies", tmp_path / "studies")
    (tmp_path / "studies" / "letter.txt").write_text("Dear colleague")
    arguments = ["run", str(made.path), str(tmp_path / "studies"), "--precision", "fp32", "--json"]
    plain = CliRunner().invoke(cspine, arguments)
    isolated = CliRunner().invoke(cspine, [*arguments, "--isolate"])
    assert plain.exit_code == isolated.exit_code == 0
    told = f"cspine: 1 file in {tmp_path / 'studies'} is not DICOM and was passed over\n"
    assert isolated.stderr == plain.stderr == told
    assert isolated.output == plain.output
    assert {found["status"] for found in json.loads(plain.stdout)} >= {"refused"}
    assert len(json.loads(plain.stdout)) == 4
