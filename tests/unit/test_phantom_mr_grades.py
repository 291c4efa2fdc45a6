"""Kang's grades of MR phantoms: what is drawn crosses them where the truth says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest

from cspine_bench.metrics.agreement import confusion_matrix, kappa
from cspine_phantom.mr.disease import draw_disease, generator
from cspine_phantom.mr.grades import (
    LEAN,
    THRESHOLDS,
    Narrowing,
    draw_narrowing,
    ideal_kappa,
    ideal_matrix,
    readers_kappa,
    readers_matrix,
)
from cspine_phantom.mr.narrowed import FLATTENED, LOST, Room, narrowed, room_of, unworn
from cspine_phantom.mr.necks import neck
from cspine_phantom.patients import LEVELS, draw_patient
from cspine_phantom.volume.canal import Canal
from cspine_phantom.volume.column import Column, column

DRAWN = [draw_narrowing(draw_patient(3, number)) for number in range(1500)]


def pooled(name: str) -> np.ndarray:
    return np.array([getattr(each, name) for each in DRAWN]).ravel()


def test_what_an_ideal_reader_and_a_second_one_reach_is_known() -> None:
    """The quadratures against the drawn patients, whose levels are correlated."""
    grades = pooled("grades")
    for name, matrix, expected in (
        ("drawn", ideal_matrix(), ideal_kappa()), ("second", readers_matrix(), readers_kappa()),
    ):  # fmt: skip
        found = confusion_matrix(pooled(name), grades, classes=4)
        assert found / found.sum() == pytest.approx(matrix, abs=0.012), name
        assert kappa(found, weights="quadratic") == pytest.approx(expected, abs=0.012), name
    assert 0.85 < readers_kappa() < ideal_kappa() < 0.94


def test_every_grade_is_seen_at_every_level() -> None:
    for level in range(len(LEVELS)):
        shares = np.bincount([each.grades[level] for each in DRAWN], minlength=4) / len(DRAWN)
        assert shares.min() > 0.02
    narrowest = np.array([each.narrowness for each in DRAWN]).mean(axis=0)
    assert narrowest == pytest.approx(LEAN, abs=0.1)


def test_symptoms_follow_the_narrowest_level_loosely() -> None:
    """By published figures ratios correlate with symptoms by 0.526."""
    worst = [max(each.narrowness) for each in DRAWN]
    symptoms = [each.symptom for each in DRAWN]
    assert np.corrcoef(worst, symptoms)[0, 1] == pytest.approx(0.5, abs=0.06)
    assert 0 <= min(symptoms) < max(symptoms) <= 17


def canals(numbers: range) -> Iterator[tuple[Narrowing, Column, Canal]]:
    for number in numbers:
        patient = draw_patient(6, number)
        narrowing, rng = draw_narrowing(patient), generator(6, number, stream="anatomy")
        own = column(patient, rng=rng)
        yield narrowing, own, narrowed(own, narrowing, rng=rng)


def test_the_canal_crosses_a_grade_where_the_narrowness_does() -> None:
    found: list[tuple[tuple[int, ...], Room]] = [
        (narrowing.drawn, room_of(canal, unworn(own, canal)))
        for narrowing, own, canal in canals(range(12))
    ]
    assert [room.grades for _, room in found] == [drawn for drawn, _ in found]
    assert {grade for drawn, _ in found for grade in drawn} == {0, 1, 2, 3}
    for drawn, room in found:
        for grade, lost, flat in zip(drawn, room.lost, room.flattened, strict=True):
            assert (grade >= 1) == (lost > LOST)
            assert (grade >= 2) == (flat > FLATTENED)
            assert 0 <= lost <= 1
            assert -0.01 < flat < 0.6


def test_cords_are_as_flat_as_those_of_patients() -> None:
    """Of a series of patients a ratio of 0.46 was measured by hand, with a deviation of 0.07."""
    smallest = []
    for narrowing, _, canal in canals(range(40)):
        front, back = canal.cord_at(0.0)
        ratio = (back - front + 0.5) / (2 * canal.cord_half(back - front))
        at = [int(np.abs(canal.along - place).argmin()) for place in canal.discs[:6]]
        assert (ratio[at] < 0.8).all()
        if max(narrowing.drawn) >= 2:
            smallest.append(ratio[at].min())
    assert np.mean(smallest) == pytest.approx(0.46, abs=0.03)
    assert np.std(smallest) == pytest.approx(0.08, abs=0.02)


def test_how_flat_a_cord_is_does_not_tell_whether_it_is_bright() -> None:
    """Among levels beyond grade 2 that are equally narrow, the cord is flat in many degrees."""
    near = [
        (each.narrowness[level], each.steep[level])
        for each in DRAWN
        for level in range(len(LEVELS))
        if each.narrowness[level] > THRESHOLDS[1]
    ]
    narrowness, steep = np.array(near).T
    assert abs(np.corrcoef(narrowness, steep)[0, 1]) < 0.05
    assert steep.min() < 0.65 < 1.4 < steep.max()


def test_a_neck_with_ossified_ligament_is_drawn_as_ever() -> None:
    """Checkpoints and records rest on these: a cord that is bright, and a plane beside it."""
    anatomy = neck(draw_patient(6, 1), draw_disease(6, 1))
    (canal,) = (part for part in anatomy.parts if isinstance(part, Canal))
    assert len(canal.oedema) == 1
    digest = hashlib.sha256(anatomy.plane(0.0).tobytes() + anatomy.plane(7.2).tobytes())
    assert digest.hexdigest()[:16] == "71fe1e895e059ddf"
