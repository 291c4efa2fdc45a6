"""What `make test-aarch64` holds findings by: words to the letter, numbers within a tolerance."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMPARE = Path(__file__).parents[1] / "aarch64" / "compare.py"
FINDINGS: dict[str, Any] = {
    "status": "answered",
    "refusal": None,
    "source": {"pixels": "1e7f"},
    "threshold": 0.24,
    "vertebrae": [{"label": "C2", "centre_px": [1551.58, 663.73], "area_mm2": 634.0}],
    "levels": [{"label": "C2/3", "probability": 0.42, "positive": True, "decision": "compression"}],
}


def compared(found: dict[str, Any], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    for folder, findings in (("expected", FINDINGS), ("found", found)):
        (tmp_path / folder / "study").mkdir(parents=True)
        (tmp_path / folder / "study" / "findings.json").write_text(json.dumps(findings))
    return subprocess.run(
        [sys.executable, COMPARE, tmp_path / "expected", tmp_path / "found", "0.001", "1"],
        capture_output=True,
        text=True,
        check=False,
    )


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    findings: Any = copy.deepcopy(FINDINGS)
    place = findings
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return dict(findings)


def test_the_same_findings_pass(tmp_path: Path) -> None:
    done = compared(FINDINGS, tmp_path)
    assert done.returncode == 0
    assert "1 studies, 1 the same to the byte" in done.stdout


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("levels", 0, "probability"), 0.4209),
        (("vertebrae", 0, "centre_px", 1), 664.5),
        (("vertebrae", 0, "area_mm2"), 635.0),
    ],
)
def test_a_number_may_differ_a_little(path: tuple[Any, ...], value: Any, tmp_path: Path) -> None:
    assert compared(changed(path, value), tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("levels", 0, "probability"), 0.4212),
        (("levels", 0, "decision"), "no compression"),
        (("levels", 0, "positive"), False),
        (("levels",), []),
        (("vertebrae", 0, "centre_px", 1), 665.0),
        (("vertebrae", 0, "area_mm2"), 636.0),
        (("source", "pixels"), "1e80"),
        (("refusal",), "WRONG_VIEW"),
    ],
)
def test_another_answer_is_told_by_its_place(
    path: tuple[Any, ...], value: Any, tmp_path: Path
) -> None:
    done = compared(changed(path, value), tmp_path)
    assert done.returncode == 1
    assert "/".join(map(str, path)) in done.stdout


@pytest.mark.parametrize(("found", "code"), [(0.2396, 0), (0.2389, 1)])
def test_only_what_is_near_the_threshold_may_be_decided_otherwise(
    found: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = changed(("levels", 0, "probability"), 0.2401)
    other = copy.deepcopy(near)
    other["levels"][0] |= {"probability": found, "positive": False, "decision": "no compression"}
    monkeypatch.setitem(FINDINGS, "levels", near["levels"])
    assert compared(other, tmp_path).returncode == code


def test_a_study_that_only_one_machine_answered_is_told(tmp_path: Path) -> None:
    (tmp_path / "found" / "other").mkdir(parents=True)
    (tmp_path / "found" / "other" / "findings.json").write_text("{}")
    done = compared(FINDINGS, tmp_path)
    assert done.returncode == 1
    assert "other" in done.stderr
