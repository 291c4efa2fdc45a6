from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cspine.commands.run import findings_table, write_outcome
from cspine.findings import Findings, Refusal
from cspine.image import Image
from cspine.outcome import Outcome, View
from cspine.transform import Affine


def answer(findings: Findings) -> Outcome:
    """An answer with its picture."""
    crops = tuple(Affine(np.array([[1.0, 0, 80], [0, 1, y]])) for y in (40, 130))
    image = Image(np.zeros((220, 200), np.float32), findings.spacing)  # type: ignore[arg-type]
    maps = np.zeros((2, 5, 5), np.float32)
    view = View("Cord compression", image, crops=crops, crop_px=(40, 40), heat=maps)
    return Outcome(findings, view, {}, {})


def refused(outcome: Outcome) -> Outcome:
    """The same study, refused."""
    findings = msgspec.structs.replace(
        outcome.findings,
        status="refused",
        refusal=Refusal(code="LOW_QUALITY", reason="x", remedy="x"),
        levels=(),
    )
    return replace(outcome, findings=findings, view=None)


def test_a_refusal_does_not_lie_beside_an_older_picture(findings: Findings, tmp_path: Path) -> None:
    outcome = answer(findings)
    place = write_outcome(outcome, tmp_path)
    assert sorted(os.listdir(place)) == ["findings.json", "overlay.png"]
    assert write_outcome(refused(outcome), tmp_path) == place
    assert os.listdir(place) == ["findings.json"]
    assert write_outcome(outcome, tmp_path) == place
    assert sorted(os.listdir(place)) == ["findings.json", "overlay.png"]


class PowerCut(BaseException):
    """Nothing more reaches the disk."""


@pytest.mark.parametrize("most", range(6))
@pytest.mark.parametrize("forwards", [True, False])
def test_not_even_after_a_power_cut(
    findings: Findings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    forwards: bool,
) -> None:
    old, new = answer(findings), refused(answer(findings))
    if not forwards:
        old, new = new, old
    place = write_outcome(old, tmp_path)
    real, synced = os.fsync, iter(range(most))

    def cut(descriptor: int) -> None:
        if next(synced, None) is None:
            raise PowerCut
        real(descriptor)

    with monkeypatch.context() as patch, suppress(PowerCut):
        patch.setattr(os, "fsync", cut)
        write_outcome(new, tmp_path)
    status = json.loads((place / "findings.json").read_bytes())["status"]
    assert not (status == "refused" and (place / "overlay.png").exists())
    assert status == new.findings.status or most < 3


def test_a_study_that_could_not_be_judged_keeps_its_row(findings: Findings) -> None:
    rows = findings_table([None, findings]).splitlines()[2:]
    assert rows[0].split() == ["1", "not", "judged"]
    assert rows[1].startswith("    2  0.91*")
