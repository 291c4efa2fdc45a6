"""Every script keeps shellcheck's rules, and the recipe of the container those of hadolint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
SCRIPTS = sorted([*ROOT.glob("jetson/*.sh"), *ROOT.glob("tests/**/*.sh"), ROOT / ".ci" / "run"])


def complaints(tool: str, file: Path) -> str:
    checked = subprocess.run([TOOLS / tool, file], capture_output=True, text=True, check=False)
    assert checked.returncode in (0, 1), checked.stderr  # more says that it could not look
    return checked.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_shellcheck_has_no_complaint(script: Path) -> None:
    assert not complaints("shellcheck", script)


def test_shellcheck_complains_of_a_word_that_would_be_split(tmp_path: Path) -> None:
    (tmp_path / "bad.sh").write_text("#!/bin/sh\nrm -rf $1/*\n")
    assert "SC2086" in complaints("shellcheck", tmp_path / "bad.sh")


def test_hadolint_has_no_complaint() -> None:
    assert not complaints("hadolint", ROOT / "jetson" / "Containerfile")


def test_hadolint_complains_of_an_image_without_a_tag(tmp_path: Path) -> None:
    (tmp_path / "Containerfile").write_text("FROM debian\n")
    assert "DL3006" in complaints("hadolint", tmp_path / "Containerfile")
