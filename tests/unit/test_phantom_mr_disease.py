"""The class of an MR phantom is a latent number read with noise, and nothing else tells it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cspine_bench.metrics.auc import auc
from cspine_phantom.mr.disease import (
    PATTERNS,
    READER_NOISE,
    THRESHOLD,
    draw_disease,
    generator,
    ideal_auc,
)

DRAWN = [draw_disease(3, number) for number in range(4000)]
EVIDENCE = np.array([each.evidence for each in DRAWN])
LABEL = np.array([each.label for each in DRAWN])


def test_the_ideal_observer_is_known_and_below_one() -> None:
    assert 0.93 < ideal_auc() < 0.99
    rng = np.random.default_rng(1)
    evidence = rng.standard_normal(100_000)
    labels = evidence + READER_NOISE * rng.standard_normal(100_000) > THRESHOLD
    assert ideal_auc() == pytest.approx(auc(labels, evidence), abs=2e-3)


def test_patients_have_it() -> None:
    # The standard error of an AUC of 0.97 on 2 x 2000 is below 0.003.
    assert auc(LABEL, EVIDENCE) == pytest.approx(ideal_auc(), abs=0.009)
    assert LABEL.mean() == pytest.approx(0.5, abs=0.025)


def test_both_classes_hold_what_is_stated() -> None:
    """A label is the evidence read with noise: probit regression's slope is one over the noise."""
    near = np.abs(EVIDENCE) < 3 * READER_NOISE
    inside = EVIDENCE[near][LABEL[near]].mean() - EVIDENCE[near][~LABEL[near]].mean()
    rng = np.random.default_rng(2)
    expected = []
    for _ in range(40):
        noise = READER_NOISE * rng.standard_normal(near.sum())
        again = EVIDENCE[near] + noise > THRESHOLD
        expected.append(EVIDENCE[near][again].mean() - EVIDENCE[near][~again].mean())
    assert abs(inside - np.mean(expected)) < 4 * np.std(expected)
    assert EVIDENCE.mean() == pytest.approx(0, abs=0.06)
    assert EVIDENCE.std() == pytest.approx(1, abs=0.05)


def test_two_readers_differ_where_evidence_is_weak() -> None:
    second = np.array([each.second for each in DRAWN])
    apart = second != LABEL
    assert 0.05 < apart.mean() < 0.2
    assert np.abs(EVIDENCE[apart]).mean() < 0.5 * np.abs(EVIDENCE).mean()


def test_stenosis_worst_level_and_pattern_tell_no_class() -> None:
    for score in (
        [each.stenosis for each in DRAWN],
        [each.worst for each in DRAWN],
        [PATTERNS.index(each.pattern) for each in DRAWN],
    ):
        assert auc(LABEL, np.array(score, float)) == pytest.approx(0.5, abs=0.035)


def test_thickness_and_reach_follow_the_evidence() -> None:
    drawn = replace(DRAWN[0], pattern="continuous")
    series = [replace(drawn, evidence=value) for value in (-2.0, -1.0, 0.0, 1.0, 2.0)]
    thickness = [each.thickness_mm for each in series]
    assert thickness == sorted(thickness)
    assert thickness == pytest.approx([0.5, 0.9, 2.4, 3.9, 5.4])
    assert [each.reach for each in series] == [2, 2, 3, 4, 4]
    assert replace(series[-1], pattern="localised").reach == 1


def test_aspects_have_streams_of_their_own() -> None:
    first = [generator(1, 2, stream=stream).random() for stream in ("disease", "anatomy", "study")]
    assert len(set(first)) == 3
    assert first[0] == generator(1, 2, stream="disease").random()
    assert first[0] != generator(1, 3, stream="disease").random()
