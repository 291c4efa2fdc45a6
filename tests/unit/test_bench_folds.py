"""Verdicts on folds, together, against their figures taken one by one."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from cspine.cli import cspine
from cspine.errors import ModelError
from cspine_bench.accuracy.evidence import Report, evidence_bytes
from cspine_bench.accuracy.folds import fold_summary, fold_text
from cspine_bench.metrics.agreement import kappa
from grading import PUBLISHED, published, report


@pytest.fixture(scope="module")
def folds() -> list[Report]:
    """The published matrix in three folds of other sizes, each a set of its own."""
    answers = published()
    cut = [answers[0::4], answers[1::4], [*answers[2::4], *answers[3::4]]]
    return [
        report([msgspec.structs.replace(each, line=2 + at, patient=2 + at)
                for at, each in enumerate(fold)])
        for fold in cut
    ]  # fmt: skip


def test_folds_have_their_mean_and_spread_and_are_pooled(folds: list[Report]) -> None:
    found = fold_summary(folds)
    assert (found.folds, found.cases) == (3, 100)
    every = found.reference["grades, quadratic kappa"]
    expected = []
    for each in folds:
        assert each.reference.grades
        assert each.reference.grades.truth
        expected.append(kappa(each.reference.grades.truth.counts, weights="quadratic"))
    assert every.folds == pytest.approx(expected)
    assert every.mean == pytest.approx(np.mean(expected))
    assert every.sd == pytest.approx(np.std(expected, ddof=1))
    # All together they are the matrix again, with the interval that it has as one set.
    whole = report(published()).reference.grades
    assert whole
    assert whole.truth
    assert whole.truth.counts == PUBLISHED
    assert every.pooled == whole.truth.quadratic_kappa
    assert found.candidate["grades, accuracy"].folds == (1.0, 1.0, 1.0)
    assert found.candidate["grades, accuracy"].sd == 0.0
    text = fold_text(found)
    assert text.splitlines()[0].startswith("3 folds, 100 cases")
    assert f"{every.mean:.4f}, {every.sd:.4f}" in text


def test_folds_that_share_a_study_or_answer_other_things_are_refused(folds: list[Report]) -> None:
    with pytest.raises(ModelError, match="folds 1 and 3: line 2 of the latter is a study of both"):
        fold_summary([folds[0], folds[1], folds[0]])
    with pytest.raises(ModelError, match="got 1 file of evidence, expected two or more"):
        fold_summary(folds[:1])
    other = msgspec.structs.replace(folds[1], classes=("none", "mild", "severe"))
    with pytest.raises(ModelError, match="pipelines that answer other things"):
        fold_summary([folds[0], other])
    half = msgspec.structs.replace(folds[1], precision="fp16")
    with pytest.raises(ModelError, match="got evidence of INT8 and of FP16"):
        fold_summary([folds[0], half])


def test_the_command_computes_every_verdict_again(folds: list[Report], tmp_path: Path) -> None:
    paths = []
    for number, each in enumerate(folds):
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_bytes(evidence_bytes(each))
    words = ["folds", *map(str, paths)]
    result = CliRunner().invoke(cspine, [*words, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output) == json.loads(msgspec.json.encode(fold_summary(folds)))
    assert "3 folds, 100 cases" in CliRunner().invoke(cspine, words).output
    paths[1].write_bytes(evidence_bytes(msgspec.structs.replace(folds[1], verdict="fail")))
    refused = CliRunner().invoke(cspine, words)
    assert isinstance(refused.exception, (ModelError, SystemExit))
    assert refused.exit_code != 0
