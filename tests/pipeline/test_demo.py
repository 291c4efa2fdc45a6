"""The two commands of the README do what it says: here, `cspine demo`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_demo_does_the_whole_main_job(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("cspine")
    result = subprocess.run(
        [program, "demo", "--assets", ROOT / "assets", "-o", tmp_path / "demo", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    statuses = [found["status"] for found in summary["findings"]]
    assert statuses == ["answered"] * 4 + ["refused"]
    assert summary["findings"][4]["refusal"]["code"] == "WRONG_VIEW"
    assert summary["verdict"] == "pass"
    assert summary["speed"]["networks"]["value"] > 0
    assert len(summary["overlays"]) == 4
    for overlay in summary["overlays"]:
        picture = cv2.imread(overlay)
        assert picture is not None
        assert picture.shape[0] == 1100
    assert "INT8 runs the networks" in result.stderr


def test_the_demo_deletes_nothing_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    program = Path(sys.executable).with_name("cspine")
    result = subprocess.run(
        [program, "demo", "--assets", ROOT / "assets", "-o", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "is not empty and no earlier demo's" in result.stderr
    assert (tmp_path / "mine.txt").read_text() == "mine"
