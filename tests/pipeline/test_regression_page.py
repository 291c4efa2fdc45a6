"""docs/regression.md can be followed to the letter: its commands and its code run as they stand."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cspine.bundle import Bundle

PAGE = (Path(__file__).parents[2] / "docs" / "regression.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of the page with this environment's programs."""
    # Under a worker of pytest-xdist, pytest-benchmark measures nothing.
    ours = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        shlex.split(line),
        cwd=folder,
        env={**ours, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(made: Bundle, sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as the page takes it: two bundles, here the same, and two folders of cases."""
    root = tmp_path_factory.mktemp("project")
    for name in ("new", "released"):
        shutil.copytree(made.path, root / "build" / f"{name}.cspine")
    shutil.copytree(sets / "test", root / "cases" / "locked")
    for study in sorted((sets / "test" / "studies").iterdir())[:2]:
        shutil.copytree(study, root / "cases" / "typical" / study.name)
    return root


@pytest.fixture(scope="module")
def gated(folder: Path) -> Path:
    """The folder after the two gates of the YAML."""
    (workflow,) = blocks("yaml")
    assert len(workflow.splitlines()) <= 10
    verify, bench = re.findall(r"- run: (cspine .*)", workflow)
    done = run(verify, folder)
    assert done.returncode == 0, done.stderr
    short = bench.replace("--until-decided 1000", "--blocks 6 --starts 0 --until-decided 6")
    done = run(short, folder)
    assert done.returncode in (0, 3), done.stderr  # so few blocks need not decide
    return folder


def test_the_gates_leave_what_the_page_says(gated: Path) -> None:
    for name in ("verify", "bench"):
        suite = ElementTree.parse(gated / f"{name}.xml").getroot()
        assert list(suite.iter("testcase"))
        assert (gated / f"{name}.md").read_text().startswith("#")


def test_the_verdicts_are_computed_again(gated: Path) -> None:
    (evidence,) = (gated / "build" / "new.cspine.evidence").glob("*.json")
    shutil.copy(evidence, gated / "verdict.json")
    lines = next(block for block in blocks("sh") if "--from" in block).splitlines()
    codes = [run(line, gated).returncode for line in lines]
    assert codes[0] == 0
    assert codes[1] in (0, 3)


def test_the_parts_are_timed(gated: Path) -> None:
    (program,) = blocks("python")
    (gated / "parts.py").write_text(program)
    first, second = next(block for block in blocks("sh") if "pytest" in block).splitlines()
    quick = "--benchmark-max-time=0 --benchmark-min-rounds=1 -p no:cacheprovider"
    saved = run(f"{first.partition('#')[0]} {quick}", gated)
    assert saved.returncode == 0, saved.stdout
    (kept,) = (gated / ".benchmarks").rglob("*.json")
    # How fast this machine is from run to run is no matter here.
    assert "median:10%" in second
    compared = run(f"{second.replace('median:10%', 'median:1000000%')} {quick}", gated)
    assert "2 passed" in compared.stdout
    assert f"Comparing against benchmarks from: {kept.relative_to(gated / '.benchmarks')}" in (
        compared.stdout + compared.stderr
    )
